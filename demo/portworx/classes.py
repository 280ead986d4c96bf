"""Which volumes are Portworx', and the storage classes that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import find
from demo.cluster.controllers.volumes import CLASSES

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
DRIVER = "pxd.portworx.com"
DRIVERS = (DRIVER, "kubernetes.io/portworx-volume")
BLOCK_CLASS, SHARED_CLASS = "px-db", "px-shared"


def storage_classes() -> list[Object]:
    """A class for databases and one for volumes that several nodes write."""
    return [
        _storage_class(BLOCK_CLASS, {"repl": "3", "io_profile": "db_remote"}),
        _storage_class(SHARED_CLASS, {"repl": "2", "sharedv4": "true"}),
    ]


def _storage_class(name: str, parameters: dict[str, str]) -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": DRIVER,
        "parameters": parameters,
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "Immediate",
    }


def parameters_of(api: ClusterAPI, volume: Object) -> dict[str, str]:
    """The parameters of the volume's class."""
    found = find(api, CLASSES, None, volume["spec"].get("storageClassName") or "-")
    return dict((found or {}).get("parameters") or {})


def owns_claim(api: ClusterAPI, claim: Object) -> bool:
    """Whether the claim's volume is, or would be, Portworx': by class, annotation or volume, as Stork judges."""
    found = find(api, CLASSES, None, claim["spec"].get("storageClassName") or "-")
    if found is not None:
        return found["provisioner"] in DRIVERS
    annotations = claim["metadata"].get("annotations") or {}
    provisioner = annotations.get("volume.beta.kubernetes.io/storage-provisioner")
    if provisioner:
        return provisioner in DRIVERS
    volume = find(api, "persistentvolumes", None, claim["spec"].get("volumeName") or "-")
    return volume is not None and owns_volume(volume)


def owns_volume(volume: Object) -> bool:
    """Whether the PersistentVolume is Portworx'."""
    return (volume["spec"].get("csi") or {}).get("driver") in DRIVERS or "portworxVolume" in volume["spec"]
