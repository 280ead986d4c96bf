"""Accounts that may not do everything, provoked and read; and that a preflight changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from clusters.kube.connection import Connection
from clusters.kube.requests import ApiConnection
from demo.cluster.server import ClusterHandle
from tests.kube.conftest import with_token
from tests.preflight.conftest import Lab

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
READ_ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}


def as_account(lab: Lab, side: str, sites: Mapping[str, ClusterHandle], *rules: Object) -> Connection:
    """Let the pair use an account with these rules for the whole cluster; a connection as that account."""
    connection = lab.dev if side == "dev" else lab.prod
    make = lab.on_dev if side == "dev" else lab.on_prod
    name = f"robot-{lab.namespace}"
    make("ServiceAccount", name, namespace="default")
    make("ClusterRole", name, rules=list(rules))
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    make("ClusterRoleBinding", name, roleRef=role, subjects=[subject])
    token = sites[side].call(lambda api: api.service_account_token("default", name))
    config = yaml.safe_load(yaml.safe_dump(sites[side].kubeconfig))
    config["users"][0]["user"] = {"token": token}
    row = lab.pair.source if side == "dev" else lab.pair.destination
    row.kubeconfig = yaml.safe_dump(config)
    row.save()
    return Connection(with_token(connection.kubeconfig, token))


def manifests_of(command: str) -> list[Object]:
    """The manifests that a command applies."""
    return list(yaml.safe_load_all(command.partition("<<'EOF'\n")[2].removesuffix("EOF")))


def grant(lab: Lab, connection: Connection, command: str) -> None:
    """What an administrator does with the command."""
    for obj in manifests_of(command):
        made = connection.apply(obj)
        if not made["metadata"].get("namespace"):
            lab.made.append((connection, made))


def test_an_account_that_may_do_all_is_told_the_least_role_as_well(lab: Lab) -> None:
    lab.deployment()
    check = lab.passes("permissions", "The account of the source cluster dev may do all that this migration needs")
    kinds = [each["kind"] for each in manifests_of(check["command"])]
    assert kinds == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]


def test_a_source_that_lets_too_little_gives_a_role_that_is_enough(
    lab: Lab, sites: Mapping[str, ClusterHandle]
) -> None:
    lab.claim()
    lab.deployment()
    narrow = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}
    with as_account(lab, "dev", sites, narrow):
        check = lab.failure(
            "permissions",
            "The account of the source cluster dev may not list persistentvolumeclaims, get persistentvolumeclaims, "
            "create jobs.batch",
            f"in namespace {lab.namespace}",
            "kubectl --context dev apply -f - <<'EOF'",
        )
        [role] = [each for each in manifests_of(check["command"]) if each["kind"] == "Role"]
        assert role["metadata"] == {"name": "kubemotion-source", "namespace": lab.namespace}
        assert {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]} in role["rules"]
        grant(lab, lab.dev, check["command"])
        assert not [each for each in lab.of("permissions") if each["status"] == "failure"]
        # The role lets all kinds be read that may belong to the application.
        lab.passes("collection")


def test_a_destination_that_lets_nothing_be_written_gives_a_role_for_exactly_what_comes(
    lab: Lab, sites: Mapping[str, ClusterHandle]
) -> None:
    lab.deployment()
    lab.on_dev("ConfigMap", "settings", data={"a": "b"})
    lab.there()
    with as_account(lab, "prod", sites, READ_ALL):
        check = lab.failure(
            "permissions",
            "The account of the destination cluster prod may not",
            "patch configmaps",
            f"in namespace {lab.namespace}",
        )
        roles = {each["kind"]: each for each in manifests_of(check["command"])}
        granted = {
            (plural, verb) for rule in roles["Role"]["rules"] for plural in rule["resources"] for verb in rule["verbs"]
        }
        assert {("deployments", "patch"), ("configmaps", "delete"), ("persistentvolumeclaims", "create")} <= granted
        assert not any(plural in ("services", "statefulsets", "*") for plural, _verb in granted)
        name = f"robot-{lab.namespace}"
        [subject] = roles["RoleBinding"]["subjects"]
        assert subject == {"kind": "ServiceAccount", "name": name, "namespace": "default"}
        grant(lab, lab.prod, check["command"])
        lab.passes("permissions")


def test_namespaces_that_may_not_be_made_fail(lab: Lab, sites: Mapping[str, ClusterHandle]) -> None:
    with as_account(lab, "prod", sites, READ_ALL):
        check = next(each for each in lab.of("namespaces") if each["status"] == "failure")
        assert f"has no namespace {lab.namespace}, and its account may not create namespaces" in check["message"]
        assert check["command"] == f"kubectl --context prod create namespace {lab.namespace}"


def test_what_cannot_be_taken_back_is_a_warning(lab: Lab, sites: Mapping[str, ClusterHandle]) -> None:
    lab.there()
    lab.on_dev("ConfigMap", "settings", data={"a": "b"})
    verbs = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "create", "patch"]}
    movers = {"apiGroups": ["", "batch"], "resources": ["jobs", "secrets"], "verbs": ["delete"]}
    with as_account(lab, "prod", sites, verbs, movers):
        lab.warning("permissions", "may not delete persistentvolumeclaims", "could not take back what it had made")


def test_nobody_grants_what_he_may_not_do_himself(lab: Lab, sites: Mapping[str, ClusterHandle]) -> None:
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["delete"]}]
    lab.on_dev("Role", "powerful", rules=rules)
    lab.silent("rbac-escalation")
    verbs = ["get", "list", "create", "patch", "delete"]
    groups = ["", "batch", "apps", RBAC]
    with as_account(
        lab,
        "prod",
        sites,
        {
            "apiGroups": groups,
            "resources": ["namespaces", "persistentvolumeclaims", "jobs", "secrets", "roles"],
            "verbs": verbs,
        },
        READ_ALL,
    ):
        lab.failure(
            "rbac-escalation",
            f"may not make Role {lab.namespace}/powerful, because that grants what it may not do itself: delete nodes",
            "escalate",
        )


def test_what_may_not_be_listed_is_said_and_the_rest_is_checked(lab: Lab, sites: Mapping[str, ClusterHandle]) -> None:
    lab.deployment()
    namespaced = ["configmaps", "secrets", "services", "serviceaccounts", "pods", "persistentvolumeclaims", "events"]
    rules = [
        {"apiGroups": [""], "resources": [*namespaced, "namespaces", "pods/log"], "verbs": ["*"]},
        {"apiGroups": ["apps", "batch"], "resources": ["*"], "verbs": ["*"]},
    ]
    with as_account(lab, "prod", sites, *rules):
        check = lab.warning(
            "node-placement",
            "Not checked: the account of the destination cluster prod may not list nodes",
            f"--user=system:serviceaccount:default:robot-{lab.namespace}",
        )
        assert (
            "kubectl --context prod create clusterrole kubemotion-lists-nodes --verb=list --resource=nodes"
            in (check["command"])
        )
        assert not [each for each in lab.checks() if each["status"] == "failure"]
        lab.passes("api-versions")


def test_a_namespace_that_is_not_there_is_told_with_a_close_one(lab: Lab) -> None:
    from migrations_app import services

    checks = services.plan(lab.pair, [f"{lab.namespace}x"]).checks
    check = next(each for each in checks if each["code"] == "namespaces")
    assert check["status"] == "failure"
    assert lab.namespace in check["remedy"]


def test_movers_that_may_not_be_root_are_told_with_what_is_lost(lab: Lab) -> None:
    lab.claim()
    lab.passes("mover-privileges", "keep owners, modes and attributes of all files")
    lab.there(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    lab.warning(
        "mover-privileges",
        "Owners other than this one",
        f"label --overwrite namespace {lab.namespace} pod-security.kubernetes.io/enforce=privileged",
    )


def test_a_preflight_changes_nothing_on_either_cluster(
    lab: Lab, sites: Mapping[str, ClusterHandle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of everything that goes out, only reads, reviews and dry runs; and all objects are as they were."""
    lab.claim()
    lab.deployment(replicas=0)
    lab.on_dev("ConfigMap", "settings", data={"a": "b"})
    lab.there()
    lab.on_prod("ConfigMap", "settings", data={"a": "c"})
    sent: list[tuple[str, str, Any]] = []
    original = ApiConnection.request

    def recorded(self: ApiConnection, method: str, path: str, **options: Any) -> Any:
        sent.append((method, path, options.get("query")))
        return original(self, method, path, **options)

    before = {name: versions(handle) for name, handle in sites.items()}
    monkeypatch.setattr(ApiConnection, "request", recorded)
    assert lab.checks()
    monkeypatch.undo()
    assert len(sent) > 50
    writes = [each for each in sent if each[0] != "GET"]
    for method, path, query in writes:
        is_review = method == "POST" and path.rpartition("/")[2].endswith("reviews")
        assert is_review or (query or {}).get("dryRun") == "All", (method, path, query)
    assert {method for method, _path, _query in writes} == {"POST", "PATCH"}
    assert {name: versions(handle) for name, handle in sites.items()} == before


def versions(handle: ClusterHandle) -> dict[str, str]:
    """Every object of the cluster with its resourceVersion."""
    return handle.call(
        lambda api: {
            f"{info.name} {each['metadata'].get('namespace', '')}/{each['metadata']['name']}": each["metadata"][
                "resourceVersion"
            ]
            for info in api.registry.preferred()
            for each in api.store.objects(info.name)
        }
    )


def test_an_api_whose_server_is_silent_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from clusters.kube import discovery

    original = discovery.from_aggregated

    def without_metrics(*documents: Object) -> discovery.Discovery:
        found = original(*documents)
        found.unavailable.append("metrics.k8s.io/v1beta1")
        return found

    monkeypatch.setattr(discovery, "from_aggregated", without_metrics)
    found = [each for each in lab.of("silent-apis") if each["status"] == "warning"]
    assert {each["message"].partition(" nobody")[0] for each in found} == {
        "On the source cluster dev",
        "On the destination cluster prod",
    }
    assert found[0]["objects"] == ["APIService v1beta1.metrics.k8s.io"]
