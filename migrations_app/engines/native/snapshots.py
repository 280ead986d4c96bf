"""Reading from a snapshot: of a claim that nobody else can mount, or of one instant for all volumes.

A VolumeSnapshot of the claim, and a temporary claim made from it that the pusher mounts in the place of the real one.
Both carry the migration's marks and go at clean-up. Verifications read in the same way, on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.claims import CLAIMS, Claim
from migrations_app.engines.native import manifests
from migrations_app.models import Migration, MigrationVolume
from migrations_app.resources.marks import SNAPSHOT_LABEL
from migrations_app.resources.quantities import to_bytes
from migrations_app.resources.spec import VolumeSnapshots

Object = dict[str, Any]
SNAPSHOTS = "volumesnapshots.snapshot.storage.k8s.io"
CLASSES = "volumesnapshotclasses.snapshot.storage.k8s.io"
DEFAULT_CLASS = "snapshot.storage.kubernetes.io/is-default-class"
# What is done there, as verb, resource and subresource.
NEEDED = tuple((verb, resource, "") for verb in ("create", "get", "list", "delete") for resource in (SNAPSHOTS, CLAIMS))
# A snapshot of a large disk is copied to where snapshots are kept; one that is not ready after this will not be.
PATIENCE = timedelta(minutes=30)


class NotReady(Exception):
    """A snapshot that is waited for no longer; the message says what of it, without who."""


@dataclass(frozen=True)
class Reading:
    """How a claim is read: from a snapshot of this class, or live, and why that is."""

    snapshot_class: str = ""
    why_live: str = ""


@dataclass
class Offer:
    """What the cluster can take snapshots of; asked once."""

    connection: Connection
    _classes: dict[str, str] | None = None
    _may: dict[str, bool] = field(default_factory=dict)

    def reading_of(self, claim: Claim) -> Reading:
        """From a snapshot where one can be taken of the claim's disk, else why not. Raises KubeError."""
        if not self.classes():
            return Reading(why_live=_("the cluster has no VolumeSnapshotClass that the account may see"))
        if not claim.storage_class:
            return Reading(why_live=_("the claim has no storage class, from which a temporary claim could be made"))
        if not self._may_in(claim.namespace):
            return Reading(why_live=_("the account may not make, get, list and delete VolumeSnapshots and claims here"))
        try:
            disk = self.connection.get("persistentvolumes", claim.volume)
        except (errors.Forbidden, errors.NotFound):
            return Reading(why_live=_("its PersistentVolume, which names the driver, cannot be read"))
        driver = (disk["spec"].get("csi") or {}).get("driver", "")
        if name := self.classes().get(driver, ""):
            return Reading(name)
        if not driver:
            return Reading(why_live=_("its volume is not of a CSI driver"))
        return Reading(why_live=_("no VolumeSnapshotClass is of its driver %(driver)s") % {"driver": driver})

    def classes(self) -> dict[str, str]:
        """The class for each driver, the default one where it has several."""
        if self._classes is None:
            self._classes = {}
            if self.connection.discovery().find(CLASSES) is not None:
                try:
                    found = sorted(self.connection.list(CLASSES), key=_is_default)
                except errors.Forbidden:
                    found = []
                self._classes = {each["driver"]: each["metadata"]["name"] for each in found}
        return self._classes

    def _may_in(self, namespace: str) -> bool:
        if namespace not in self._may:
            self._may[namespace] = all(
                self.connection.can_i(verb, resource, namespace, subresource=sub) for verb, resource, sub in NEEDED
            )
        return self._may[namespace]


