"""Volume snapshots: copies of volumes' folders, kept under `snapshots/<name of the content>` in the cluster's state."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    find,
    key_of,
    own_key,
    reconcile_loop,
    update_status,
)
from demo.cluster.controllers.quantities import quantity
from demo.cluster.controllers.volumes import CLAIMS, SNAPSHOTS, VOLUMES, copy_folder, volume_folder

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

CONTENTS = "volumesnapshotcontents.snapshot.storage.k8s.io"
CLASSES = "volumesnapshotclasses.snapshot.storage.k8s.io"
COMPONENT = "snapshot-controller"
FINALIZERS = [
    "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection",
    "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection",
]
CONTENT_FINALIZER = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"
RETRY_SECONDS = 1.0


async def run(api: ClusterAPI) -> None:
    """Take and remove snapshots for ever."""
    await reconcile_loop(api, {SNAPSHOTS: own_key}, reconcile)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one VolumeSnapshot."""
    snapshot = find(api, SNAPSHOTS, *key)
    if snapshot is None:
        return None
    content_name = f"snapcontent-{snapshot['metadata']['uid']}"
    if "deletionTimestamp" in snapshot["metadata"]:
        _remove(api, snapshot, content_name)
        return None
    if snapshot.get("status", {}).get("readyToUse"):
        return None
    claim = find(api, CLAIMS, key[0], snapshot["spec"]["source"].get("persistentVolumeClaimName", "-"))
    volume = find(api, VOLUMES, None, claim["spec"].get("volumeName", "-")) if claim else None
    snapshot_class = find(api, CLASSES, None, snapshot["spec"].get("volumeSnapshotClassName", "-"))
    if claim is None or volume is None or snapshot_class is None:
        return RETRY_SECONDS
    if snapshot["metadata"].get("finalizers") != FINALIZERS:
        snapshot["metadata"]["finalizers"] = FINALIZERS
        snapshot = api.update(SNAPSHOTS, snapshot)
    place = "/".join(map(str, key))
    message = f"Waiting for a snapshot {place} to be created by the CSI driver."
    api.record_event(snapshot, "Normal", "CreatingSnapshot", message, component=COMPONENT)
    copy_folder(volume_folder(api, volume["metadata"]["name"]), api.state / "snapshots" / content_name)
    taken = time.time_ns()
    if find(api, CONTENTS, None, content_name) is None:
        _create_content(api, content_name, snapshot, snapshot_class, volume, taken)
    status = {
        "boundVolumeSnapshotContentName": content_name,
        "creationTime": datetime.fromtimestamp(taken / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "readyToUse": True,
        "restoreSize": volume["spec"]["capacity"]["storage"],
    }
    snapshot = update_status(api, SNAPSHOTS, snapshot, status)
    message = f"Snapshot {place} was successfully created by the CSI driver."
    api.record_event(snapshot, "Normal", "SnapshotCreated", message, component=COMPONENT)
    api.record_event(snapshot, "Normal", "SnapshotReady", f"Snapshot {place} is ready to use.", component=COMPONENT)
    return None


def _create_content(
    api: ClusterAPI, name: str, snapshot: Object, snapshot_class: Object, volume: Object, taken: int
) -> None:
    namespace, snapshot_name = key_of(snapshot)
    handle = volume["spec"].get("csi", {}).get("volumeHandle", volume["metadata"]["name"])
    content = api.create(
        CONTENTS,
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshotContent",
            "metadata": {"name": name, "finalizers": [CONTENT_FINALIZER]},
            "spec": {
                "deletionPolicy": snapshot_class["deletionPolicy"],
                "driver": snapshot_class["driver"],
                "source": {"volumeHandle": handle},
                "sourceVolumeMode": volume["spec"].get("volumeMode", "Filesystem"),
                "volumeSnapshotClassName": snapshot_class["metadata"]["name"],
                "volumeSnapshotRef": {
                    "apiVersion": snapshot["apiVersion"],
                    "kind": "VolumeSnapshot",
                    "name": snapshot_name,
                    "namespace": namespace,
                    "resourceVersion": snapshot["metadata"]["resourceVersion"],
                    "uid": snapshot["metadata"]["uid"],
                },
            },
        },
    )
    status = {
        "creationTime": taken,
        "readyToUse": True,
        "restoreSize": int(quantity(volume["spec"]["capacity"]["storage"])),
        "snapshotHandle": f"snap-{name.removeprefix('snapcontent-')}",
    }
    update_status(api.acting_as("csi-snapshotter"), CONTENTS, content, status)


def _remove(api: ClusterAPI, snapshot: Object, content_name: str) -> None:
    content = find(api, CONTENTS, None, content_name)
    if content is not None and content["spec"]["deletionPolicy"] == "Delete":
        shutil.rmtree(api.state / "snapshots" / content_name, ignore_errors=True)
        delete_quietly(api, CONTENTS, content)
        content = find(api, CONTENTS, None, content_name)
        if content is not None:
            content["metadata"].pop("finalizers", None)
            api.update(CONTENTS, content)
    snapshot["metadata"].pop("finalizers", None)
    api.update(SNAPSHOTS, snapshot)
