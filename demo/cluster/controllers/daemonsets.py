"""DaemonSets: one pod on every node that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    find,
    is_pod_finished,
    is_pod_ready,
    key_of,
    own_key,
    owner_key,
    reconcile_loop,
    template_hash,
    update_status,
)
from demo.cluster.controllers.pods_of import create_pod, delete_pod, owned_pods, pod_from

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

DAEMON_SETS = "daemonsets.apps"
COMPONENT = "daemonset-controller"
REVISION_LABEL = "controller-revision-hash"
# What daemon pods bear with on every node.
TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
]


async def run(api: ClusterAPI) -> None:
    """Follow DaemonSets for ever."""

    def every_set(_: Object) -> list[Key]:
        return [key_of(each) for each in api.list(DAEMON_SETS)]

    watched = {DAEMON_SETS: own_key, "pods": owner_key("DaemonSet"), "nodes": every_set}
    await reconcile_loop(api, watched, reconcile)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one DaemonSet."""
    owner = find(api, DAEMON_SETS, *key)
    if owner is None:
        return None
    revision = template_hash(owner["spec"]["template"])
    wanted = [node["metadata"]["name"] for node in api.list("nodes") if _takes(owner, node)]
    pods = {_node_of(pod): pod for pod in owned_pods(api, owner)}
    if "deletionTimestamp" not in owner["metadata"]:
        for node, pod in pods.items():
            outdated = pod["metadata"]["labels"].get(REVISION_LABEL) != revision
            if node not in wanted or is_pod_finished(pod) or outdated:
                delete_pod(api, owner, pod, component=COMPONENT)
        for node in wanted:
            if node not in pods:
                create_pod(api, owner, _pod_for(owner, node, revision), component=COMPONENT)
    _report(api, owner, wanted, revision)
    return None


def _takes(owner: Object, node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    selector = owner["spec"]["template"]["spec"].get("nodeSelector", {})
    return all(labels.get(key) == value for key, value in selector.items())


def _node_of(pod: Object) -> str:
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]


def _pod_for(owner: Object, node: str, revision: str) -> Object:
    pod = pod_from(owner["spec"]["template"], owner, labels={REVISION_LABEL: revision})
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    node_affinity = pod["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    pod["spec"]["tolerations"] = [*pod["spec"].get("tolerations", ()), *TOLERATIONS]
    return pod


def _report(api: ClusterAPI, owner: Object, wanted: list[str], revision: str) -> None:
    pods = [pod for pod in owned_pods(api, owner) if "deletionTimestamp" not in pod["metadata"]]
    ready = sum(is_pod_ready(pod) for pod in pods)
    updated = sum(pod["metadata"]["labels"].get(REVISION_LABEL) == revision for pod in pods)
    status: Object = {
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "desiredNumberScheduled": len(wanted),
        "numberReady": ready,
        "observedGeneration": owner["metadata"]["generation"],
    }
    optional = {
        "updatedNumberScheduled": updated,
        "numberAvailable": ready,
        "numberUnavailable": len(wanted) - ready,
    }
    status |= {field: count for field, count in optional.items() if count}
    update_status(api, DAEMON_SETS, owner, status)
