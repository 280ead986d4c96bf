"""What stands in the way of an object, and what is said of it: by a server that answers as a real one does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from clusters.kube import kubeconfig, requests
from clusters.kube.connection import Connection
from clusters.kube.errors import KubeError
from demo.cluster.server import ClusterHandle
from migrations_app.resources.apply import Result, apply
from migrations_app.resources.dry_run import Planned, dry_run
from migrations_app.resources.spec import ConflictPolicy
from migrations_app.resources.transform import Options, transformed
from tests.resources.objects import Object, make, pod_spec, workload

EARLIER, OURS = "m1", "m2"


def brought(obj: Object, migration_id: str = OURS) -> Object:
    return transformed(obj, Options(migration_id, source="dev"))


def applied(connection: Connection, *objects: Object, policy: ConflictPolicy = ConflictPolicy.REFUSE) -> list[Result]:
    results: list[Result] = []
    assert apply(
        connection,
        [brought(each) for each in objects],
        migration_id=OURS,
        on_result=results.append,
        policy=policy,
        earlier={EARLIER},
    )
    return results


def foreseen(connection: Connection, obj: Object, policy: ConflictPolicy = ConflictPolicy.REFUSE) -> Planned:
    found: list[Planned] = []
    options = {"migration_id": OURS, "policy": policy, "on_planned": found.append, "earlier": {EARLIER}}
    assert dry_run(connection, [brought(obj)], **options)
    return found[0]


# -- fields that cannot be changed


def stateful(**spec: Any) -> Object:
    return workload("StatefulSet", "x", spec={"replicas": 0, **spec})


def job(image: str) -> Object:
    found = workload("Job", "x", spec={"suspend": True})
    found["spec"]["template"]["spec"] = pod_spec(restartPolicy="Never")
    found["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return found


def deployment(tier: str) -> Object:
    found = workload("Deployment", "x", spec={"replicas": 0})
    found["spec"]["selector"]["matchLabels"] = {"tier": tier}
    found["spec"]["template"]["metadata"]["labels"] = {"tier": tier}
    return found


def binding(role: str) -> Object:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
    return make("RoleBinding", "x", roleRef=reference, subjects=[])


def service(**spec: Any) -> Object:
    return make("Service", "x", spec={"selector": {"app": "x"}, "ports": [{"port": 80}], **spec})


# What is there, what comes, and the server's words, which are those of kubernetes/pkg/apis/*/validation.
UNCHANGEABLE: dict[str, tuple[Object, Object, str]] = {
    "a Service with an address that is to have none": (
        service(),
        service(clusterIP="None"),
        "spec.clusterIPs[0]: Invalid value: [",
    ),
    "the template of a Job": (job("shop:1"), job("shop:2"), "spec.template: Invalid value:"),
    "the selector of a Deployment": (deployment("a"), deployment("b"), "spec.selector: Invalid value:"),
    "the Service of a StatefulSet": (
        stateful(),
        stateful(serviceName="other"),
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas'",
    ),
    "the claim templates of a StatefulSet": (
        stateful(),
        stateful(
            volumeClaimTemplates=[
                {
                    "metadata": {"name": "data"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
                }
            ]
        ),
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas'",
    ),
    "the role of a binding": (binding("reader"), binding("writer"), "cannot change roleRef"),
    "the type of a Secret": (
        make("Secret", "x", type="Opaque"),
        make("Secret", "x", type="example.com/other"),
        "type: Invalid value:",
    ),
    "an immutable ConfigMap": (
        make("ConfigMap", "x", data={"a": "1"}, immutable=True),
        make("ConfigMap", "x", data={"a": "2"}),
        "field is immutable when `immutable` is set",
    ),
}


@pytest.mark.parametrize("policy", [ConflictPolicy.REFUSE, ConflictPolicy.TAKE_OVER])
@pytest.mark.parametrize(("there", "comes", "words"), UNCHANGEABLE.values(), ids=UNCHANGEABLE)
def test_a_field_that_cannot_be_changed_is_told_with_what_to_do(
    connection: Connection, namespace: str, there: Object, comes: Object, words: str, policy: ConflictPolicy
) -> None:
    there, comes = ({**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in (there, comes))
    # What an earlier migration brought is ours to update; what is somebody else's only where it is to be taken over.
    first = brought(there, EARLIER if policy == ConflictPolicy.REFUSE else "m0")
    made = (
        connection.apply(first)
        if policy == ConflictPolicy.REFUSE
        else connection.create(connection.resource_of(first), first)
    )
    planned = foreseen(connection, comes, policy)
    (result,) = applied(connection, comes, policy=policy)
    assert (planned.action, result.action, result.status) == ("refused", "refused", "Failed")
    for said in (planned.reason, result.reason):
        assert words in said
        assert "cannot be changed to be as the source's" in said
        assert "delete it there, then migrate again" in said
    resource = connection.resource_of(comes)
    assert connection.get(resource, "x", namespace)["metadata"]["uid"] == made["metadata"]["uid"]


# -- replicas of an autoscaler


def scaled(connection: Connection, namespace: str, replicas: int) -> None:
    """As the autoscaler's controller does it."""
    path = connection.resource("deployments.apps").path(namespace, "web", "scale")
    options = {"query": {"fieldManager": "kube-controller-manager"}, "content_type": "application/merge-patch+json"}
    connection.json("PATCH", path, body={"spec": {"replicas": replicas}}, **options)


