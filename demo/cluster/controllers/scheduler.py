"""The scheduler: a node for every pod, or the reason why there is none."""

from __future__ import annotations

import secrets
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import (
    Key,
    Object,
    find,
    is_pod_finished,
    key_of,
    matches,
    now,
    own_key,
    precise_now,
    reconcile_loop,
)
from demo.cluster.controllers.quantities import quantity
from demo.cluster.controllers.volumes import CLAIMS, CLASSES, SELECTED_NODE, VOLUMES, claims_used_by

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

NAME = "default-scheduler"
RETRY_SECONDS = 2.0
UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
# What removing other pods could never cure, as the real scheduler counts it.
NOT_CURED_BY_PREEMPTION = "Preemption is not helpful for scheduling."
HELD_BY_ANOTHER = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
)
NO_VICTIMS = "No preemption victims found for incoming pod."


# Who owns what in events that are written as those of the newer group and read as those of the core.
EVENT_FIELDS = {
    "operation": "Update",
    "apiVersion": "events.k8s.io/v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {
        f"f:{field}": {}
        for field in (
            "action", "eventTime", "note", "reason", "regarding", "reportingController", "reportingInstance", "type",
        )
    },
}  # fmt: skip


class Unschedulable(Exception):
    """No node fits; the message is what the pod's condition says."""


async def run(api: ClusterAPI) -> None:
    """Give pods nodes for ever."""

    def waiting_pods(_: Object) -> list[Key]:
        return [key_of(pod) for pod in api.list("pods") if _waits(pod)]

    def pods_of_claim(claim: Object) -> list[Key]:
        namespace, name = key_of(claim)
        return [key_of(pod) for pod in api.list("pods", namespace) if _waits(pod) and name in claims_used_by(pod)]

    await reconcile_loop(api, {"pods": own_key, CLAIMS: pods_of_claim, "nodes": waiting_pods}, schedule)


def _waits(pod: Object) -> bool:
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName", NAME) == NAME
        and not spec.get("schedulingGates")
        and not is_pod_finished(pod)
        and "deletionTimestamp" not in pod["metadata"]
    )


def schedule(api: ClusterAPI, key: Key) -> float | None:
    """One attempt to find a node for the pod."""
    pod = find(api, "pods", *key)
    if pod is None or not _waits(pod):
        return None
    nodes = api.list("nodes")
    try:
        claims = _claims(api, pod, len(nodes))
        node = _choose(api, pod, nodes, claims)
    except Unschedulable as reason:
        _report(api, pod, str(reason))
        return RETRY_SECONDS
    waiting = [claim for claim in claims if not claim["spec"].get("volumeName")]
    if waiting and not pod["status"].get("nominatedNodeName"):
        # The pod is promised to the node while its volumes come into being there.
        nominated = {**pod["status"], "nominatedNodeName": node["metadata"]["name"]}
        api.update("pods", {**pod, "status": nominated}, subresource="status")
    for claim in waiting:
        annotations = claim["metadata"].setdefault("annotations", {})
        if SELECTED_NODE not in annotations:
            annotations[SELECTED_NODE] = node["metadata"]["name"]
            api.update(CLAIMS, claim)
    if waiting or any(claim["status"].get("phase") != "Bound" for claim in claims):
        return RETRY_SECONDS
    _assign(api, pod, node["metadata"]["name"])
    return None


def _claims(api: ClusterAPI, pod: Object, nodes: int) -> list[Object]:
    found = []
    for name in claims_used_by(pod):
        claim = find(api, CLAIMS, pod["metadata"]["namespace"], name)
        if claim is None:
            raise Unschedulable(f'0/{nodes} nodes are available: persistentvolumeclaim "{name}" not found. not found')
        if "deletionTimestamp" in claim["metadata"]:
            raise Unschedulable(
                f'0/{nodes} nodes are available: persistentvolumeclaim "{name}" is being deleted. not found'
            )
        if not claim["spec"].get("volumeName") and not _waits_for_consumer(api, claim):
            raise Unschedulable(
                f"0/{nodes} nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
            )
        found.append(claim)
    return found


