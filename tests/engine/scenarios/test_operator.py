"""An operator with its definition, custom resources and rights in the whole cluster."""

from __future__ import annotations

from clusters.kube.errors import NotFound
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import Object, make, workload

OPERATOR, GROUP = "cache-operator", "caches.example.com"
CACHES = f"caches.{GROUP}"
RBAC = "rbac.authorization.k8s.io"


def definition() -> Object:
    """A kind with a schema, a status of its own and two versions, of which the newer one is stored."""
    spec = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}, "required": ["size"]}
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}
    version = {"served": True, "schema": schema, "subresources": {"status": {}}}
    names = {"plural": "caches", "singular": "cache", "kind": "Cache", "listKind": "CacheList"}
    versions = [{"name": "v1alpha1", "storage": False, **version}, {"name": "v1", "storage": True, **version}]
    return make(
        "CustomResourceDefinition",
        CACHES,
        spec={"group": GROUP, "scope": "Namespaced", "names": names, "versions": versions},
    )


def rights() -> list[Object]:
    """What the operator may in the whole cluster, and in its namespace; and a role that is not its own."""
    rules = [{"apiGroups": [GROUP], "resources": ["caches", "caches/status"], "verbs": ["*"]}]
    lock = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}]
    subjects = [{"kind": "ServiceAccount", "name": "operator", "namespace": OPERATOR}]
    others = [{"kind": "ServiceAccount", "name": "operator", "namespace": "elsewhere"}]

    def reference(kind: str, name: str) -> Object:
        return {"apiGroup": RBAC, "kind": kind, "name": name}

    return [
        make("ClusterRole", "caches", rules=rules),
        make("ClusterRole", "unrelated", rules=rules),
        make("ClusterRoleBinding", "caches", roleRef=reference("ClusterRole", "caches"), subjects=subjects),
        make("ClusterRoleBinding", "unrelated", roleRef=reference("ClusterRole", "unrelated"), subjects=others),
        make("Role", "lock", OPERATOR, rules=lock),
        make("RoleBinding", "lock", OPERATOR, roleRef=reference("Role", "lock"), subjects=subjects),
    ]


def cache(name: str, size: int) -> Object:
    return make("Cache", name, OPERATOR, apiVersion=f"{GROUP}/v1", spec={"size": size})


def plant(scenario: Scenario) -> None:
    scenario.plant(definition())
    established = {"Established": "True"}
    scenario.until_condition("customresourcedefinitions.apiextensions.k8s.io", CACHES, None, established)
    operator = workload("Deployment", "operator", OPERATOR, spec={"replicas": 1})
    operator["spec"]["template"]["spec"]["serviceAccountName"] = "operator"
    scenario.plant(
        make("ServiceAccount", "operator", OPERATOR), *rights(), operator, cache("small", 1), cache("large", 64)
    )
    small = scenario.dev.get(CACHES, "small", OPERATOR)
    # As the operator made it: it makes the Service again, and the Secret holds a password that it made up once.
    owner = {"apiVersion": f"{GROUP}/v1", "kind": "Cache", "name": "small", "uid": small["metadata"]["uid"]}
    owned = {"ownerReferences": [owner]}
    scenario.plant(
        make("Service", "small", OPERATOR, metadata=owned, spec={"ports": [{"port": 6379}]}),
        make("Secret", "small", OPERATOR, metadata=owned, data={"password": "c2VzYW1l"}),
    )
    scenario.until_running("deployments.apps", "operator", OPERATOR, 1)


def test_the_operator_runs_with_its_kinds_and_rights(scenario: Scenario) -> None:
    plant(scenario)
    scenario.migrate(OPERATOR, include_volumes=False)

    found = scenario.there("customresourcedefinitions.apiextensions.k8s.io", CACHES)
    assert [each["name"] for each in found["spec"]["versions"]] == ["v1alpha1", "v1"]
    there = {each["metadata"]["name"]: each for each in scenario.prod.list(CACHES, OPERATOR)}
    assert {name: each["spec"] for name, each in there.items()} == {"small": {"size": 1}, "large": {"size": 64}}
    operator = scenario.there("deployments.apps", "operator", OPERATOR)
    assert operator["status"]["availableReplicas"] == 1
    assert operator["spec"]["template"]["spec"]["serviceAccountName"] == "operator"
    scenario.there("serviceaccounts", "operator", OPERATOR)
    roles, bindings = f"clusterroles.{RBAC}", f"clusterrolebindings.{RBAC}"
    assert scenario.there(roles, "caches")["rules"] == scenario.dev.get(roles, "caches")["rules"]
    subjects = [{"kind": "ServiceAccount", "name": "operator", "namespace": OPERATOR}]
    assert scenario.there(bindings, "caches")["subjects"] == subjects
    assert scenario.there(f"rolebindings.{RBAC}", "lock", OPERATOR)["subjects"] == subjects
    assert not is_there(scenario, roles, "unrelated")
    assert not is_there(scenario, bindings, "unrelated")
    # The Secret goes along with the operator's resource as its owner, by the uid that it has there.
    (owner,) = scenario.there("secrets", "small", OPERATOR)["metadata"]["ownerReferences"]
    assert owner["uid"] == there["small"]["metadata"]["uid"]
    assert "small" not in scenario.names_there("services", OPERATOR)


def test_under_another_name_the_rights_are_the_new_namespaces(scenario: Scenario) -> None:
    plant(scenario)
    name = "cache-operator-production"
    scenario.migrate(OPERATOR, include_volumes=False, namespace_mapping={OPERATOR: name})

    subjects = [{"kind": "ServiceAccount", "name": "operator", "namespace": name}]
    assert scenario.there(f"clusterrolebindings.{RBAC}", "caches")["subjects"] == subjects
    assert scenario.there(f"rolebindings.{RBAC}", "lock", name)["subjects"] == subjects
    assert scenario.names_there(CACHES, name) == {"small", "large"}
    assert scenario.there("deployments.apps", "operator", name)["status"]["availableReplicas"] == 1


def is_there(scenario: Scenario, resource: str, name: str) -> bool:
    try:
        scenario.there(resource, name)
    except NotFound:
        return False
    return True
