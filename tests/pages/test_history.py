"""The history: who reads what, filters, export."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.test import Client

from audit.actor import SYSTEM, Actor
from audit.models import Entry
from audit.record import record
from tests import factories


@pytest.fixture
def entries(company: factories.Company) -> None:
    record(Actor(user=company.alice, address="10.0.0.7"), "cluster.add", company.source, after={"name": "dev"})
    record(Actor(user=company.bob), "cluster.check", company.source)
    record(Actor(user=company.mallory), "team.rename", company.other_team, team=company.other_team, after={"name": "x"})
    record(SYSTEM, "migration.finish", company.migration, before={"status": "InProgress"}, after={"status": "Failed"})


def rows(client: Client, query: str = "") -> list[dict[str, object]]:
    response = client.get(f"/history/export/?format=json{query}")
    return json.loads(b"".join(response.streaming_content))  # type: ignore[attr-defined]


@pytest.mark.usefixtures("entries")
def test_a_member_reads_the_history_of_their_teams_only(company: factories.Company, alice: Client) -> None:
    assert {row["actor_name"] for row in rows(alice)} == {"alice", "bob", "system"}
    page = alice.get("/history/").content.decode()
    assert "cluster.add" in page
    assert "team.rename" not in page
    alice.force_login(company.mallory)
    assert [row["action"] for row in rows(alice)] == ["team.rename"]
    alice.force_login(company.charlie)
    assert rows(alice) == []
    alice.force_login(company.staff)
    assert len(rows(alice)) == 4


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("&actor=ALI", ["cluster.add"]),
        ("&action=cluster.", ["cluster.check", "cluster.add"]),
        ("&object=cmsmig", ["migration.finish"]),
        ("&team=payments", []),
        ("&since=2999-01-01", []),
        ("&until=2000-01-01", []),
        ("&since=2000-01-01&until=2999-01-01&actor=system", ["migration.finish"]),
        ("&since=nonsense&actor=system", ["migration.finish"]),
    ],
)
def test_filters_choose(alice: Client, query: str, actions: list[str]) -> None:
    assert [row["action"] for row in rows(alice, query)] == actions


@pytest.mark.usefixtures("entries")
def test_what_changed_is_shown(alice: Client) -> None:
    page = alice.get("/history/?actor=system").content.decode()
    assert "<del>InProgress</del>" in page
    assert "<ins>Failed</ins>" in page


def test_a_cell_that_looks_like_a_formula_is_quoted(company: factories.Company, alice: Client) -> None:
    company.source.name = '=HYPERLINK("https://evil.example.com")'
    record(Actor(user=company.alice), "cluster.rename", company.source)
    content = b"".join(alice.get("/history/export/").streaming_content)  # type: ignore[attr-defined]
    row = next(csv.DictReader(io.StringIO(content.decode())))
    assert row["object_name"].startswith("'=")


def test_a_person_reads_what_they_did_outside_any_team(company: factories.Company, alice: Client) -> None:
    alice.post("/account/tokens/", {"name": "laptop", "days": "30"})
    assert [row["action"] for row in rows(alice)] == ["token.issue"]
    alice.force_login(company.bob)
    assert rows(alice) == []


def test_the_history_cannot_be_changed_in_the_administration(company: factories.Company, client: Client) -> None:
    entry = record(Actor(user=company.alice), "cluster.check", company.source)
    company.staff.is_superuser = True
    company.staff.save()
    client.force_login(company.staff)
    assert client.get(f"/admin/audit/entry/{entry.pk}/change/").status_code == 200
    assert client.post(f"/admin/audit/entry/{entry.pk}/change/", {"action": "nothing"}).status_code == 403
    assert client.post(f"/admin/audit/entry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/audit/entry/add/").status_code == 403
    assert Entry.objects.get().action == "cluster.check"
