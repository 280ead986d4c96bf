"""Plans over the API: made once per key, read page by page, chosen from, exported, migrated."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from audit.models import Entry
from clusters.texts import said
from migrations_app.engines.native.engine import NativeEngine
from migrations_app.models import Migration
from migrations_app.plans.models import MigrationPlan, PlannedAction
from migrations_app.resources.preflight.result import Check
from tests import factories
from tests.api.conftest import Caller
from tests.factories import Company

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]


def test_a_plan_is_made_once_per_key(world: Company, alice: Caller) -> None:
    body = {"pair": str(world.pair.pk), "namespaces": ["cms"], "host_mapping": {"dev.example.com": "example.com"}}
    first = alice.post("/plans/", body, **{"Idempotency-Key": "k1"})
    again = alice.post("/plans/", body, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200), first.content
    assert first.json() == again.json()
    assert first.json()["status"] == "Pending"
    assert first.json()["host_mapping"] == {"dev.example.com": "example.com"}
    assert first.json()["storage_class_mapping"] == world.pair.storage_class_mapping
    assert first.json()["obstacles"] == ["The plan is still being made."]
    other = alice.post("/plans/", {**body, "namespaces": ["shop"]}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 409
    assert Entry.objects.filter(action="plan.make").count() == 1


def test_what_cannot_be_is_refused_by_its_field(world: Company, alice: Caller) -> None:
    body = {"pair": str(world.pair.pk), "namespaces": ["cms"], "namespace_mapping": {"cms": "openshift-x"}}
    answer = alice.post("/plans/", body)
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/namespace_mapping"]
    assert alice.post("/plans/", {**body, "namespaceMapping": {}}).status_code == 400


def test_a_list_of_plans_is_short_and_a_plan_is_whole(world: Company, alice: Caller) -> None:
    listed = alice.get("/plans/").json()["results"][0]
    shown = alice.get(f"/plans/{world.plan.pk}/").json()
    assert listed.items() <= shown.items()
    assert shown.keys() - listed.keys() == {"counts", "kinds", "claims", "suggestions", "obstacles"}
    assert shown["counts"]["create"] == 4
    assert shown["counts"]["left-out"] == 1
    assert shown["objects_total"] == shown["objects_done"] == 8


def test_objects_are_paged_and_filtered(world: Company, alice: Caller) -> None:
    def names(query: str) -> list[str]:
        answer = alice.get(f"/plans/{world.plan.pk}/objects/?{query}").json()
        return [each["name"] for each in answer["results"]]

    assert names("action=conflict") == ["wordpress"]
    assert names("action=left-out") == ["mysql-6d4f"]
    assert names("resource=deployments.apps") == ["mysql", "wordpress"]
    assert names("q=mysql&resource=configmaps") == ["mysql-config"]
    assert names("namespace=shop") == []
    assert names("page_size=2&page=2") == ["mysql-config", "wordpress-config"]


def test_an_object_has_its_differences_and_what_it_lacks(world: Company, alice: Caller) -> None:
    at = f"/plans/{world.plan.pk}"
    service = world.plan.objects_planned.get(resource="services")
    shown = alice.get(f"{at}/objects/{service.pk}/").json()
    assert shown["diff"] == [{"path": "spec.type", "before": "ClusterIP", "after": "NodePort"}]
    secret = world.plan.objects_planned.get(resource="secrets")
    assert alice.get(f"{at}/lacks/").json() == []
    chosen = alice.post(f"{at}/choose/", {"objects": [secret.pk], "included": False})
    assert chosen.status_code == 200
    assert chosen.json()["selection"]["exclude_objects"] == ["secrets/cms/mysql-pass"]
    (lack,) = alice.get(f"{at}/lacks/").json()
    assert lack == {
        "needed": "Secret cms/mysql-pass",
        "reason": "is left out by name",
        "optional": False,
        "users": ["Deployment cms/mysql", "Deployment cms/wordpress"],
    }
    deployment = world.plan.objects_planned.get(resource="deployments.apps", name="mysql")
    assert alice.get(f"{at}/objects/{deployment.pk}/").json()["lacks"][0]["needed"] == "Secret cms/mysql-pass"
    other = factories.plan(world.pair)
    assert alice.get(f"/plans/{other.pk}/objects/{service.pk}/").status_code == 404


def test_choosing_is_refused_for_what_the_plan_does_not_have_and_once_it_is_used(world: Company, alice: Caller) -> None:
    at = f"/plans/{world.plan.pk}"
    assert alice.post(f"{at}/choose/", {"objects": [0], "included": True}).status_code == 400
    assert alice.post(f"{at}/choose/", {"kinds": ["dragons"], "included": True}).status_code == 400
    assert alice.post(f"{at}/migrate/", {"name": "from-plan"}).status_code == 201
    for path, body in (("choose", {"kinds": ["secrets"], "included": False}), ("look-again", {})):
        assert alice.post(f"{at}/{path}/", body).status_code == 409
    assert alice.delete(f"{at}/").status_code == 409


def test_a_migration_is_started_once_with_what_the_plan_says(world: Company, alice: Caller) -> None:
    at = f"/plans/{world.plan.pk}"
    alice.post(f"{at}/choose/", {"kinds": ["secrets"], "included": False})
    made = alice.post(f"{at}/migrate/", {"name": "from-plan"})
    again = alice.post(f"{at}/migrate/", {"name": "from-plan"})
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"] == alice.get(f"{at}/").json()["migration"]
    assert made.json()["selection"]["exclude_kinds"] == ["secrets"]
    assert Migration.objects.get(name="from-plan").spec() == MigrationPlan.objects.get(pk=world.plan.pk).asked()


def test_a_plan_with_a_failing_check_starts_nothing(world: Company, alice: Caller) -> None:
    failing = {**factories.PLAN_CHECKS[1], "status": "failure", "message": "There is no room.", "remedy": "Make some."}
    MigrationPlan.objects.update(checks=[failing])
    answer = alice.post(f"/plans/{world.plan.pk}/migrate/", {})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "There is no room. Make some."


def test_the_checks_are_a_document(world: Company, alice: Caller) -> None:
    shown = alice.get(f"/plans/{world.plan.pk}/checks/").json()
    assert shown["pair"] == "dev-to-prod"
    assert [each["code"] for each in shown["checks"]] == ["storage-class", "quota"]


def test_checks_and_obstacles_are_said_in_the_callers_language(world: Company, alice: Caller) -> None:
    found = Check("namespaces", said("Namespaces")).failure(said("Wait until it is gone.")).to_dict()
    MigrationPlan.objects.update(checks=[found])
    at = f"/plans/{world.plan.pk}"
    chinese = alice.call("GET", f"{at}/checks/", **{"accept-language": "zh-hans"}).json()["checks"][0]
    assert (chinese["title"], chinese["message"]) == ("命名空间", "请等到它消失。")
    assert alice.get(f"{at}/checks/").json()["checks"][0]["message"] == "Wait until it is gone."
    assert alice.call("GET", f"{at}/", **{"accept-language": "zh-hans"}).json()["obstacles"] == ["请等到它消失。"]


OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cms"}},
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mysql", "namespace": "cms", "labels": {"kubemotion.io/migration": "x", "app": "mysql"}},
        "spec": {"script": "one\ntwo\n"},
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "mysql-pass", "namespace": "cms"},
        "data": {"password": "c2VzYW1l"},
    },
]


@pytest.mark.parametrize(("query", "whole"), [("", False), ("?secrets=true", True)])
def test_an_export_is_a_folder_in_order_and_has_secrets_only_if_asked(
    world: Company, alice: Caller, monkeypatch: pytest.MonkeyPatch, query: str, whole: bool
) -> None:
    monkeypatch.setattr(NativeEngine, "whole", lambda *_arguments, **_options: OBJECTS)
    answer = alice.send("GET", f"/plans/{world.plan.pk}/export/{query}", b"", Accept="application/gzip")
    assert answer["Content-Type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(b"".join(answer.streaming_content))) as tar:
        texts = {each.name.partition("/")[2]: tar.extractfile(each).read().decode() for each in tar}  # type: ignore[union-attr]
    secret = ["01-secrets/cms.mysql-pass.yaml"] if whole else []
    place = "02" if whole else "01"
    deployment = f"{place}-deployments.apps/cms.mysql.yaml"
    assert list(texts) == ["README.txt", "00-namespaces/cms.yaml", *secret, deployment]
    assert "labels:\n    app: mysql\n" in texts[deployment]
    assert "script: |\n    one\n    two\n" in texts[deployment]
    assert ("c2VzYW1l" in "".join(texts.values())) is whole
    assert "cms/mysql-pass" in texts["README.txt"] or whole
    entry = Entry.objects.get(action="plan.export")
    assert entry.after == {"secrets": whole, "objects": len(texts) - 1}


def test_old_plans_go_unless_a_migration_came_of_them(world: Company) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from migrations_app.plans import services

    used, young = factories.plan(world.pair, migration=world.migration), factories.plan(world.pair)
    old = timezone.now() - services.KEPT - timedelta(minutes=1)
    MigrationPlan.objects.exclude(pk=young.pk).update(created_at=old)
    services.remove_old()
    assert set(MigrationPlan.objects.all()) == {used, young}
    assert young.objects_planned.filter(action=PlannedAction.CREATE).exists()


def test_suggestions_are_read_and_decided(world: Company, alice: Caller) -> None:
    open_, secret = factories.suggestions(world.plan)
    at = f"/plans/{world.plan.pk}/suggestions/"
    decide = f"/plans/{world.plan.pk}/decide-suggestions/"
    found = alice.get(f"{at}?state=open").json()["results"]
    assert [each["id"] for each in found] == [open_.pk, secret.pk]
    assert found[0]["rule"] == open_.rule
    assert (found[0]["path"], found[0]["before"], found[0]["after"]) == (open_.path, open_.before, open_.after)
    assert found[1]["rule"] is None
    refused = alice.post(decide, {"state": "taken", "suggestions": [secret.pk]})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/suggestions"
    assert alice.post(decide, {"state": "taken", "suggestions": [0]}).status_code == 400
    assert alice.post(decide, {"state": "nonsense"}).status_code == 400
    plan = alice.post(decide, {"state": "taken"}).json()
    assert plan["status"] == "InProgress"
    assert plan["suggestions"] == {"open": 1, "taken": 1, "dismissed": 0}
    assert plan["transformations"] == [{"name": "Suggested names of Services", "rules": [open_.rule]}]
    assert alice.post(decide, {"state": "open"}).status_code == 409, "it is being computed"
