"""Whether the application is all there, and ready."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, NotFound
from migrations_app.resources.marks import type_of
from migrations_app.resources.present import Present

Object = dict[str, Any]
WORKERS = 6


@dataclass(frozen=True)
class NotReady:
    """An object that is missing or not ready yet; `failed` where waiting will not help."""

    kind: str
    namespace: str
    name: str
    reason: str
    failed: bool = False

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {place}: {self.reason}"


def not_ready(connection: Connection, objects: Iterable[Object]) -> list[NotReady]:
    """What is missing or not ready yet of what was applied. Raises KubeError where the cluster is out of reach."""
    wanted = list(objects)
    present = Present(connection, wanted)
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="check") as pool:
        return [each for each in pool.map(partial(_looked_at, present), wanted) if each is not None]


def _looked_at(present: Present, obj: Object) -> NotReady | None:
    metadata = obj["metadata"]
    place = obj["kind"], metadata.get("namespace", ""), metadata["name"]
    try:
        found = present.of(obj)
    except NotFound:
        # Its kind is not served any more.
        found = None
    except Forbidden:
        if type_of(obj) != ("", "PersistentVolume"):
            raise
        # Who may not see disks knows of them from their claims, which are bound.
        return None
    if found is None:
        return NotReady(*place, "is not there", failed=True)
    if failure := _job_failure(found):
        return NotReady(*place, failure, failed=True)
    if reason := _why_not(found):
        return NotReady(*place, reason)
    return None


def _job_failure(obj: Object) -> str:
    """Why the Job will not be tried again."""
    if type_of(obj) != ("batch", "Job"):
        return ""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Failed" and condition["status"] == "True":
            return f"failed: {condition.get('message') or condition.get('reason') or 'no reason is given'}"
    return ""


def _why_not(obj: Object) -> str:
    if obj["metadata"].get("deletionTimestamp"):
        return "is being deleted"
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    match type_of(obj):
        case ("apps", "Deployment") | ("apps.openshift.io", "DeploymentConfig"):
            return _rolled_out(obj, status.get("availableReplicas", 0), status.get("updatedReplicas", 0))
        case ("apps", "StatefulSet"):
            return _rolled_out(obj, status.get("readyReplicas", 0), status.get("updatedReplicas", _wanted(spec)))
        case ("apps", "DaemonSet"):
            wanted = status.get("desiredNumberScheduled", 0)
            ready = status.get("numberReady", 0)
            return _not_observed(obj) or ("" if ready >= wanted else f"{ready} of {wanted} pods are ready")
        case ("", "PersistentVolumeClaim"):
            phase = status.get("phase") or "Pending"
            return "" if phase == "Bound" else f"is {phase}"
    return ""


def _wanted(spec: Object) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def _not_observed(obj: Object) -> str:
    """What the status says is about an earlier generation until the controller has looked at this one."""
    observed = (obj.get("status") or {}).get("observedGeneration", 0)
    return "has not been looked at by its controller yet" if observed < obj["metadata"].get("generation", 0) else ""


def _rolled_out(obj: Object, available: int, updated: int) -> str:
    if waiting := _not_observed(obj):
        return waiting
    wanted = _wanted(obj.get("spec") or {})
    if available < wanted or updated < wanted:
        return f"{min(available, updated)} of {wanted} pods are available"
    return ""
