"""What holds whoever does the moving: page, API, cancelling, dying workers, reconnecting pages, lost servers."""

from __future__ import annotations

import html
import random
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.test import Client
from django.utils import timezone

from clusters.models import Engine
from migrations_app import events, reconcile, services
from migrations_app import lease as leases
from migrations_app.engines import sides
from migrations_app.models import Migration, Stage, Status
from teams.models import ApiToken
from tests.engine.conftest import Estate, told
from tests.portworx_engine import nine


class Killed(BaseException):
    """The worker is gone, as after SIGKILL: nothing of ours runs any more."""


@pytest.fixture(params=[Engine.NATIVE, Engine.PORTWORX])
def either(px: Estate, request: pytest.FixtureRequest) -> Estate:
    """The same estate, with a pair of each engine in turn."""
    px.change(px.pair, engine=request.param)
    return px


def api(estate: Estate, path: str) -> Any:
    token = ApiToken.issue(estate.by.user, "test")[1]
    answer = Client().get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def ask(estate: Estate, migration: Migration, what: str, **body: Any) -> Any:
    """What the API answers to a verb of the migration."""
    token = ApiToken.issue(estate.by.user, "test")[1]
    path = f"/api/v1/migrations/{migration.pk}/{what}/"
    return Client().post(path, body, "application/json", headers={"Authorization": f"Bearer {token}"})


def page(estate: Estate, migration: Migration) -> str:
    client = Client()
    client.force_login(estate.by.user)
    return client.get(migration.get_absolute_url()).content.decode()


PACK = 8 << 20
# What else there is in both volumes, which is small, or mostly nothing.
REST = 8 << 20


@pytest.fixture
def large(either: Estate) -> Iterator[int]:
    """The first claim gets a file of so many bytes, of which nothing can be left out on the wire."""
    size = 64 << 20
    file = either.dev.volume_path("cms", nine.CLAIMS[0]) / "large.bin"
    file.write_bytes(random.Random(7).randbytes(size))
    yield size
    file.unlink()


def packs(estate: Estate, migration: Migration) -> tuple[int, int]:
    """How many packs of the migration are in the bucket, and of how many bytes."""
    pages = estate.store().get_paginator("list_objects_v2").paginate(Bucket=estate.s3.bucket)
    found = [each for page in pages for each in page.get("Contents", ()) if f"{migration.pk}/" in each["Key"]]
    sizes = [each["Size"] for each in found if "/packs/" in each["Key"]]
    return len(sizes), sum(sizes)


def movers_of(estate: Estate, resource: str) -> list[Any]:
    """The movers' objects on both sides."""
    found = [each for side in ("dev", "prod") for each in estate.objects(side, resource).values()]
    return [each for each in found if each["metadata"]["name"].startswith("kubemotion-")]


def running(estate: Estate) -> list[str]:
    """The movers' pods that have not ended, or are still to go."""
    pods = movers_of(estate, "pods")
    left = [pod for pod in pods if pod["status"].get("phase") != "Succeeded" or "deletionTimestamp" in pod["metadata"]]
    return [pod["metadata"]["name"] for pod in left]


def volumes_move(migration: Migration) -> bool:
    return migration.volumes.filter(status=Status.IN_PROGRESS).exists()


