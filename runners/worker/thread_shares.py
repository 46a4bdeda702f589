"""How many of the threads each account has, and whether it may have another one.

The one rule: an account that answers may have all threads while nobody else waits; one that is saturated may have none.
Not safe to use from several threads: the delay queue locks.
"""

from __future__ import annotations

from engagement_core.use_cases.bulkhead import AccountBulkhead

__all__ = ["ThreadShares"]


class ThreadShares:
    """Which activities the threads have, and for which account."""

    def __init__(self, *, bulkhead: AccountBulkhead | None, threads: int) -> None:
        """
        Args:
            bulkhead: knows the running calls of each account, and its share; None if accounts share no threads.
            threads: how many threads one account may have.
        """
        self._bulkhead = bulkhead
        self._threads = threads
        self._accounts: dict[str, str | None] = {}
        self.has_passed_over = False
        """Whether an account was refused a thread; who asks again sets it back."""

    def __len__(self) -> int:
        return len(self._accounts)

    def __contains__(self, activity_id: str) -> bool:
        return activity_id in self._accounts

    def begin(self, activity_id: str, account_id: str | None) -> None:
        """A thread takes the activity."""
        self._accounts[activity_id] = account_id

    def yields(self, activity_id: str) -> None:
        """The thread has done its part, and may take another activity of the same account."""
        if activity_id in self._accounts:
            self._accounts[activity_id] = None

    def end(self, activity_id: str) -> None:
        """The thread has it no more."""
        self._accounts.pop(activity_id, None)

    def has_room(self, account_id: str | None) -> bool:
        """Whether the account may have another thread."""
        if self._bulkhead is None or account_id is None:
            return True
        if account_id not in self._bulkhead.saturated() and self._has(account_id) < self._threads:
            return True
        self.has_passed_over = True
        return False

    def has_less_than_its_share(self, account_id: str | None) -> bool:
        """Whether the account may have another thread although others wait."""
        if self._bulkhead is None or account_id is None:
            return True
        return self.has_room(account_id) and self._has(account_id) < self._bulkhead.most

    def saturated(self) -> frozenset[str]:
        """Accounts that do not answer, and have their share."""
        return frozenset() if self._bulkhead is None else self._bulkhead.saturated()

    def full(self) -> frozenset[str | None]:
        """Accounts that may have no other thread now."""
        known = {*self._accounts.values(), *self.saturated()}
        return frozenset(account_id for account_id in known if not self.has_room(account_id))

    def _has(self, account_id: str) -> int:
        # The account of some activities is not known before they are called for. The bulkhead knows it then.
        taken = sum(account_id == each for each in self._accounts.values())
        return taken if self._bulkhead is None else max(taken, self._bulkhead.running(account_id))
