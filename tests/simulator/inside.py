"""A simulated cluster without HTTP: its API and controllers on the test's own event loop, and words for asking it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from demo.cluster.api import APIError, ClusterAPI
from demo.cluster.controllers import controllers

Object = dict[str, Any]
BUSYBOX = "docker.io/library/busybox:1.38"
MOVER = "registry.example.com/tools/kubemotion-mover:1"


@asynccontextmanager
async def cluster(
    state: Path, *, name: str = "dev", nodes: bool = True, count: int = 1, zones: bool = True
) -> AsyncIterator[ClusterAPI]:
    """A cluster with some nodes and storage classes, and its controllers running."""
    api = ClusterAPI(name, state)
    tasks = [asyncio.create_task(each) for each in controllers(api, nodes=nodes)]
    for number in range(count):
        plant_node(api, number, zones=zones)
    for kind in ("now", "late"):
        plant_class(api, kind)
    try:
        yield api
        died = [task for task in tasks if task.done()]
        assert not died, f"controllers ended: {died}"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        api.close()


def plant_node(api: ClusterAPI, number: int, *, zones: bool = True) -> None:
    if any(node["metadata"]["name"] == f"node-{number}" for node in api.list("nodes")):
        return
    labels = {"kubernetes.io/hostname": f"node-{number}"}
    if zones:
        labels["topology.kubernetes.io/zone"] = f"z{number}"
    resources = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    addresses = [{"type": "InternalIP", "address": f"10.0.0.{number + 1}"}]
    status = {"capacity": resources, "allocatable": resources, "addresses": addresses}
    api.create("nodes", {"metadata": {"name": f"node-{number}", "labels": labels}, "status": status})


def plant_class(api: ClusterAPI, name: str, **fields: Any) -> None:
    if any(each["metadata"]["name"] == name for each in api.list("storageclasses.storage.k8s.io")):
        return
    mode = "WaitForFirstConsumer" if name == "late" else "Immediate"
    head = {"metadata": {"name": name}, "provisioner": "ebs.csi.aws.com", "volumeBindingMode": mode}
    api.create(
        "storageclasses.storage.k8s.io",
        {**head, "reclaimPolicy": "Delete", "allowVolumeExpansion": True, **fields},
    )


async def until[T](look: Callable[[], T], *, seconds: float = 15.0) -> T:
    """What `look` returns, once that is true; a missing object is not there yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
        except APIError as refusal:
            if refusal.code != 404:
                raise
            found = None
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        await asyncio.sleep(0.01)


async def gone(api: ClusterAPI, resource: str, namespace: str | None, name: str, *, seconds: float = 15.0) -> None:
    """Wait until the object is no more."""

    def missing() -> bool:
        try:
            api.get(resource, namespace, name)
        except APIError as refusal:
            return refusal.code == 404
        return False

    await until(missing, seconds=seconds)


def claim(name: str, class_name: str | None = "now", size: str = "64Mi", **spec: Any) -> Object:
    wanted: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    if class_name is not None:
        wanted["storageClassName"] = class_name
    return {"metadata": {"name": name, "namespace": "default"}, "spec": wanted}


def pod(name: str, script: str = "sleep 600", *, claims: tuple[str, ...] = (), **spec: Any) -> Object:
    """A pod that runs a script, with claims mounted at /<claim>."""
    container: Object = {"name": "c", "image": BUSYBOX, "command": ["sh", "-c", script]}
    container |= spec.pop("container", {})
    body: Object = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **spec}
    if claims:
        container["volumeMounts"] = [{"name": each, "mountPath": f"/{each}"} for each in claims]
        body["volumes"] = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": body}


def phase(api: ClusterAPI, name: str) -> str:
    return str(api.get("pods", "default", name)["status"].get("phase"))


def bound(api: ClusterAPI, name: str) -> Object | None:
    found = api.get("persistentvolumeclaims", "default", name)
    return found if found["status"]["phase"] == "Bound" else None


def folder(api: ClusterAPI, name: str) -> Path:
    """The folder behind a bound claim."""
    found = api.get("persistentvolumeclaims", "default", name)
    return api.state / "volumes" / found["spec"]["volumeName"]


def reasons(api: ClusterAPI, name: str, namespace: str = "default") -> list[str]:
    """The reasons of all events about an object."""
    return [each["reason"] for each in api.list("events", namespace) if each["involvedObject"]["name"] == name]


def condition(obj: Object, kind: str) -> Object:
    return next((each for each in obj["status"].get("conditions", ()) if each["type"] == kind), {})