class TestEitherEngine:
    """One class for all engines; a new one adds itself to `either`."""

    def test_page_and_api_show_the_same_success(self, either: Estate) -> None:
        migration = either.drive(either.start())
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert not either.different_files()

        path = f"/migrations/{migration.pk}/"
        summary = api(either, path)["summary"]
        assert (summary["volumes_done"], summary["volumes_total"]) == (2, 2)
        assert summary["resources_done"] == summary["resources_total"]
        assert summary["bytes_done"] == summary["bytes_total"] > 0
        kinds = {(row["kind"], row["name"]) for row in api(either, f"{path}resources/?page_size=100")["results"]}
        assert kinds >= nine.RESOURCES
        numbers = [row["seq"] for row in api(either, f"{path}events/?page_size=500")["results"]]
        assert numbers == list(range(1, migration.last_event_seq + 1))

        shown = page(either, migration)
        assert re.findall(r"<dd>(\d+) <small>/ (\d+)</small></dd>", shown)[0] == ("2", "2")
        for kind, name in nine.RESOURCES:
            assert re.search(rf'data-label="Kind">{kind}</th>.*?data-label="Name">{name}</td>', shown, re.S), kind
        for claim in nine.CLAIMS:
            assert f"cms/{claim}" in shown

    def test_a_cancelled_migration_stops_and_leaves_the_source(self, either: Estate) -> None:
        before = {name: either.objects("dev", name).keys() for name in ("deployments.apps", "services", "secrets")}
        either.s3.faults.latency = 0.1
        migration = either.drive(either.start(), until=volumes_move)
        services.cancel(migration, by=either.by)
        either.s3.faults.latency = 0.0
        migration = either.drive(migration)
        assert migration.status == Status.CANCELLED, told(migration)
        assert "source was not changed" in migration.reason
        assert before == {name: either.objects("dev", name).keys() for name in before}
        assert not either.objects("dev", "migrations.stork.libopenstorage.org", "kube-system")
        assert not migration.volumes.filter(status=Status.IN_PROGRESS).exists()
        assert "Cancelled" in page(either, migration)

    def test_a_pause_stands_still_and_goes_on_where_it_was_or_is_refused(
        self, either: Estate, settings: Any, large: int
    ) -> None:
        """In the middle of a volume that takes seconds; a worker that comes anew leaves what is paused alone."""
        settings.MOVER_BYTES_PER_SECOND, settings.MOVER_WORKERS = 3_000_000, 1
        migration = either.start()
        if either.pair.engine == Engine.PORTWORX:
            self._pause_is_refused(either, migration)
            return
        migration = either.drive(migration, until=lambda migration: packs(either, migration)[0] >= 4)
        answer = ask(either, migration, "pause", reason="the network is needed")
        assert answer.status_code == 200, answer.content
        paused_at = answer.json()["paused_at"]
        assert "Pausing" in page(either, migration)
        migration = either.drive(migration, until=lambda migration: migration.stands_still_at is not None)
        transferred = packs(either, migration)[1]
        assert transferred < large
        assert running(either) == []
        held = [job for job in movers_of(either, "jobs.batch") if not job["status"].get("succeeded")]
        assert len(held) >= 2
        assert all(job["spec"]["suspend"] for job in held)
        shown = page(either, migration)
        assert "Paused by alice" in shown
        assert "the network is needed" in shown
        assert "Nothing of it runs any more" in shown

        # A worker that comes anew finds nothing due, and does nothing where it is told to look.
        sides._kept.clear()
        assert migration.pk not in leases.due()
        assert ask(either, migration, "pause", reason="again").json()["paused_at"] == paused_at
        reconcile.reconcile(migration.pk)
        Migration.objects.filter(pk=migration.pk).update(next_look_at=timezone.now())
        reconcile.reconcile(migration.pk)
        migration = Migration.objects.get(pk=migration.pk)
        assert (migration.next_look_at, migration.status) == (None, Status.IN_PROGRESS)
        assert packs(either, migration)[1] == transferred
        assert running(either) == []
        assert {each.rate for each in migration.volumes.filter(status=Status.IN_PROGRESS)} == {None}

        answer = ask(either, migration, "resume")
        assert (answer.status_code, answer.json()["paused_at"]) == (200, None), answer.content
        assert ask(either, migration, "resume").status_code == 200
        arrived = either.drive(migration, until=lambda m: not m.volumes.exclude(status=Status.SUCCESSFUL).exists())
        # What was on its way is sent again, a pack of the one worker.
        assert packs(either, arrived)[1] <= large + REST + PACK
        migration = either.drive(migration)
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert not either.different_files()
        told_of = list(
            migration.events.filter(reason__in=["Pausing", "Paused", "Resumed"]).values_list("reason", flat=True)
        )
        assert told_of == ["Pausing", "Paused", "Resumed"], told(migration)
        warnings = migration.events.filter(type="Warning").exclude(reason="Preflight")
        assert not warnings.exists(), told(migration)
        assert ask(either, migration, "pause").status_code == 409
        assert "is finished" in ask(either, migration, "resume").json()["detail"]

    @staticmethod
    def _pause_is_refused(either: Estate, migration: Migration) -> None:
        migration = either.drive(migration, until=volumes_move)
        for verb in ("pause", "resume"):
            answer = ask(either, migration, verb)
            assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
            assert answer.json()["detail"].startswith("Stork has no pause. Cancel this migration and start it again")
        shown = page(either, migration)
        assert answer.json()["detail"] in html.unescape(shown)
        assert f"{migration.pk}/pause/" not in shown
        migration = either.drive(migration)
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert not migration.is_paused

    @pytest.mark.parametrize("moment", ["asked", "still"])
    def test_a_paused_migration_can_be_cancelled(self, either: Estate, moment: str) -> None:
        if either.pair.engine == Engine.PORTWORX:
            pytest.skip("it is never paused")
        either.s3.faults.latency = 0.1
        migration = either.drive(either.start(), until=volumes_move)
        assert ask(either, migration, "pause").status_code == 200
        if moment == "still":
            migration = either.drive(migration, until=lambda migration: migration.stands_still_at is not None)
        services.cancel(migration, by=either.by)
        assert "Cancelling" in page(either, migration)
        migration = either.drive(migration)
        assert (migration.status, migration.is_paused) == (Status.CANCELLED, False), told(migration)
        assert packs(either, migration) == (0, 0)
        assert not [name for name in either.leftovers() if migration.pk.hex[:8] in name]

    @pytest.mark.parametrize("renewals", [1, 2, 3, 5, 8])
    def test_a_worker_may_be_killed_before_any_write(
        self, either: Estate, renewals: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each worker gets as far as its `renewals`th renewal of the lease, and dies there; the next one goes on."""
        left = renewals
        renew = leases.Lease.renew

        def dying(lease: leases.Lease) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            renew(lease)

        monkeypatch.setattr(leases.Lease, "renew", dying)
        migration = either.start()
        killed = 0
        while killed < 6:
            try:
                migration = either.drive(migration, until=lambda migration: migration.is_finished)
                break
            except Killed:
                killed, left = killed + 1, renewals
                # Its lease runs out.
                now = timezone.now()
                Migration.objects.filter(pk=migration.pk).update(lease_expires_at=now, next_look_at=now)
        assert killed
        monkeypatch.setattr(leases.Lease, "renew", renew)
        migration = either.drive(migration)
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert not either.different_files()
        said = [each.message for each in migration.events.filter(message__startswith="Stage ")]
        assert len(said) == len(set(said)), told(migration)

    def test_a_page_that_comes_back_gets_what_it_missed(self, either: Estate) -> None:
        migration = either.drive(either.start(), until=volumes_move)
        seen = [each.seq for each in events.since(migration, 0)]
        migration = either.drive(migration)
        numbers = async_to_sync(self._reconnected)(either, migration, seen[-1])
        assert seen + numbers == list(range(1, migration.last_event_seq + 1))

    @staticmethod
    async def _reconnected(estate: Estate, migration: Migration, after: int) -> list[int]:
        from channels.testing import WebsocketCommunicator

        from kubemotion_web.asgi import application

        def cookie() -> bytes:
            client = Client()
            client.force_login(estate.by.user)
            return client.cookies[settings.SESSION_COOKIE_NAME].OutputString().split(";")[0].encode()

        headers = [
            (b"host", b"localhost"),
            (b"origin", b"http://localhost"),
            (b"cookie", await sync_to_async(cookie)()),
        ]
        socket = WebsocketCommunicator(application, f"/ws/migrations/{migration.pk}/", headers=headers)
        assert (await socket.connect())[0]
        await socket.send_json_to({"after": after})
        numbers: list[int] = []
        while not numbers or numbers[-1] < migration.last_event_seq:
            numbers += [int(each) for each in re.findall(r'id="event-(\d+)"', await socket.receive_from(timeout=10))]
        await socket.disconnect()
        return numbers

    @pytest.mark.parametrize("moment", ["begin", "volumes"])
    def test_a_source_that_is_away_for_a_while_is_waited_for(
        self, either: Estate, moment: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A minute of the real pauses (2, 4, 8, 16, 32 s) in little time."""
        monkeypatch.setattr(reconcile, "LONGEST_PAUSE", timedelta(milliseconds=20))
        migration = either.start()
        if moment == "volumes":
            migration = either.drive(migration, until=volumes_move)
        either.dev.faults.stopped = True
        migration = either.drive(migration, until=lambda migration: migration.failed_looks >= 5)
        assert not migration.is_finished
        assert "Source cluster dev" in migration.reason
        shown = page(either, migration)
        assert "Source cluster dev" in shown
        assert ("when it last went well" in shown) is (moment == "volumes")
        either.dev.faults.stopped = False
        migration = either.drive(migration)
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert migration.events.filter(reason="Waiting", message__contains="Source cluster dev").count() == 1
        assert not either.different_files()

    @pytest.mark.slow
    @pytest.mark.timeout(400)
    def test_a_source_that_is_away_for_a_minute_is_waited_for_in_real_time(self, either: Estate) -> None:
        """The page says meanwhile what is going on, and how old is what it shows; nothing is lost."""
        either.s3.faults.latency = 0.1
        migration = either.drive(either.start(), until=volumes_move)
        either.dev.faults.stopped = True
        began = timezone.now()
        migration = either.drive(migration, until=lambda migration: migration.failed_looks >= 1)
        seen = migration.looked_at
        assert seen is not None
        # The look that went well may have ended just after.
        assert seen <= began + timedelta(seconds=5)
        either.s3.faults.latency = 0.0
        while timezone.now() < began + timedelta(minutes=1):
            either.drive(migration, until=lambda migration: migration.next_look_at > timezone.now())
            migration = Migration.objects.get(pk=migration.pk)
            assert not migration.is_finished, told(migration)
            assert "Source cluster dev" in migration.reason
            shown = page(either, migration)
            assert html.escape(migration.reason) in shown
            assert f'<time datetime="{seen.isoformat(timespec="seconds")}"' in shown
            assert api(either, f"/migrations/{migration.pk}/")["reason"] == migration.reason
            time.sleep(1)
        assert migration.looked_at == seen
        either.dev.faults.stopped = False
        migration = either.drive(migration)
        assert migration.status == Status.SUCCESSFUL, told(migration)
        assert migration.events.filter(reason="Waiting", message__contains="Source cluster dev").count() == 1
        assert migration.events.filter(reason="Continuing").exists()
        assert "when it last went well" not in page(either, migration)
        assert not either.different_files()

    def test_stages_come_in_order(self, either: Estate) -> None:
        migration = either.drive(either.start())
        order = [stage.value for stage in Stage]
        entered = sorted(migration.stage_times, key=order.index)
        assert entered == ["Initial", "Volumes", "Applications", "Final"]
        times = [migration.stage_times[stage] for stage in entered]
        assert times == sorted(times)
