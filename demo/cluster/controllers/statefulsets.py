"""StatefulSets: pods with names that stay, each with claims of its own, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    find,
    is_controlled_by,
    is_pod_finished,
    is_pod_ready,
    own_key,
    owner_key,
    owner_reference,
    reconcile_loop,
    template_hash,
    update_status,
)
from demo.cluster.controllers.pods_of import owned_pods, pod_from
from demo.cluster.copies import copied

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

STATEFUL_SETS = "statefulsets.apps"
REVISIONS = "controllerrevisions.apps"
COMPONENT = "statefulset-controller"
REVISION_LABEL = "controller-revision-hash"


async def run(api: ClusterAPI) -> None:
    """Follow StatefulSets for ever."""
    await reconcile_loop(api, {STATEFUL_SETS: own_key, "pods": owner_key("StatefulSet")}, reconcile)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one StatefulSet."""
    owner = find(api, STATEFUL_SETS, *key)
    if owner is None:
        return None
    revision = _revision(api, owner)
    pods = {_ordinal(pod): pod for pod in owned_pods(api, owner)}
    if "deletionTimestamp" not in owner["metadata"]:
        _own_claims(api, owner)
        _step(api, owner, pods, revision)
    pods = {_ordinal(pod): pod for pod in owned_pods(api, owner)}
    _report(api, owner, list(pods.values()), revision)
    return None


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _step(api: ClusterAPI, owner: Object, pods: dict[int, Object], revision: str) -> None:
    start = owner["spec"].get("ordinals", {}).get("start", 0)
    wanted = range(start, start + owner["spec"]["replicas"])
    in_order = owner["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    for ordinal in wanted:
        pod = pods.get(ordinal)
        if pod is None:
            _create_claims(api, owner, ordinal)
            _create_pod(api, owner, ordinal, revision)
        elif is_pod_finished(pod):
            _delete(api, owner, pod)
        if in_order and (pod is None or not is_pod_ready(pod) or "deletionTimestamp" in pod["metadata"]):
            return
    for ordinal in sorted(set(pods) - set(wanted), reverse=True):
        _delete(api, owner, pods[ordinal])
        if in_order:
            return
    _update_one(api, owner, pods, revision)


def _update_one(api: ClusterAPI, owner: Object, pods: dict[int, Object], revision: str) -> None:
    """With everything in place, the last pod of an older revision is made anew."""
    strategy = owner["spec"].get("updateStrategy", {})
    if strategy.get("type") == "OnDelete":
        return
    first = strategy.get("rollingUpdate", {}).get("partition", 0)
    for ordinal in sorted((each for each in pods if each >= first), reverse=True):
        if pods[ordinal]["metadata"]["labels"].get(REVISION_LABEL) != revision:
            _delete(api, owner, pods[ordinal])
            return


def _delete(api: ClusterAPI, owner: Object, pod: Object) -> None:
    if delete_quietly(api, "pods", pod):
        name, owner_name = pod["metadata"]["name"], owner["metadata"]["name"]
        message = f"delete Pod {name} in StatefulSet {owner_name} successful"
        api.record_event(owner, "Normal", "SuccessfulDelete", message, component=COMPONENT)


def _create_claims(api: ClusterAPI, owner: Object, ordinal: int) -> None:
    name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
    for template in owner["spec"].get("volumeClaimTemplates", ()):
        claim_name = f"{template['metadata']['name']}-{name}-{ordinal}"
        if find(api, "persistentvolumeclaims", namespace, claim_name):
            continue
        labels = {**template["metadata"].get("labels", {}), **owner["spec"]["selector"].get("matchLabels", {})}
        metadata: Object = {"name": claim_name, "namespace": namespace, "labels": labels}
        if template["metadata"].get("annotations"):
            metadata["annotations"] = template["metadata"]["annotations"]
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}
        api.create("persistentvolumeclaims", copied(claim))
        message = f"create Claim {claim_name} Pod {name}-{ordinal} in StatefulSet {name} success"
        api.record_event(owner, "Normal", "SuccessfulCreate", message, component=COMPONENT)


