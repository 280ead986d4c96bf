"""Deployments: a ReplicaSet for each template, the newest up and the others down."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    template_hash,
    update_status,
)
from demo.cluster.controllers.pods_of import owned_pods
from demo.cluster.copies import copied

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
    sets = api.list(REPLICA_SETS, key[0], where=lambda each: is_controlled_by(each, deployment))
    sets.sort(key=_revision)
    newest = next((each for each in sets if _same_template(each, deployment)), None)
    old = [each for each in sets if newest is None or each["metadata"]["uid"] != newest["metadata"]["uid"]]
    if not deployment["spec"].get("paused"):
        recreate = deployment["spec"]["strategy"]["type"] == "Recreate"
        if recreate and any(_is_present(api, each) for each in old):
            old = _scale_all(api, deployment, old, 0)
        elif newest is None:
            newest = _create_replica_set(api, deployment, old)
            _report_creation(api, deployment, newest)
            return 0.0
        else:
            newest, old = _roll(api, deployment, newest, old)
            if _is_complete(deployment, newest, old):
                _forget_old(api, deployment, old)
    _report(api, deployment, newest, [*old, *([newest] if newest else [])])
    return None


def _roll(api: ClusterAPI, deployment: Object, newest: Object, old: list[Object]) -> tuple[Object, list[Object]]:
    """One step from the old ReplicaSets to the newest, within what the strategy allows to be missing or too many."""
    desired = deployment["spec"]["replicas"]
    surge, unavailable = _allowances(deployment)
    total_old = sum(each["spec"]["replicas"] for each in old)
    room = desired + surge - total_old
    before = newest["spec"]["replicas"]
    wanted = desired if before > desired or not total_old else max(before, min(desired, room))
    newest = _scale(api, deployment, newest, wanted)
    if wanted > before:
        return newest, old
    missing = newest["spec"]["replicas"] - _available(newest)
    spare = total_old + newest["spec"]["replicas"] - (desired - unavailable) - missing
    shrunk = []
    for each in old:
        sick = each["spec"]["replicas"] - _available(each)
        fewer = max(0, min(spare, sick))
        spare -= fewer
        shrunk.append(_scale(api, deployment, each, each["spec"]["replicas"] - fewer))
    spare = _available(newest) + sum(_available(each) for each in shrunk) - (desired - unavailable)
    old = []
    for each in shrunk:
        fewer = max(0, min(spare, each["spec"]["replicas"]))
        spare -= fewer
        old.append(_scale(api, deployment, each, each["spec"]["replicas"] - fewer))
    return newest, old


def _available(replica_set: Object) -> int:
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def _allowances(deployment: Object) -> tuple[int, int]:
    """How many pods may be too many and how many missing during an update; not none of both."""
    replicas = deployment["spec"]["replicas"]
    rolling = deployment["spec"]["strategy"].get("rollingUpdate", {})

    def number(field: str, rounded: Callable[[float], int]) -> int:
        value = rolling.get(field, 0)
        return rounded(replicas * int(value[:-1]) / 100) if isinstance(value, str) else int(value)

    surge, unavailable = number("maxSurge", math.ceil), number("maxUnavailable", math.floor)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def _is_complete(deployment: Object, newest: Object, old: list[Object]) -> bool:
    desired, status = deployment["spec"]["replicas"], newest.get("status", {})
    present = status.get("replicas", 0) + sum(each.get("status", {}).get("replicas", 0) for each in old)
    return bool(status.get("replicas", 0) == desired == status.get("availableReplicas", 0) == present)


def _revision(replica_set: Object) -> int:
    return int(replica_set["metadata"].get("annotations", {}).get(REVISION, 0))


def _is_present(api: ClusterAPI, replica_set: Object) -> bool:
    return replica_set["spec"]["replicas"] > 0 or bool(owned_pods(api, replica_set))


def _same_template(replica_set: Object, deployment: Object) -> bool:
    template = copied(replica_set["spec"]["template"])
    template["metadata"]["labels"].pop(HASH, None)
    wanted = deployment["spec"]["template"]
    return template["spec"] == wanted["spec"] and all(
        template["metadata"].get(field, {}) == wanted.get("metadata", {}).get(field, {})
        for field in ("labels", "annotations")
    )


def _annotations(deployment: Object, revision: str) -> dict[str, str]:
    replicas = deployment["spec"]["replicas"]
    surge, _ = _allowances(deployment)
    return {
        "deployment.kubernetes.io/desired-replicas": str(replicas),
        "deployment.kubernetes.io/max-replicas": str(replicas + surge if replicas else 0),
        REVISION: revision,
    }


def _create_replica_set(api: ClusterAPI, deployment: Object, old: list[Object]) -> Object:
    metadata, template = deployment["metadata"], copied(deployment["spec"]["template"])
    digest = template_hash(template)
    template["metadata"]["labels"] = {**template["metadata"].get("labels", {}), HASH: digest}
    selector = copied(deployment["spec"]["selector"])
    selector["matchLabels"] = {**selector.get("matchLabels", {}), HASH: digest}
    revision = 1 + max(map(_revision, old), default=0)
    surge, _ = _allowances(deployment)
    desired, present = deployment["spec"]["replicas"], sum(each["spec"]["replicas"] for each in old)
    replicas = max(0, min(desired, desired + surge - present)) if present else desired
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
    empty.sort(key=_revision)
    keep = deployment["spec"].get("revisionHistoryLimit", 10)
    for each in empty[: max(0, len(empty) - keep)]:
        delete_quietly(api, REPLICA_SETS, each)


def _with_revision(deployment: Object, newest: Object | None) -> Object:
    """The deployment's annotations with its newest revision."""
    annotations: Object = deployment["metadata"].get("annotations", {})
    revision = newest["metadata"]["annotations"].get(REVISION) if newest else None
    return annotations if revision is None else {**annotations, REVISION: revision}


