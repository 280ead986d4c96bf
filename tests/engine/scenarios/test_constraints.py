"""What preflight says of SecurityContextConstraints is what then happens to the pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from migrations_app import services
from migrations_app.engines.native import letting_in
from tests.constraints import RBAC, ROLE, constraints, openshifts_own
from tests.engine.conftest import eventually
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import Object, make, workload

PROJECT = "walled"
USED = "openshift.io/scc"


@pytest.fixture
def walled(scenario: Scenario) -> Iterator[Scenario]:
    """The destination has OpenShift's constraints; the source, as many do, is more generous and has none."""
    made = openshifts_own()
    for obj in made:
        scenario.prod.create(scenario.prod.resource_of(obj), obj)
    yield scenario
    for obj in made:
        scenario.prod.delete(scenario.prod.resource_of(obj), obj["metadata"]["name"])


def root(account: str) -> Object:
    """A workload whose pods want to be root."""
    found = workload("Deployment", "web", PROJECT, spec={"replicas": 1})
    found["spec"]["template"]["spec"] |= {"serviceAccountName": account, "securityContext": {"runAsUser": 0}}
    return found


def checks(scenario: Scenario, **choices: Any) -> list[Object]:
    """What preflight says of constraints."""
    found = services.plan(scenario.estate.pair, [PROJECT], include_volumes=False, **choices).checks
    return [each for each in found if each["code"] == "scc"]


def events_there(scenario: Scenario) -> list[str]:
    return [each["message"] for each in scenario.prod.list("events", PROJECT) if each["reason"] == "FailedCreate"]


def test_pods_that_preflight_says_are_kept_out_are_kept_out(walled: Scenario) -> None:
    walled.plant(make("ServiceAccount", "store", PROJECT), root("store"))
    (check,) = checks(walled)
    assert check["status"] == "failure"
    assert "restricted-v2: user 0 is not in the range" in check["message"]
    assert "add-scc-to-user anyuid -z store" in check["command"]
    # Applications that come stopped are only warned of.
    (check,) = checks(walled, start_applications=False)
    assert check["status"] == "warning"

    walled.migrate(PROJECT, include_volumes=False, start_applications=False)
    walled.prod.patch("deployments.apps", "web", PROJECT, {"spec": {"replicas": 1}})
    eventually(lambda: events_there(walled) != [])
    (said,) = set(events_there(walled))
    assert "unable to validate against any security context constraint" in said
    assert "provider restricted-v2: .containers[0].runAsUser: Invalid value: 0: must be in the ranges" in said
    assert walled.names_there("pods", PROJECT) == set()
    # The command that preflight gave, as `oc` carries it out.
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{ROLE}anyuid"}
    subjects = [{"kind": "ServiceAccount", "name": "store", "namespace": PROJECT}]
    walled.prod.create(f"rolebindings.{RBAC}", make("RoleBinding", "b", PROJECT, roleRef=reference, subjects=subjects))
    walled.until_running("deployments.apps", "web", PROJECT, 1, on="prod")


def test_a_binding_that_comes_along_lets_the_pods_in(walled: Scenario) -> None:
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{ROLE}anyuid"}
    subjects = [{"kind": "ServiceAccount", "name": "store", "namespace": PROJECT}]
    binding = make("RoleBinding", f"{ROLE}anyuid", PROJECT, roleRef=reference, subjects=subjects)
    plain = workload("Deployment", "plain", PROJECT, spec={"replicas": 1})
    walled.plant(make("ServiceAccount", "store", PROJECT), binding, root("store"), plain)
    (check,) = checks(walled)
    assert check["status"] == "pass"

    walled.migrate(PROJECT, include_volumes=False)
    walled.until_running("deployments.apps", "web", PROJECT, 1, on="prod")
    walled.until_running("deployments.apps", "plain", PROJECT, 1, on="prod")
    used = {
        pod["metadata"]["labels"]["app"]: pod["metadata"]["annotations"][USED]
        for pod in walled.prod.list("pods", PROJECT)
    }
    assert used == {"web": "anyuid", "plain": "restricted-v2"}
    assert events_there(walled) == []


def test_movers_are_root_where_the_constraints_themselves_name_their_account(walled: Scenario) -> None:
    walled.prod.create("namespaces", make("Namespace", PROJECT))
    try:
        assert letting_in.refuses_root(walled.prod, PROJECT)
        anyone = {"type": "RunAsAny"}
        account = f"system:serviceaccount:{PROJECT}:default"
        named = constraints("movers", runAsUser=anyone, fsGroup=anyone, allowedCapabilities=["*"], users=[account])
        walled.prod.create(walled.prod.resource_of(named), named)
        assert not letting_in.refuses_root(walled.prod, PROJECT)
        walled.prod.delete(walled.prod.resource_of(named), "movers")
        # Constraints that let movers be root and keep claims out are none for them.
        named["volumes"] = ["secret"]
        walled.prod.create(walled.prod.resource_of(named), named)
        assert letting_in.refuses_root(walled.prod, PROJECT)
    finally:
        walled.prod.delete("securitycontextconstraints.security.openshift.io", "movers")
        walled.prod.delete("namespaces", PROJECT)
