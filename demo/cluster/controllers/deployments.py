"""Deployments: a ReplicaSet for each template, the newest up and the others down."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    find,
    is_controlled_by,
    now,
    own_key,
    owner_key,
    owner_reference,
    reconcile_loop,
    set_condition,
    template_hash,
    update_status,
)
from demo.cluster.controllers.pods_of import owned_pods

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

DEPLOYMENTS = "deployments.apps"
REPLICA_SETS = "replicasets.apps"
COMPONENT = "deployment-controller"
HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


async def run(api: ClusterAPI) -> None:
    """Follow Deployments for ever."""

    def deployments_of_pod(pod: Object) -> list[Key]:
        namespace = pod["metadata"]["namespace"]
        for _, replica_set in owner_key("ReplicaSet")(pod):
            found = find(api, REPLICA_SETS, namespace, replica_set)
            return list(owner_key("Deployment")(found)) if found else []
        return []

    watched = {DEPLOYMENTS: own_key, REPLICA_SETS: owner_key("Deployment"), "pods": deployments_of_pod}
    await reconcile_loop(api, watched, reconcile)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one Deployment."""
    deployment = find(api, DEPLOYMENTS, *key)
    if deployment is None or "deletionTimestamp" in deployment["metadata"]:
        return None
    sets = [each for each in api.list(REPLICA_SETS, key[0]) if is_controlled_by(each, deployment)]
    newest = next((each for each in sets if _same_template(each, deployment)), None)
    old = [each for each in sets if newest is None or each["metadata"]["uid"] != newest["metadata"]["uid"]]
    if not deployment["spec"].get("paused"):
        recreate = deployment["spec"]["strategy"]["type"] == "Recreate"
        if recreate and any(_is_present(api, each) for each in old):
            _scale_all(api, deployment, old, 0)
        else:
            if newest is None:
                newest = _create_replica_set(api, deployment, old)
            newest = _scale(api, deployment, newest, deployment["spec"]["replicas"])
            available = newest.get("status", {}).get("availableReplicas", 0)
            if available >= min(1, deployment["spec"]["replicas"]) and newest["spec"]["replicas"] <= available:
                old = _scale_all(api, deployment, old, 0)
                _forget_old(api, deployment, old)
    _report(api, deployment, newest, [*old, *([newest] if newest else [])])
    return None


def _is_present(api: ClusterAPI, replica_set: Object) -> bool:
    return replica_set["spec"]["replicas"] > 0 or bool(owned_pods(api, replica_set))


def _same_template(replica_set: Object, deployment: Object) -> bool:
    template = copy.deepcopy(replica_set["spec"]["template"])
    template["metadata"]["labels"].pop(HASH, None)
    wanted = deployment["spec"]["template"]
    return template["spec"] == wanted["spec"] and all(
        template["metadata"].get(field, {}) == wanted.get("metadata", {}).get(field, {})
        for field in ("labels", "annotations")
    )


def _annotations(deployment: Object, revision: str) -> dict[str, str]:
    replicas = deployment["spec"]["replicas"]
    surge = deployment["spec"]["strategy"].get("rollingUpdate", {}).get("maxSurge", 0)
    extra = math.ceil(replicas * int(surge[:-1]) / 100) if isinstance(surge, str) else surge
    return {
        "deployment.kubernetes.io/desired-replicas": str(replicas),
        "deployment.kubernetes.io/max-replicas": str(replicas + extra if replicas else 0),
        REVISION: revision,
    }


def _create_replica_set(api: ClusterAPI, deployment: Object, old: list[Object]) -> Object:
    metadata, template = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"])
    digest = template_hash(template)
    template["metadata"]["labels"] = {**template["metadata"].get("labels", {}), HASH: digest}
    selector = copy.deepcopy(deployment["spec"]["selector"])
    selector["matchLabels"] = {**selector.get("matchLabels", {}), HASH: digest}
    revision = 1 + max((int(each["metadata"]["annotations"].get(REVISION, 0)) for each in old), default=0)
    replicas = deployment["spec"]["replicas"]
    spec: Object = {"replicas": replicas, "selector": selector, "template": template}
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    created = api.create(
        REPLICA_SETS,
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": dict(template["metadata"]["labels"]),
                "annotations": _annotations(deployment, str(revision)),
                "ownerReferences": [owner_reference(deployment)],
            },
            "spec": spec,
        },
    )
    if replicas:
        _tell(api, deployment, created, 0, replicas)
    return created


