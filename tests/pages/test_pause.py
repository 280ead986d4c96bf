"""Pause and resume on the pages and over the API: who may, what is said, what is written down, what is refused."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone

from audit.actor import Actor
from audit.models import Entry
from clusters.models import ClusterPair, PortworxPairing
from kubemotion_web.templatetags.ui import stages
from migrations_app import live, progress, services, watcher
from migrations_app.models import Migration, Stage, Status
from migrations_app.pauses import services as pauses
from migrations_app.pauses.fields import MOST_REASON
from teams.models import ApiToken
from teams.refusals import Conflict, Refusal
from tests import factories
from tests.pages.test_live import watch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def company(transactional_db: None) -> factories.Company:
    return factories.company()


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def shown(company: factories.Company, user: Any, path: str = "") -> str:
    answer = signed_in(user).get(path or company.migration.get_absolute_url())
    return html.unescape(answer.content.decode())


def fresh(company: factories.Company) -> Migration:
    return Migration.objects.select_related("pair", "team").get(pk=company.migration.pk)


def ask(user: Any, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {ApiToken.issue(user, 'test')[1]}"}
    return Client().post(f"/api/v1{path}", body or {}, "application/json", headers=headers)


def stand_still(company: factories.Company) -> None:
    """As the engine's last look at a paused migration leaves it."""
    Migration.objects.filter(pk=company.migration.pk).update(stands_still_at=timezone.now(), next_look_at=None)


def test_who_operates_pauses_and_resumes_from_the_page(company: factories.Company) -> None:
    client, path = signed_in(company.olivia), company.migration.get_absolute_url()
    assert f'href="{path}pause/"' in shown(company, company.olivia)
    assert f'href="{path}pause/"' not in shown(company, company.bob)
    assert f'href="{path}resume/"' not in shown(company, company.olivia)
    question = client.get(f"{path}pause/").content.decode()
    assert "no further step begins" in question
    assert "half a minute at most" in question
    assert client.post(f"{path}pause/", {"reason": "  the network\n is needed "}).status_code == 302
    migration = fresh(company)
    assert (migration.paused_by, migration.pause_reason) == (company.olivia, "the network is needed")
    assert (migration.status, migration.stage) == (Status.IN_PROGRESS, Stage.VOLUMES)
    assert migration.next_look_at is not None
    page = shown(company, company.bob)
    for words in ("Pausing", "Pause asked for by olivia", ": the network is needed", "It is coming to rest"):
        assert words in page

    stand_still(company)
    page = shown(company, company.bob)
    for words in ("Paused by olivia", "Nothing of it runs any more"):
        assert words in page
    assert "data-elapsed" not in page, "no clock ticks"
    listed = shown(company, company.bob, "/migrations/")
    assert re.search(r'data-label="Status">.*?Paused', listed, re.S)
    assert f'href="{path}pause/"' not in shown(company, company.olivia)
    assert f'href="{path}resume/"' in shown(company, company.olivia)
    assert f'href="{path}cancel/"' in shown(company, company.olivia)

    assert "goes on where it was" in client.get(f"{path}resume/").content.decode()
    assert client.post(f"{path}resume/", {"reason": "it is night"}).status_code == 302
    migration = fresh(company)
    assert (migration.is_paused, migration.stands_still_at, migration.to_be_resumed) == (False, None, True)
    assert migration.next_look_at is not None
    assert "Paused by" not in shown(company, company.bob)
    entries = Entry.objects.filter(action__in=["migration.pause", "migration.resume"]).order_by("pk")
    assert [(entry.action, entry.actor_name, entry.after) for entry in entries] == [
        ("migration.pause", "olivia", {"reason": "the network is needed"}),
        ("migration.resume", "olivia", {"reason": "it is night"}),
    ]
    assert list(migration.events.order_by("seq").values_list("reason", "message"))[-2:] == [
        ("Pausing", "A pause was asked for by olivia: the network is needed"),
        ("Resumed", "Resumed by olivia: it is night"),
    ]


