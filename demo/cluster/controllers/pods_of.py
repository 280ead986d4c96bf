"""Making pods from templates, as every workload controller does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import (
    Object,
    delete_quietly,
    generated_name,
    is_controlled_by,
    is_pod_finished,
    is_pod_ready,
    key_of,
    owner_reference,
)
from demo.cluster.copies import copied

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI


def owned_pods(api: ClusterAPI, owner: Object) -> list[Object]:
    """The pods whose controller is `owner`."""
    return api.list("pods", owner["metadata"]["namespace"], where=lambda pod: is_controlled_by(pod, owner))


def is_active(pod: Object) -> bool:
    """Whether the pod counts as a replica: neither finished nor on its way out."""
    return not is_pod_finished(pod) and "deletionTimestamp" not in pod["metadata"]


def ready_count(pods: list[Object]) -> int:
    """How many of the pods are ready."""
    return sum(is_pod_ready(pod) for pod in pods)


def pod_from(
    template: Object,
    owner: Object,
    *,
    name: str | None = None,
    prefix: str | None = None,
    labels: dict[str, str] | None = None,
    finalizers: list[str] | None = None,
) -> Object:
    """A pod as the template says, owned by `owner`, named `name` or after `prefix` (the owner's name) at random."""
    template = copied(template)
    source = template.get("metadata") or {}
    prefix = prefix or f"{owner['metadata']['name']}-"
    metadata: Object = {
        "name": name or generated_name(prefix),
        "generateName": prefix,
        "namespace": owner["metadata"]["namespace"],
    }
    if all_labels := {**source.get("labels", {}), **(labels or {})}:
        metadata["labels"] = all_labels
    if source.get("annotations"):
        metadata["annotations"] = source["annotations"]
    metadata["ownerReferences"] = [owner_reference(owner)]
    if finalizers:
        metadata["finalizers"] = finalizers
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def create_pod(api: ClusterAPI, owner: Object, pod: Object, *, component: str) -> Object:
    """Create the pod, or fail to, and say so in an event of its owner."""
    try:
        created = api.create("pods", pod)
    except APIError as refusal:
        # Each attempt has another name: as one event that is counted up.
        metadata = pod["metadata"]
        said = str(refusal).replace(metadata["name"], metadata.get("generateName") or metadata["name"])
        api.record_event(owner, "Warning", "FailedCreate", f"Error creating: {said}", component=component)
        raise
    message = f"Created pod: {created['metadata']['name']}"
    api.record_event(owner, "Normal", "SuccessfulCreate", message, component=component)
    return created


def delete_pod(api: ClusterAPI, owner: Object, pod: Object, *, component: str) -> None:
    """Delete the pod and say so in an event of its owner."""
    if delete_quietly(api, "pods", pod):
        message = f"Deleted pod: {key_of(pod)[1]}"
        api.record_event(owner, "Normal", "SuccessfulDelete", message, component=component)
