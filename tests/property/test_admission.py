"""The gate fails closed, whatever meets there."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engagement_core.decisions.admission import HELD_STATUSES, Admit, Defer, admit
from engagement_core.model.activity import Account
from engagement_core.model.controls import BlockScope, Control, ControlKind
from support.builders import DAY, NOW, a_snapshot, an_account

in_force = st.builds(
    Control,
    kind=st.sampled_from(ControlKind),
    scope=st.sampled_from(BlockScope),
    scope_id=st.sampled_from(["", "pod-1", "account-1"]),
    until=st.none() | st.timedeltas(timedelta(microseconds=1), DAY).map(lambda left: NOW + left),
    reason=st.text(max_size=5),
)
accounts = st.builds(
    lambda status, limit: an_account(status=status, daily_limit=limit),
    st.none() | st.sampled_from(sorted(HELD_STATUSES)) | st.text(max_size=5),
    st.none() | st.integers(-1, 5),
)


@given(accounts, st.lists(in_force, max_size=4).map(tuple), st.integers(0, 10))
def test_admits_only_when_nothing_at_all_stands_in_the_way(
    account: Account, controls: tuple[Control, ...], sent: int
) -> None:
    """One obstacle is enough, and a deferral never ends before every control has ended."""
    admission = admit(a_snapshot(controls=controls, sent_in_last_day=sent), account)
    used_up = account.daily_limit is not None and sent >= account.daily_limit
    assert isinstance(admission, Admit) == (not controls and account.status not in HELD_STATUSES and not used_up)
    if controls:
        assert isinstance(admission, Defer)
        ends = [control.until for control in controls]
        assert admission.until == (None if None in ends else max(filter(None, ends)))
