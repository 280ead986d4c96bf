"""Whether the application is all there, and ready."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import NotFound

Object = dict[str, Any]


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
    found = []
    for obj in objects:
        metadata = obj["metadata"]
        place = obj["kind"], metadata.get("namespace", ""), metadata["name"]
        try:
            present = connection.get(connection.resource_of(obj), metadata["name"], metadata.get("namespace"))
        except NotFound:
            found.append(NotReady(*place, "is not there", failed=True))
            continue
        if reason := _why_not(present):
            found.append(NotReady(*place, reason))
    return found


def _why_not(obj: Object) -> str:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    match obj["kind"]:
        case "Deployment" | "DeploymentConfig":
            return _rolled_out(obj, status.get("availableReplicas", 0), status.get("updatedReplicas", 0))
        case "StatefulSet":
            return _rolled_out(
                obj, status.get("readyReplicas", 0), status.get("updatedReplicas", spec.get("replicas", 0))
            )
        case "DaemonSet":
            wanted = status.get("desiredNumberScheduled", 0)
            ready = status.get("numberReady", 0)
            return "" if ready >= wanted else f"{ready} of {wanted} pods are ready"
        case "PersistentVolumeClaim":
            phase = status.get("phase")
            return "" if phase == "Bound" else f"is {phase}"
        case "Job":
            failed = [
                each for each in status.get("conditions") or () if each["type"] == "Failed" and each["status"] == "True"
            ]
            return f"failed: {failed[0].get('message', '')}" if failed else ""
    return ""


def _rolled_out(obj: Object, available: int, updated: int) -> str:
    wanted = obj["spec"].get("replicas", 1)
    if (obj.get("status") or {}).get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return "has not been looked at by its controller yet"
    if available < wanted or updated < wanted:
        return f"{available} of {wanted} pods are available"
    return ""
