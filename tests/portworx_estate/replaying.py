"""Recorded inputs planted in a simulated cluster, and what a real Stork made of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from demo.cluster.api import APIError, ClusterAPI

Object = dict[str, Any]
RECORDINGS = Path(__file__).parent / "recordings"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
# What the simulated cluster makes by itself, as the real one did.
MADE_BY_CONTROLLERS = {
    "kube-root-ca.crt",
    "openshift-service-ca.crt",
    "system-cluster-critical",
    "system-node-critical",
}
# What the others need.
FIRST = ("CustomResourceDefinition", "Namespace", "StorageClass", "Cache")
PREFIX = "stork.libopenstorage.org/"
SERVERS_OWN = (
    "uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink", "finalizers",
    "ownerReferences", "deletionTimestamp",
)  # fmt: skip


def documents(name: str) -> list[Object]:
    """The objects of a recorded YAML file."""
    return [each for each in yaml.safe_load_all((RECORDINGS / name).read_text()) if each]


def objects(name: str) -> list[Object]:
    """The objects of a recorded JSON file."""
    found: list[Object] = json.loads((RECORDINGS / name).read_text())
    return found


def key(obj: Object) -> tuple[str, str, str]:
    """Kind, namespace and name."""
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def plant(api: ClusterAPI) -> None:
    """Make everything that the recorded source had and that no controller of the cluster makes."""
    found = objects("source.json")
    found.sort(key=lambda each: FIRST.index(each["kind"]) if each["kind"] in FIRST else len(FIRST))
    uids: dict[str, str] = {}
    for each in found:
        owners = each["metadata"].get("ownerReferences") or []
        managed = "endpoints.kubernetes.io/last-change-trigger-time" in (each["metadata"].get("annotations") or {})
        if each["kind"] == "Pod" or managed or each["metadata"]["name"] in MADE_BY_CONTROLLERS:
            continue
        if any(owner["kind"] in ("Deployment", "ReplicaSet") for owner in owners):
            continue
        if PREFIX.rstrip("/") in each["metadata"]["name"]:
            continue
        made = _as_given(each)
        if owners:
            made["metadata"]["ownerReferences"] = [{**owner, "uid": uids[owner["uid"]]} for owner in owners]
        uids[each["metadata"]["uid"]] = ensure(api, made)["metadata"]["uid"]


def _as_given(obj: Object) -> Object:
    made = copy.deepcopy(obj)
    kept = {name: value for name, value in obj["metadata"].items() if name not in SERVERS_OWN}
    if obj["kind"] == "ConfigMap" and obj["metadata"].get("finalizers"):
        kept["finalizers"] = obj["metadata"]["finalizers"]
    for annotation in ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"):
        (kept.get("annotations") or {}).pop(annotation, None)
    made["metadata"] = kept
    made.pop("status", None)
    if obj.get("type") == "kubernetes.io/service-account-token":
        # The controller of the cluster fills it, for the account that is there.
        made.pop("data", None)
        kept["annotations"].pop("kubernetes.io/service-account.uid", None)
    if obj["kind"] == "StorageClass":
        # There was no driver behind it, so that the third claim stayed without a volume.
        made["volumeBindingMode"] = "WaitForFirstConsumer"
    if obj["kind"] == "PersistentVolume":
        made["spec"]["claimRef"] = {name: obj["spec"]["claimRef"][name] for name in ("namespace", "name")}
    return made


def ensure(api: ClusterAPI, obj: Object) -> Object:
    info = api.registry.by_kind(obj["apiVersion"], obj["kind"])
    assert info is not None, obj
    metadata = obj["metadata"]
    try:
        return api.create(info.name, obj)
    except APIError as refusal:
        if refusal.reason != "AlreadyExists":
            raise
    there = api.get(info.name, metadata.get("namespace"), metadata["name"])
    changes = {name: value for name, value in obj.items() if name not in ("metadata", "kind", "apiVersion")}
    merged = {**there, **changes}
    merged["metadata"]["annotations"] = {
        **(there["metadata"].get("annotations") or {}), **(metadata.get("annotations") or {})
    }  # fmt: skip
    return api.update(info.name, merged)


def comparable(obj: Object) -> Object:
    """What of an object must be as recorded: all but what each server and each run decides for itself."""
    made = copy.deepcopy(obj)
    made.pop("status", None)
    metadata = made["metadata"] = {
        name: value for name, value in made["metadata"].items() if name not in SERVERS_OWN and value
    }
    annotations = metadata.get("annotations") or {}
    for name in ("migrationTime", "resource-hash"):
        if PREFIX + name in annotations:
            annotations[PREFIX + name] = "(some)"
    if made["kind"] == "Service" and made["spec"].get("clusterIP") != "None":
        made["spec"]["clusterIP"] = "(some)" if made["spec"].get("clusterIP") else ""
        made["spec"]["clusterIPs"] = ["(some)"]
    if made["kind"] == "PersistentVolume":
        for name in ("uid", "resourceVersion"):
            made["spec"].get("claimRef", {}).pop(name, None)
    return made


def changes(recorded: Any, found: Any, at: str = "") -> list[str]:
    """Where two values differ, each as `path: recorded, found`."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        return [
            line
            for name in sorted(recorded.keys() | found.keys())
            for line in changes(recorded.get(name), found.get(name), f"{at}.{name}")
        ]
    if isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        pairs = enumerate(zip(recorded, found, strict=True))
        return [line for number, (was, now) in pairs for line in changes(was, now, f"{at}[{number}]")]
    return [] if recorded == found else [f"{at}: {recorded!r}, {found!r}"]


def events(name: str) -> list[tuple[str, str, int, str]]:
    """Type, reason, count and message of recorded events."""
    found = []
    for line in (RECORDINGS / name).read_text().splitlines()[1:]:
        kind, reason, count, message = line.split(None, 3)
        found.append((kind, reason, int(count), message))
    return found
