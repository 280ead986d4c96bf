"""What a roll-back would do, object by object, seen before it is asked for; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines import Undoing
from migrations_app.engines.claims import CLAIMS
from migrations_app.engines.native import undoing
from migrations_app.engines.sides import destination_of
from migrations_app.models import Migration
from migrations_app.resources import removing
from migrations_app.resources.marks import MIGRATION_LABEL, migration_of
from migrations_app.resources.ownership import changed_since
from migrations_app.resources.present import Present
from migrations_app.resources.removing import Fate

Object = dict[str, Any]
REMOVE, RESTORE, MAKE, STAY = "remove", "restore", "make", "stay"


def foresee(migration: Migration) -> list[Undoing]:
    """See `engines.RollsBack`."""
    with destination_of(migration.pair).asked() as connection:
        return [
            *_made(migration, connection),
            *_changed(migration, connection),
            *_claims(migration, connection),
            *_namespaces(migration, connection),
        ]


def _made(migration: Migration, connection: Connection) -> Iterator[Undoing]:
    for part in removing.in_reverse(made for _row, made in undoing.made_by_migration(migration)):
        present = Present(connection, [made.stub for made in part])
        for made in part:
            fate, reason, found = removing.fate_of(connection, made, present, str(migration.pk))
            if found is not None:
                changed = tuple(changed_since(found))
                yield _undoing(made.stub, STAY if fate == Fate.STAYS else REMOVE, reason, changed)


def _changed(migration: Migration, connection: Connection) -> Iterator[Undoing]:
    rows = list(migration.resources.filter(action__in=undoing.CHANGED).order_by("order", "pk"))
    stubs = {row.pk: undoing.stub_of(row) for row in rows}
    present = Present(connection, stubs.values())
    for row in rows:
        found = _found(present, stubs[row.pk])
        if found is None:
            yield _undoing(stubs[row.pk], STAY, "it was deleted since, and is not made anew")
        else:
            yield _undoing(stubs[row.pk], RESTORE, "", tuple(changed_since(found)))
    for row in migration.resources.filter(action__in=undoing.PURGED).order_by("order", "pk"):
        yield _undoing(undoing.stub_of(row), MAKE)


def _found(present: Present, stub: Object) -> Object | None:
    try:
        return present.of(stub)
    except errors.NotFound:
        return None


def _claims(migration: Migration, connection: Connection) -> Iterator[Undoing]:
    for namespace in migration.spec().destination_namespaces():
        for claim in connection.list(CLAIMS, namespace, label_selector=f"{MIGRATION_LABEL}={migration.pk}"):
            yield _undoing(claim, REMOVE, "with its data")


def _namespaces(migration: Migration, connection: Connection) -> Iterator[Undoing]:
    made = {undoing.named(made.stub) for _row, made in undoing.made_by_migration(migration)}
    for name in migration.spec().destination_namespaces():
        try:
            namespace = connection.get("namespaces", name)
        except errors.NotFound:
            continue
        if migration_of(namespace) != str(migration.pk):
            continue
        objects, unread = undoing.inside(connection, name)
        foreign = [
            each
            for obj in objects
            if (each := undoing.named(obj)) not in made and migration_of(obj) != str(migration.pk)
        ]
        reason = f"others have put something there ({', '.join(dict.fromkeys(foreign[:5]))})" if foreign else ""
        reason = undoing.unseen(unread) if unread else reason
        yield _undoing(namespace, STAY if reason else REMOVE, reason)


def _undoing(obj: Object, action: str, reason: str = "", changed: tuple[str, ...] = ()) -> Undoing:
    metadata = obj["metadata"]
    return Undoing(obj["kind"], metadata.get("namespace", ""), metadata["name"], action, reason, changed)
