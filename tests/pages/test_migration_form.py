"""The form of a new migration, and what the pages of one send: start, cancel, remove."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from audit.models import Entry
from clusters import cluster_services
from migrations_app import services
from migrations_app.engines import Plan
from migrations_app.models import Migration, Status
from migrations_app.resources.preflight.result import Check, Result, Verdict
from teams.refusals import Refusal
from tests import factories

PLAN = Plan(
    namespaces=["cms"],
    claims=[
        {
            "namespace": "cms",
            "name": "px-mysql-pvc",
            "capacity_bytes": 2 * 1024**3,
            "source_class": "gp3",
            "destination_class": "gp3-csi",
            "access_modes": ["ReadWriteOnce"],
            "volume_mode": "Filesystem",
            "phase": "Bound",
        }
    ],
    objects={"Deployment": 2, "Route": 1},
    checks=[
        Result(
            "namespaces",
            Verdict.WARNING,
            "Namespaces",
            "cms exists on prod.",
            ("Namespace cms",),
            why="What is there may differ.",
            remedy="Nothing of it is overwritten.",
            command="kubectl get all -n cms",
        ).to_dict(),
        Check("storage-class", "Storage classes").passed("All 2 are there.").to_dict(),
    ],
)


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the clusters would say, and what was asked of the plan; browser tests ask clusters that answer."""
    asked: list[dict[str, Any]] = []

    def plan(pair: Any, namespaces: list[str], storage_class_mapping: dict[str, str], **_choices: Any) -> Plan:
        asked.append({"namespaces": namespaces, "mapping": storage_class_mapping})
        return PLAN

    monkeypatch.setattr(services, "plan", plan)
    monkeypatch.setattr(cluster_services, "namespaces_of", lambda cluster: ["cms", "kube-system", "shop"])
    return asked


def given(company: factories.Company, **fields: Any) -> dict[str, Any]:
    return {
        "pair": company.pair.pk,
        "namespaces": ["cms"],
        "include_volumes": "on",
        "include_resources": "on",
        "start_applications": "on",
        "class:gp3": "gp3-csi",
        "class:efs-rwx": "efs-sc",
        "idempotency_key": "one",
    } | fields


def test_namespaces_are_offered_but_not_those_of_the_cluster_itself(company: factories.Company, alice: Client) -> None:
    page = alice.get("/migrations/new/").content.decode()
    assert re.findall(r'name="namespaces" value="(\w[\w-]*)"', page) == ["cms", "shop"]


def test_the_plan_is_shown_as_a_fragment(
    company: factories.Company, alice: Client, planned: list[dict[str, Any]]
) -> None:
    page = alice.post("/migrations/plan/", given(company)).content.decode()
    assert "<html" not in page
    assert "cms/px-mysql-pvc" in page
    assert "2.0 GiB" in page
    assert "Nothing of it is overwritten." in page
    assert planned == [{"namespaces": ["cms"], "mapping": {}}]
    assert not Migration.objects.filter(name__startswith="cms-").exists()


def test_without_scripts_the_plan_is_shown_on_the_page(company: factories.Company, alice: Client) -> None:
    page = alice.post("/migrations/new/", given(company, action="plan")).content.decode()
    assert "<html" in page
    assert "cms/px-mysql-pvc" in page
    assert re.search(r'value="cms"[^>]* checked', page)


def test_a_plan_without_namespaces_says_so(company: factories.Company, alice: Client) -> None:
    page = alice.post("/migrations/plan/", given(company, namespaces=[])).content.decode()
    assert "Choose at least one namespace." in page


