"""Stork's events in our log: each in its stage, each occurrence once, whenever they are looked at."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.portworx.migration import read
from migrations_app.engines.portworx import following, telling
from migrations_app.models import Migration, Stage
from tests import factories

SECOND = "2026-11-23T05:11:09Z"


@pytest.fixture
def migration(db: None) -> Migration:
    found = factories.company().migration
    found.events.all().delete()
    Migration.objects.filter(pk=found.pk).update(stage=Stage.INITIAL, stage_times={}, last_event_seq=0)
    return Migration.objects.get(pk=found.pk)


def event(message: str, *, uid: str, name: str = "", count: int = 1) -> dict[str, Any]:
    metadata = {"uid": uid, "name": f"cmsmigration.{name or uid}"}
    involved = {"kind": "Migration", "namespace": "cms", "name": "cmsmigration"}
    return {
        "metadata": metadata, "involvedObject": involved, "type": "Normal", "reason": "Successful", "count": count,
        "message": message, "lastTimestamp": SECOND, "source": {"component": "stork"},
    }  # fmt: skip


VOLUME = event("Volume pvc-1 migrated successfully", uid="1")
OBJECT = event("/v1, Kind=Service cms/mysql: Resource migrated successfully", uid="2")


def looked(migration: Migration, stage: str, *told: dict[str, Any]) -> list[str]:
    """Our log after a look that saw Stork in `stage`, and read these events just after that."""
    obj = {"metadata": {}, "spec": {}, "status": {"stage": stage, "status": "InProgress"}}
    following._enter(migration, obj, read(obj), told)
    return [each.message for each in migration.events.order_by("seq")]


def test_events_that_are_ahead_of_the_status_wait_for_their_stage(migration: Migration) -> None:
    """Stork went on between the two requests of a look: the object's event comes first by its name, not in our log."""
    assert looked(migration, "Volumes", OBJECT, VOLUME) == ["Stage Volumes began", VOLUME["message"]]
    assert looked(migration, "Applications", OBJECT, VOLUME) == [
        "Stage Volumes began", VOLUME["message"], "Stage Applications began", OBJECT["message"],
    ]  # fmt: skip


def test_a_look_that_missed_stages_tells_each_event_in_its_own(migration: Migration) -> None:
    assert looked(migration, "Final", OBJECT, VOLUME) == [
        "Stage Volumes began", VOLUME["message"], OBJECT["message"], "Stage Final began",
    ]  # fmt: skip


def test_what_a_cluster_combines_has_a_line_for_the_words_of_each_look(migration: Migration) -> None:
    combined = "(combined from similar events): /v1, Kind=Service cms/{}: Resource migrated successfully"
    for name, count in (("a", 1), ("a", 1), ("b", 2), ("e", 5)):
        telling.mirror(migration, [event(combined.format(name), uid="3", count=count)])
    lines = list(migration.events.order_by("seq").values_list("message", "count"))
    assert lines == [(combined.format("a"), 1), (combined.format("b"), 1), (combined.format("e"), 3)]
