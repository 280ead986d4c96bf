"""Portworx and Stork on a simulated cluster, for tests that drive them as they drive real ones.

`install` plants their pods, Services, classes and definitions, and starts Stork. Nothing of it is there by default.

    storage.py, transfers.py   one cluster's Portworx: identity, token, credentials, pairs, migrations of volumes
    pxctl.py                   its command line, for `exec` into a Portworx pod
    stork.py                   Stork: pairing.py and migrating.py take the steps, recorder.py tells of them
    scheduling.py, policies.py   MigrationSchedules, and when their policies are due
    actions.py, activation.py    failover and failback
    transforming.py   ResourceTransformations
    collecting.py, preparing.py, applying.py   what Stork takes along, changes, and writes to the destination
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.cluster.api import APIError
from demo.portworx import crds, pods, pxctl, storage
from demo.portworx.stork import Stork

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

__all__ = ["install", "installed", "stop"]

# Stork of each cluster of this process, by the cluster's state.
_running: dict[Path, asyncio.Task[None]] = {}


def install(api: ClusterAPI, name: str = "", *, namespace: str = "kube-system") -> storage.Storage:
    """Plant Portworx and Stork in the cluster, unless they are there, and start Stork.

    Runs on the cluster's event loop. `name` is only there to be read beside others: the cluster knows its own.
    """
    assert not name or name == api.name
    for each in crds.definitions():
        _ensure(api, "customresourcedefinitions.apiextensions.k8s.io", each)
    for each in crds.schedule_policies():
        _ensure(api, crds.resource("schedulepolicies"), each)
    if namespace != "kube-system":
        _ensure(api, "namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for resource, obj in pods.objects(namespace):
        _ensure(api, resource, obj)
    pxctl.teach()
    local = storage.storage_of(api, namespace)
    task = _running.get(api.state)
    if task is None or task.done():
        _running[api.state] = asyncio.get_running_loop().create_task(Stork(api.acting_as("stork")).run())
    return local


async def stop(api: ClusterAPI) -> None:
    """End Stork and what it moves; Portworx is no longer reached. What is on disk stays."""
    task = _running.pop(api.state, None)
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    storage.forget(api)


@contextmanager
def installed(clusters: Mapping[str, Any], *, namespace: str = "kube-system") -> Iterator[Mapping[str, Any]]:
    """The same from another thread, for clusters of `running_clusters`, until the context ends."""
    try:
        for name, cluster in clusters.items():
            cluster.call(lambda api, name=name: install(api, name, namespace=namespace))
        yield clusters
    finally:
        for cluster in clusters.values():
            asyncio.run_coroutine_threadsafe(stop(cluster.api), cluster.loop).result(30)


def _ensure(api: ClusterAPI, resource: str, obj: dict[str, Any]) -> None:
    try:
        api.create(resource, obj, user="system:admin")
    except APIError as refusal:
        if refusal.reason != "AlreadyExists":
            raise
