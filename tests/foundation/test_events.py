"""The event log: numbered without gaps, kept in order, folded on request."""

from __future__ import annotations

import pytest

from migrations_app import events
from migrations_app.models import Migration

pytestmark = pytest.mark.django_db


def test_events_are_numbered_from_one_without_gaps(migration: Migration) -> None:
    for _ in range(5):
        events.emit(migration, "Volumes", "Stage Volumes began")
    assert list(migration.events.values_list("seq", flat=True)) == [1, 2, 3, 4, 5]
    migration.refresh_from_db()
    assert migration.last_event_seq == 5


def test_a_stale_instance_still_takes_the_next_number(migration: Migration) -> None:
    stale = Migration.objects.get(pk=migration.pk)
    events.emit(migration, "A", "first")
    assert events.emit(stale, "B", "second").seq == 2


def test_since_returns_what_was_missed_in_order(migration: Migration) -> None:
    for word in ("one", "two", "three"):
        events.emit(migration, "Word", word)
    assert [event.message for event in events.since(migration, 1)] == ["two", "three"]


def test_folding_counts_equal_events_and_loses_none(migration: Migration) -> None:
    for message in ("a", "b", "a", "a"):
        events.emit(migration, "Waiting", message, warning=True)
    lines = events.folded(migration.events.all())
    assert [(line.message, line.count, line.seq) for line in lines] == [("b", 1, 2), ("a", 3, 4)]
    assert sum(line.count for line in lines) == 4