def _own_claims(api: ClusterAPI, owner: Object) -> None:
    """Claims that are to go with their StatefulSet belong to it (whenDeleted; whenScaled is not looked at)."""
    policy = owner["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    namespace = owner["metadata"]["namespace"]
    names = tuple(
        f"{each['metadata']['name']}-{owner['metadata']['name']}-"
        for each in owner["spec"].get("volumeClaimTemplates", ())
    )
    for claim in api.list("persistentvolumeclaims", namespace):
        metadata = claim["metadata"]
        base, _dash, ordinal = metadata["name"].rpartition("-")
        if f"{base}-" not in names or not ordinal.isdigit():
            continue
        others = [each for each in metadata.get("ownerReferences", ()) if each["uid"] != owner["metadata"]["uid"]]
        wanted = [*others, owner_reference(owner)] if policy.get("whenDeleted") == "Delete" else others
        if wanted != metadata.get("ownerReferences", []):
            api.update("persistentvolumeclaims", {**claim, "metadata": {**metadata, "ownerReferences": wanted}})


def _create_pod(api: ClusterAPI, owner: Object, ordinal: int, revision: str) -> None:
    owner_name = owner["metadata"]["name"]
    name = f"{owner_name}-{ordinal}"
    labels = {
        "apps.kubernetes.io/pod-index": str(ordinal),
        REVISION_LABEL: revision,
        "statefulset.kubernetes.io/pod-name": name,
    }
    pod = pod_from(owner["spec"]["template"], owner, name=name, prefix=f"{owner_name}-", labels=labels)
    pod["spec"]["hostname"] = name
    if owner["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = owner["spec"]["serviceName"]
    own = {template["metadata"]["name"] for template in owner["spec"].get("volumeClaimTemplates", ())}
    others = [volume for volume in pod["spec"].get("volumes", ()) if volume["name"] not in own]
    pod["spec"]["volumes"] = [
        {"name": each, "persistentVolumeClaim": {"claimName": f"{each}-{name}"}} for each in sorted(own)
    ] + others
    if not pod["spec"]["volumes"]:
        del pod["spec"]["volumes"]
    api.create("pods", pod)
    message = f"create Pod {name} in StatefulSet {owner_name} successful"
    api.record_event(owner, "Normal", "SuccessfulCreate", message, component=COMPONENT)


def _revision(api: ClusterAPI, owner: Object) -> str:
    """The name of the revision that holds the present template, made where it is new."""
    template = owner["spec"]["template"]
    name = f"{owner['metadata']['name']}-{template_hash(template)}"
    namespace = owner["metadata"]["namespace"]
    if find(api, REVISIONS, namespace, name) or "deletionTimestamp" in owner["metadata"]:
        return name
    others = api.list(REVISIONS, namespace, where=lambda each: is_controlled_by(each, owner))
    api.create(
        REVISIONS,
        {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {
                    **template["metadata"].get("labels", {}),
                    "controller.kubernetes.io/hash": name.rpartition("-")[2],
                },
                "ownerReferences": [owner_reference(owner)],
            },
            "data": {"spec": {"template": {**template, "$patch": "replace"}}},
            "revision": 1 + max((each["revision"] for each in others), default=0),
        },
    )
    return name


def _report(api: ClusterAPI, owner: Object, pods: list[Object], revision: str) -> None:
    alive = [pod for pod in pods if not is_pod_finished(pod)]
    ready = sum(is_pod_ready(pod) for pod in alive if "deletionTimestamp" not in pod["metadata"])
    updated = sum(pod["metadata"]["labels"].get(REVISION_LABEL) == revision for pod in alive)
    before = owner.get("status", {})
    all_new = updated == len(alive)
    current = revision if all_new else before.get("currentRevision", revision)
    counts = {
        "replicas": len(alive),
        "readyReplicas": ready,
        "currentReplicas": updated if all_new else len(alive) - updated,
        "updatedReplicas": updated,
    }
    status: Object = {"observedGeneration": owner["metadata"]["generation"]}
    status |= {field: count for field, count in counts.items() if count or field == "replicas"}
    status |= {
        "currentRevision": current,
        "updateRevision": revision,
        "collisionCount": 0,
        "availableReplicas": ready,
    }
    update_status(api, STATEFUL_SETS, owner, status)
