"""Webhooks of the destination: a plan shows what they would refuse and change; a migration goes on with the rest."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.kube.errors import NotFound
from migrations_app.models import Status
from migrations_app.plans.models import PlannedAction, PlannedObject
from tests.engine.conftest import told
from tests.engine.scenarios.conftest import Scenario
from tests.engine.test_plans import computed, made
from tests.resources.objects import Object, make, workload
from tests.webhooks import Webhook, listening

SHOP = "guarded"
WORDS = "every ConfigMap has an owner here"


def judged(request: Object) -> Object:
    """Refuses ConfigMaps without an owner, and gives Deployments a label and a proxy."""
    obj = request["object"]
    if obj["kind"] == "ConfigMap":
        allowed = "owner" in (obj["metadata"].get("labels") or {})
        return {"allowed": allowed, "status": {"code": 403, "message": WORDS}}
    operations = [
        {"op": "add", "path": "/metadata/labels/mesh", "value": "on"},
        {"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "proxy", "image": "proxy:1"}},
        {"op": "replace", "path": "/spec/replicas", "value": 2},
    ]
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}


def rule(resource: str, group: str = "") -> Object:
    return {"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": ["CREATE"]}


@pytest.fixture
def guarded(scenario: Scenario, tmp_path: Path) -> Iterator[Webhook]:
    """An application on dev, its empty namespace on prod, and webhooks there that judge what comes into it."""
    scenario.namespace(SHOP)
    scenario.prod.create("namespaces", make("Namespace", SHOP))
    scenario.plant(
        make("ConfigMap", "settings", SHOP, data={"a": "1"}),
        make("ConfigMap", "owned", SHOP, metadata={"labels": {"owner": "shop"}}),
        workload("Deployment", "web", SHOP, spec={"replicas": 1}),
        make("Service", "web", SHOP, spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
    )
    here = {"matchLabels": {"kubernetes.io/metadata.name": SHOP}}
    by_hand = {"matchExpressions": [{"key": "kubemotion.io/migration", "operator": "Exists"}]}
    with listening(tmp_path, judged) as webhook:
        for kind, rules in (("Validating", [rule("configmaps")]), ("Mutating", [rule("deployments", "apps")])):
            configuration = webhook.configuration(
                kind, f"guard-{kind.lower()}", rules=rules, namespaceSelector=here, objectSelector=by_hand
            )
            made = scenario.prod.resource_of(configuration)
            scenario.prod.create(made, configuration)
        yield webhook
    for resource in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations"):
        name = f"guard-{resource.removesuffix('webhookconfigurations')}"
        scenario.prod.delete(f"{resource}.admissionregistration.k8s.io", name)


def rows(scenario: Scenario) -> dict[str, PlannedObject]:
    plan = computed(made(scenario.estate, namespaces=[SHOP], include_volumes=False))
    return {f"{row.kind} {row.name}": row for row in plan.objects_planned.filter(included=True)}


def test_a_plan_shows_what_is_refused_and_what_is_changed(scenario: Scenario, guarded: Webhook) -> None:
    found = rows(scenario)
    assert found["ConfigMap settings"].action == PlannedAction.REFUSED
    words = f'admission webhook "guard-validating.example.com" denied the request: {WORDS}'
    assert words in found["ConfigMap settings"].reason
    assert (found["ConfigMap owned"].action, found["ConfigMap owned"].warnings) == (PlannedAction.CREATE, [])
    web = found["Deployment web"]
    assert web.action == PlannedAction.CREATE
    assert {each["path"]: (each["before"], each["after"]) for each in web.diff if "proxy" not in each["path"]} == {
        "metadata.labels": (None, {"mesh": "on"}),
        "spec.replicas": (1, 2),
    }
    (proxy,) = [each for each in web.diff if "proxy" in each["path"]]
    assert proxy["path"] == "spec.template.spec.containers[name=proxy]"
    assert proxy["after"]["image"] == "proxy:1"
    (warning,) = web.warnings
    assert "by rules of its own or by a webhook: " in warning
    assert {each["dryRun"] for each in guarded.asked} == {True}
    assert scenario.names_there("configmaps", SHOP) == {"kube-root-ca.crt", "openshift-service-ca.crt"}


def test_a_webhook_that_does_not_answer_is_told_at_its_objects_and_stops_no_plan(
    scenario: Scenario, guarded: Webhook
) -> None:
    def broken(request: Object) -> Object:
        raise ConnectionError("the webhook has crashed")

    guarded.answer = broken
    found = rows(scenario)
    for name in ("ConfigMap settings", "ConfigMap owned", "Deployment web"):
        assert found[name].action == PlannedAction.REFUSED, name
        assert 'failed calling webhook "guard-' in found[name].reason
    assert found["Service web"].action == PlannedAction.CREATE


def test_a_migration_tells_it_at_the_object_and_brings_the_rest(scenario: Scenario, guarded: Webhook) -> None:
    migration = scenario.estate.drive(scenario.estate.start(namespaces=[SHOP], name="guarded", include_volumes=False))
    assert migration.status == Status.PARTIAL_SUCCESS, told(migration)
    failed = migration.resources.exclude(status=Status.SUCCESSFUL)
    assert [(row.kind, row.name) for row in failed] == [("ConfigMap", "settings")], told(migration)
    assert f'admission webhook "guard-validating.example.com" denied the request: {WORDS}' in failed[0].reason
    with pytest.raises(NotFound):
        scenario.there("configmaps", "settings", SHOP)
    scenario.there("configmaps", "owned", SHOP)
    scenario.there("services", "web", SHOP)
    web = scenario.there("deployments.apps", "web", SHOP)
    assert web["metadata"]["labels"]["mesh"] == "on"
    assert [each["name"] for each in web["spec"]["template"]["spec"]["containers"]] == ["main", "proxy"]
