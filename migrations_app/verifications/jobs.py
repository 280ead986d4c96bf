"""The Job and the Secret of a reader: the claim mounted read-only, the mover's `digest`, and a key of its own."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.claims import Claim
from migrations_app.engines.native import manifests, movers, pod_options, privileges
from migrations_app.engines.native.settling import Settled
from migrations_app.engines.native.snapshots import Copy
from migrations_app.models import Migration
from migrations_app.resources.marks import SNAPSHOT_LABEL
from migrations_app.verifications.models import VolumeVerification

Object = dict[str, Any]


def name_of(row: VolumeVerification) -> str:
    """The name of the Job, and of its Secret, on either side."""
    return f"kubemotion-digest-{row.volume.migration_id.hex[:8]}-{row.volume.pk}-{row.look}"


def container_of(row: VolumeVerification) -> str:
    return manifests.container_name(row.volume)


def namespace_of(row: VolumeVerification, side: str) -> str:
    return row.volume.namespace if side == "source" else row.volume.destination_namespace


def copy_for(row: VolumeVerification, side: str, claim: Claim) -> Copy:
    """The snapshot that is read in the place of the claim, in both looks."""
    migration, volume = row.volume.migration, row.volume
    return Copy(
        name=_copy_name(row),
        namespace=claim.namespace,
        claim=claim.name,
        snapshot_class=row.of(side)["snapshot_class"],
        storage_class=claim.storage_class,
        volume_mode=claim.mode,
        size=claim.size,
        labels={**manifests.labels(migration, volume), SNAPSHOT_LABEL: str(volume.pk)},
    )


def _copy_name(row: VolumeVerification) -> str:
    return f"kubemotion-digest-{row.volume.migration_id.hex[:8]}-{row.volume.pk}"


def ensure(connection: Connection, row: VolumeVerification, side: str, settled: Settled) -> None:
    """Make the Job and its Secret unless they are there; repeating is safe. Raises KubeError."""
    name, namespace = name_of(row), namespace_of(row, side)
    try:
        job = connection.get(movers.JOBS, name, namespace)
    except errors.NotFound:
        try:
            job = connection.create(movers.JOBS, _job(row, side, settled))
        except errors.AlreadyExists:
            job = connection.get(movers.JOBS, name, namespace)
    # The Job comes first because it owns the Secrets; its pod waits until they are there.
    movers.ensure_pull_secret(connection, job, manifests.labels(row.volume.migration, row.volume))
    movers.ensure_secret(connection, _secret(row, side, job))


def _job(row: VolumeVerification, side: str, settled: Settled) -> Object:
    volume, migration = row.volume, row.volume.migration
    raw = volume.volume_mode == manifests.BLOCK
    source: Object = {"claimName": _copy_name(row) if row.of(side).get("snapshot_class") else volume.claim}
    data = {"name": "data"}
    container = {
        "name": container_of(row),
        "image": settings.MOVER_IMAGE,
        "args": ["digest", "--path", manifests.DEVICE_PATH if raw else manifests.MOUNT_PATH, *_second_look(row)],
        "envFrom": [{"secretRef": {"name": name_of(row)}}],
        "env": [{"name": name, "value": value} for name, value in _environment(row).items() if value],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": pod_options.resources(),
        "securityContext": privileges.container_context("push", settled.power, raw=raw),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    if raw:
        # A device has no read-only mount: the kubelet hands it out for reading alone where the claim is read-only.
        source["readOnly"] = True
        container["volumeDevices"] = [{**data, "devicePath": manifests.DEVICE_PATH}]
    else:
        container["volumeMounts"].append({**data, "mountPath": manifests.MOUNT_PATH, "readOnly": True})
    pod = {
        "securityContext": privileges.pod_context(settled.power),
        "containers": [container],
        "volumes": [{**data, "persistentVolumeClaim": source}, {"name": "tmp", "emptyDir": {}}],
        **settled.placement.spec(),
    }
    metadata = _metadata(migration, row, side)
    return manifests.job_around(pod, {**metadata, "annotations": {manifests.CLAIMS_ANNOTATION: volume.claim}})


def _second_look(row: VolumeVerification) -> list[str]:
    return ["--buckets", ",".join(map(str, row.buckets))] if row.look == 2 else []


def _environment(row: VolumeVerification) -> dict[str, str]:
    volume = row.volume
    raw = volume.volume_mode == manifests.BLOCK
    return {
        "MOVER_TERMINATION_LOG": "/dev/termination-log",
        "MOVER_VOLUME": str(volume),
        "MOVER_VOLUME_MODE": volume.volume_mode,
        # The destination's device may be larger than what was migrated.
        "MOVER_DEVICE_BYTES": str(volume.bytes_total or "") if raw else "",
        "MOVER_LEAVE_OUT": ",".join(row.left_out),
        "MOVER_WORKERS": str(settings.MOVER_WORKERS or ""),
        "TMPDIR": "/tmp",
    }


def _secret(row: VolumeVerification, side: str, owner: Object) -> Object:
    reference = {"apiVersion": "batch/v1", "kind": "Job"} | {key: owner["metadata"][key] for key in ("name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**_metadata(row.volume.migration, row, side), "ownerReferences": [reference]},
        "type": "Opaque",
        "data": {"MOVER_DIGEST_KEY": manifests.encoded(row.verification.key)},
    }


def _metadata(migration: Migration, row: VolumeVerification, side: str) -> Object:
    return {
        "name": name_of(row),
        "namespace": namespace_of(row, side),
        "labels": manifests.labels(migration, row.volume),
    }
