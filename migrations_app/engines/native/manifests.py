"""The Jobs and Secrets of the movers, and the claims and namespaces on the destination, as plain dicts.

Every name is derived from the migration and the volume, so that a repeated step finds its own work.
"""

from __future__ import annotations

import base64
import posixpath
from typing import Any

from django.conf import settings

from clusters.temporary_keys import TemporaryKeys
from migrations_app.engines.native import pod_options, privileges
from migrations_app.engines.native.placement import Placement
from migrations_app.engines.native.privileges import Direction, Power
from migrations_app.models import Migration, MigrationVolume
from migrations_app.resources.marks import MANAGED_BY, MIGRATION_LABEL, SOURCE_ANNOTATION, VOLUME_LABEL
from migrations_app.resources.transform import FOREIGN_ANNOTATIONS

Object = dict[str, Any]
MOUNT_PATH = "/data"
DEVICE_PATH = "/dev/volume"
BLOCK = "Block"
CLAIMS_ANNOTATION = "kubemotion.io/claims"
# On Secrets with temporary keys: the direction of their mover, and when they are over.
KEYS_LABEL = "kubemotion.io/keys-for"
EXPIRES_ANNOTATION = "kubemotion.io/keys-expire-at"
KEYS_PATH, KEYS_FILE = "/keys", "keys.json"
# Exit codes of the mover that trying again cannot mend: usage, refused store, integrity, no space, unreadable, foreign.
HOPELESS_EXIT_CODES = [2, 4, 5, 6, 7, 8]
RETRIES = 6


def own_name(direction: Direction, volume: MigrationVolume) -> str:
    """The name of the volume's Secret, and of its Job where it has one of its own or began it."""
    return f"kubemotion-{direction}-{volume.migration_id.hex[:8]}-{volume.pk}"


def job_name(direction: Direction, volume: MigrationVolume) -> str:
    """The Job that carries the volume, alone or among others."""
    return volume.job_of(direction) or own_name(direction, volume)


def container_name(volume: MigrationVolume) -> str:
    """The volume's container in its Job's pod."""
    return f"mover-{volume.pk}"


def snapshot_name(volume: MigrationVolume) -> str:
    """The volume's snapshot, and the temporary claim made from it."""
    return f"kubemotion-snapshot-{volume.migration_id.hex[:8]}-{volume.pk}"


def labels(migration: Migration, volume: MigrationVolume | None = None) -> dict[str, str]:
    found = {**MANAGED_BY, MIGRATION_LABEL: str(migration.pk)}
    return found if volume is None else {**found, VOLUME_LABEL: str(volume.pk)}


def prefix(migration: Migration, volume: MigrationVolume | None = None) -> str:
    """Where in the bucket the migration's (or one volume's) data lies."""
    parts = [migration.pair.object_store.prefix.strip("/"), str(migration.pk)]
    if volume is not None:
        parts.append(str(volume.pk))
    return posixpath.join(*[part for part in parts if part])


def secret(
    direction: Direction, migration: Migration, volume: MigrationVolume, owner: Object, *, temporary: bool
) -> Object:
    """What the mover needs to know and nobody else may: it goes with its Job.

    With `temporary` keys, those are in a Secret of their own, and the store's own pair stays here.
    """
    store = migration.pair.object_store
    values = {
        "MOVER_S3_ENDPOINT": store.endpoint,
        "MOVER_S3_REGION": store.region,
        "MOVER_S3_BUCKET": store.bucket,
        "MOVER_S3_PREFIX": prefix(migration, volume),
        "MOVER_S3_PATH_STYLE": str(store.path_style).lower(),
        "MOVER_S3_CA_BUNDLE_PEM": store.ca_bundle,
        "AWS_ACCESS_KEY_ID": "" if temporary else store.access_key_id,
        "AWS_SECRET_ACCESS_KEY": "" if temporary else store.secret_access_key,
        "MOVER_DATA_KEY": migration.data_key,
        "MOVER_VOLUME": str(volume),
        "MOVER_BYTES_PER_SECOND": str(settings.MOVER_BYTES_PER_SECOND or ""),
    }
    data = {name: encoded(value) for name, value in values.items() if value}
    return _secret(own_name(direction, volume), direction, migration, volume, owner, data)


