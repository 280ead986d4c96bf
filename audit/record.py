"""The one way into the history."""

from __future__ import annotations

from typing import Any

from audit.actor import Actor
from audit.models import Entry


def record(
    by: Actor,
    action: str,
    subject: Any,
    *,
    team: Any = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Entry:
    """Write down that `by` did `action` (such as `cluster.add`) to `subject`, a model instance.

    Call it in the transaction of the change itself. `before` and `after` come from the model's `to_audit()`, which
    leaves secrets out; where both are given, only the keys that differ are kept.
    """
    team = team if team is not None else getattr(subject, "team", None)
    if before is not None and after is not None:
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        before = {key: value for key, value in before.items() if key in changed}
        after = {key: value for key, value in after.items() if key in changed}
    return Entry.objects.create(
        actor=by.user,
        actor_name=by.name,
        address=by.address,
        user_agent=by.user_agent,
        request_id=by.request_id,
        team_id=team.pk if team is not None else None,
        team_name=str(team) if team is not None else "",
        action=action,
        object_type=subject._meta.model_name,
        object_id=str(subject.pk),
        object_name=str(subject)[:255],
        before=before,
        after=after,
    )
