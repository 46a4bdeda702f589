"""What makes an activity impossible to execute, in sentences for people."""

from __future__ import annotations

from engagement_core.decisions.comment_rules import check_comment
from engagement_core.model.activity import Activity, EngagementType, Pod
from engagement_core.model.snapshot import Snapshot

__all__ = ["problems_of"]

_LONGEST_POST_ID = 500


def problems_of(snapshot: Snapshot, activity: Activity) -> tuple[str, ...]:
    """Everything that is wrong with it, its pod or its account; empty when it can be executed."""
    found = []
    if not activity.post_id.strip():
        found.append("post_id is empty")
    if len(activity.post_id) > _LONGEST_POST_ID:
        found.append(f"post_id has more than {_LONGEST_POST_ID} characters")
    if activity.engagement_type is EngagementType.COMMENT:
        found.extend(check_comment(activity.comment_text or ""))
    if snapshot.pod is None:
        found.append(f"pod {activity.pod_id} does not exist")
    elif snapshot.account is None:
        # Never act as somebody else: a profile without an account does not fall back on the pod's.
        found.append(_no_account(activity, snapshot.pod))
    return tuple(found)


def _no_account(activity: Activity, pod: Pod) -> str:
    if activity.profile_id:
        return f"profile {activity.profile_id} has no row in linkedin_accounts"
    if pod.linkedin_account_id is None:
        return f"it names no profile, and pod {pod.id} has no linkedin_account_id"
    return f"account {pod.linkedin_account_id} of pod {pod.id} has no row in linkedin_accounts"
