"""The history keeps what changed, leaves secrets out, and cannot be rewritten."""

from __future__ import annotations

import pytest

from audit.actor import SYSTEM, Actor
from audit.models import Entry
from audit.record import record
from teams.models import Team

pytestmark = pytest.mark.django_db


def test_an_entry_keeps_only_the_keys_that_differ(team: Team) -> None:
    entry = record(SYSTEM, "team.change", team, before={"name": "a", "size": 1}, after={"name": "b", "size": 1})
    assert (entry.before, entry.after) == ({"name": "a"}, {"name": "b"})


def test_an_entry_outlives_its_actor(team: Team, alice: object) -> None:
    entry = record(Actor(user=alice, address="192.0.2.1"), "team.add", team)
    alice.delete()  # type: ignore[attr-defined]
    entry.refresh_from_db()
    assert entry.actor is None
    assert entry.actor_name == "alice"


def test_an_entry_is_neither_changed_nor_deleted(team: Team) -> None:
    entry = record(SYSTEM, "team.add", team)
    with pytest.raises(TypeError):
        entry.save()
    with pytest.raises(TypeError):
        entry.delete()
    assert Entry.objects.count() == 1
