"""Checks the provider: does it answer, does it accept our key, and can each account act?

The one rule: it only reads. It sends no like and no comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from adapters.clock import SystemClock
from adapters.http.session import HttpSession
from adapters.postgres.schema.diagnostics import MOST_ACCOUNTS
from adapters.unipile.ping import PingStatus, ping
from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.activity import Account
from engagement_core.model.errors import Failure
from engagement_core.model.provider import AccountHealth, NoReadBack
from engagement_core.ports.clock import Deadline
from engagement_core.ports.linkedin import AccountProbe
from runners.bootstrap import open_provider
from runners.doctor.context import Context
from runners.doctor.finding import Finding, failed, fine, warned

__all__ = ["check_accounts", "check_provider"]

_PATIENCE = timedelta(seconds=10)
_PATIENCE_WITH_ACCOUNTS = timedelta(seconds=30)
_ADDRESS = "UNIPILE_DSN or UNIPILE_BASE_URL"
_CURES = {
    PingStatus.UNREACHABLE: f"Check {_ADDRESS}, its DNS entry, the firewall, and the provider's status page.",
    PingStatus.TLS: f"Check that {_ADDRESS} is the provider's own, this machine's time, and any proxy between them.",
    PingStatus.KEY_REFUSED: f"Copy UNIPILE_API_KEY again from the provider's dashboard; it must belong to {_ADDRESS}.",
}
_ON_PURPOSE = "paused"
_PASSES = frozenset({"CONNECTING"})


def check_provider(context: Context) -> tuple[Finding, ...]:
    """Send one GET."""
    settings = context.settings
    with HttpSession() as session:
        seen = ping(
            base_url=settings.unipile_base_url,
            version=settings.unipile_api_version,
            api_key=str(settings.unipile_api_key),
            session=session,
            deadline=Deadline.after(SystemClock(), _PATIENCE),
        )
    if cure := _CURES.get(seen.reception):
        return (failed("provider", seen.message, cure),)
    if seen.reception is PingStatus.TROUBLED:
        cure = f"Try again. If it stays so, read the provider's status page, and check {_ADDRESS}."
        return (warned("provider", seen.message, cure),)
    if seen.reception is PingStatus.KEY_TAKEN:
        return (fine("provider", "It answers, and accepts the key."),)
    return (fine("provider", "It answers. With v0 the key cannot be checked."),)


def check_accounts(context: Context) -> tuple[Finding, ...]:
    """One finding for each account that cannot act; a single one if all can."""
    accounts = context.database.accounts
    if not accounts:
        cure = "Fill linkedin_accounts: every profile that acts needs a row."
        return (warned("accounts", "linkedin_accounts is empty: no account can act.", cure),)
    deadline = Deadline.after(SystemClock(), _PATIENCE_WITH_ACCOUNTS)
    with open_provider(context.settings) as provider:
        found = [finding for account in accounts for finding in _about(account, provider, deadline)]
    return tuple(found) or (_all_well(context, len(accounts)),)


def _all_well(context: Context, count: int) -> Finding:
    how_many = f"The first {count}" if count == MOST_ACCOUNTS else f"All {count}"
    if context.settings.unipile_api_version == "v0":
        return fine("accounts", f"{how_many} have a usable status; v0 cannot be asked whether they are connected.")
    return fine("accounts", f"{how_many} are connected.")


def _about(account: Account, provider: AccountProbe, deadline: Deadline) -> Iterator[Finding]:
    name = f"account {account.id}"
    if account.status in HELD_STATUSES:
        says = f"Its status in linkedin_accounts is {account.status}: its work is held."
        if account.status == _ON_PURPOSE:
            yield warned(name, says, "If this is no longer wanted, set its status to ok.")
        else:
            yield failed(name, says, "Reconnect it at the provider, then set its status to ok.")
        return
    seen = provider.health(account, deadline)
    if isinstance(seen, Failure):
        yield _not_answered(name, seen)
    elif not isinstance(seen, NoReadBack) and not seen.is_good:
        yield _unwell(name, account, seen)


def _not_answered(name: str, failure: Failure) -> Finding:
    if failure.provider_status == 404:  # noqa: PLR2004 - HTTP's own code for it
        cure = "Correct its unipile_account_id in linkedin_accounts."
        return failed(name, "The provider does not know this account.", cure)
    if failure.provider_status is None and failure.meaning.error_type.value == "invalid_activity":
        return failed(name, failure.message, "Set its unipile_account_id in linkedin_accounts.")
    return warned(name, f"Its health could not be read: {failure.message}", "Try again.")


def _unwell(name: str, account: Account, health: AccountHealth) -> Finding:
    words = ", ".join(health.words) or "nothing"
    says = f"The provider reports its connection as: {words}."
    cure = f"Reconnect it at the provider, then run `engagement resume --account {account.id}`."
    if health.words and all(word == "OK" or word in _PASSES for word in health.words):
        return warned(name, says, f"Wait a minute and check again. If it stays so: {cure}")
    return failed(name, says, cure)