def _waits_for_consumer(api: ClusterAPI, claim: Object) -> bool:
    storage_class = find(api, CLASSES, None, claim["spec"].get("storageClassName") or "-")
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def _choose(api: ClusterAPI, pod: Object, nodes: list[Object], claims: list[Object]) -> Object:
    volumes = [
        find(api, VOLUMES, None, claim["spec"]["volumeName"]) for claim in claims if claim["spec"].get("volumeName")
    ]
    everywhere = [each for each in api.list("pods") if each["spec"].get("nodeName") and not is_pod_finished(each)]
    wanted = {
        claim["metadata"]["annotations"][SELECTED_NODE]
        for claim in claims
        if not claim["spec"].get("volumeName") and SELECTED_NODE in claim["metadata"].get("annotations", {})
    }
    if any(_is_held_by_another(pod, claim, everywhere) for claim in claims):
        raise Unschedulable(_message(len(nodes), [(HELD_BY_ANOTHER, True)] * len(nodes)))
    refusals: list[tuple[str, bool]] = []
    fitting = []
    for node in nodes:
        reasons = _refusals(pod, node, nodes, everywhere, [volume for volume in volumes if volume])
        if not reasons and wanted and node["metadata"]["name"] not in wanted:
            reasons = [("node(s) didn't match PersistentVolume's node affinity", False)]
        refusals += reasons
        if not reasons:
            fitting.append(node)
    if not fitting:
        raise Unschedulable(_message(len(nodes), refusals))
    load = Counter(each["spec"]["nodeName"] for each in everywhere)
    return max(fitting, key=lambda node: (_preference(pod, node), -load[node["metadata"]["name"]]))


def _is_held_by_another(pod: Object, claim: Object, everywhere: list[Object]) -> bool:
    """Whether the claim lets in one pod alone, and has it."""
    if "ReadWriteOncePod" not in claim["spec"].get("accessModes", ()):
        return False
    namespace, name = key_of(claim)
    return any(
        each["metadata"]["namespace"] == namespace
        and each["metadata"]["uid"] != pod["metadata"]["uid"]
        and name in claims_used_by(each)
        for each in everywhere
    )


def _message(nodes: int, refusals: list[tuple[str, bool]]) -> str:
    if not nodes:
        return "no nodes available to schedule pods"
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in Counter(r for r, _ in refusals).items()))
    cures = Counter(NO_VICTIMS if curable else NOT_CURED_BY_PREEMPTION for _, curable in refusals)
    preemption = ", ".join(f"{count} {cure}" for cure, count in sorted(cures.items()))
    return (
        f"0/{nodes} nodes are available: {reasons}. no new claims to deallocate, "
        f"preemption: 0/{nodes} nodes are available: {preemption}"
    )


def _refusals(
    pod: Object, node: Object, nodes: list[Object], everywhere: list[Object], volumes: list[Object]
) -> list[tuple[str, bool]]:
    """Why the node does not take the pod, each with whether removing other pods could help."""
    spec = pod["spec"]
    taints = [*node["spec"].get("taints", ()), *([UNSCHEDULABLE_TAINT] if node["spec"].get("unschedulable") else ())]
    if any(not _tolerates(spec, taint) for taint in taints if taint["effect"] != "PreferNoSchedule"):
        unschedulable = node["spec"].get("unschedulable")
        return [("node(s) were unschedulable" if unschedulable else "node(s) had untolerated taint(s)", False)]
    if not _node_selected(spec, node):
        return [("node(s) didn't match Pod's node affinity/selector", False)]
    if not all(
        _terms_match(volume["spec"]["nodeAffinity"]["required"], node)
        for volume in volumes
        if "nodeAffinity" in volume["spec"]
    ):
        return [("node(s) didn't match PersistentVolume's node affinity", False)]
    there = [each for each in everywhere if each["spec"]["nodeName"] == node["metadata"]["name"]]
    lacking = _lacking_resources(pod, node, there)
    if lacking:
        return lacking
    return _pod_affinity_refusals(pod, node, nodes, everywhere)


