"""Movers that are killed, deleted, cannot start or cannot be heard: the migration goes on, or says why not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app import services
from migrations_app.models import Migration, Status
from tests.engine.conftest import CLAIMS, Estate, told


def moving(migration: Migration) -> bool:
    return migration.volumes.filter(status=Status.IN_PROGRESS).count() == 2


def assert_successful(estate: Estate, migration: Migration) -> None:
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert estate.different_files() == []
    assert estate.leftovers() == []
    assert {row.action for row in migration.resources.exclude(kind="PersistentVolume")} == {"created"}


@pytest.mark.parametrize("side", ["dev", "prod"])
def test_pods_that_are_deleted_are_started_again(estate: Estate, side: str) -> None:
    estate.s3.faults.latency = 0.1
    migration = estate.drive(estate.start(), until=moving)
    for name in estate.objects(side, "pods"):
        if name.startswith("kubemotion-"):
            estate.on(side).delete("pods", name, "cms")
    estate.s3.faults.latency = 0
    assert_successful(estate, estate.drive(migration))


@pytest.mark.parametrize("side", ["dev", "prod"])
def test_jobs_that_are_deleted_are_made_again(estate: Estate, side: str) -> None:
    estate.s3.faults.latency = 0.1
    migration = estate.drive(estate.start(), until=moving)
    for name in estate.objects(side, "jobs.batch"):
        estate.on(side).delete("jobs.batch", name, "cms")
    estate.s3.faults.latency = 0
    assert_successful(estate, estate.drive(migration))


def test_a_result_that_went_with_its_pod_is_asked_again(estate: Estate) -> None:
    migration = estate.drive(estate.start(), until=moving)

    def jobs_done() -> bool:
        return all(job["status"].get("succeeded") for job in estate.objects("dev", "jobs.batch").values())

    Migration.objects.update(next_look_at=timezone.now() + timedelta(hours=1))
    estate.drive(migration, until=lambda _migration: jobs_done())
    for name in estate.objects("dev", "pods"):
        if name.startswith("kubemotion-"):
            estate.on("dev").delete("pods", name, "cms")
    Migration.objects.update(next_look_at=timezone.now())
    assert_successful(estate, estate.drive(migration))
    assert migration.events.filter(message__contains="result was lost with its pod").exists()


def test_a_push_that_is_lost_at_its_end_and_finds_other_data_is_followed_by_the_pull(estate: Estate) -> None:
    """Nobody has heard of its end, so it begins anew, when the pull has long restored what it sent before."""
    migration = estate.drive(estate.start(), until=moving)

    def jobs_done() -> bool:
        jobs = [job for side in ("dev", "prod") for job in estate.objects(side, "jobs.batch").values()]
        return len(jobs) >= 2 and all(job["status"].get("succeeded") for job in jobs)

    Migration.objects.update(next_look_at=timezone.now() + timedelta(hours=1))
    estate.drive(migration, until=lambda _migration: jobs_done())
    for claim in CLAIMS:
        (estate.dev.volume_path("cms", claim) / "written since").write_text("by the application")
    for name in estate.objects("dev", "jobs.batch"):
        estate.on("dev").delete("jobs.batch", name, "cms")
    Migration.objects.update(next_look_at=timezone.now())
    assert_successful(estate, estate.drive(migration))
    assert migration.events.filter(message__contains="the push began anew after the pull had ended").exists()
    for claim in CLAIMS:
        assert (estate.prod.volume_path("cms", claim) / "written since").read_text() == "by the application"


def test_an_image_that_cannot_be_pulled_is_said_in_the_clusters_words(
    estate: Estate, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MOVER_IMAGE = "registry.invalid/kubemotion-mover:1"
    migration = estate.drive(
        estate.start(), until=lambda migration: migration.volumes.filter(reason__contains="Pull").count() == 2
    )
    assert "the mover cannot run:" in migration.volumes.first().reason
    assert "registry.invalid/kubemotion-mover:1" in migration.volumes.first().reason
    assert migration.events.filter(reason="Waiting", type="Warning").exists()
    monkeypatch.setattr("migrations_app.engines.native.looking.STARTING", timedelta(seconds=1))
    migration = estate.drive(migration)
    assert migration.status == Status.FAILED
    assert "did not start" in migration.reason
    assert "Pull" in migration.reason
    assert estate.leftovers() == []


def test_a_pod_that_no_node_takes_is_said_in_the_clusters_words(estate: Estate) -> None:
    nodes = [each["metadata"]["name"] for each in estate.on("prod").list("nodes")]
    for node in nodes:
        estate.on("prod").patch("nodes", node, None, {"spec": {"unschedulable": True}})
    try:
        migration = estate.drive(
            estate.start(), until=lambda migration: migration.volumes.filter(reason__contains="nodes").exists()
        )
        assert "Destination: the mover cannot run: Unschedulable" in migration.volumes.exclude(reason="").first().reason
    finally:
        for node in nodes:
            estate.on("prod").patch("nodes", node, None, {"spec": {"unschedulable": None}})
    assert_successful(estate, estate.drive(migration))


def test_clusters_that_fail_now_and_then_only_delay(estate: Estate) -> None:
    migration = estate.start()
    estate.dev.faults.fail("/apis/batch", status=503, times=6)
    estate.prod.faults.drop("/persistentvolumeclaims", times=3)
    estate.prod.faults.fail("/api/v1/namespaces/cms/services", method="POST", status=500, times=1)
    assert_successful(estate, estate.drive(migration))


def test_the_pusher_runs_beside_the_pod_that_holds_the_claim(estate: Estate) -> None:
    migration = estate.drive(estate.start(), until=moving)
    pods = estate.objects("dev", "pods")
    mysql = next(pod for name, pod in pods.items() if name.startswith("mysql-"))
    volume = migration.volumes.get(claim="px-mysql-pvc")
    job = estate.objects("dev", "jobs.batch")[f"kubemotion-push-{migration.pk.hex[:8]}-{volume.pk}"]
    terms = job["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    required = terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert required[0]["matchFields"][0]["values"] == [mysql["spec"]["nodeName"]]
    mount = job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]
    assert mount["readOnly"] is True


def test_no_secret_is_in_jobs_or_events(estate: Estate) -> None:
    migration = estate.drive(estate.start(), until=moving)
    shown = str([estate.objects(side, "jobs.batch") for side in ("dev", "prod")])
    migration_key = Migration.objects.get(pk=migration.pk).data_key
    assert migration_key
    for secret in (migration_key, estate.s3.keys.secret_access_key):
        assert secret not in shown
    migration = estate.drive(migration)
    for secret in (migration_key, estate.s3.keys.secret_access_key):
        assert secret not in told(migration)


def test_a_second_migration_over_the_same_names_is_told_what_is_in_the_way(estate: Estate) -> None:
    estate.drive(estate.start())
    second = estate.drive(services.start(estate.team, pair=estate.pair, namespaces=["cms"], by=estate.by))
    assert second.status == Status.FAILED
    assert "already has a claim cms/px-mysql-pvc, and pod mysql-" in second.reason
