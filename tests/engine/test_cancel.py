"""A cancelled migration leaves the source as it was and takes back exactly what it had made on the destination."""

from __future__ import annotations

from typing import Any

import pytest

from migrations_app import services
from migrations_app.models import Migration, Stage, Status
from teams.refusals import Conflict
from tests.engine.conftest import CLAIMS, Estate, told

WATCHED = ("deployments.apps", "pods", "secrets", "configmaps", "jobs.batch", "persistentvolumeclaims")


def at_stage(stage: Stage) -> Any:
    return lambda migration: migration.stage == stage and not migration.is_finished


def volumes_move(migration: Migration) -> bool:
    return migration.volumes.filter(status=Status.IN_PROGRESS).count() == 2


def some_are_applied(migration: Migration) -> bool:
    return migration.stage == Stage.FINAL


def is_there(estate: Estate, namespace: str = "cms") -> bool:
    return namespace in {each["metadata"]["name"] for each in estate.on("prod").list("namespaces")}


def disks(estate: Estate) -> list[str]:
    return [each["metadata"]["name"] for each in estate.on("prod").list("persistentvolumes")]


@pytest.mark.parametrize("moment", [at_stage(Stage.INITIAL), volumes_move, some_are_applied])
def test_nothing_is_left_at_whatever_stage(estate: Estate, moment: Any) -> None:
    before = {name: estate.objects("dev", name).keys() for name in WATCHED}
    migration = estate.drive(estate.start(), until=moment)
    services.cancel(migration, remove=True, by=estate.by)
    migration = estate.drive(migration)

    assert migration.status == Status.CANCELLED, told(migration)
    assert estate.leftovers() == []
    assert before == {name: estate.objects("dev", name).keys() for name in WATCHED}
    estate.drive(migration, until=lambda _migration: not is_there(estate) and not disks(estate))
    assert {volume.status for volume in migration.volumes.all()} <= {Status.CANCELLED}
    assert {row.status for row in migration.resources.all()} <= {Status.CANCELLED}
    assert migration.data_key == ""
    assert list(migration.events.values_list("seq", flat=True)) == list(range(1, migration.last_event_seq + 1))


def test_what_others_put_into_the_namespace_stays_and_so_does_the_namespace(estate: Estate) -> None:
    migration = estate.drive(estate.start(), until=some_are_applied)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"a": "b"}}
    estate.on("prod").create("configmaps", theirs, "cms")
    services.cancel(migration, remove=True, by=estate.by)
    migration = estate.drive(migration)

    assert migration.status == Status.CANCELLED, told(migration)
    assert estate.objects("prod", "configmaps").keys() - {"kube-root-ca.crt", "openshift-service-ca.crt"} == {"theirs"}
    assert estate.objects("prod", "deployments.apps") == {}
    assert estate.objects("prod", "persistentvolumeclaims") == {}
    said = migration.events.get(reason="Stays").message
    assert "ConfigMap theirs" in said


def test_what_was_made_can_be_left_there(estate: Estate) -> None:
    migration = estate.drive(estate.start(), until=some_are_applied)
    services.cancel(migration, remove=False, by=estate.by)
    migration = estate.drive(migration)
    assert migration.status == Status.CANCELLED
    assert estate.objects("prod", "deployments.apps").keys() == {"mysql", "wordpress"}
    assert estate.objects("prod", "persistentvolumeclaims").keys() == set(CLAIMS)
    assert estate.leftovers() == []


def test_disks_of_a_class_that_keeps_them_go_too(estate: Estate) -> None:
    migration = estate.drive(estate.start(storage_class_mapping={"gp3": "io2-retain"}), until=some_are_applied)
    services.cancel(migration, remove=True, by=estate.by)
    migration = estate.drive(migration)
    assert migration.status == Status.CANCELLED
    estate.drive(migration, until=lambda _migration: not disks(estate))


def test_a_finished_migration_cannot_be_cancelled(estate: Estate) -> None:
    migration = estate.drive(estate.start(namespaces=["absent"]))
    with pytest.raises(Conflict, match="is finished"):
        services.cancel(migration, by=estate.by)


def test_a_cancellation_waits_for_a_cluster_that_is_down(estate: Estate) -> None:
    migration = estate.drive(estate.start(), until=volumes_move)
    services.cancel(migration, remove=True, by=estate.by)
    estate.prod.faults.fail(".*", status=503, times=8)
    migration = estate.drive(migration)
    assert migration.status == Status.CANCELLED, told(migration)
    assert migration.events.filter(reason="Waiting", message__contains="Destination cluster prod").exists()
    assert estate.leftovers() == []
