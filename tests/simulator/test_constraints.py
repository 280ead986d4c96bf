"""OpenShift's SecurityContextConstraints let pods in, fill in what they leave open, and keep others out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from demo.cluster.api import APIError
from demo.cluster.server import ClusterHandle, running_clusters
from tests.constraints import RBAC, ROLE, openshifts_own
from tests.kube.conftest import until
from tests.resources.objects import Object, make, pod_spec, workload

RANGE = {
    "openshift.io/sa.scc.uid-range": "1000700000/10000",
    "openshift.io/sa.scc.supplemental-groups": "1000700000/10000",
    "openshift.io/sa.scc.mcs": "s0:c26,c25",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster without nodes that has OpenShift's constraints, and one namespace with ids of its own."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("prod",), nodes=False) as clusters:
        handle = clusters["prod"]
        for obj in [make("Namespace", "shop", metadata={"annotations": RANGE}), *openshifts_own()]:
            handle.call(lambda api, obj=obj: api.create(api.registry.by_kind(obj["apiVersion"], obj["kind"]).name, obj))
        yield handle


def let_in(cluster: ClusterHandle, **spec: Any) -> Object:
    """The pod as it is once its namespace has it."""
    pod = make("Pod", "", metadata={"generateName": "p-"}, spec=pod_spec(**spec))
    pod["metadata"].pop("name")
    made: Object = cluster.call(lambda api: api.create("pods", pod))
    return made


def refused(cluster: ClusterHandle, **spec: Any) -> str:
    with pytest.raises(APIError) as caught:
        let_in(cluster, **spec)
    assert caught.value.code == 403
    return str(caught.value)


def container(context: Object | None = None, **fields: Any) -> list[Object]:
    return [{"name": "main", "image": "shop:1", **({"securityContext": context} if context else {}), **fields}]


def test_what_a_pod_leaves_open_is_filled_in_from_the_namespaces_ranges(cluster: ClusterHandle) -> None:
    pod = let_in(cluster)
    assert pod["metadata"]["annotations"] == {"openshift.io/scc": "restricted-v2"}
    assert pod["spec"]["securityContext"] == {
        "fsGroup": 1000700000,
        "seLinuxOptions": {"level": "s0:c26,c25"},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["spec"]["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000700000,
    }


OUTSIDE = "must be in the ranges: [1000700000, 1000709999]"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"securityContext": {"runAsUser": 0}}, f".containers[0].runAsUser: Invalid value: 0: {OUTSIDE}"),
        (
            {"containers": container({"runAsUser": 1001})},
            f"provider restricted-v2: .containers[0].runAsUser: Invalid value: 1001: {OUTSIDE}",
        ),
        (
            {"securityContext": {"fsGroup": 999}},
            ".spec.securityContext.fsGroup: Invalid value: []int64{999}: 999 is not an allowed group",
        ),
        (
            {"containers": container({"capabilities": {"add": ["NET_ADMIN"]}})},
            '.containers[0].capabilities.add: Invalid value: "NET_ADMIN": capability may not be added',
        ),
        (
            {"containers": container({"privileged": True})},
            ".containers[0].privileged: Invalid value: true: Privileged containers are not allowed",
        ),
        (
            {"containers": container({"allowPrivilegeEscalation": True})},
            "Invalid value: true: Allowing privilege escalation for containers is not allowed",
        ),
        (
            {"containers": container(ports=[{"containerPort": 80, "hostPort": 8001}])},
            ".hostPort: Invalid value: 8001: Host ports are not allowed to be used",
        ),
        ({"hostPID": True}, ".spec.securityContext.hostPID: Invalid value: true: Host PID is not allowed to be used"),
        (
            {"volumes": [{"name": "h", "hostPath": {"path": "/var"}}]},
            'spec.volumes[0]: Invalid value: "hostPath": hostPath volumes are not allowed to be used',
        ),
    ],
)  # fmt: skip
def test_what_no_usable_constraints_allow_is_refused_in_openshifts_words(
    cluster: ClusterHandle, spec: Object, words: str
) -> None:
    said = refused(cluster, **spec)
    assert "is forbidden: unable to validate against any security context constraint: [" in said
    assert 'provider "anyuid": Forbidden: not usable by user or serviceaccount, ' in said
    assert words in said


def bind(cluster: ClusterHandle, account: str, name: str) -> None:
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": ROLE + name}
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": "shop"}]
    binding = make("RoleBinding", f"{ROLE}{name}-{account}", "shop", roleRef=reference, subjects=subjects)
    cluster.call(lambda api: api.create("serviceaccounts", make("ServiceAccount", account, "shop")))
    cluster.call(lambda api: api.create(f"rolebindings.{RBAC}", binding))


def test_an_account_that_is_bound_to_a_role_uses_its_constraints(cluster: ClusterHandle) -> None:
    bind(cluster, "root", "anyuid")
    pod = let_in(cluster, serviceAccountName="root", securityContext={"runAsUser": 0})
    assert pod["metadata"]["annotations"]["openshift.io/scc"] == "anyuid"
    assert pod["spec"]["containers"][0]["securityContext"] == {"capabilities": {"drop": ["MKNOD"]}}


def test_the_strictest_constraints_that_fit_are_used(cluster: ClusterHandle) -> None:
    bind(cluster, "somebody", "nonroot-v2")
    fixed = let_in(cluster, serviceAccountName="somebody", securityContext={"runAsUser": 1001})
    plain = let_in(cluster, serviceAccountName="somebody")
    used = [each["metadata"]["annotations"]["openshift.io/scc"] for each in (fixed, plain)]
    assert used == ["nonroot-v2", "restricted-v2"]
    assert "running with the root UID is forbidden" in refused(
        cluster, serviceAccountName="somebody", securityContext={"runAsUser": 0}
    )


def test_who_may_do_everything_makes_pods_as_he_likes(cluster: ClusterHandle) -> None:
    with Connection(kubeconfig.parse(yaml.safe_dump(cluster.kubeconfig))) as connection:
        pod = make("Pod", "by-hand", spec=pod_spec(securityContext={"runAsUser": 0}))
        made = connection.create("pods", pod)
    assert made["metadata"]["annotations"]["openshift.io/scc"] == "anyuid"


def test_a_replica_set_tells_what_keeps_its_pods_out(cluster: ClusterHandle) -> None:
    deployment = workload("Deployment", "rooted", spec={"replicas": 1})
    deployment["spec"]["template"]["spec"]["securityContext"] = {"runAsUser": 0}
    cluster.call(lambda api: api.create("deployments.apps", deployment))

    def said() -> str:
        events: list[Object] = cluster.call(lambda api: api.list("events", "shop"))
        return next((each["message"] for each in events if each["reason"] == "FailedCreate"), "")

    until(said)
    assert said().startswith('Error creating: pods "rooted-')
    assert f".containers[0].runAsUser: Invalid value: 0: {OUTSIDE}" in said()