def test_the_api_shows_pauses_and_repeating_changes_nothing(company: factories.Company) -> None:
    path = f"/migrations/{company.migration.pk}"
    first = ask(company.olivia, f"{path}/pause/", {"reason": "maintenance"}).json()
    assert (first["paused_by"], first["pause_reason"], first["stands_still_at"]) == ("olivia", "maintenance", None)
    assert first["status"] == "InProgress"
    again = ask(company.alice, f"{path}/pause/", {"reason": "another"}).json()
    assert {name: again[name] for name in ("paused_at", "paused_by", "pause_reason")} == {
        name: first[name] for name in ("paused_at", "paused_by", "pause_reason")
    }
    assert ask(company.olivia, f"{path}/resume/").json()["paused_at"] is None
    assert ask(company.olivia, f"{path}/resume/").status_code == 200
    assert Entry.objects.filter(action__in=["migration.pause", "migration.resume"]).count() == 2
    assert ask(company.bob, f"{path}/pause/").status_code == 403
    assert ask(company.mallory, f"{path}/pause/").status_code == 404
    long = ask(company.olivia, f"{path}/pause/", {"reason": "x" * (MOST_REASON + 1)})
    assert (long.status_code, long.json()["errors"][0]["pointer"]) == (400, "/reason")
    with pytest.raises(Refusal, match="at most 500"):
        pauses.pause(company.migration, reason="x" * (MOST_REASON + 1), by=Actor(user=company.alice))


def test_what_is_paused_can_be_listed(company: factories.Company) -> None:
    pauses.pause(company.migration, by=Actor(user=company.alice))
    headers = {"Authorization": f"Bearer {ApiToken.issue(company.bob, 'test')[1]}"}
    for value, count in (("false", 1), ("true", 0)):
        answer = Client().get(f"/api/v1/migrations/?paused_at__isnull={value}", headers=headers)
        assert answer.json()["count"] == count


@pytest.mark.parametrize("status", [Status.SUCCESSFUL, Status.FAILED, Status.CANCELLED])
def test_one_that_has_ended_is_not_paused(company: factories.Company, status: Status) -> None:
    progress.finish(company.migration, status, "It is over")
    for verb in ("pause", "resume"):
        answer = ask(company.alice, f"/migrations/{company.migration.pk}/{verb}/")
        assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
        assert answer.json()["detail"].endswith(f"there is nothing to {verb}.")
        followed = signed_in(company.alice).post(f"{company.migration.get_absolute_url()}{verb}/", follow=True)
        assert f"there is nothing to {verb}" in followed.content.decode()
    assert not fresh(company).is_paused


def test_one_that_is_being_cancelled_is_not_paused_and_cancelling_ends_a_pause(company: factories.Company) -> None:
    by = Actor(user=company.alice)
    pauses.pause(company.migration, by=by)
    services.cancel(company.migration, by=by)
    assert not fresh(company).is_paused
    with pytest.raises(Conflict, match="being cancelled"):
        pauses.pause(company.migration, by=by)
    assert "Cancelling" in shown(company, company.bob)


def test_a_pair_with_stork_says_quietly_why_there_is_none(company: factories.Company) -> None:
    ClusterPair.objects.filter(pk=company.pair.pk).update(engine="portworx")
    path = company.migration.get_absolute_url()
    answer = ask(company.alice, f"/migrations/{company.migration.pk}/pause/")
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    words = answer.json()["detail"]
    assert words.startswith("Stork has no pause.")
    page = shown(company, company.alice)
    assert words in page
    assert f"{path}pause/" not in page
    assert words in html.unescape(signed_in(company.alice).get(f"{path}pause/").content.decode())
    progress.finish(fresh(company), Status.SUCCESSFUL, "It is over")
    assert words not in shown(company, company.alice)


def test_a_pause_that_comes_while_the_last_look_finishes_it_ends_with_it(company: factories.Company) -> None:
    known_to_the_worker = fresh(company)
    pauses.pause(company.migration, by=Actor(user=company.alice))
    progress.finish(known_to_the_worker, Status.SUCCESSFUL, "Everything verified")
    assert not fresh(company).is_paused
    assert "Successful" in shown(company, company.bob)


