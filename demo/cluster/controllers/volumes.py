"""Claims and volumes: binding, provisioning, expansion, protection and reclaiming.

A volume is a folder `volumes/<name of the PersistentVolume>` in the cluster's state. It is made when a claim is
provisioned or bound, and removed with its PersistentVolume if the reclaim policy is Delete.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from demo.cluster.controllers import devices
from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    drop_finalizer,
    find,
    key_of,
    matches,
    reconcile_loop,
    update_status,
)
from demo.cluster.controllers.provisioners import is_served, provisioner_component, provisioner_manager, volume_spec
from demo.cluster.controllers.quantities import quantity

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"
CLASSES = "storageclasses.storage.k8s.io"
SNAPSHOTS = "volumesnapshots.snapshot.storage.k8s.io"
CONTROLLER = "persistentvolume-controller"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER_ANNOTATIONS = (
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
)
RESYNC_SECONDS = 15


async def run(api: ClusterAPI) -> None:
    """Bind, provision and reclaim for ever."""

    def claims_of_class(_: Object) -> list[Key]:
        return [key_of(claim) for claim in api.list(CLAIMS) if claim["status"].get("phase") == "Pending"]

    def claim_and_volume(claim: Object) -> list[Key]:
        volume = claim["spec"].get("volumeName")
        return [key_of(claim), *([(None, volume)] if volume else [])]

    def volume_and_claim(volume: Object) -> list[Key]:
        reference = volume["spec"].get("claimRef")
        claims = [(reference["namespace"], reference["name"])] if reference else claims_of_class(volume)
        return [key_of(volume), *claims]

    def claims_of_pod(pod: Object) -> list[Key]:
        return [(pod["metadata"]["namespace"], name) for name in claims_used_by(pod)]

    def claims_from_snapshot(snapshot: Object) -> list[Key]:
        namespace, name = key_of(snapshot)
        return [
            key_of(claim)
            for claim in api.list(CLAIMS, namespace)
            if claim["spec"].get("dataSource", {}).get("name") == name
        ]

    await reconcile_loop(
        api,
        {
            CLAIMS: claim_and_volume,
            VOLUMES: volume_and_claim,
            CLASSES: claims_of_class,
            SNAPSHOTS: claims_from_snapshot,
            "pods": claims_of_pod,
        },
        lambda api, key: reconcile_volume(api, key[1]) if key[0] is None else reconcile_claim(api, key),
    )


def volume_folder(api: ClusterAPI, volume: str) -> Path:
    """Where the files of a PersistentVolume live."""
    return api.state / "volumes" / volume


def claims_used_by(pod: Object) -> list[str]:
    """Names of the claims that the pod mounts, generic ephemeral ones included."""
    names = []
    for volume in pod["spec"].get("volumes", ()):
        if "persistentVolumeClaim" in volume:
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif "ephemeral" in volume:
            names.append(f"{pod['metadata']['name']}-{volume['name']}")
    return names


def reconcile_claim(api: ClusterAPI, key: Key) -> float | None:
    """One step for one claim."""
    claim = find(api, CLAIMS, *key)
    if claim is None:
        return None
    if "deletionTimestamp" in claim["metadata"]:
        if not _is_used(api, claim):
            drop_finalizer(api, CLAIMS, claim, "kubernetes.io/pvc-protection")
        return None
    if BIND_COMPLETED in claim["metadata"].get("annotations", {}):
        _follow_bound_volume(api, claim)
        return None
    volume = _volume_for(api, claim)
    if volume is not None:
        _bind(api, claim, volume)
        return None
    if claim["spec"].get("volumeName"):
        return None
    return _provision_by_class(api, claim)


def _is_used(api: ClusterAPI, claim: Object) -> bool:
    namespace, name = key_of(claim)
    return any(pod["spec"].get("nodeName") and name in claims_used_by(pod) for pod in api.list("pods", namespace))


def _volume_for(api: ClusterAPI, claim: Object) -> Object | None:
    """The volume that the claim names, or the smallest free one that suits it."""
    spec = claim["spec"]
    if "volumeName" in spec:
        volume = find(api, VOLUMES, None, spec["volumeName"])
        return volume if volume and _is_free_for(volume, claim) else None
    candidates = [volume for volume in api.list(VOLUMES) if _suits(volume, claim)]
    promised = [volume for volume in candidates if "claimRef" in volume["spec"]]
    return min(promised or candidates, key=lambda each: quantity(each["spec"]["capacity"]["storage"]), default=None)


def _is_free_for(volume: Object, claim: Object) -> bool:
    if "deletionTimestamp" in volume["metadata"]:
        return False
    reference = volume["spec"].get("claimRef")
    if reference is None:
        return True
    same_name = (reference.get("namespace"), reference.get("name")) == key_of(claim)
    return same_name and reference.get("uid") in (None, "", claim["metadata"]["uid"])


def _suits(volume: Object, claim: Object) -> bool:
    wanted, offered = claim["spec"], volume["spec"]
    if not _is_free_for(volume, claim) or ("dataSource" in wanted and "claimRef" not in offered):
        return False
    selector = wanted.get("selector")
    return (
        offered.get("storageClassName", "") == wanted.get("storageClassName", "")
        and offered.get("volumeMode", "Filesystem") == wanted.get("volumeMode", "Filesystem")
        and set(wanted["accessModes"]) <= set(offered["accessModes"])
        and quantity(offered["capacity"]["storage"]) >= quantity(wanted["resources"]["requests"]["storage"])
        and (selector is None or matches(selector, volume["metadata"].get("labels", {})))
    )


def _bind(api: ClusterAPI, claim: Object, volume: Object) -> None:
    namespace, name = key_of(claim)
    devices.prepare(volume_folder(api, volume["metadata"]["name"]), volume)
    if volume["spec"].get("claimRef", {}).get("uid") != claim["metadata"]["uid"]:
        if "claimRef" not in volume["spec"]:
            volume["metadata"].setdefault("annotations", {})[BOUND_BY_CONTROLLER] = "yes"
        volume["spec"]["claimRef"] = {
            "kind": "PersistentVolumeClaim",
            "namespace": namespace,
            "name": name,
            "uid": claim["metadata"]["uid"],
            "apiVersion": "v1",
            "resourceVersion": claim["metadata"]["resourceVersion"],
        }
        volume = api.update(VOLUMES, volume)
    _set_volume_phase(api, volume, "Bound")
    annotations = claim["metadata"].setdefault("annotations", {})
    annotations[BIND_COMPLETED] = "yes"
    if "volumeName" not in claim["spec"]:
        annotations[BOUND_BY_CONTROLLER] = "yes"
    claim["spec"]["volumeName"] = volume["metadata"]["name"]
    claim = api.update(CLAIMS, claim)
    _report_capacity(api, claim, volume)


def _report_capacity(api: ClusterAPI, claim: Object, volume: Object) -> None:
    status = {
        **claim.get("status", {}),
        "phase": "Bound",
        "accessModes": volume["spec"]["accessModes"],
        "capacity": {"storage": volume["spec"]["capacity"]["storage"]},
    }
    update_status(api, CLAIMS, claim, status)


def _follow_bound_volume(api: ClusterAPI, claim: Object) -> None:
    """A bound claim whose volume is gone is lost; one that asks for more gets it."""
    volume = find(api, VOLUMES, None, claim["spec"]["volumeName"])
    if volume is None:
        if claim["status"].get("phase") != "Lost":
            update_status(api, CLAIMS, claim, {"phase": "Lost"})
            message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            api.record_event(claim, "Warning", "ClaimLost", message, component=CONTROLLER)
        return
    if "claimRef" not in volume["spec"] and "deletionTimestamp" not in volume["metadata"]:
        # A claim that was copied with its annotations, or a volume that lost its reference.
        _bind(api, claim, volume)
        return
    wanted = claim["spec"]["resources"]["requests"]["storage"]
    if quantity(wanted) > quantity(volume["spec"]["capacity"]["storage"]):
        volume["spec"]["capacity"]["storage"] = wanted
        volume = api.update(VOLUMES, volume)
        devices.prepare(volume_folder(api, volume["metadata"]["name"]), volume)
        driver = claim["metadata"].get("annotations", {}).get(PROVISIONER_ANNOTATIONS[1], CONTROLLER)
        message = f"Resize volume {volume['metadata']['name']} succeeded"
        api.record_event(claim, "Normal", "VolumeResizeSuccessful", message, component=f"external-resizer {driver}")
    _report_capacity(api, claim, volume)


def _provision_by_class(api: ClusterAPI, claim: Object) -> float | None:
    class_name = claim["spec"].get("storageClassName")
    if not class_name:
        message = "no persistent volumes available for this claim and no storage class is set"
        api.record_event(claim, "Normal", "FailedBinding", message, component=CONTROLLER)
        return RESYNC_SECONDS
    storage_class = find(api, CLASSES, None, class_name)
    if storage_class is None:
        message = f'storageclass.storage.k8s.io "{class_name}" not found'
        api.record_event(claim, "Warning", "ProvisioningFailed", message, component=CONTROLLER)
        return RESYNC_SECONDS
    annotations = claim["metadata"].get("annotations", {})
    if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and SELECTED_NODE not in annotations:
        message = "waiting for first consumer to be created before binding"
        api.record_event(claim, "Normal", "WaitForFirstConsumer", message, component=CONTROLLER)
        return RESYNC_SECONDS
    return _provision(api, claim, storage_class)


def _provision(api: ClusterAPI, claim: Object, storage_class: Object) -> float | None:
    provisioner = storage_class["provisioner"]
    annotations = claim["metadata"].setdefault("annotations", {})
    if PROVISIONER_ANNOTATIONS[0] not in annotations:
        annotations.update(dict.fromkeys(PROVISIONER_ANNOTATIONS, provisioner))
        claim = api.update(CLAIMS, claim)
    external = not provisioner.startswith("kubernetes.io/")
    if external:
        message = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by "
            "the system administrator. If volume creation is delayed, please verify that the provisioner is running "
            "and correctly registered."
        )
        api.record_event(claim, "Normal", "ExternalProvisioning", message, component=CONTROLLER)
    if not is_served(provisioner):
        return RESYNC_SECONDS
    component = provisioner_component(provisioner) if external else CONTROLLER
    driver = api.acting_as(provisioner_manager(provisioner)) if external else api
    if external:
        message = f'External provisioner is provisioning volume for claim "{"/".join(map(str, key_of(claim)))}"'
        driver.record_event(claim, "Normal", "Provisioning", message, component=component)
    source = _data_source(api, claim)
    if source is not None and not source.is_dir():
        message = "failed to provision volume: the data source of the claim is not ready"
        driver.record_event(claim, "Warning", "ProvisioningFailed", message, component=component)
        return RESYNC_SECONDS
    volume = _create_volume(driver, claim, storage_class, source)
    name = volume["metadata"]["name"]
    message = f"Successfully provisioned volume {name}" + ("" if external else f" using {provisioner}")
    driver.record_event(claim, "Normal", "ProvisioningSucceeded", message, component=component)
    _bind(api, claim, volume)
    return None


def _data_source(api: ClusterAPI, claim: Object) -> Path | None:
    """The folder whose content the new volume begins with; a folder that is not there when the source is not ready."""
    source = claim["spec"].get("dataSource")
    if source is None:
        return None
    namespace = claim["metadata"]["namespace"]
    if source["kind"] == "PersistentVolumeClaim":
        other = find(api, CLAIMS, namespace, source["name"])
        return volume_folder(api, other["spec"].get("volumeName", "-") if other else "-")
    snapshot = find(api, SNAPSHOTS, namespace, source["name"])
    status = snapshot.get("status", {}) if snapshot else {}
    return api.state / "snapshots" / (status["boundVolumeSnapshotContentName"] if status.get("readyToUse") else "-")


def _create_volume(api: ClusterAPI, claim: Object, storage_class: Object, source: Path | None) -> Object:
    name = f"pvc-{claim['metadata']['uid']}"
    folder = volume_folder(api, name)
    if source is not None:
        copy_folder(source, folder)
    folder.mkdir(parents=True, exist_ok=True)
    existing = find(api, VOLUMES, None, name)
    return existing or api.create(VOLUMES, volume_spec(api, name, claim, storage_class))


def copy_folder(source: Path, destination: Path) -> None:
    """Copy a volume's files with everything about them, sharing blocks where the file system can."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    if destination.exists():
        shutil.rmtree(destination)
    subprocess.run(
        ["cp", "--archive", "--reflink=auto", "--sparse=always", str(source), str(destination)],
        check=True,
        capture_output=True,
    )


