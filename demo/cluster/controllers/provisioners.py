"""What the drivers behind storage classes make of a claim: the PersistentVolume that each kind of driver writes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from uuid import UUID

from demo.cluster.controllers.loop import Object, find, template_hash

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

SELECTED_NODE = "volume.kubernetes.io/selected-node"
# The pods of provisioners that are not called after their driver.
PROVISIONER_PODS = {"hostpath.csi.k8s.io": "csi-hostpathplugin-0", "rancher.io/local-path": "local-path-provisioner"}
ZONE = "topology.kubernetes.io/zone"
HOSTNAME = "kubernetes.io/hostname"


def is_served(provisioner: str) -> bool:
    """Whether somebody provisions for this name; nobody does for static classes and reserved test names."""
    return provisioner != "kubernetes.io/no-provisioner" and not provisioner.endswith(".invalid")


def provisioner_component(provisioner: str) -> str:
    """The name under which the provisioner's pod records its events."""
    digest = hashlib.sha256(provisioner.encode()).hexdigest()
    deployment = PROVISIONER_PODS.get(provisioner, provisioner.partition(".")[0] + "-csi-controller")
    letters = template_hash({"provisioner": provisioner})
    pod = deployment if deployment.endswith("-0") else f"{deployment}-{letters}-{letters[:5]}"
    return f"{provisioner}_{pod}_{UUID(digest[:32])}"


def provisioner_manager(provisioner: str) -> str:
    """The program that writes for the provisioner: one of its own, or the sidecar that CSI drivers share."""
    return "local-path-provisioner" if provisioner == "rancher.io/local-path" else "csi-provisioner"


def volume_spec(api: ClusterAPI, name: str, claim: Object, storage_class: Object) -> Object:
    """The PersistentVolume that the class's driver writes for the claim."""
    provisioner = storage_class["provisioner"]
    node = claim["metadata"].get("annotations", {}).get(SELECTED_NODE)
    annotations = {"pv.kubernetes.io/provisioned-by": provisioner}
    spec: Object = {
        "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
        "accessModes": claim["spec"]["accessModes"],
        "claimRef": {
            "kind": "PersistentVolumeClaim",
            "namespace": claim["metadata"]["namespace"],
            "name": claim["metadata"]["name"],
            "uid": claim["metadata"]["uid"],
            "apiVersion": "v1",
            "resourceVersion": claim["metadata"]["resourceVersion"],
        },
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
        "storageClassName": storage_class["metadata"]["name"],
        "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
    }
    if storage_class.get("mountOptions"):
        spec["mountOptions"] = storage_class["mountOptions"]
    finalizers = []
    if provisioner == "rancher.io/local-path":
        folder = f"{name}_{claim['metadata']['namespace']}_{claim['metadata']['name']}"
        spec["hostPath"] = {"path": f"/var/lib/kubelet/local-path/{folder}", "type": "DirectoryOrCreate"}
        if node:
            annotations["local.path.provisioner/selected-node"] = node
            spec["nodeAffinity"] = _only_where(HOSTNAME, node)
    elif provisioner.startswith("kubernetes.io/"):
        spec["hostPath"] = {"path": f"/tmp/hostpath_pv/{claim['metadata']['uid']}", "type": ""}
        annotations["kubernetes.io/createdby"] = "hostpath-dynamic-provisioner"
    else:
        finalizers.append("external-provisioner.volume.kubernetes.io/finalizer")
        annotations["volume.kubernetes.io/provisioner-deletion-secret-name"] = ""
        annotations["volume.kubernetes.io/provisioner-deletion-secret-namespace"] = ""
        spec["csi"] = _csi_source(provisioner, name, block=spec["volumeMode"] == "Block")
        zone = _zone_of(api, node) if provisioner == "ebs.csi.aws.com" else None
        if zone:
            spec["nodeAffinity"] = _only_where(ZONE, zone)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": annotations} | ({"finalizers": finalizers} if finalizers else {}),
        "spec": spec,
    }


def _csi_source(driver: str, name: str, *, block: bool) -> Object:
    digest = hashlib.sha256(name.encode()).hexdigest()
    handles = {
        "ebs.csi.aws.com": f"vol-0{digest[:16]}",
        "efs.csi.aws.com": f"fs-0{hashlib.sha256(driver.encode()).hexdigest()[:16]}::fsap-0{digest[:16]}",
    }
    source: Object = {
        "driver": driver,
        "volumeHandle": handles.get(driver, name),
        "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": f"{int(digest[:8], 16)}-{driver}"},
    }
    if driver == "ebs.csi.aws.com" and not block:
        source["fsType"] = "ext4"
    return source


def _zone_of(api: ClusterAPI, node: str | None) -> str | None:
    """The zone of the node for which the volume is wanted, or of the first node when nobody waits for it yet."""
    found = find(api, "nodes", None, node) if node else next(iter(api.list("nodes")), None)
    return found["metadata"].get("labels", {}).get(ZONE) if found else None


def _only_where(key: str, value: str) -> Object:
    expression = {"key": key, "operator": "In", "values": [value]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
