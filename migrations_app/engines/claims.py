"""Claims as a cluster has them, and the pods that use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clusters.kube.connection import Connection
from migrations_app.models import Migration, MigrationVolume
from migrations_app.resources.marks import SNAPSHOT_LABEL, VOLUME_LABEL
from migrations_app.resources.quantities import to_bytes
from migrations_app.resources.selection import Chooser
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
CLAIMS = "persistentvolumeclaims"
# Of a claim's metadata; whom it belongs to, and what belongs to it, is looked up anew on the destination.
CARRIED = ("labels", "annotations", "ownerReferences", "uid")


@dataclass(frozen=True)
class Claim:
    """One claim as a cluster has it. `size` is what it has, or what it asks for where that is more."""

    namespace: str
    name: str
    volume: str
    size: str
    storage_class: str
    access_modes: list[str]
    mode: str
    phase: str
    raw: Object

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def bytes(self) -> int:
        return to_bytes(self.size)

    @property
    def is_bound(self) -> bool:
        return self.phase == "Bound"

    @property
    def is_temporary(self) -> bool:
        """Whether a migration made it from a snapshot, to read it."""
        return SNAPSHOT_LABEL in (self.raw["metadata"].get("labels") or {})

    @property
    def is_going(self) -> bool:
        return "deletionTimestamp" in self.raw["metadata"]


def claim_of(raw: Object) -> Claim:
    """The claim that an API object describes."""
    spec, status = raw["spec"], raw.get("status") or {}
    requested = spec.get("resources", {}).get("requests", {}).get("storage", "0")
    granted = (status.get("capacity") or {}).get("storage", "0")
    return Claim(
        namespace=raw["metadata"]["namespace"],
        name=raw["metadata"]["name"],
        volume=spec.get("volumeName", ""),
        size=granted if to_bytes(granted) >= to_bytes(requested) else requested,
        storage_class=spec.get("storageClassName") or "",
        access_modes=spec.get("accessModes") or [],
        mode=spec.get("volumeMode") or "Filesystem",
        phase=status.get("phase") or "Pending",
        raw=raw,
    )


def claims_in(connection: Connection, namespace: str) -> list[Claim]:
    """The claims of the namespace by name, but for those that are being deleted and a migration's temporary ones."""
    found = [claim_of(raw) for raw in connection.list(CLAIMS, namespace)]
    wanted = [claim for claim in found if not claim.is_going and not claim.is_temporary]
    return sorted(wanted, key=lambda claim: claim.name)


def chosen_claims(connection: Connection, namespace: str, spec: Spec) -> list[Claim]:
    """The claims of a namespace of the source that go along, by name."""
    chooser = Chooser(spec.selection)
    return [claim for claim in claims_in(connection, namespace) if not chooser.why_not_claim(claim.raw)]


def volume_of(migration: Migration, claim: Claim, destination_class: str) -> MigrationVolume:
    """The row for a claim, not saved: enough to make the destination's claim from."""
    metadata = claim.raw["metadata"]
    return MigrationVolume(
        migration=migration,
        namespace=claim.namespace,
        claim=claim.name,
        volume=claim.volume,
        volume_mode=claim.mode,
        access_modes=claim.access_modes,
        capacity_bytes=claim.bytes,
        source_class=claim.storage_class,
        destination_class=destination_class,
        source_claim={
            "metadata": {key: metadata[key] for key in CARRIED if key in metadata},
            "size": claim.size,
        },
    )


def users_of_claims(connection: Connection, namespace: str) -> dict[str, list[Object]]:
    """The pods of the namespace that run or will, but for movers, by the names of the claims that they use."""
    users: dict[str, list[Object]] = {}
    for pod in connection.list("pods", namespace):
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if ended or VOLUME_LABEL in (pod["metadata"].get("labels") or {}):
            continue
        for claim in claims_of_pod(pod):
            users.setdefault(claim, []).append(pod)
    return users


def claims_of_pod(pod: Object) -> Iterator[str]:
    """The names of the claims that the pod uses, those of its own life among them."""
    yield from claims_in_spec(pod["spec"])
    for volume in pod["spec"].get("volumes") or ():
        if "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def claims_in_spec(spec: Object) -> Iterator[str]:
    """The names of the claims that a pod's spec names."""
    for volume in spec.get("volumes") or ():
        if claim := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
            yield claim
