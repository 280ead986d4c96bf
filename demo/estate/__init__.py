"""What is planted in the simulated clusters: two OpenShift clusters in AWS, and the application of the story on one.

`dev` stands in Ohio and runs the project `cms` with its files; `prod` stands in Oregon and is empty. Planting is done
once: what people do to the estate afterwards stays done at the next start.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import find
from demo.cluster.controllers.volumes import CLAIMS, volume_folder
from demo.estate import cms, files
from demo.estate.sites import SITES, cluster_objects

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

__all__ = ["plant", "plant_running", "plant_site"]

DATABASE_SHARE = 0.6
BINDING_SECONDS = 30
POLL_SECONDS = 0.05


def plant_site(api: ClusterAPI, name: str) -> None:
    """Plant only what is cluster-wide, nodes with their region included, unless the estate was planted."""
    if not _was_planted(api):
        for resource, obj in cluster_objects(SITES[name]):
            _ensure(api, resource, obj)


async def plant(
    api: ClusterAPI, name: str, *, megabytes: float = 200, claim_classes: tuple[str, str] | None = None
) -> None:
    """Plant the estate of the cluster `name` ("dev" or "prod"), about `megabytes` of files in all, unless it was.

    `claim_classes` are other storage classes for the claims: one for the database, one for the shared volume.
    Runs on the cluster's event loop beside its controllers. Raises TimeoutError when these bind no claims.
    """
    if _was_planted(api):
        return
    _plant_cluster(api, name, claim_classes)
    if name == "dev":
        async with asyncio.timeout(BINDING_SECONDS):
            while (folders := _claim_folders(api)) is None:
                await asyncio.sleep(POLL_SECONDS)
        await asyncio.to_thread(_fill, folders, megabytes)
        _plant_application(api)
    _note_planted(api)


def plant_running(
    cluster: Any, name: str, *, megabytes: float = 200, claim_classes: tuple[str, str] | None = None
) -> None:
    """The same from another thread, for a cluster of `running_clusters`.

    `claim_classes` are other storage classes for the claims: one for the database, one for the shared volume.
    """
    if cluster.call(_was_planted):
        return
    cluster.call(lambda api: _plant_cluster(api, name, claim_classes))
    if name == "dev":
        deadline = time.monotonic() + BINDING_SECONDS
        while (folders := cluster.call(_claim_folders)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("the claims of the estate were not bound")
            time.sleep(POLL_SECONDS)
        _fill(folders, megabytes)
        cluster.call(_plant_application)
    cluster.call(_note_planted)


def _marker(api: ClusterAPI) -> Path:
    return api.state / "estate.planted"


def _was_planted(api: ClusterAPI) -> bool:
    return _marker(api).exists()


def _note_planted(api: ClusterAPI) -> None:
    _marker(api).touch()


def _plant_cluster(api: ClusterAPI, name: str, claim_classes: tuple[str, str] | None = None) -> None:
    plant_site(api, name)
    site = SITES[name]
    if claim_classes is not None:
        site = replace(site, block_class=claim_classes[0], shared_class=claim_classes[1])
    if name == "dev":
        _ensure(api, "namespaces", cms.namespace())
        for claim in cms.claims(site):
            _ensure(api, CLAIMS, claim)


def _plant_application(api: ClusterAPI) -> None:
    for resource, obj in cms.application():
        _ensure(api, resource, obj)


def _ensure(api: ClusterAPI, resource: str, obj: dict[str, Any]) -> None:
    """Create the object unless an interrupted earlier start had got so far; its status as a component writes it."""
    try:
        created = api.create(resource, obj, user="system:admin")
    except APIError as refusal:
        if refusal.reason != "AlreadyExists":
            raise
        created = api.get(resource, obj["metadata"].get("namespace"), obj["metadata"]["name"])
    if "status" in obj and created.get("status") != obj["status"]:
        api.update(resource, {**created, "status": obj["status"]}, subresource="status")


def _claim_folders(api: ClusterAPI) -> dict[str, Path] | None:
    """The folder behind each claim, once both are bound."""
    folders = {}
    for use, name in (("database", cms.DATABASE_CLAIM), ("site", cms.SITE_CLAIM)):
        claim = find(api, CLAIMS, cms.NAMESPACE, name)
        if claim is None or claim.get("status", {}).get("phase") != "Bound":
            return None
        folders[use] = volume_folder(api, claim["spec"]["volumeName"])
    return folders


def _fill(folders: dict[str, Path], megabytes: float) -> None:
    shares = {"database": megabytes * DATABASE_SHARE, "site": megabytes * (1 - DATABASE_SHARE)}
    fillers: dict[str, Callable[[Path, float], None]] = files.FILLERS
    for use, folder in folders.items():
        # An earlier start may have been interrupted while it filled the folder.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fillers[use](folder, shares[use])