def readings(
    offer: Offer, claims: Iterable[Claim], users: Mapping[str, list[Object]], wanted: VolumeSnapshots
) -> dict[tuple[str, str], Reading]:
    """How each claim is read, by namespace and name. Raises KubeError."""
    found = {}
    for claim in claims:
        held = "ReadWriteOncePod" in claim.access_modes and users.get(claim.name)
        if wanted == VolumeSnapshots.NEVER:
            reading = Reading(why_live=_("the migration takes no snapshots"))
        elif wanted == VolumeSnapshots.WHEN_NEEDED and not held:
            reading = Reading(why_live=_("snapshots are taken only where a pod holds a volume alone"))
        else:
            reading = offer.reading_of(claim)
        found[claim.namespace, claim.name] = reading
    return found


def _is_default(snapshot_class: Object) -> bool:
    return (snapshot_class["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"


@dataclass(frozen=True)
class Copy:
    """A claim that is to be read from a snapshot: `name` is that of the snapshot and of the temporary claim."""

    name: str
    namespace: str
    claim: str
    snapshot_class: str
    storage_class: str
    volume_mode: str
    size: str
    labels: Mapping[str, str]


def copy_for(migration: Migration, volume: MigrationVolume) -> Copy:
    """What the volume's pusher reads."""
    return Copy(
        name=manifests.snapshot_name(volume),
        namespace=volume.namespace,
        claim=volume.claim,
        snapshot_class=volume.snapshot_class,
        storage_class=volume.source_class,
        volume_mode=volume.volume_mode,
        size=str(volume.source_claim["size"]),
        labels={**manifests.labels(migration, volume), SNAPSHOT_LABEL: str(volume.pk)},
    )


def take(connection: Connection, copies: Iterable[Copy]) -> None:
    """Take the snapshots that are not there yet, one right after the other. Raises KubeError."""
    for copy in copies:
        body = {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "metadata": _metadata(copy),
            "spec": {
                "volumeSnapshotClassName": copy.snapshot_class,
                "source": {"persistentVolumeClaimName": copy.claim},
            },
        }
        _create(connection, SNAPSHOTS, body)


def prepare(connection: Connection, copy: Copy) -> str:
    """Make the claim that is mounted; what is still waited for, or empty. Raises KubeError, NotReady."""
    snapshot = connection.get(SNAPSHOTS, copy.name, copy.namespace)
    status = snapshot.get("status") or {}
    if not status.get("readyToUse"):
        why = str((status.get("error") or {}).get("message") or "")
        said = f"its snapshot is not ready{f': {why}' if why else ''}"
        age = datetime.now(UTC) - datetime.fromisoformat(snapshot["metadata"]["creationTimestamp"])
        if age > PATIENCE:
            raise NotReady(said)
        return said
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(copy),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": copy.volume_mode,
            "storageClassName": copy.storage_class,
            "resources": {"requests": {"storage": max(copy.size, str(status.get("restoreSize") or "0"), key=to_bytes)}},
            "dataSource": {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": copy.name},
        },
    }
    _create(connection, CLAIMS, body)
    return ""


def remove(connection: Connection, migration: Migration, namespace: str) -> bool:
    """Delete the migration's temporary claims and snapshots in the namespace; whether they are gone. Raises KubeError.

    A claim that a pod still mounts goes when the pod has.
    """
    gone = True
    selector = f"{manifests.MIGRATION_LABEL}={migration.pk},{SNAPSHOT_LABEL}"
    for resource in (CLAIMS, SNAPSHOTS):
        if connection.discovery().find(resource) is None:
            continue
        try:
            found = list(connection.list(resource, namespace, label_selector=selector))
        except errors.Forbidden:
            # Who may not list them was not let make any.
            continue
        for each in found:
            gone = False
            if not each["metadata"].get("deletionTimestamp"):
                connection.delete(resource, each["metadata"]["name"], namespace, uid=each["metadata"]["uid"])
    return gone


def _metadata(copy: Copy) -> Object:
    return {"name": copy.name, "namespace": copy.namespace, "labels": dict(copy.labels)}


def _create(connection: Connection, resource: str, body: Object) -> None:
    try:
        connection.create(resource, body)
    except errors.AlreadyExists:
        return