def test_a_problem_that_would_fail_disables_the_button(
    company: factories.Company, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Result("storage-class", Verdict.FAILURE, "Storage classes", "No class efs-sc on prod.", remedy="Map it.")
    failing = Plan(["cms"], [], {}, [check.to_dict()])
    monkeypatch.setattr(services, "plan", lambda *_arguments, **_choices: failing)
    page = alice.post("/migrations/plan/", given(company)).content.decode()
    assert re.search(r'value="start" disabled', page)


def test_what_stands_out_comes_first_with_what_to_do_and_what_passed_is_folded(
    company: factories.Company, alice: Client
) -> None:
    page = alice.post("/migrations/plan/", given(company)).content.decode()
    for text in ("What is there may differ.", "kubectl get all -n cms", "Namespace cms", "1 warning", "1 passed"):
        assert text in page
    assert page.index("cms exists on prod.") < page.index("<summary>What passed") < page.index("All 2 are there.")


def test_the_checks_are_exported_as_json(company: factories.Company, alice: Client) -> None:
    response = alice.post("/migrations/plan/checks.json", given(company))
    assert response["Content-Disposition"] == f'attachment; filename="preflight-{company.pair.name}.json"'
    document = response.json()
    assert document["namespaces"] == ["cms"]
    assert document["checks"] == PLAN.checks
    assert alice.post("/migrations/plan/checks.json", given(company, namespaces=[])).status_code == 422


def test_migrate_starts_one_and_leads_to_its_page(company: factories.Company, alice: Client) -> None:
    response = alice.post("/migrations/new/", given(company, name="cms-again", action="start"))
    made = Migration.objects.get(name="cms-again")
    assert response["Location"] == f"/migrations/{made.pk}/"
    assert made.namespaces == ["cms"]
    assert made.storage_class_mapping == {}
    assert made.created_by == company.alice
    assert Entry.objects.get(action="migration.start").actor == company.alice


def test_pressing_twice_starts_one(company: factories.Company, alice: Client) -> None:
    first = alice.post("/migrations/new/", given(company))
    second = alice.post("/migrations/new/", given(company))
    assert first["Location"] == second["Location"]


def test_after_a_refusal_the_form_is_another_request(company: factories.Company, alice: Client) -> None:
    response = alice.post("/migrations/new/", given(company, name="cmsmigration"))
    assert response.status_code == 422
    page = response.content.decode()
    assert "already has a migration named cmsmigration" in page
    key = re.search(r'name="idempotency_key" value="([^"]+)"', page)
    assert key is not None
    assert key[1] != "one"


def test_only_what_differs_from_the_pair_is_kept(company: factories.Company, alice: Client) -> None:
    alice.post("/migrations/new/", given(company, name="other", **{"class:gp3": "efs-sc", "class:efs-rwx": ""}))
    assert Migration.objects.get(name="other").storage_class_mapping == {"gp3": "efs-sc", "efs-rwx": "efs-rwx"}


def test_nothing_to_move_is_refused(company: factories.Company, alice: Client) -> None:
    response = alice.post("/migrations/new/", given(company, include_volumes="", include_resources=""))
    assert response.status_code == 422
    assert "otherwise nothing would move" in response.content.decode()


def test_a_source_that_does_not_answer_is_said_and_namespaces_can_be_typed(
    company: factories.Company, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_cluster: Any) -> list[str]:
        raise Refusal("https://api.dev.example.com:6443 does not answer")

    monkeypatch.setattr(cluster_services, "namespaces_of", refuse)
    page = alice.get("/migrations/new/").content.decode()
    assert "does not answer" in page
    alice.post("/migrations/new/", given(company, namespaces="cms, shop", name="typed"))
    assert Migration.objects.get(name="typed").namespaces == ["cms", "shop"]


def test_a_pair_of_another_team_cannot_be_used(company: factories.Company, client: Client) -> None:
    client.force_login(company.mallory)
    assert client.post("/migrations/new/", given(company)).status_code == 404
    assert client.post("/migrations/plan/", given(company)).status_code == 404


@pytest.mark.parametrize(("sent", "kept"), [({"remove": "on"}, True), ({}, False)])
def test_cancelling_says_whether_to_remove(
    company: factories.Company, alice: Client, sent: dict[str, str], kept: bool
) -> None:
    alice.post(f"/migrations/{company.migration.pk}/cancel/", sent)
    company.migration.refresh_from_db()
    assert company.migration.cancel_requested_at is not None
    assert company.migration.remove_when_cancelled is kept
    page = alice.get(f"/migrations/{company.migration.pk}/").content.decode()
    assert "Cancelling" in page


def test_what_is_under_way_is_not_removed_from_the_list(company: factories.Company, alice: Client) -> None:
    page = alice.post(f"/migrations/{company.migration.pk}/remove/", follow=True).content.decode()
    assert "still under way" in page
    Migration.objects.update(status=Status.SUCCESSFUL, cleaned_up=True)
    alice.post(f"/migrations/{company.migration.pk}/remove/")
    assert not Migration.objects.filter(pk=company.migration.pk).exists()
    assert Entry.objects.filter(action="migration.remove").exists()
