"""Objects that a migration made, removed again: just those, by their uid, and never what others depend on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, NotFound
from migrations_app.resources.marks import migration_of, type_of
from migrations_app.resources.meeting import DEFINITION
from migrations_app.resources.present import Present

Object = dict[str, Any]
NAMED = 3


class Fate(StrEnum):
    """What is to become of an object that a migration made."""

    GONE = "gone"  # it is not there any more, or another one has its name
    GOING = "going"  # it is being deleted
    REMOVED = "removed"
    STAYS = "stays"


@dataclass(frozen=True)
class Made:
    """An object that a migration made: a stub of it, and the uid that it was given."""

    stub: Object
    uid: str


def fate_of(connection: Connection, made: Made, present: Present, migration_id: str) -> tuple[Fate, str, Object | None]:
    """What is to become of it, why, and the object as it is. Raises KubeError."""
    try:
        found = present.of(made.stub)
    except NotFound:
        # Its kind is not served any more.
        return Fate.GONE, "", None
    if found is None or found["metadata"]["uid"] != made.uid:
        return Fate.GONE, "", None
    if found["metadata"].get("deletionTimestamp"):
        return Fate.GOING, held_by(found), found
    other = migration_of(found)
    if other and other != migration_id:
        return Fate.STAYS, "a later migration has taken it over", found
    reason = why_kept(connection, found, migration_id)
    return (Fate.STAYS if reason else Fate.REMOVED), reason, found


def held_by(obj: Object) -> str:
    """What keeps an object that is being deleted, or an empty text. Nobody but who set a finalizer knows what for."""
    metadata = obj["metadata"]
    finalizers = metadata.get("finalizers") or ()
    if not metadata.get("deletionTimestamp") or not finalizers:
        return ""
    return f"it is being deleted, and waits for whoever set its finalizer {', '.join(finalizers)} to take that off"


def why_kept(connection: Connection, obj: Object, migration_id: str) -> str:
    """Why an object of the migration has to stay for the sake of others, or an empty text."""
    if type_of(obj) == DEFINITION and (users := _others_of_kind(connection, obj, migration_id)):
        return f"others have made objects of this kind: {', '.join(users)}"
    return ""


def remove(connection: Connection, made: Made) -> None:
    """Delete that very object. Raises KubeError."""
    metadata = made.stub["metadata"]
    connection.delete(
        connection.resource_of(made.stub), metadata["name"], metadata.get("namespace") or None, uid=made.uid
    )


def _others_of_kind(connection: Connection, definition: Object, migration_id: str) -> list[str]:
    """Some of the custom resources that the migration did not bring and that would go with their definition."""
    spec = definition["spec"]
    found = []
    try:
        for obj in connection.list(f"{spec['names']['plural']}.{spec['group']}"):
            if migration_of(obj) != migration_id:
                namespace = obj["metadata"].get("namespace")
                found.append(f"{namespace}/{obj['metadata']['name']}" if namespace else obj["metadata"]["name"])
            if len(found) == NAMED:
                break
    except (NotFound, Forbidden):
        return []
    return found


def is_custom(obj: Object) -> bool:
    """Whether an operator may have to do something before the object can go: its kind is nobody's built-in."""
    group = type_of(obj)[0]
    return "." in group and not group.endswith((".k8s.io", ".openshift.io"))


def in_reverse(made: Iterable[Made]) -> list[list[Made]]:
    """Custom resources first, while whoever looks after them is still there; all else after that, the last first."""
    everything = list(made)[::-1]
    custom = [each for each in everything if is_custom(each.stub)]
    return [part for part in (custom, [each for each in everything if not is_custom(each.stub)]) if part]
