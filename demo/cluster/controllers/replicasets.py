"""ReplicaSets and ReplicationControllers: as many pods as they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    Reconcile,
    find,
    is_pod_ready,
    matches,
    own_key,
    owner_key,
    reconcile_loop,
    update_status,
)
from demo.cluster.controllers.pods_of import create_pod, delete_pod, is_active, owned_pods, pod_from, ready_count

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

KINDS = {
    "replicasets.apps": ("ReplicaSet", "replicaset-controller"),
    "replicationcontrollers": ("ReplicationController", "replication-controller"),
}


async def run(api: ClusterAPI) -> None:
    """Keep the pods of ReplicaSets for ever."""
    await _run(api, "replicasets.apps")


async def run_replication_controllers(api: ClusterAPI) -> None:
    """Keep the pods of ReplicationControllers for ever."""
    await _run(api, "replicationcontrollers")


async def _run(api: ClusterAPI, resource: str) -> None:
    kind, _ = KINDS[resource]
    await reconcile_loop(api, {resource: own_key, "pods": owner_key(kind)}, _reconciler(resource))


def _reconciler(resource: str) -> Reconcile:
    def reconcile(api: ClusterAPI, key: Key) -> float | None:
        return reconcile_set(api, resource, key)

    return reconcile


def reconcile_set(api: ClusterAPI, resource: str, key: Key) -> float | None:
    """One step for one set of pods."""
    owner = find(api, resource, *key)
    if owner is None:
        return None
    component = KINDS[resource][1]
    pods = owned_pods(api, owner)
    active = [pod for pod in pods if is_active(pod)]
    if "deletionTimestamp" not in owner["metadata"]:
        active = _resize(api, owner, active, component)
    terminating = [pod for pod in owned_pods(api, owner) if "deletionTimestamp" in pod["metadata"]]
    selector = {"matchLabels": owner["spec"]["template"]["metadata"].get("labels", {})}
    labelled = sum(matches(selector, pod["metadata"].get("labels", {})) for pod in active)
    ready = ready_count(active)
    status: Object = {"replicas": len(active)}
    if labelled:
        status["fullyLabeledReplicas"] = labelled
    if ready:
        status |= {"readyReplicas": ready, "availableReplicas": ready}
    if resource == "replicasets.apps":
        status["terminatingReplicas"] = len(terminating)
    status["observedGeneration"] = owner["metadata"].get("generation", 1)
    update_status(api, resource, owner, status)
    return None


def _resize(api: ClusterAPI, owner: Object, active: list[Object], component: str) -> list[Object]:
    wanted = owner["spec"]["replicas"]
    if len(active) < wanted:
        new = [pod_from(owner["spec"]["template"], owner) for _ in range(wanted - len(active))]
        return active + [create_pod(api, owner, pod, component=component) for pod in new]
    # What has no node or is not ready goes first.
    active.sort(key=lambda pod: (is_pod_ready(pod), bool(pod["spec"].get("nodeName"))))
    surplus = len(active) - wanted
    for pod in active[:surplus]:
        delete_pod(api, owner, pod, component=component)
    return active[surplus:]
