"""The application of the story with nothing around it: what Stork takes of it are the story's nine resources."""

from __future__ import annotations

import time
from typing import Any

from demo.cluster.server import ClusterHandle
from demo.estate import cms, files
from demo.portworx import classes

Object = dict[str, Any]
CLAIMS = (cms.DATABASE_CLAIM, cms.SITE_CLAIM)
KINDS = ("services", "deployments.apps", "routes.route.openshift.io")
# The story's list, as kind and name; each volume's name is the cluster's.
RESOURCES = {
    ("PersistentVolumeClaim", "px-mysql-pvc"),
    ("PersistentVolumeClaim", "px-wp-pvc"),
    ("Service", "mysql"),
    ("Service", "wordpress"),
    ("Deployment", "mysql"),
    ("Deployment", "wordpress"),
    ("Route", "wp"),
}


def plant(cluster: ClusterHandle, megabytes: float = 2) -> None:
    """The namespace cms with two claims that hold files, two Deployments, two Services and a Route."""
    cluster.call(lambda api: api.create("namespaces", cms.namespace()))
    for name, storage_class in zip(CLAIMS, (classes.BLOCK_CLASS, classes.SHARED_CLASS), strict=True):
        claim = _claim(name, storage_class)
        cluster.call(lambda api, claim=claim: api.create("persistentvolumeclaims", claim))
    for name, share in zip(CLAIMS, ("database", "site"), strict=True):
        folder = _folder(cluster, name)
        files.FILLERS[share](folder, megabytes / 2)
    for resource, obj in cms.application():
        if resource in KINDS:
            _bare(obj)
            cluster.call(lambda api, resource=resource, obj=obj: api.create(resource, obj))


def _claim(name: str, storage_class: str) -> Object:
    mode = "ReadWriteOnce" if storage_class == classes.BLOCK_CLASS else "ReadWriteMany"
    spec = {
        "accessModes": [mode],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": storage_class,
        "volumeMode": "Filesystem",
    }
    metadata = {"name": name, "namespace": cms.NAMESPACE}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def _folder(cluster: ClusterHandle, claim: str) -> Any:
    deadline = time.monotonic() + 30
    while True:
        found = cluster.call(lambda api: api.get("persistentvolumeclaims", cms.NAMESPACE, claim))
        if found.get("status", {}).get("phase") == "Bound":
            folder = cluster.volume_path(cms.NAMESPACE, claim)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        assert time.monotonic() < deadline, f"{claim} was not bound"
        time.sleep(0.05)


def _bare(obj: Object) -> None:
    """Without what would need a Secret, a ConfigMap or an account."""
    if obj["kind"] != "Deployment":
        return
    spec = obj["spec"]["template"]["spec"]
    spec.pop("serviceAccountName", None)
    spec["volumes"] = [each for each in spec["volumes"] if "persistentVolumeClaim" in each]
    for container in spec["containers"]:
        container.pop("envFrom", None)
        container["env"] = [each for each in container.get("env", ()) if "value" in each]
        kept = {each["name"] for each in spec["volumes"]}
        container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] in kept]
