"""A verification's progress comes from the readers' logs as they write them, without a look of reconcile.

The readers are pods of scripts that say what readers say, slowly enough to be followed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app import live, watcher
from migrations_app.engines.native import movers
from migrations_app.models import Migration, MigrationVolume, Stage, Status
from migrations_app.verifications import following, jobs
from migrations_app.verifications import services as verifications
from migrations_app.verifications.models import Verdict, VolumeVerification
from tests.engine.conftest import Estate, eventually

LATER = timedelta(days=1)
Reader = Callable[..., None]


@pytest.fixture
def row(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Iterator[VolumeVerification]:
    """A volume that is read anew, and at which nobody looks for a day."""
    migration = estate.start(include_resources=False)
    MigrationVolume.objects.create(
        migration=migration, namespace="cms", claim="data", volume="pv", status=Status.SUCCESSFUL, source_claim={}
    )
    Migration.objects.filter(pk=migration.pk).update(stage=Stage.FINAL, status=Status.SUCCESSFUL, cleaned_up=True)
    verifications.verify(migration, by=estate.by)
    VolumeVerification.objects.update(status=Verdict.IN_PROGRESS, started_at=timezone.now())
    Migration.objects.filter(pk=migration.pk).update(next_look_at=timezone.now() + LATER)
    monkeypatch.setattr(following, "close_old_connections", lambda: None)
    yield now()
    Migration.objects.filter(pk=migration.pk).update(next_look_at=None)


def now() -> VolumeVerification:
    return VolumeVerification.objects.select_related("volume__migration").get()


@pytest.fixture
def reader(estate: Estate, row: VolumeVerification) -> Iterator[Reader]:
    """Makes the pod of the source's reader, which says these bytes one after the other."""
    dev = estate.on("dev")

    def make(*done: int) -> None:
        lines = [json.dumps({"type": "progress", "bytes_done": each, "bytes_total": 9}) for each in done]
        # Longer apart than progress is pushed.
        script = "sleep 1; " + "; sleep 1.2; ".join(f"echo '{line}'" for line in lines) + "; sleep 1"
        container = {"name": jobs.container_of(row), "image": "busybox", "command": ["sh", "-c", script]}
        labels = {"batch.kubernetes.io/job-name": jobs.name_of(row)}
        spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
        dev.create("pods", {"metadata": {"name": "reader", "namespace": "cms", "labels": labels}, "spec": spec})
        eventually(lambda: movers.is_running(dev.get("pods", "reader", "cms"), container["name"]))  # type: ignore[arg-type]

    yield make
    dev.delete("pods", "reader", "cms")
    eventually(lambda: "reader" not in estate.objects("dev", "pods"))


def test_progress_is_written_and_pushed_while_it_is_read_and_its_end_wakes_the_migration(
    row: VolumeVerification, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[dict[str, Any]] = []
    push = live.state_changed

    def pushing(changed: Migration) -> None:
        push(changed)
        pushed.append(now().source)

    monkeypatch.setattr(live, "state_changed", pushing)
    assert {(row.pk, 1, "source"), (row.pk, 1, "destination")} <= set(watcher._wanted())
    reader(3, 6)
    following.follow(row.pk, 1, "source", threading.Event())
    assert pushed == [{"bytes_done": 3, "bytes_total": 9}, {"bytes_done": 6, "bytes_total": 9}]
    assert (now().status, now().destination) == (Verdict.IN_PROGRESS, {})
    assert Migration.objects.get().next_look_at <= timezone.now()


def test_the_second_look_is_followed_for_its_end_alone(row: VolumeVerification, reader: Reader) -> None:
    read = {"digest": "abc", "bytes_done": 9, "bytes_total": 9}
    row.look, row.source = 2, read
    row.save()
    # The name of its Job tells the look.
    reader(1)
    following.follow(row.pk, 2, "source", threading.Event())
    assert now().source == read
    assert Migration.objects.get().next_look_at <= timezone.now()


def test_what_a_worker_has_written_is_not_taken_back(row: VolumeVerification, reader: Reader) -> None:
    """A line of progress that comes after the result."""
    read = {"digest": "abc", "bytes_done": 9, "bytes_total": 9}
    row.source = read
    row.save()
    reader(3)
    following.follow(row.pk, 1, "source", threading.Event())
    assert now().source == read


def test_what_is_over_is_not_followed(row: VolumeVerification) -> None:
    assert following.wanted()
    VolumeVerification.objects.update(status=Verdict.SAME)
    assert following.wanted() == set()
