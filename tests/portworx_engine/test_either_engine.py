"""What holds whoever does the moving: page, API, cancelling, dying workers, reconnecting pages, lost servers."""

from __future__ import annotations

import html
import re
import time
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


def page(estate: Estate, migration: Migration) -> str:
    client = Client()
    client.force_login(estate.by.user)
    return client.get(migration.get_absolute_url()).content.decode()


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
