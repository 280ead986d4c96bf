"""Volumes and resources as Stork's status has them, written into our rows: only what changed, then one push."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from django.utils import timezone

from clusters.kube.connection import Connection
from clusters.portworx.migration import MigrationStatus, ResourceStatus, VolumeStatus
from migrations_app import live
from migrations_app.models import Migration, MigrationResource, MigrationVolume, Status
from migrations_app.resources.quantities import to_bytes

Object = dict[str, Any]
Rows = dict[tuple[str, str], Object]
STATUSES = {
    "": Status.PENDING,
    "Pending": Status.PENDING,
    "InProgress": Status.IN_PROGRESS,
    "Failed": Status.FAILED,
    "PartialSuccess": Status.PARTIAL_SUCCESS,
    "Successful": Status.SUCCESSFUL,
    # Gone from the destination because it is gone from the source: done as it was asked for.
    "Purged": Status.SUCCESSFUL,
}
PURGED = "purged"
OVER = {Status.FAILED, Status.SUCCESSFUL, Status.PARTIAL_SUCCESS, Status.CANCELLED}
VOLUME_FIELDS = (
    *("status", "reason", "volume", "bytes_total", "bytes_pushed", "bytes_pulled", "bytes_sent", "rate"),
    *("eta_seconds", "measured_at", "started_at", "finished_at"),
)
RESOURCE_FIELDS = ("order", "version", "status", "reason", "action")
RATE_SECONDS = 10.0


def bring_up_to_date(migration: Migration, status: MigrationStatus, claims: Rows, facts: Rows) -> bool:
    """Write what differs from the rows, and push it; whether anything did. To be called in a transaction.

    `claims` are the source's claims by namespace and name, and `facts` what Portworx says of their volumes, for rows
    that are new.
    """
    now = timezone.now()
    volumes = _volumes(migration, status, claims, facts, now)
    resources = _resources(migration, status)
    if volumes or resources:
        live.state_changed(migration, volumes=volumes, resources=resources)
    return bool(volumes or resources)


def lacks_volumes(migration: Migration, status: MigrationStatus) -> bool:
    """Whether the status names a claim that has no row yet."""
    known = set(migration.volumes.values_list("namespace", "claim"))
    return any((each.namespace, each.claim) not in known for each in status.volumes)


def claims_of(connection: Connection, status: MigrationStatus) -> Rows:
    """The claims that the status names, as the source has them."""
    wanted = {(volume.namespace, volume.claim) for volume in status.volumes}
    found = {
        (namespace, each["metadata"]["name"]): each
        for namespace in {namespace for namespace, _claim in wanted}
        for each in connection.list("persistentvolumeclaims", namespace)
    }
    return {key: each for key, each in found.items() if key in wanted}


def _volumes(
    migration: Migration, status: MigrationStatus, claims: Rows, facts: Rows, now: datetime
) -> list[MigrationVolume]:
    known = {(row.namespace, row.claim): row for row in migration.volumes.all()}
    changed = []
    for each in status.volumes:
        row = known.get((each.namespace, each.claim))
        if row is None:
            key = each.namespace, each.claim
            row = _new_volume(migration, each, claims.get(key), facts.get(key) or {})
        before = [getattr(row, name) for name in VOLUME_FIELDS]
        note_volume(row, each, now)
        if row.pk is None:
            row.save(force_insert=True)
        elif before != [getattr(row, name) for name in VOLUME_FIELDS]:
            row.save(update_fields=VOLUME_FIELDS)
        else:
            continue
        changed.append(row)
    return changed


def _new_volume(migration: Migration, volume: VolumeStatus, claim: Object | None, facts: Object) -> MigrationVolume:
    spec = (claim or {}).get("spec") or {}
    storage_class = spec.get("storageClassName") or ""
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage") or "0"
    return MigrationVolume(
        migration=migration,
        namespace=volume.namespace,
        claim=volume.claim,
        volume=volume.volume,
        volume_mode=spec.get("volumeMode") or "Filesystem",
        access_modes=spec.get("accessModes") or [],
        capacity_bytes=to_bytes(size),
        source_class=storage_class,
        destination_class=storage_class,
        portworx=facts,
    )


def note_volume(row: MigrationVolume, volume: VolumeStatus, now: datetime) -> None:
    """Take over how the volume is; nothing is saved. Backup is what we call sending, Restore restoring."""
    row.status, row.reason, row.volume = STATUSES.get(volume.status, Status.PENDING), volume.reason, volume.volume
    row.started_at = row.started_at or now
    transfer = volume.transfer()
    total = volume.bytes_total or (transfer.bytes_total if transfer else None)
    if total:
        row.bytes_total = total
    if transfer is not None and transfer.bytes_done is not None:
        _measure(row, transfer.stage, transfer.bytes_done, now)
        if transfer.eta_seconds:
            row.eta_seconds = float(transfer.eta_seconds)
    if row.status in OVER:
        row.rate = row.eta_seconds = None
        row.finished_at = row.finished_at or now
    if row.status == Status.SUCCESSFUL:
        row.bytes_total = volume.bytes_total
        row.bytes_pushed = row.bytes_pulled = row.bytes_sent = volume.bytes_total


def _measure(row: MigrationVolume, stage: str, done: int, now: datetime) -> None:
    """Bars, a rate as a moving average, and the time to go of this part of the way, from one look to the next."""
    if stage == "Backup":
        before, row.bytes_pushed = row.bytes_pushed, max(row.bytes_pushed, done)
        row.bytes_sent, current = row.bytes_pushed, row.bytes_pushed
    else:
        row.bytes_pushed = max(row.bytes_pushed, row.bytes_total or 0)
        before, row.bytes_pulled = row.bytes_pulled, max(row.bytes_pulled, done)
        current = row.bytes_pulled
    if current == before and row.measured_at is not None:
        return
    if row.measured_at is not None and now > row.measured_at:
        seconds = (now - row.measured_at).total_seconds()
        newest, weight = (current - before) / seconds, 1 - math.exp(-seconds / RATE_SECONDS)
        row.rate = newest if row.rate is None else row.rate + weight * (newest - row.rate)
    row.measured_at = now
    row.eta_seconds = None
    if row.rate and row.rate >= 1 and row.bytes_total:
        row.eta_seconds = max(0.0, (row.bytes_total - current) / row.rate)


def _resources(migration: Migration, status: MigrationStatus) -> list[MigrationResource]:
    known = {(row.group, row.kind, row.namespace, row.name): row for row in migration.resources.all()}
    new, changed = [], []
    for order, each in enumerate(status.resources):
        key = (each.group, each.kind, each.namespace, each.name)
        row = known.get(key)
        if row is None:
            row = known[key] = MigrationResource(
                migration=migration, group=each.group, kind=each.kind, namespace=each.namespace, name=each.name
            )
            note_resource(row, each, order)
            new.append(row)
            continue
        before = [getattr(row, name) for name in RESOURCE_FIELDS]
        note_resource(row, each, order)
        if before != [getattr(row, name) for name in RESOURCE_FIELDS]:
            changed.append(row)
    MigrationResource.objects.bulk_create(new)
    if changed:
        MigrationResource.objects.bulk_update(changed, RESOURCE_FIELDS)
    return [*new, *changed]


def note_resource(row: MigrationResource, resource: ResourceStatus, order: int) -> None:
    """Take over how the object is; nothing is saved."""
    row.order, row.version = order, resource.version
    row.status, row.reason = STATUSES.get(resource.status, Status.PENDING), resource.reason
    row.action = PURGED if resource.status == "Purged" else ""
    if row.action and not row.reason:
        row.reason = "Deleted on the destination, because the source does not have it any more"
