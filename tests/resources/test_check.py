"""Whether the application is all there, and ready."""

from __future__ import annotations

import pytest

from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, Unavailable
from demo.cluster.server import ClusterHandle
from migrations_app.resources.check import NotReady, not_ready
from tests.resources.objects import Object, make, workload


class Seen(Connection):
    """A cluster in which just this object is there."""

    def __init__(self, obj: Object) -> None:
        self.obj = obj

    def resource_of(self, obj: Object) -> str:  # type: ignore[override]
        return str(obj["kind"])

    def get(self, *asked: object) -> Object:  # type: ignore[override]
        return self.obj


def why_not(kind: str, *, spec: Object | None = None, generation: int = 2, **fields: object) -> str:
    """What is said about the object; nothing where it is ready."""
    obj = workload(kind, "w", spec=spec, metadata={"generation": generation}, **fields)
    found = not_ready(Seen(obj), [make(kind, "w")])
    return found[0].reason if found else ""


def status(**fields: object) -> Object:
    return {"observedGeneration": 2, **fields}


@pytest.mark.parametrize(
    ("kind", "spec", "seen", "reason"),
    [
        ("Deployment", {"replicas": 2}, status(availableReplicas=2, updatedReplicas=2), ""),
        ("Deployment", {"replicas": 2}, status(availableReplicas=1, updatedReplicas=2), "1 of 2 pods are available"),
        ("Deployment", {"replicas": 2}, status(availableReplicas=2, updatedReplicas=1), "1 of 2 pods are available"),
        ("Deployment", {"replicas": 2}, status(), "0 of 2 pods are available"),
        ("Deployment", {}, status(), "0 of 1 pods are available"),
        ("Deployment", {"replicas": None}, status(availableReplicas=1, updatedReplicas=1), ""),
        ("Deployment", {"replicas": 0}, status(), ""),
        ("Deployment", {"replicas": 0}, None, "has not been looked at by its controller yet"),
        (
            "Deployment",
            {"replicas": 1},
            {"observedGeneration": 1, "availableReplicas": 1, "updatedReplicas": 1},
            "has not been looked at by its controller yet",
        ),
        ("DeploymentConfig", {"replicas": 1}, status(availableReplicas=0), "0 of 1 pods are available"),
        ("DeploymentConfig", {"replicas": 1}, status(availableReplicas=1, updatedReplicas=1), ""),
        ("StatefulSet", {"replicas": 2}, status(readyReplicas=2, updatedReplicas=2), ""),
        ("StatefulSet", {"replicas": 2}, status(readyReplicas=2), ""),
        ("StatefulSet", {"replicas": 2}, status(readyReplicas=1, updatedReplicas=2), "1 of 2 pods are available"),
        ("StatefulSet", {"replicas": None}, status(), "0 of 1 pods are available"),
        ("DaemonSet", {}, status(desiredNumberScheduled=3, numberReady=3), ""),
        ("DaemonSet", {}, status(desiredNumberScheduled=3, numberReady=2), "2 of 3 pods are ready"),
        ("DaemonSet", {}, status(desiredNumberScheduled=0), ""),
        ("DaemonSet", {}, None, "has not been looked at by its controller yet"),
        ("PersistentVolumeClaim", {}, {"phase": "Bound"}, ""),
        ("PersistentVolumeClaim", {}, {"phase": "Pending"}, "is Pending"),
        ("PersistentVolumeClaim", {}, None, "is Pending"),
        ("PersistentVolumeClaim", {}, {"phase": "Lost"}, "is Lost"),
        ("Job", {}, {"active": 1}, ""),
        ("Job", {}, {"conditions": [{"type": "Complete", "status": "True"}]}, ""),
        ("Job", {}, {"conditions": [{"type": "Failed", "status": "False"}]}, ""),
        ("ConfigMap", {}, None, ""),
    ],
)
def test_readiness_is_what_the_controllers_say(kind: str, spec: Object, seen: Object | None, reason: str) -> None:
    assert why_not(kind, spec=spec, status=seen) == reason


def test_a_job_that_has_failed_is_not_waited_for() -> None:
    conditions = [{"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}]
    found = not_ready(Seen(workload("Job", "j", status={"conditions": conditions})), [make("Job", "j")])
    assert found == [NotReady("Job", "shop", "j", "failed: BackoffLimitExceeded", failed=True)]


def test_what_is_being_deleted_is_not_ready() -> None:
    obj = make("ConfigMap", "c", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert [each.reason for each in not_ready(Seen(obj), [obj])] == ["is being deleted"]


def test_a_kind_of_an_operator_is_not_judged_by_the_rules_of_kubernetes() -> None:
    for kind, seen in (("Job", {"conditions": [{"state": "Failed"}]}), ("Deployment", {"availableReplicas": "none"})):
        obj = make(kind, "j", apiVersion="example.com/v1", status=seen)
        assert not_ready(Seen(obj), [obj]) == []


def test_what_is_missing_is_said_and_will_not_come(connection: Connection, namespace: str) -> None:
    connection.create("configmaps", make("ConfigMap", "there", namespace))
    wanted = [
        make("ConfigMap", "there", namespace),
        make("ConfigMap", "gone", namespace),
        make("ClusterRole", f"{namespace}-gone"),
        make("Cart", "cart", namespace, apiVersion="nowhere.example.com/v1"),
    ]
    found = not_ready(connection, wanted)
    assert [str(each) for each in found] == [
        f"ConfigMap {namespace}/gone: is not there",
        f"ClusterRole {namespace}-gone: is not there",
        f"Cart {namespace}/cart: is not there",
    ]
    assert all(each.failed for each in found)


def test_a_workload_whose_pods_find_no_node_is_waited_for(connection: Connection, namespace: str) -> None:
    stopped = workload("Deployment", "stopped", namespace, spec={"replicas": 0})
    waiting = workload("Deployment", "waiting", namespace, spec={"replicas": 1})
    for obj in (stopped, waiting):
        connection.create("deployments.apps", obj)
    found = {each.name: each for each in not_ready(connection, [waiting])}
    assert set(found) == {"waiting"}
    assert not found["waiting"].failed


def test_a_cluster_that_does_not_answer_is_not_taken_for_a_missing_object(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    wanted = [make("ConfigMap", "there", namespace)]
    connection.create("configmaps", wanted[0])
    path = f"/namespaces/{namespace}/configmaps/there"
    served.faults.fail(path, status=503, times=4, retry_after=0)
    with pytest.raises(Unavailable):
        not_ready(connection, wanted)
    served.faults.clear()
    served.faults.fail(path, status=403)
    with pytest.raises(Forbidden):
        not_ready(connection, wanted)
    assert not_ready(connection, wanted) == []
