"""ClusterPairs: storage and scheduler are paired, each for itself, until both were ready once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import drop_finalizer, find
from demo.portworx import storage
from demo.portworx.crds import resource
from demo.portworx.pace import CYCLE_SECONDS, RETRY_SECONDS
from demo.portworx.recorder import Recorder
from demo.portworx.remote import ConfigError, Remote, RemoteError
from demo.portworx.storage import StorageError

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
PAIRS = resource("clusterpairs")
FINALIZER = "stork.libopenstorage.org/finalizer-cleanup"
CREATED_BY_STORK = "stork.libopenstorage.org/created-by-stork"


async def reconcile(api: ClusterAPI, recorder: Recorder, namespace: str, name: str) -> float | None:
    """One step for one pair; the seconds until the next."""
    pair = find(api, PAIRS, namespace, name)
    if pair is None:
        return None
    if "deletionTimestamp" in pair["metadata"]:
        _clean_up(api, pair)
        return None
    if FINALIZER not in (pair["metadata"].get("finalizers") or ()):
        pair["metadata"].setdefault("finalizers", []).append(FINALIZER)
        pair = api.update(PAIRS, pair)
    status = {"remoteStorageId": "", "schedulerStatus": "", "storageStatus": ""} | (pair.get("status") or {})
    spec = pair.get("spec") or {}
    outcomes = [await _pair_storage(api, pair, spec, status), await _pair_scheduler(spec, status)]
    pair = find(api, PAIRS, namespace, name)
    if pair is None:
        return None
    if (pair.get("status") or {}) != status:
        api.update(PAIRS, {**pair, "status": status})
    for outcome in outcomes:
        if outcome is not None:
            recorder.record(pair, *outcome)
    failed = any(outcome is not None and outcome[0] == "Warning" for outcome in outcomes)
    return RETRY_SECONDS if failed else CYCLE_SECONDS


async def _pair_storage(api: ClusterAPI, pair: Object, spec: Object, status: Object) -> tuple[str, str, str] | None:
    options = spec.get("options") or {}
    if not options.get("token"):
        status["storageStatus"] = "NotProvided"
        return "Normal", "NotProvided", "Skipping storage pairing since no storage options provided"
    if status["storageStatus"] == "Ready":
        return None
    location = options.get("backuplocation")
    credential = f"k8s/{pair['metadata']['namespace']}/{location}" if location else ""
    local = storage.storage_of(api)
    try:
        status["remoteStorageId"] = await asyncio.to_thread(storage.pair, local, options, credential)
    except StorageError as refusal:
        status["storageStatus"] = "Error"
        return "Warning", "Error", str(refusal)
    status["storageStatus"] = "Ready"
    return "Normal", "Ready", "Storage successfully paired"


async def _pair_scheduler(spec: Object, status: Object) -> tuple[str, str, str] | None:
    if status["schedulerStatus"] == "Ready":
        return None
    try:
        remote = Remote(spec.get("config") or {})
    except ConfigError:
        # Stork only writes this to its log.
        return None
    try:
        await asyncio.to_thread(remote.version)
    except RemoteError as refusal:
        status["schedulerStatus"] = "Error"
        return "Warning", "Error", str(refusal)
    status["schedulerStatus"] = "Ready"
    return "Normal", "Ready", "Scheduler successfully paired"


def _clean_up(api: ClusterAPI, pair: Object) -> None:
    """What Stork made for the pair goes with it; the storage pair only with the last ClusterPair that uses it."""
    namespace, name = pair["metadata"]["namespace"], pair["metadata"]["name"]
    for kind in (resource("backuplocations"), "secrets"):
        made = find(api, kind, namespace, name)
        if made is not None and (made["metadata"].get("annotations") or {}).get(CREATED_BY_STORK) == "true":
            api.delete(kind, namespace, name)
    identity = (pair.get("status") or {}).get("remoteStorageId")
    others = [each for each in api.list(PAIRS) if each["metadata"]["uid"] != pair["metadata"]["uid"]]
    if identity and not any((each.get("status") or {}).get("remoteStorageId") == identity for each in others):
        storage.storage_of(api).remove_pair(identity)
    drop_finalizer(api, PAIRS, pair, FINALIZER)