def _scale_all(api: ClusterAPI, deployment: Object, sets: list[Object], replicas: int) -> list[Object]:
    return [_scale(api, deployment, each, replicas) for each in sets]


def _scale(api: ClusterAPI, deployment: Object, replica_set: Object, replicas: int) -> Object:
    before = replica_set["spec"]["replicas"]
    annotations = replica_set["metadata"].get("annotations", {})
    wanted = _annotations(deployment, annotations.get(REVISION, "1"))
    if before == replicas and all(annotations.get(key) == value for key, value in wanted.items()):
        return replica_set
    replica_set["spec"]["replicas"] = replicas
    replica_set["metadata"]["annotations"] = {**annotations, **wanted}
    replica_set = api.update(REPLICA_SETS, replica_set)
    if before != replicas:
        _tell(api, deployment, replica_set, before, replicas)
    return replica_set


def _tell(api: ClusterAPI, deployment: Object, replica_set: Object, before: int, replicas: int) -> None:
    direction = "up" if replicas > before else "down"
    message = f"Scaled {direction} replica set {replica_set['metadata']['name']} from {before} to {replicas}"
    api.record_event(deployment, "Normal", "ScalingReplicaSet", message, component=COMPONENT)


def _forget_old(api: ClusterAPI, deployment: Object, old: list[Object]) -> None:
    """Beyond the revisions to keep, old ReplicaSets without pods go."""
    empty = [each for each in old if not each["spec"]["replicas"] and not each.get("status", {}).get("replicas")]
    empty.sort(key=lambda each: int(each["metadata"]["annotations"].get(REVISION, 0)))
    keep = deployment["spec"].get("revisionHistoryLimit", 10)
    for each in empty[: max(0, len(empty) - keep)]:
        delete_quietly(api, REPLICA_SETS, each)


def _with_revision(deployment: Object, newest: Object | None) -> Object:
    """The deployment's annotations with its newest revision."""
    annotations: Object = deployment["metadata"].get("annotations", {})
    revision = newest["metadata"]["annotations"].get(REVISION) if newest else None
    return annotations if revision is None else {**annotations, REVISION: revision}


def _report(api: ClusterAPI, deployment: Object, newest: Object | None, sets: list[Object]) -> None:
    def total(field: str, *of: Object | None) -> int:
        return sum(each.get("status", {}).get(field, 0) for each in of if each)

    wanted = deployment["spec"]["replicas"]
    replicas, updated = total("replicas", *sets), total("replicas", newest)
    available = total("availableReplicas", *sets)
    status: Object = {"observedGeneration": deployment["metadata"]["generation"]}
    counts = {
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": total("readyReplicas", *sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(wanted, replicas) - available),
    }
    status |= {field: count for field, count in counts.items() if count}
    status["terminatingReplicas"] = total("terminatingReplicas", *sets)
    enough = available >= max(0, wanted - _max_unavailable(deployment))
    conditions = deployment.get("status", {}).get("conditions", [])
    conditions = set_condition(
        conditions,
        _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else _condition(
            "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        ),
    )
    if newest:
        done = updated == wanted and replicas == wanted and available == wanted
        name = newest["metadata"]["name"]
        reason, words = (
            ("NewReplicaSetAvailable", "has successfully progressed")
            if done
            else ("ReplicaSetUpdated", "is progressing")
        )
        progressing = _condition("Progressing", "True", reason, f'ReplicaSet "{name}" {words}.')
        if done or not _has_progressed(conditions, name):
            conditions = set_condition(conditions, progressing)
    status["conditions"] = conditions
    annotations = _with_revision(deployment, newest)
    if annotations != deployment["metadata"].get("annotations", {}):
        # As the real controller does: the revision is written along with the status.
        deployment = {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}
        api.update(DEPLOYMENTS, {**deployment, "status": status}, subresource="status")
    else:
        update_status(api, DEPLOYMENTS, deployment, status)


def _has_progressed(conditions: list[Object], replica_set: str) -> bool:
    """Once a ReplicaSet has come up, a pod of it that goes away is no new progress."""
    return any(
        each.get("reason") == "NewReplicaSetAvailable" and f'"{replica_set}"' in each["message"] for each in conditions
    )


def _max_unavailable(deployment: Object) -> int:
    value = deployment["spec"]["strategy"].get("rollingUpdate", {}).get("maxUnavailable", 0)
    return int(deployment["spec"]["replicas"] * int(value[:-1]) / 100) if isinstance(value, str) else value


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    moment = now()
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }
