"""What Stork does wakes the migration that follows it, by watches that outlive broken connections and lost history."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.engines.portworx import watching
from migrations_app.models import Migration, Stage, Status
from tests.engine.conftest import Estate
from tests.portworx_estate import hand

Object = dict[str, Any]
PLURAL = f"migrations.{hand.STORK}"
LATER = timedelta(days=1)


@pytest.fixture
def followed(px: Estate) -> Iterator[Migration]:
    """A migration that nobody looks at for a day; what it follows is over, so that Stork itself does nothing."""
    document = hand.migration_document("quiet", "kube-system", clusterPair="prod", namespaces=["cms"])
    hand.create(px.dev, "migrations", {**document, "status": {"stage": "Final", "status": "Successful"}})
    metadata = hand.get(px.dev, "migrations", "kube-system", "quiet")["metadata"]
    row = px.start(name="quiet")
    known = {key: metadata[key] for key in ("namespace", "name", "uid")}
    Migration.objects.filter(pk=row.pk).update(
        stork_object=known, stage=Stage.INITIAL, status=Status.IN_PROGRESS, next_look_at=timezone.now() + LATER
    )
    yield Migration.objects.get(pk=row.pk)
    Migration.objects.filter(pk=row.pk).update(status=Status.CANCELLED, cleaned_up=True)


@dataclass
class Watch:
    """A watch that runs in the test's thread, while another one makes things happen in the cluster."""

    migration: Migration
    resource: str
    woken: list[str] = field(default_factory=list)
    troubles: list[BaseException] = field(default_factory=list)

    def run(self, happenings: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        stop = threading.Event()
        wake = watching.wake

        def waking(uid: str) -> None:
            wake(uid)
            self.woken.append(uid)

        def happen() -> None:
            try:
                happenings()
            except BaseException as trouble:
                self.troubles.append(trouble)
            finally:
                stop.set()

        monkeypatch.setattr(watching, "wake", waking)
        monkeypatch.setattr(watching, "close_old_connections", lambda: None)
        other = threading.Thread(target=happen)
        other.start()
        watching.follow(self.migration.pair.source_id, "kube-system", self.resource, stop)
        other.join()
        if self.troubles:
            raise self.troubles[0]

    def wait(self, count: int) -> None:
        uid = self.migration.stork_object["uid"]
        hand.until(lambda: self.woken.count(uid) >= count)

    def now(self) -> int:
        return self.woken.count(self.migration.stork_object["uid"])


@pytest.fixture(params=watching.RESOURCES)
def watch(followed: Migration, request: pytest.FixtureRequest) -> Watch:
    return Watch(followed, request.param)


def change(px: Estate, watch: Watch) -> None:
    """Something happens to the Migration, or is told of it."""
    name, uid = (watch.migration.stork_object[key] for key in ("name", "uid"))
    if watch.resource != "events":
        found = hand.get(px.dev, "migrations", "kube-system", name)
        found["metadata"]["labels"] = {"seen": timezone.now().strftime("%s%f")}
        px.dev.call(lambda api: api.update(PLURAL, found))
        return
    about = {"kind": "Migration", "name": name, "namespace": "kube-system", "uid": uid}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{timezone.now().timestamp():.6f}", "namespace": "kube-system"},
        "involvedObject": about,
        "type": "Normal",
        "reason": "Told",
        "message": "something",
    }
    px.dev.call(lambda api: api.create("events", event))


def test_each_change_wakes_a_look_and_asks_nothing_more(
    px: Estate, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    px.dev.faults.fail(lambda method, path: bool(asked.append(path)) if method == "GET" else False)

    def happenings() -> None:
        for _ in range(5):
            before = watch.now()
            change(px, watch)
            watch.wait(before + 1)

    watch.run(happenings, monkeypatch)
    # One list and one watch, however often something happens.
    mine = [path for path in asked if path.endswith(f"/{watch.resource.partition('.')[0]}")]
    assert len(mine) == 2, asked
    row = Migration.objects.get(pk=watch.migration.pk)
    assert row.next_look_at is not None
    assert row.next_look_at <= timezone.now()


def test_a_watch_that_breaks_is_taken_up_again(px: Estate, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def happenings() -> None:
        change(px, watch)
        watch.wait(1)
        before = watch.now()
        px.dev.faults.stopped = True
        change(px, watch)
        px.dev.faults.stopped = False
        watch.wait(before + 1)

    watch.run(happenings, monkeypatch)


def test_an_answer_that_history_is_gone_is_followed_by_a_new_list(
    px: Estate, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plural = watch.resource.partition(".")[0]

    def happenings() -> None:
        change(px, watch)
        watch.wait(1)
        px.dev.faults.fail(rf"/namespaces/kube-system/{plural}$", method="GET", status=410, times=2)
        # What is open now breaks, and what is asked then is answered that it is too long ago.
        before = watch.now()
        px.dev.faults.stopped = True
        change(px, watch)
        px.dev.faults.stopped = False
        watch.wait(before + 1)

    watch.run(happenings, monkeypatch)


def test_only_what_is_under_way_is_watched(px: Estate, followed: Migration) -> None:
    source = px.pair.source_id
    assert watching.wanted() == {(source, "kube-system", resource) for resource in watching.RESOURCES}
    Migration.objects.filter(pk=followed.pk).update(status=Status.FAILED)
    assert watching.wanted() == set()
    Migration.objects.filter(pk=followed.pk).update(status=Status.IN_PROGRESS, stork_object={})
    assert watching.wanted() == set()