def _tolerates(spec: Object, taint: Object) -> bool:
    for toleration in spec.get("tolerations", ()):
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("key") not in (None, "", taint["key"]):
            continue
        if toleration.get("operator", "Equal") == "Exists" or toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def _node_selected(spec: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or _terms_match(required, node)


def _terms_match(selector: Object, node: Object) -> bool:
    labels, fields = node["metadata"].get("labels", {}), {"metadata.name": node["metadata"]["name"]}
    return any(
        matches({"matchExpressions": term.get("matchExpressions", [])}, labels)
        and matches({"matchExpressions": term.get("matchFields", [])}, fields)
        for term in selector["nodeSelectorTerms"]
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _preference(pod: Object, node: Object) -> int:
    preferred = (
        pod["spec"]
        .get("affinity", {})
        .get("nodeAffinity", {})
        .get("preferredDuringSchedulingIgnoredDuringExecution", ())
    )
    return sum(each["weight"] for each in preferred if _terms_match({"nodeSelectorTerms": [each["preference"]]}, node))


def requests_of(pod: Object) -> dict[str, Decimal]:
    """What the pod's containers ask for together."""
    total: dict[str, Decimal] = {}
    for container in pod["spec"]["containers"]:
        for resource, amount in container.get("resources", {}).get("requests", {}).items():
            total[resource] = total.get(resource, Decimal(0)) + quantity(amount)
    return total


def _lacking_resources(pod: Object, node: Object, there: list[Object]) -> list[tuple[str, bool]]:
    offered = {name: quantity(amount) for name, amount in node.get("status", {}).get("allocatable", {}).items()}
    if "pods" in offered and len(there) >= offered["pods"]:
        return [("Too many pods", True)]
    used: dict[str, Decimal] = {}
    for each in there:
        for resource, amount in requests_of(each).items():
            used[resource] = used.get(resource, Decimal(0)) + amount
    return [
        (f"Insufficient {resource}", amount <= offered.get(resource, Decimal(0)))
        for resource, amount in requests_of(pod).items()
        if amount > offered.get(resource, Decimal(0)) - used.get(resource, Decimal(0))
    ]


def _pod_affinity_refusals(
    pod: Object, node: Object, nodes: list[Object], everywhere: list[Object]
) -> list[tuple[str, bool]]:
    domains = {each["metadata"]["name"]: each["metadata"].get("labels", {}) for each in nodes}
    own = domains[node["metadata"]["name"]]

    def somebody_matches(term: Object) -> bool:
        topology = term["topologyKey"]
        namespaces = term.get("namespaces") or [pod["metadata"]["namespace"]]
        return any(
            other["metadata"]["namespace"] in namespaces
            and matches(term.get("labelSelector"), other["metadata"].get("labels", {}))
            and domains.get(other["spec"]["nodeName"], {}).get(topology, "") == own.get(topology)
            for other in everywhere
        )

    affinity = pod["spec"].get("affinity", {})
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    if any(somebody_matches(term) for term in affinity.get("podAntiAffinity", {}).get(required, ())):
        return [("node(s) didn't match pod anti-affinity rules", True)]
    if not all(somebody_matches(term) for term in affinity.get("podAffinity", {}).get(required, ())):
        return [("node(s) didn't match pod affinity rules", False)]
    return []


def _condition(**fields: Any) -> Object:
    return {
        "type": "PodScheduled",
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        **fields,
    }


def _assign(api: ClusterAPI, pod: Object, node: str) -> None:
    """Bind the pod to the node. A binding is no update of the spec: generation and field managers stay as they are."""
    namespace, name = key_of(pod)
    others = [each for each in pod["status"].get("conditions", ()) if each["type"] != "PodScheduled"]
    known = {name: value for name, value in pod["status"].items() if name != "nominatedNodeName"}
    status = {**known, "conditions": [*others, _condition(status="True")]}
    api.store.write("MODIFIED", "pods", {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status})
    _record(api, pod, "Normal", "Scheduled", f"Successfully assigned {namespace}/{name} to {node}", "Binding")


def _report(api: ClusterAPI, pod: Object, message: str) -> None:
    generation = pod["metadata"].get("generation", 1)
    condition = _condition(observedGeneration=generation, status="False", reason="Unschedulable", message=message)
    conditions = pod["status"].get("conditions", [])
    if any(each["type"] == "PodScheduled" and each.get("message") == message for each in conditions):
        return
    others = [each for each in conditions if each["type"] != "PodScheduled"]
    api.update("pods", {**pod, "status": {**pod["status"], "conditions": [*others, condition]}}, subresource="status")
    _record(api, pod, "Warning", "FailedScheduling", message, "Scheduling")


def _record(api: ClusterAPI, pod: Object, kind: str, reason: str, message: str, action: str) -> None:
    """An event in the newer form, which the scheduler writes: a moment and no count."""
    namespace, name = key_of(pod)
    api.create(
        "events",
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": {
                "kind": "Pod",
                "namespace": namespace,
                "name": name,
                "uid": pod["metadata"]["uid"],
                "apiVersion": "v1",
                "resourceVersion": pod["metadata"]["resourceVersion"],
            },
            "reason": reason,
            "message": message,
            "source": {},
            "type": kind,
            "eventTime": precise_now(),
            "action": action,
            "reportingComponent": NAME,
            "reportingInstance": f"{NAME}-{api.name}",
            "firstTimestamp": None,
            "lastTimestamp": None,
        },
        user="system:kube-scheduler",
        owned=[EVENT_FIELDS | {"manager": api.manager, "time": now()}],
    )
