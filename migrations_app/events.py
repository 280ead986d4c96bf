"""The one door through which every event of a migration passes: stored, numbered, then pushed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from migrations_app import live
from migrations_app.models import Migration, MigrationEvent


def emit(
    migration: Migration,
    reason: str,
    message: str,
    *,
    warning: bool = False,
    source: str = "kubemotion",
    regarding: str = "",
    at: datetime | None = None,
    origin: str = "",
    count: int = 1,
) -> MigrationEvent:
    """Store one event under the migration's next number, and push it to whoever watches once it is committed.

    What a cluster tells by an event of its own has that one's uid as `origin`, and happened `count` times up to `at`.

    The row of the migration is locked until the surrounding transaction ends, so numbers become visible in order and
    a reader that has seen number n has seen all before it.
    """
    with transaction.atomic():
        Migration.objects.filter(pk=migration.pk).update(last_event_seq=F("last_event_seq") + 1)
        migration.refresh_from_db(fields=["last_event_seq"])
        event = MigrationEvent.objects.create(
            migration=migration,
            seq=migration.last_event_seq,
            type=MigrationEvent.Type.WARNING if warning else MigrationEvent.Type.NORMAL,
            reason=reason,
            source=source,
            regarding=regarding,
            message=message,
            at=at or timezone.now(),
            origin=origin,
            count=count,
        )
        # A page that cannot be told now catches up later; the migration goes on all the same.
        transaction.on_commit(lambda: live.event_stored(event), robust=True)
    return event


@dataclass(frozen=True)
class Said:
    """One event that is still to be stored."""

    reason: str
    message: str
    warning: bool = False
    regarding: str = ""


def emit_all(migration: Migration, said: Sequence[Said]) -> None:
    """Store many events under the next numbers, in order: as `emit` does, with a few queries for all of them."""
    if not said:
        return
    with transaction.atomic():
        Migration.objects.filter(pk=migration.pk).update(last_event_seq=F("last_event_seq") + len(said))
        migration.refresh_from_db(fields=["last_event_seq"])
        last = migration.last_event_seq
        first = last - len(said) + 1
        stored = MigrationEvent.objects.bulk_create(
            MigrationEvent(
                migration=migration,
                seq=first + place,
                type=MigrationEvent.Type.WARNING if each.warning else MigrationEvent.Type.NORMAL,
                reason=each.reason,
                regarding=each.regarding,
                message=each.message,
            )
            for place, each in enumerate(said)
        )
        told = (
            partial(live.event_stored, stored[0])
            if len(stored) == 1
            else partial(live.events_stored, migration.pk, last)
        )
        transaction.on_commit(told, robust=True)


def since(migration: Migration, seq: int) -> QuerySet[MigrationEvent]:
    """The events after number `seq`, in order."""
    return migration.events.filter(seq__gt=seq).order_by("seq")


@dataclass(frozen=True)
class FoldedEvent:
    """Equal events as one line, as `kubectl describe` folds them: `x2 over 78s`."""

    type: str
    reason: str
    source: str
    regarding: str
    message: str
    count: int
    first_at: datetime
    last_at: datetime
    seq: int


def folded(events: QuerySet[MigrationEvent]) -> list[FoldedEvent]:
    """The events with equal ones (type, reason, source, object, message) counted together, by their last number."""
    lines: dict[tuple[str, str, str, str, str], FoldedEvent] = {}
    for event in events:
        key = (event.type, event.reason, event.source, event.regarding, event.message)
        earlier = lines.pop(key, None)
        lines[key] = FoldedEvent(
            *key,
            count=earlier.count + event.count if earlier else event.count,
            first_at=earlier.first_at if earlier else event.at,
            last_at=event.at,
            seq=event.seq,
        )
    return list(lines.values())