def test_no_clock_and_no_rate_counts_a_pause(company: factories.Company) -> None:
    by = Actor(user=company.alice)
    pauses.pause(company.migration, by=by)
    days = timedelta(days=3)
    now = timezone.now()
    moved = {stage: (now - days - timedelta(seconds=40)).isoformat() for stage in company.migration.stage_times}
    Migration.objects.filter(pk=company.migration.pk).update(
        paused_at=now - days, started_at=now - days - timedelta(seconds=42), stage_times=moved
    )
    company.migration.volumes.filter(status=Status.IN_PROGRESS).update(rate=1000, eta_seconds=5, measured_at=now)
    migration = fresh(company)
    elapsed = migration.elapsed()
    assert elapsed is not None
    assert 42 <= elapsed.total_seconds() < 43, "it stands still"
    pauses.resume(migration, by=by)
    migration = fresh(company)
    elapsed = migration.elapsed()
    assert elapsed is not None
    assert 42 <= elapsed.total_seconds() < 60
    (current,) = [row for row in stages(migration) if row["look"] == "current"]
    assert 40 <= current["length"].total_seconds() < 60
    assert (timezone.now() - current["ticks_from"]).total_seconds() < 60
    moving = migration.volumes.get(status=Status.IN_PROGRESS)
    assert (moving.rate, moving.eta_seconds, moving.measured_at) == (None, None, None)
    assert moving.paused_seconds == pytest.approx(days.total_seconds(), abs=20)
    assert migration.volumes.get(status=Status.SUCCESSFUL).paused_seconds == 0
    assert migration.paused_seconds == pytest.approx(days.total_seconds(), abs=20)
    assert "of pauses" in shown(company, company.bob)


def test_a_pause_before_the_beginning_is_no_time_of_it(company: factories.Company) -> None:
    waiting = factories.migration(company.pair, "waiting")
    by = Actor(user=company.alice)
    pauses.pause(waiting, by=by)
    Migration.objects.filter(pk=waiting.pk).update(paused_at=timezone.now() - timedelta(hours=1))
    pauses.resume(waiting, by=by)
    assert Migration.objects.get(pk=waiting.pk).paused_seconds == 0


def test_the_watcher_leaves_what_is_paused_alone(company: factories.Company) -> None:
    volume = company.migration.volumes.get(status=Status.IN_PROGRESS)
    assert watcher._movers()
    pauses.pause(company.migration, by=Actor(user=company.alice))
    assert not watcher._movers()
    line = {"bytes_done": volume.bytes_pulled + 1000, "bytes_total": volume.bytes_total}
    assert not watcher._bring_up_to_date(volume.pk, "pull", line)
    assert company.migration.volumes.get(pk=volume.pk).bytes_pulled == volume.bytes_pulled


async def test_open_pages_hear_of_it(company: factories.Company) -> None:
    connection = await watch(company, 5)
    await sync_to_async(pauses.pause)(company.migration, by=Actor(user=company.alice))
    said = ""
    while "Pause asked for by alice" not in said or 'id="event-6"' not in said:
        said += await connection.receive_from()
    assert "resume/" in said
    await sync_to_async(stand_still)(company)
    await sync_to_async(lambda: live.state_changed(fresh(company)))()
    while "Paused by alice" not in said:
        said += await connection.receive_from()
    await connection.disconnect()


def test_a_manifest_pauses_and_resumes(company: factories.Company) -> None:
    def send(**spec: Any) -> Any:
        document = {
            "apiVersion": "kubemotion.io/v1alpha1",
            "kind": "Migration",
            "metadata": {"name": "declared"},
            "spec": {"pair": company.pair.name, "namespaces": ["cms"], **spec},
        }
        return ask(company.olivia, "/migrations/apply/", document)

    def document(pk: str) -> Any:
        headers = {"Authorization": f"Bearer {ApiToken.issue(company.bob, 'x')[1]}", "Accept": "application/json"}
        return Client().get(f"/api/v1/migrations/{pk}/manifest/", headers=headers).json()

    made = send(paused=True)
    assert (made.status_code, made.json()["paused_by"]) == (201, "olivia"), made.content
    pk = made.json()["id"]
    assert document(pk)["spec"]["paused"] is True
    assert send().json()["paused_at"] == made.json()["paused_at"], "of which nothing is said is left as it is"
    assert send(paused=False).json()["paused_at"] is None
    assert "paused" not in document(pk)["spec"]
    wrong = send(paused="yes")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (400, "/spec/paused")
    ClusterPair.objects.filter(pk=company.pair.pk).update(engine="portworx")
    PortworxPairing.objects.create(pair=company.pair, namespace="kube-system", object_name="remote")
    Migration.objects.filter(pk=pk).delete()
    refused = send(paused=True)
    assert refused.status_code == 409, refused.content
    assert not Migration.objects.filter(name="declared").exists(), "what cannot be paused is not started for it"
