"""A verification's progress comes from the readers' logs as they write them, without a look of reconcile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app import live, watcher
from migrations_app.engines.native import movers
from migrations_app.models import Migration, Status
from migrations_app.verifications import following, jobs
from migrations_app.verifications import services as verifications
from migrations_app.verifications.models import Verdict, VolumeVerification
from tests.engine.conftest import Estate, eventually, told

CLAIM = "px-mysql-pvc"
# Enough of them to be read for some seconds: progress is said each second.
FILES = 40_000


@pytest.fixture
def reading(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Iterator[VolumeVerification]:
    """A verification whose reader on the source is at work for some seconds, and at which nobody looks."""
    migration = estate.drive(estate.start(include_resources=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    folder = estate.dev.volume_path("cms", CLAIM) / "many"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}").write_bytes(b"x" * 100)
    try:
        verifications.verify(migration, by=estate.by)
        estate.drive(migration, until=lambda _: bool(_row(migration).started_at))
        row = _row(migration)

        def runs() -> bool:
            pods = estate.objects("dev", "pods").values()
            return any(movers.is_running(pod, jobs.container_of(row)) for pod in pods)

        eventually(runs)
        monkeypatch.setattr(following, "close_old_connections", lambda: None)
        yield row
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        verifications.stop(migration, by=estate.by)
        estate.drive(migration, until=lambda migration: not migration.is_verifying)


def _row(migration: Migration) -> VolumeVerification:
    return VolumeVerification.objects.select_related("volume__migration").get(
        verification__migration=migration, volume__claim=CLAIM
    )


def test_progress_is_written_and_pushed_while_it_is_read_and_its_end_wakes_the_migration(
    reading: VolumeVerification, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration = reading.volume.migration
    later = timezone.now() + timedelta(days=1)
    Migration.objects.filter(pk=migration.pk).update(next_look_at=later)
    pushed: list[int] = []
    push = live.state_changed

    def pushing(changed: Migration, *args: Any) -> None:
        push(changed, *args)
        pushed.append(_row(changed).source["bytes_done"])

    monkeypatch.setattr(live, "state_changed", pushing)
    assert {(reading.pk, 1, "source"), (reading.pk, 1, "destination")} <= set(watcher._wanted())
    following.follow(reading.pk, 1, "source", threading.Event())
    assert pushed
    assert pushed == sorted(pushed)
    assert pushed[-1] > 0
    row = _row(migration)
    assert row.source["bytes_total"] > 0
    assert (row.status, row.destination.get("bytes_done")) == (Verdict.IN_PROGRESS, None)
    assert Migration.objects.get(pk=migration.pk).next_look_at < later


def test_what_a_worker_has_written_is_not_taken_back(
    reading: VolumeVerification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of progress that comes after the verdict."""
    reading.source = {"digest": "abc", "bytes_done": 7, "bytes_total": 7}
    reading.save()
    with monkeypatch.context() as patch:
        patch.setattr(live, "state_changed", lambda *_: pytest.fail("nothing has changed"))
        following.follow(reading.pk, 1, "source", threading.Event())
    assert _row(reading.volume.migration).source == {"digest": "abc", "bytes_done": 7, "bytes_total": 7}


def test_a_verification_that_is_over_is_not_followed(reading: VolumeVerification) -> None:
    VolumeVerification.objects.filter(pk=reading.pk).update(status=Verdict.SAME)
    assert not {key for key in following.wanted() if key[0] == reading.pk}
