"""Stork's way of writing to the destination: create; what exists and differs is deleted and created again.

Blocking: called from threads beside the loop that serves the clusters.
"""

from __future__ import annotations

import copy
import time
from typing import Any

from demo.cluster.registry import Registry, ResourceInfo
from demo.portworx.collecting import PREFIX
from demo.portworx.preparing import HASH
from demo.portworx.remote import Remote, RemoteError

Object = dict[str, Any]
GONE_SECONDS = 30.0
LOOK_SECONDS = 0.05
BOUND_SECONDS = 30.0


def namespace(remote: Remote, registry: Registry, source: Object) -> None:
    """Make the namespace with the source's labels and annotations; one that is there is left alone."""
    info = registry.named("namespaces")
    given = source["metadata"]
    if remote.get(info, "", given["name"]) is not None:
        return
    annotations = {
        key: value for key, value in (given.get("annotations") or {}).items() if not key.startswith("field.cattle.io")
    }
    metadata = {"name": given["name"], "labels": given.get("labels") or {}, "annotations": annotations}
    remote.create(info, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def definition(remote: Remote, registry: Registry, source: Object) -> None:
    """Make the definition unless the destination has it, and wait until it is served."""
    info = registry.named("customresourcedefinitions.apiextensions.k8s.io")
    name = source["metadata"]["name"]
    if remote.get(info, "", name) is None:
        metadata = {
            key: source["metadata"][key] for key in ("name", "labels", "annotations") if source["metadata"].get(key)
        }
        remote.create(info, "", {**_head(source), "metadata": metadata, "spec": source["spec"]})


def _head(obj: Object) -> Object:
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}


def apply(remote: Remote, info: ResourceInfo, obj: Object) -> None:
    """Create the object, or bring an existing one to it. Raises RemoteError."""
    place = obj["metadata"].get("namespace", "")
    if info.kind == "Service" and _service_is_there(remote, info, place, obj):
        return
    try:
        remote.create(info, place, obj)
        return
    except RemoteError as refusal:
        # An address that is in use is a conflict of another kind.
        if refusal.code != 409 or "already exists" not in str(refusal):
            raise
        existing = remote.get(info, place, obj["metadata"]["name"])
        if existing is None:
            raise
        reason = refusal
    match info.kind:
        case "ServiceAccount":
            remote.update(info, place, _merged_account(existing, obj))
        case "PersistentVolume":
            existing["metadata"].setdefault("annotations", {}).update(obj["metadata"]["annotations"])
            existing["spec"]["persistentVolumeReclaimPolicy"] = obj["spec"]["persistentVolumeReclaimPolicy"]
            remote.update(info, place, existing)
        case _:
            annotations = existing["metadata"].get("annotations") or {}
            if annotations.get(HASH) == obj["metadata"]["annotations"][HASH]:
                return
            if info.kind == "Endpoints" and HASH not in annotations:
                # The destination's own controller makes such an object anew as soon as it is deleted.
                raise reason
            _replace(remote, info, place, obj, existing)


def _service_is_there(remote: Remote, info: ResourceInfo, place: str, obj: Object) -> bool:
    """Services are compared before anything is created: their addresses would be refused first."""
    if obj["metadata"]["annotations"].get(PREFIX + "skip-modify-resource") == "true":
        return False
    existing = remote.get(info, place, obj["metadata"]["name"])
    if existing is None:
        return False
    if (existing["metadata"].get("annotations") or {}).get(HASH) != obj["metadata"]["annotations"][HASH]:
        _replace(remote, info, place, obj, existing)
    return True


def _replace(remote: Remote, info: ResourceInfo, place: str, obj: Object, existing: Object) -> None:
    name, uid = obj["metadata"]["name"], existing["metadata"]["uid"]
    remote.delete(info, place, name)
    deadline = time.monotonic() + GONE_SECONDS
    while (found := remote.get(info, place, name)) is not None and found["metadata"]["uid"] == uid:
        if found["metadata"].get("finalizers"):
            found["metadata"]["finalizers"] = []
            try:
                remote.update(info, place, found)
            except RemoteError as refusal:
                if refusal.code not in (404, 409):
                    raise
        if time.monotonic() > deadline:
            raise RemoteError(f"timed out waiting for {info.kind} {place}/{name} to be deleted")
        time.sleep(LOOK_SECONDS)
    remote.create(info, place, obj)


def _merged_account(existing: Object, obj: Object) -> Object:
    merged = copy.deepcopy(existing)
    for field in ("imagePullSecrets", "secrets"):
        known = {each["name"] for each in merged.get(field) or ()}
        added = [each for each in obj.get(field) or () if each["name"] not in known]
        if added:
            merged[field] = [*(merged.get(field) or ()), *added]
    if obj["metadata"]["name"] not in ("default", "builder", "deployer"):
        merged["metadata"].setdefault("annotations", {}).update(obj["metadata"]["annotations"])
    if "automountServiceAccountToken" in obj:
        merged["automountServiceAccountToken"] = obj["automountServiceAccountToken"]
    return merged


def bind(remote: Remote, registry: Registry, volume: Object, claim: Object) -> None:
    """Point the volume at the destination's claim where it still points at an earlier one, and wait for the binding."""
    volumes, claims = registry.named("persistentvolumes"), registry.named("persistentvolumeclaims")
    place, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
    deadline = time.monotonic() + BOUND_SECONDS
    while True:
        there = remote.get(claims, place, name)
        if there is None:
            raise RemoteError(f'persistentvolumeclaims "{name}" not found', 404)
        found = remote.get(volumes, "", volume["metadata"]["name"])
        reference = (found or {}).get("spec", {}).get("claimRef")
        if found is not None and reference and reference.get("uid") != there["metadata"]["uid"]:
            reference["uid"] = there["metadata"]["uid"]
            reference["resourceVersion"] = there["metadata"]["resourceVersion"]
            try:
                remote.update(volumes, "", found)
            except RemoteError as refusal:
                if refusal.code != 409:
                    raise
        elif reference and (there.get("status") or {}).get("phase") == "Bound":
            return
        if time.monotonic() > deadline:
            raise RemoteError(f"PVC {place}/{name} is not bound yet")
        time.sleep(LOOK_SECONDS)


def finish_volume(
    remote: Remote, registry: Registry, volume: Object, storage_class: Object | None, *, with_volumes: bool
) -> None:
    """Give the volume its class (made where the destination lacks it) and its reclaim policy back."""
    classes = registry.named("storageclasses.storage.k8s.io")
    if storage_class is not None and remote.get(classes, "", storage_class["metadata"]["name"]) is None:
        given = storage_class["metadata"]
        metadata = {key: given[key] for key in ("name", "labels", "annotations") if given.get(key)}
        body = {key: value for key, value in storage_class.items() if key != "metadata"}
        remote.create(classes, "", {**body, "metadata": metadata})
    info = registry.named("persistentvolumes")
    while True:
        found = remote.get(info, "", volume["metadata"]["name"])
        if found is None:
            raise RemoteError(f'persistentvolumes "{volume["metadata"]["name"]}" not found', 404)
        annotations = found["metadata"].get("annotations") or {}
        found["spec"]["storageClassName"] = annotations.get(PREFIX + "current-storage-class-name", "")
        if with_volumes:
            found["spec"]["persistentVolumeReclaimPolicy"] = annotations.get(PREFIX + "reclaimPolicy", "Delete")
        try:
            remote.update(info, "", found)
            return
        except RemoteError as refusal:
            if refusal.code != 409:
                raise
