"""What managedFields tell: whether this migration made an object, and what of it we hold.

Server-side apply creates where nothing is, and otherwise merges. Should somebody make an object of the same name
between our look and our apply, ours is laid over it and carries our mark, though we did not make it. The time of our
entry in managedFields tells: it is written before the object is created, and after an object that was there.
"""

from __future__ import annotations

import json
from typing import Any

from clusters.kube.objects import FIELD_MANAGER
from migrations_app.resources.marks import migration_of

Object = dict[str, Any]
# Their changes are the destination's own life, not somebody's hand.
CONTROLLERS = frozenset(
    {"kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", "cluster-policy-controller",
     "openshift-controller-manager", "Go-http-client"}
)  # fmt: skip


def made_by(obj: Object, migration_id: str) -> bool:
    """Whether the migration created the object, rather than changed one that was there."""
    if migration_of(obj) != migration_id:
        return False
    ours, made_at = applied_entry(obj), str(obj["metadata"].get("creationTimestamp", ""))
    if ours is None:
        # Made by POST, or somebody cleared the managers: then the mark alone has to do. Endpoints take their Service's.
        entries = obj["metadata"].get("managedFields") or ()
        return not entries or any(entry.get("manager") == FIELD_MANAGER for entry in entries)
    applied_at = str(ours.get("time", ""))
    if applied_at != made_at:
        return applied_at < made_at
    # Times are whole seconds. Whoever updates a field takes it from us: only who was first holds it together with us.
    return not any(_overlap(ours.get("fieldsV1") or {}, each.get("fieldsV1") or {}) for each in others_of(obj))


def others_of(obj: Object) -> list[Object]:
    """The entries of those who hold something of the object beside us and the cluster's controllers."""
    ours = applied_entry(obj)
    return [
        entry
        for entry in obj["metadata"].get("managedFields") or ()
        if entry != ours and not entry.get("subresource") and entry.get("manager") not in CONTROLLERS
    ]


def held_by_others(obj: Object, *path: str) -> bool:
    """Whether anybody but us, controllers included, holds the field."""
    for entry in obj["metadata"].get("managedFields") or ():
        at: Any = entry.get("fieldsV1")
        for name in path:
            at = at.get(f"f:{name}") if isinstance(at, dict) else None
        if at is not None and entry.get("manager") != FIELD_MANAGER:
            return True
    return False


def _overlap(one: Object, other: Object) -> bool:
    """Whether two sets have a leaf in common."""
    return any(
        step != "." and step in other and (_overlap(below, other[step]) if below and other[step] else True)
        for step, below in one.items()
    )


def applied_entry(obj: Object) -> Object | None:
    """Our entry in the object's managedFields."""
    for entry in obj["metadata"].get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return dict(entry)
    return None


def holds_more_than(present: Object, wanted: Object) -> bool:
    """Whether we hold a field of the present object which is not wanted any more, and so would go with an apply."""
    entry = applied_entry(present)
    return entry is not None and not _covers(wanted, entry.get("fieldsV1") or {})


def _covers(value: Any, held: Object) -> bool:
    """Whether the value has all fields of the set (fieldsV1: `f:` a field, `k:` an item by keys, `v:` by value)."""
    for step, below in held.items():
        kind, _colon, rest = step.partition(":")
        if kind == ".":
            continue
        found: Any = None
        if kind == "f" and isinstance(value, dict):
            found = value.get(rest)
        elif kind == "k" and isinstance(value, list):
            keys = json.loads(rest)
            # What stands for a key by default, such as protocol TCP, is not written in ours.
            found = next(
                (
                    each
                    for each in value
                    if isinstance(each, dict) and all(each.get(k, v) == v for k, v in keys.items())
                ),
                None,
            )
        elif kind == "v" and isinstance(value, list):
            wanted = json.loads(rest)
            found = wanted if wanted in value else None
        if found is None or not _covers(found, below):
            return False
    return True


def changed_since(obj: Object) -> list[str]:
    """Who else has changed the object since we did: `kubectl-edit at 2026-11-25T10:00:00Z`."""
    ours = applied_entry(obj)
    since = str((ours or obj["metadata"]).get("time" if ours else "creationTimestamp") or "")
    return [
        f"{entry['manager']} at {entry.get('time', '')}"
        for entry in others_of(obj)
        if entry["manager"] != FIELD_MANAGER and str(entry.get("time", "")) > since
    ]