def _report_creation(api: ClusterAPI, deployment: Object, newest: Object) -> None:
    """That there is a new ReplicaSet is said before anything is counted."""
    message = f'Created new replica set "{newest["metadata"]["name"]}"'
    status = deployment.get("status", {})
    conditions = _set(status.get("conditions", []), _condition("Progressing", "True", "NewReplicaSetCreated", message))
    _write(api, deployment, newest, {**status, "conditions": conditions})


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
        "unavailableReplicas": max(0, sum(each["spec"]["replicas"] for each in sets) - available),
    }
    status |= {field: count for field, count in counts.items() if count}
    status["terminatingReplicas"] = total("terminatingReplicas", *sets)
    before = deployment.get("status", {})
    enough = available >= wanted - _allowances(deployment)[1]
    conditions = _set(
        before.get("conditions", []),
        _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else _condition(
            "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        ),
    )
    current = next((each for each in before.get("conditions", ()) if each["type"] == "Progressing"), None)
    rests = replicas == updated and current is not None and current["reason"] == "NewReplicaSetAvailable"
    if newest and not rests:
        what = f'ReplicaSet "{newest["metadata"]["name"]}"'
        if updated == replicas == available == wanted:
            message = f"{what} has successfully progressed."
            conditions = _set(conditions, _condition("Progressing", "True", "NewReplicaSetAvailable", message))
        elif _progresses(before, status):
            condition = _condition("Progressing", "True", "ReplicaSetUpdated", f"{what} is progressing.")
            if current and current["status"] == "True":
                condition["lastTransitionTime"] = current["lastTransitionTime"]
            conditions = [each for each in conditions if each["type"] != "Progressing"] + [condition]
    _write(api, deployment, newest, {**status, "conditions": conditions})


def _progresses(before: Object, status: Object) -> bool:
    """Whether there is more of the new or less of the old than before."""

    def count(field: str, of: Object) -> int:
        return int(of.get(field, 0))

    def rest(of: Object) -> int:
        return count("replicas", of) - count("updatedReplicas", of)

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return rest(status) < rest(before) or any(count(field, status) > count(field, before) for field in more)


def _write(api: ClusterAPI, deployment: Object, newest: Object | None, status: Object) -> None:
    annotations = _with_revision(deployment, newest)
    if annotations != deployment["metadata"].get("annotations", {}):
        # As the real controller does: the revision is written along with the status.
        deployment = {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}
        api.update(DEPLOYMENTS, {**deployment, "status": status}, subresource="status")
    else:
        update_status(api, DEPLOYMENTS, deployment, status)


def _set(conditions: list[Object], condition: Object) -> list[Object]:
    """As the real controller does: only another status or reason is a change, and what changes moves to the end."""
    old = next((each for each in conditions if each["type"] == condition["type"]), None)
    if old and old["status"] == condition["status"] and old["reason"] == condition["reason"]:
        return conditions
    if old and old["status"] == condition["status"]:
        condition["lastTransitionTime"] = old["lastTransitionTime"]
    return [each for each in conditions if each["type"] != condition["type"]] + [condition]


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