def keys_secret(
    direction: Direction, migration: Migration, volume: MigrationVolume, owner: Object, keys: TemporaryKeys
) -> Object:
    """The mover's temporary keys, which are renewed while it works."""
    name = keys_name(direction, volume)
    made = _secret(name, direction, migration, volume, owner, keys_data(keys))
    made["metadata"]["labels"][KEYS_LABEL] = direction
    made["metadata"]["annotations"] = expiry(keys)
    return made


def keys_name(direction: Direction, volume: MigrationVolume) -> str:
    """The name of the Secret with the mover's temporary keys."""
    return f"{own_name(direction, volume)}-keys"


def keys_data(keys: TemporaryKeys) -> dict[str, str]:
    """The content of a Secret with these keys."""
    return {KEYS_FILE: encoded(keys.to_json())}


def expiry(keys: TemporaryKeys) -> dict[str, str]:
    """The annotation that says when the keys are over."""
    return {EXPIRES_ANNOTATION: keys.expires_at.isoformat()}


def has_temporary_keys(job: Object, volume: MigrationVolume) -> bool:
    """Whether the volume's mover in this Job waits for a Secret with temporary keys."""
    mounted = job["spec"]["template"]["spec"].get("volumes") or ()
    return any(each["name"] == f"keys-{volume.pk}" for each in mounted)


def _secret(
    name: str,
    direction: Direction,
    migration: Migration,
    volume: MigrationVolume,
    owner: Object,
    data: dict[str, str],
) -> Object:
    reference = {"apiVersion": "batch/v1", "kind": "Job"} | {key: owner["metadata"][key] for key in ("name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": volume.namespace_of(direction),
            "labels": labels(migration, volume),
            "ownerReferences": [reference],
        },
        "type": "Opaque",
        "data": data,
    }


def encoded(text: str) -> str:
    """A value of a Secret's `data`."""
    return base64.b64encode(text.encode()).decode()


def job(
    direction: Direction, migration: Migration, volumes: list[MigrationVolume], power: Power, placement: Placement
) -> Object:
    """The Job that carries the volumes, which are of one namespace, with this power and in this place."""
    first = volumes[0]
    temporary = migration.pair.object_store.gives_temporary_keys
    shared = len(volumes) > 1
    mounted = [_claim_source(direction, volume) for volume in volumes]
    if temporary:
        mounted += [_keys_source(direction, volume) for volume in volumes]
    pod: Object = {
        "securityContext": privileges.pod_context(power),
        "containers": [_container(direction, volume, power, shared=shared, temporary=temporary) for volume in volumes],
        "volumes": [*mounted, {"name": "tmp", "emptyDir": {}}],
        **placement.spec(),
    }
    # Rather side by side than on each other's way to the network and the disks.
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    pod["topologySpreadConstraints"] = [{**spread, "labelSelector": {"matchLabels": labels(migration)}}]
    metadata = {
        "name": job_name(direction, first),
        "namespace": first.namespace_of(direction),
        "labels": labels(migration, first),
        "annotations": {CLAIMS_ANNOTATION: ", ".join(volume.claim for volume in volumes)},
    }
    return job_around(pod, metadata)


