"""The two sites: their nodes, storage classes and what an OpenShift cluster in that region has."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from demo.cluster.controllers.loop import now

Object = dict[str, Any]
EBS, EFS = "ebs.csi.aws.com", "efs.csi.aws.com"
KUBELET_VERSION = "v1.36.2"
OPENSHIFT_VERSION = "4.23.1"


@dataclass(frozen=True)
class Site:
    """One cluster's place in the world and the names that its administrators chose."""

    name: str
    region: str
    network: str
    block_class: str
    shared_class: str
    retained_class: str


SITES = {
    "dev": Site("dev", "us-east-2", "10.0", "gp3", "efs-rwx", "gp3-retain"),
    "prod": Site("prod", "us-west-2", "10.1", "gp3-csi", "efs-sc", "io2-retain"),
}


def cluster_objects(site: Site) -> list[tuple[str, Object]]:
    """Resource and object of all that is cluster-wide, nodes with their status included."""
    return [
        *(("nodes", _node(site, number)) for number in range(3)),
        *(("csidrivers.storage.k8s.io", each) for each in _drivers()),
        *(("storageclasses.storage.k8s.io", each) for each in _classes(site)),
        ("volumesnapshotclasses.snapshot.storage.k8s.io", _snapshot_class()),
        ("clusterversions.config.openshift.io", _cluster_version(site)),
    ]


def node_name(site: Site, number: int) -> str:
    """The name of a node, as AWS gives it."""
    address = f"{site.network}.{number * 16 + 8}.{20 + number}".replace(".", "-")
    return f"ip-{address}.{site.region}.compute.internal"


def _node(site: Site, number: int) -> Object:
    name = node_name(site, number)
    zone = f"{site.region}{'abc'[number]}"
    address = f"{site.network}.{number * 16 + 8}.{20 + number}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    moment = now()
    capacity = {"cpu": "8", "ephemeral-storage": "125238252Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0"}
    capacity |= {"memory": "32506676Ki", "pods": "250"}
    conditions = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/instance-type": "m6i.2xlarge",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node-role.kubernetes.io/control-plane": "",
                "node-role.kubernetes.io/master": "",
                "node-role.kubernetes.io/worker": "",
                "node.kubernetes.io/instance-type": "m6i.2xlarge",
                "node.openshift.io/os_id": "rhel",
                "topology.ebs.csi.aws.com/zone": zone,
                "topology.kubernetes.io/region": site.region,
                "topology.kubernetes.io/zone": zone,
            },
            "annotations": {
                "csi.volume.kubernetes.io/nodeid": f'{{"{EBS}":"i-0{digest[:16]}","{EFS}":"i-0{digest[:16]}"}}',
                "machineconfiguration.openshift.io/state": "Done",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": {"providerID": f"aws:///{zone}/i-0{digest[:16]}"},
        "status": {
            "capacity": capacity,
            "allocatable": capacity | {"cpu": "7500m", "ephemeral-storage": "114345831Ki", "memory": "31355700Ki"},
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "lastHeartbeatTime": moment,
                    "lastTransitionTime": moment,
                    "reason": reason,
                    "message": message,
                }
                for kind, status, reason, message in conditions
            ],
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "InternalDNS", "address": name},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "machineID": digest[:32],
                "systemUUID": str(UUID(digest[:32])),
                "bootID": str(UUID(digest[32:])),
                "kernelVersion": "5.14.0-570.39.1.el9_6.x86_64",
                "osImage": "Red Hat Enterprise Linux CoreOS 9.6.20261112-0",
                "containerRuntimeVersion": "cri-o://1.36.1",
                "kubeletVersion": KUBELET_VERSION,
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    }


def _drivers() -> list[Object]:
    def driver(name: str, *, attach: bool) -> Object:
        spec = {"attachRequired": attach, "podInfoOnMount": False, "volumeLifecycleModes": ["Persistent"]}
        return {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name}, "spec": spec}

    return [driver(EBS, attach=True), driver(EFS, attach=False)]


def _classes(site: Site) -> list[Object]:
    def storage_class(name: str, provisioner: str, *, default: bool = False, **fields: Any) -> Object:
        metadata: Object = {"name": name}
        if default:
            metadata["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
        head = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata}
        return {**head, "provisioner": provisioner, "reclaimPolicy": "Delete", **fields}

    file_system = f"fs-0{hashlib.sha256(site.name.encode()).hexdigest()[:16]}"
    return [
        storage_class(
            site.block_class,
            EBS,
            default=True,
            parameters={"type": "gp3", "encrypted": "true"},
            allowVolumeExpansion=True,
            volumeBindingMode="WaitForFirstConsumer",
        ),
        storage_class(
            site.shared_class,
            EFS,
            parameters={"provisioningMode": "efs-ap", "fileSystemId": file_system, "directoryPerms": "700"},
            volumeBindingMode="Immediate",
        ),
        storage_class(
            site.retained_class,
            EBS,
            parameters={"type": "io2" if site.name == "prod" else "gp3", "encrypted": "true"},
            reclaimPolicy="Retain",
            allowVolumeExpansion=True,
            volumeBindingMode="Immediate",
        ),
    ]


def _snapshot_class() -> Object:
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotClass",
        "metadata": {"name": "csi-aws-vsc"},
        "driver": EBS,
        "deletionPolicy": "Delete",
    }


def _cluster_version(site: Site) -> Object:
    moment = now()
    identity = str(UUID(hashlib.sha256(f"cluster {site.name}".encode()).hexdigest()[:32]))
    available = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": moment,
        "message": f"Done applying {OPENSHIFT_VERSION}",
    }
    done = {
        "state": "Completed",
        "startedTime": moment,
        "completionTime": moment,
        "version": OPENSHIFT_VERSION,
        "image": f"quay.io/openshift-release-dev/ocp-release:{OPENSHIFT_VERSION}-x86_64",
        "verified": True,
    }
    return {
        "apiVersion": "config.openshift.io/v1",
        "kind": "ClusterVersion",
        "metadata": {"name": "version"},
        "spec": {"channel": "stable-4.23", "clusterID": identity},
        "status": {
            "desired": {"version": OPENSHIFT_VERSION, "image": done["image"]},
            "history": [done],
            "observedGeneration": 1,
            "versionHash": identity[:8],
            "availableUpdates": None,
            "conditions": [available],
        },
    }