def reconcile_volume(api: ClusterAPI, name: str) -> float | None:
    """One step for one PersistentVolume."""
    volume = find(api, VOLUMES, None, name)
    if volume is None:
        return None
    reference = volume["spec"].get("claimRef")
    if not reference or not reference.get("uid"):
        volume = _set_volume_phase(api, volume, "Available")
        bound = False
    else:
        claim = find(api, CLAIMS, reference["namespace"], reference["name"])
        bound = claim is not None and claim["metadata"]["uid"] == reference["uid"]
        if not bound:
            volume = _set_volume_phase(api, volume, "Released")
    if bound:
        return None
    reclaimed = volume["status"].get("phase") == "Released" and PROVISIONED_BY in volume["metadata"].get(
        "annotations", {}
    )
    if reclaimed and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        delete_quietly(api, VOLUMES, volume)
        volume = find(api, VOLUMES, None, name)
        if volume is None:
            return None
    if "deletionTimestamp" in volume["metadata"]:
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            remove_folder(volume_folder(api, name))
        volume["metadata"].pop("finalizers", None)
        api.update(VOLUMES, volume)
    return None


def remove_folder(folder: Path) -> None:
    """Remove a volume's files, and what is mounted over them."""
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def _set_volume_phase(api: ClusterAPI, volume: Object, phase: str) -> Object:
    if volume.get("status", {}).get("phase") == phase:
        return volume
    return update_status(api, VOLUMES, volume, {**volume.get("status", {}), "phase": phase})
