"""What the destination says of each object, as far as looking at what is there tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import NotFound
from migrations_app.resources import apply
from migrations_app.resources.spec import ConflictPolicy

Object = dict[str, Any]


@dataclass(frozen=True)
class FieldDiff:
    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Planned:
    group: str
    version: str
    kind: str
    namespace: str
    name: str
    action: str
    reason: str
    diff: list[FieldDiff] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def dry_run(
    connection: Connection,
    objects: Iterable[Object],
    *,
    migration_id: str,
    policy: ConflictPolicy,
    on_planned: Callable[[Planned], None],
    stop_at: float | None = None,
) -> bool:
    """Look at what is there for each; whether all were looked at before `stop_at`."""
    for obj in objects:
        if stop_at is not None and time.monotonic() > stop_at:
            return False
        on_planned(_planned(connection, obj, migration_id))
    return True


def _planned(connection: Connection, obj: Object, migration_id: str) -> Planned:
    group, _slash, version = obj["apiVersion"].rpartition("/")
    metadata = obj["metadata"]
    action, reason = "unchanged", ""
    try:
        connection.get(connection.resource_of(obj), metadata["name"], metadata.get("namespace"))
    except NotFound:
        action = "create"
    for each in apply.conflicts(connection, [obj], migration_id):
        action, reason = "conflict", each.reason
    return Planned(group, version, obj["kind"], metadata.get("namespace", ""), metadata["name"], action, reason)