def job_around(pod: Object, metadata: Object) -> Object:
    """A Job of this pod, which also gets what all movers' pods have in common."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": RETRIES,
            "podFailurePolicy": {
                "rules": [
                    # A drained node is nobody's failure.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    # Of any container: each is a mover.
                    {"action": "FailJob", "onExitCodes": {"operator": "In", "values": HOPELESS_EXIT_CODES}},
                ]
            },
            # A service mesh's proxy would keep the Job from ever ending.
            "template": {
                "metadata": {
                    "labels": {**metadata["labels"], "sidecar.istio.io/inject": "false"},
                    "annotations": {**metadata["annotations"], "linkerd.io/inject": "disabled"},
                },
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 10,
                    **pod,
                    **pod_options.added(metadata["name"], pod),
                },
            },
        },
    }


def _claim_source(direction: Direction, volume: MigrationVolume) -> Object:
    from_snapshot = direction == "push" and volume.snapshot_class
    source: Object = {"claimName": snapshot_name(volume) if from_snapshot else volume.claim}
    if volume.volume_mode == BLOCK and direction == "push":
        # A device has no read-only mount: the kubelet hands it out for reading alone where the claim is read-only.
        source["readOnly"] = True
    return {"name": f"data-{volume.pk}", "persistentVolumeClaim": source}


def _keys_source(direction: Direction, volume: MigrationVolume) -> Object:
    # For every user to read: the pod's may be any, and an fsGroup is not always given.
    source = {"secretName": keys_name(direction, volume), "defaultMode": 0o444}
    return {"name": f"keys-{volume.pk}", "secret": source}


def _container(direction: Direction, volume: MigrationVolume, power: Power, *, shared: bool, temporary: bool) -> Object:
    raw = volume.volume_mode == BLOCK
    data = {"name": f"data-{volume.pk}", "mountPath": MOUNT_PATH, **({"readOnly": True} if direction == "push" else {})}
    workers = settings.MOVER_WORKERS or (1 if shared else 0)
    environment = {
        "MOVER_TERMINATION_LOG": "/dev/termination-log",
        "MOVER_VOLUME_MODE": volume.volume_mode,
        "MOVER_WORKERS": str(workers or ""),
        "MOVER_CREDENTIALS_FILE": f"{KEYS_PATH}/{KEYS_FILE}" if temporary else "",
        "TMPDIR": "/tmp",
    }
    mounts = [] if raw else [data]
    if temporary:
        mounts.append({"name": f"keys-{volume.pk}", "mountPath": KEYS_PATH, "readOnly": True})
    return {
        "name": container_name(volume),
        "image": settings.MOVER_IMAGE,
        "args": [direction, "--path", DEVICE_PATH if raw else MOUNT_PATH],
        "envFrom": [{"secretRef": {"name": own_name(direction, volume)}}],
        "env": [{"name": name, "value": value} for name, value in environment.items() if value],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": pod_options.resources(shared=shared),
        "securityContext": privileges.container_context(direction, power, raw=raw),
        "volumeMounts": [*mounts, {"name": "tmp", "mountPath": "/tmp"}],
        **({"volumeDevices": [{"name": data["name"], "devicePath": DEVICE_PATH}]} if raw else {}),
    }


# What a cluster or its management sets for itself. OpenShift's ranges of user ids (openshift.io/sa.scc.*) do travel:
# the files belong to those ids, and pods are given theirs from these annotations.
NOT_CARRIED = ("openshift.io/requester", "field.cattle.io/", "lifecycle.cattle.io/", "cattle.io/")


def namespace(migration: Migration, source: Object) -> Object:
    """The namespace on the destination: the source's labels and annotations, but not what clusters set themselves."""
    metadata = source["metadata"]
    annotations = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if not name.startswith(NOT_CARRIED) and name not in FOREIGN_ANNOTATIONS
    }
    kept = {k: v for k, v in (metadata.get("labels") or {}).items() if k != "kubernetes.io/metadata.name"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": migration.spec().namespace_for(metadata["name"]),
            "labels": {**kept, MIGRATION_LABEL: str(migration.pk)},
            "annotations": {**annotations, SOURCE_ANNOTATION: str(migration.pair.source)},
        },
    }


def claim(migration: Migration, volume: MigrationVolume) -> Object:
    """The claim on the destination: the source's, with the mapped class and at least its capacity."""
    source = volume.source_claim
    metadata = source["metadata"]
    annotations = {
        name: value for name, value in (metadata.get("annotations") or {}).items() if name not in FOREIGN_ANNOTATIONS
    }
    spec: Object = {
        "accessModes": [migration.access_mode_mapping.get(mode, mode) for mode in volume.access_modes],
        "volumeMode": volume.volume_mode,
        "resources": {"requests": {"storage": source["size"]}},
    }
    if volume.destination_class:
        spec["storageClassName"] = volume.destination_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": volume.claim,
            "namespace": volume.destination_namespace,
            "labels": {**(metadata.get("labels") or {}), MIGRATION_LABEL: str(migration.pk)},
            "annotations": {**annotations, SOURCE_ANNOTATION: str(migration.pair.source)},
        },
        "spec": spec,
    }