def web(namespace: str, image: str, replicas: int = 3) -> Object:
    found = workload("Deployment", "web", namespace, spec={"replicas": replicas})
    found["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return found


def autoscaler(namespace: str) -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return make("HorizontalPodAutoscaler", "web-scaler", namespace, spec={"scaleTargetRef": target, "maxReplicas": 9})


def test_replicas_that_an_autoscaler_has_set_are_no_conflict_and_stay(connection: Connection, namespace: str) -> None:
    connection.apply(brought(web(namespace, "shop:1"), EARLIER))
    connection.apply(brought(autoscaler(namespace), EARLIER))
    scaled(connection, namespace, 7)
    # Nothing but the replicas differs: nothing is to be done.
    assert foreseen(connection, web(namespace, "shop:1")).action == "unchanged"
    planned = foreseen(connection, web(namespace, "shop:2"))
    assert planned.action == "update"
    assert "left to HorizontalPodAutoscaler web-scaler" in planned.reason
    assert [each.path for each in planned.diff] == ["spec.template.spec.containers[name=main].image"]
    (result,) = applied(connection, web(namespace, "shop:2"))
    assert (result.status, result.action) == ("Successful", "updated")
    found = connection.get("deployments.apps", "web", namespace)
    assert found["spec"]["replicas"] == 7
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:2"
    # Nor is it taken over: the autoscaler holds them still.
    holders = [
        each["manager"]
        for each in found["metadata"]["managedFields"]
        if "f:replicas" in each["fieldsV1"].get("f:spec", {})
    ]
    assert holders == ["kube-controller-manager"]


def test_replicas_that_somebody_has_set_are_a_conflict(connection: Connection, namespace: str) -> None:
    connection.apply(brought(web(namespace, "shop:1"), EARLIER))
    scaled(connection, namespace, 7)
    planned = foreseen(connection, web(namespace, "shop:2"))
    assert planned.action == "conflict"
    assert '.spec.replicas by "kube-controller-manager" with subresource "scale"' in planned.reason
    (result,) = applied(connection, web(namespace, "shop:2"))
    assert (result.status, result.action) == ("Failed", "refused")
    assert connection.get("deployments.apps", "web", namespace)["spec"]["replicas"] == 7


# -- what the server says in the middle of it

TOLD = {403: "a fault was injected", 409: "a fault was injected", 422: "a fault was injected"}


@pytest.mark.parametrize("status", TOLD)
def test_what_a_server_says_of_one_object_is_told_there_and_the_rest_goes_on(
    served: ClusterHandle, connection: Connection, namespace: str, status: int
) -> None:
    served.faults.fail(f"/namespaces/{namespace}/configmaps/b$", method="PATCH", status=status, times=99)
    objects = [make("ConfigMap", name, namespace, data={"k": name}) for name in ("a", "b", "c")]
    results = {each.name: each for each in applied(connection, *objects)}
    assert {name: each.action for name, each in results.items()} == {"a": "created", "b": "refused", "c": "created"}
    assert TOLD[status] in results["b"].reason
    assert "configmaps" in results["b"].reason


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_a_server_that_asks_for_patience_is_given_it(
    served: ClusterHandle, connection: Connection, namespace: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "FIRST_PAUSE", 0.01)
    served.faults.fail(f"/namespaces/{namespace}/configmaps/b$", method="PATCH", status=status, times=2, retry_after=0)
    objects = [make("ConfigMap", name, namespace) for name in ("a", "b")]
    assert [each.action for each in applied(connection, *objects)] == ["created", "created"]
    # One that goes on to say so is no refusal of the object: it is come back to.
    served.faults.fail(f"/namespaces/{namespace}/configmaps/c$", method="PATCH", status=status, times=99, retry_after=0)
    with pytest.raises(KubeError) as failed:
        applied(connection, make("ConfigMap", "c", namespace))
    assert failed.value.code == status
    served.faults.clear()
    assert [each.action for each in applied(connection, make("ConfigMap", "c", namespace))] == ["created"]


def test_a_server_that_does_not_answer_in_time_is_come_back_to(
    served: ClusterHandle, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(requests, "FIRST_PAUSE", 0.01)
    with Connection(kubeconfig.parse(yaml.safe_dump(served.kubeconfig)), timeout=(5, 0.3)) as impatient:
        impatient.discovery()
        served.faults.latency = 1.0
        with pytest.raises(KubeError, match="did not answer in time"):
            applied(impatient, make("ConfigMap", "a", namespace))
        served.faults.clear()
        # It had been made all the same: a repetition finds it.
        (result,) = applied(impatient, make("ConfigMap", "a", namespace))
    assert (result.status, result.action) == ("Successful", "created")
