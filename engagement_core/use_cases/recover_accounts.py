"""Use case: probe a held account until it can act again; let an account that keeps failing cool down.

The one rule: only a clear yes lifts a hold. Any other answer, or none, proves nothing; the next probe comes later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from engagement_core.decisions.account_recovery import HealthPolicy, can_act, cools_down_until, next_probe
from engagement_core.model.account_state import Failing, Hold
from engagement_core.model.signal import Signal
from engagement_core.ports.accounts import AccountRegister
from engagement_core.ports.activities import StoreRefused, StoreUnavailable
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.linkedin import AccountProbe
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_defect, emit_refusal

__all__ = ["AccountRecovery"]


@dataclass(frozen=True, kw_only=True)
class AccountRecovery:
    """Recovers accounts. Any number of workers may do so at once. `probe` is None if the provider cannot be asked: then
    only a person lifts a hold."""

    register: AccountRegister
    probe: AccountProbe | None
    clock: Clock
    telemetry: Telemetry
    policy: HealthPolicy = field(default_factory=HealthPolicy)
    timeout: timedelta = timedelta(seconds=10)
    limit: int = 20

    def run_once(self) -> None:
        """Probe every held account whose probe is due, and let accounts that keep failing cool down.

        Raises:
            StoreUnavailable: the database failed or could not be reached; the next run continues where this one
                stopped.
        """
        self._slow_down()
        if self.probe is not None:
            for hold in self.register.held(limit=self.limit):
                self._one(hold.account.id, partial(self._look_after, hold, self.probe))

    def _one(self, account_id: str, do: Callable[[], None]) -> None:
        """An error with one account must not stop the others, unless the database is unavailable."""
        try:
            do()
        except StoreRefused as error:
            emit_refusal(self.telemetry, error, account_id=account_id)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            emit_defect(self.telemetry, error, account_id=account_id)

    def _look_after(self, hold: Hold, probe: AccountProbe) -> None:
        at, probes = next_probe(hold, self.policy)
        # Record the next probe before this one is made: this worker may die, and another worker may be here, too.
        is_mine = self.register.plan(hold, probe_at=at, probes=probes)
        if not is_mine or probes == hold.probes:
            return
        if can_act(probe.health(hold.account, Deadline.after(self.clock, self.timeout))):
            self._release(hold, probes)

    def _release(self, hold: Hold, probes: int) -> None:
        if self.register.release(hold):
            self.telemetry.emit(Signal.ACCOUNT_RELEASED, account_id=hold.account.id, probes=probes)

    def _slow_down(self) -> None:
        policy = self.policy
        for failing in self.register.failing(within=policy.in_a_row, at_least=policy.server_errors, limit=self.limit):
            self._one(failing.account_id, partial(self._cool_down, failing))

    def _cool_down(self, failing: Failing) -> None:
        until = cools_down_until(failing, self.policy)
        if until is None or until <= failing.seen_at:
            return
        reason = f"the provider answered {len(failing.began_at)} times in a row with a server error"
        self.register.cool_down(failing.account_id, until=until, reason=reason)
        self.telemetry.emit(
            Signal.ACCOUNT_COOLED_DOWN, account_id=failing.account_id, until=until.isoformat(), reason=reason
        )
