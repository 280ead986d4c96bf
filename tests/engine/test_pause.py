"""Pauses of the native engine: room for others, days, clusters out of reach, and what a cluster is asked to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from clusters.kube import errors
from migrations_app import reconcile
from migrations_app.engines.native import holding
from migrations_app.engines.native.looking import HELD
from migrations_app.engines.native.starting import room_on
from migrations_app.engines.sides import source_of
from migrations_app.models import Migration, MigrationVolume, Status
from migrations_app.pauses import services as pauses
from tests.engine.conftest import CLAIMS, Estate, told

Object = dict[str, Any]


def moving(migration: Migration) -> bool:
    return migration.volumes.filter(status=Status.IN_PROGRESS).count() == len(CLAIMS)


def still(migration: Migration) -> bool:
    return migration.stands_still_at is not None


def jobs(estate: Estate, *sides: str) -> list[Object]:
    return [job for side in sides or ("dev", "prod") for job in estate.objects(side, "jobs.batch").values()]


def held(estate: Estate, *sides: str) -> set[bool]:
    return {holding.is_held(job) for job in jobs(estate, *sides)}


def paused(estate: Estate) -> Migration:
    """A migration whose movers have begun and were stopped."""
    estate.s3.faults.latency = 0.2
    migration = estate.drive(estate.start(), until=moving)
    pauses.pause(migration, by=estate.by)
    migration = estate.drive(migration, until=still)
    estate.s3.faults.latency = 0
    return migration


def assert_successful(estate: Estate, migration: Migration) -> None:
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert estate.different_files() == []
    assert estate.leftovers() == []


def test_what_is_paused_makes_room_and_goes_on_when_there_is_room(estate: Estate, settings: Any) -> None:
    source = source_of(estate.pair)
    estate.s3.faults.latency = 0.2
    settings.MOVERS_PER_CLUSTER = 2
    migration = estate.drive(estate.start(), until=moving)
    assert not room_on(source).takes()
    pauses.pause(migration, by=estate.by)
    migration = estate.drive(migration, until=still)
    assert room_on(source).free == 2
    estate.s3.faults.latency = 0

    settings.MOVERS_PER_CLUSTER = 0
    pauses.resume(migration, by=estate.by)

    def waits(migration: Migration) -> bool:
        return all(HELD in volume.reason for volume in migration.volumes.all())

    migration = estate.drive(migration, until=waits)
    assert held(estate) == {True}
    # However long that takes, it is no mover that does not start.
    MigrationVolume.objects.update(started_at=timezone.now() - timedelta(days=1))
    migration = estate.drive(migration, until=lambda migration: migration.next_look_at > timezone.now())
    assert not migration.is_finished
    settings.MOVERS_PER_CLUSTER = 1
    migration = estate.drive(migration, until=lambda _migration: any(not holding.is_held(job) for job in jobs(estate)))
    assert len([job for job in jobs(estate, "dev") if not holding.is_held(job)]) == 1
    assert_successful(estate, estate.drive(migration))


def test_a_pause_of_days_is_no_reason_to_fail(estate: Estate) -> None:
    migration = paused(estate)
    days = timedelta(days=9)
    now = timezone.now()
    assert migration.started_at is not None
    Migration.objects.filter(pk=migration.pk).update(paused_at=now - days, started_at=migration.started_at - days)
    MigrationVolume.objects.update(started_at=now - days - timedelta(seconds=5))
    pauses.resume(migration, by=estate.by)
    migration = estate.drive(migration)
    assert_successful(estate, migration)
    elapsed = migration.elapsed()
    assert elapsed is not None
    assert elapsed < timedelta(minutes=5)
    for volume in migration.volumes.all():
        assert volume.rate is not None
        assert volume.bytes_total is not None
        assert volume.rate > volume.bytes_total / 300


def test_a_pause_before_anything_has_begun_keeps_everything_from_beginning(estate: Estate) -> None:
    migration = estate.start()
    pauses.pause(migration, by=estate.by)
    migration = estate.drive(migration, until=still)
    assert (migration.status, migration.next_look_at) == (Status.PENDING, None)
    assert jobs(estate, "dev") == []
    pauses.resume(migration, by=estate.by)
    assert_successful(estate, estate.drive(migration))


def test_a_cluster_out_of_reach_keeps_it_from_resting_and_the_other_is_stopped(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "LONGEST_PAUSE", timedelta(milliseconds=20))
    monkeypatch.setattr(reconcile, "MOST_FAILED_LOOKS", 2)
    # A request to a cluster that is away is repeated for some seconds; the movers must not be done by then.
    estate.s3.faults.latency = 3
    migration = estate.drive(estate.start(), until=moving)
    estate.dev.faults.stopped = True
    pauses.pause(migration, by=estate.by)
    migration = estate.drive(migration, until=lambda migration: migration.failed_looks > 4)
    assert not migration.is_finished, "it does not fail because it is paused"
    assert "Source cluster dev" in migration.reason
    assert held(estate, "prod") == {True}
    assert not still(migration)
    estate.dev.faults.stopped = False
    migration = estate.drive(migration, until=still)
    assert (migration.reason, held(estate, "prod")) == ("", {True})
    estate.s3.faults.latency = 0
    pauses.resume(migration, by=estate.by)
    assert_successful(estate, estate.drive(migration))


def test_a_pause_and_its_end_in_one_breath(estate: Estate) -> None:
    """Resumed before it stands still: what was suspended goes on, and the pods that still end are no failures."""
    estate.s3.faults.latency = 0.2
    migration = estate.drive(estate.start(), until=moving)
    pauses.pause(migration, by=estate.by)
    migration = estate.drive(migration, until=lambda _migration: held(estate) == {True})
    pauses.resume(migration, by=estate.by)
    estate.s3.faults.latency = 0
    migration = estate.drive(migration)
    assert_successful(estate, migration)
    assert not migration.events.filter(reason="Waiting").exists(), told(migration)


def test_a_job_that_others_have_suspended_is_left_to_them(estate: Estate) -> None:
    """Such as a queue that admits Jobs when their turn comes."""
    migration = paused(estate)
    (name, *_others) = estate.objects("prod", "jobs.batch")
    without = {"metadata": {"annotations": {holding.HELD_ANNOTATION: None}}}
    estate.on("prod").patch("jobs.batch", name, "cms", without)
    pauses.resume(migration, by=estate.by)
    migration = estate.drive(migration, until=lambda migration: not migration.to_be_resumed)
    assert estate.objects("prod", "jobs.batch")[name]["spec"]["suspend"] is True
    estate.on("prod").patch("jobs.batch", name, "cms", {"spec": {"suspend": False}})
    assert_successful(estate, estate.drive(migration))


def test_an_account_that_may_not_suspend_is_said_and_the_migration_lives(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_args: Any, **_options: Any) -> None:
        raise errors.Forbidden("jobs.batch is forbidden: it may not patch")

    estate.s3.faults.latency = 0.2
    migration = estate.drive(estate.start(), until=moving)
    monkeypatch.setattr(holding, "hold", refused)
    pauses.pause(migration, by=estate.by)
    migration = estate.drive(migration, until=lambda migration: migration.failed_looks > 0)
    assert "may not patch" in migration.reason
    assert not migration.is_finished
    estate.s3.faults.latency = 0
    pauses.resume(migration, by=estate.by)
    assert_successful(estate, estate.drive(migration))
