"""How Stork changes what it has collected before it applies it to the destination."""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import find
from demo.cluster.registry import ResourceInfo
from demo.portworx.collecting import PREFIX, kept_subjects

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
HASH = PREFIX + "resource-hash"
REPLICAS = PREFIX + "migrationReplicas"
MARKS = ("migrated", "migrationName", "migrationNamespace", "migrationTime", "resource-hash")
STOPPED = {"Deployment", "StatefulSet", "DeploymentConfig", "ReplicaSet"}
# What Stork sets to stop an application that is a custom resource: group and kind, path, and the value for "stopped".
SUSPENDED: dict[tuple[str, str], tuple[str, Any]] = {
    ("couchbase.com", "CouchbaseCluster"): ("spec.paused", True),
    ("cassandra.datastax.com", "CassandraDatacenter"): ("spec.stopped", True),
    ("weblogic.oracle", "Domain"): ("spec.serverStartPolicy", "NEVER"),
    ("rabbitmq.com", "RabbitmqCluster"): ("spec.replicas", 0),
    ("pxc.percona.com", "PerconaXtraDBCluster"): ("spec.pause", True),
    ("monitoring.coreos.com", "Prometheus"): ("spec.replicas", 0),
    ("kafka.strimzi.io", "Kafka"): ("spec.kafka.replicas", 0),
    ("acid.zalan.do", "postgresql"): ("spec.numberOfInstances", 0),
    ("mongodbcommunity.mongodb.com", "MongoDBCommunity"): ("spec.members", 0),
    ("kubevirt.io", "VirtualMachine"): ("spec.runStrategy", "Halted"),
}
# What an ApplicationRegistration may say of its type, and what stops an application of that type.
STOPPING_VALUES: dict[str, Any] = {"int": 0, "bool": True}


def prepare(api: ClusterAPI, info: ResourceInfo, obj: Object, migration: Object, namespaces: list[str]) -> Object:
    """The object as it goes to the destination, with Stork's marks."""
    spec = migration["spec"]
    given = obj["metadata"]
    kept = {key: copy.deepcopy(given[key]) for key in ("name", "namespace", "labels", "annotations") if given.get(key)}
    made = {**copy.deepcopy(obj), "metadata": kept}
    # Marks of an earlier migration that had brought the object here are not its own.
    for mark in MARKS:
        kept.get("annotations", {}).pop(PREFIX + mark, None)
    if info.custom is not None:
        made.pop("status", None)
    match info.kind:
        case "Service":
            if not spec["skipServiceUpdate"]:
                without_addresses(made)
        case "PersistentVolume":
            _volume(made)
        case "ClusterRoleBinding":
            made["subjects"] = kept_subjects(api, obj, namespaces)
        case "Job":
            _job(made)
    if not spec["startApplications"]:
        _stop(api, info, made)
    return _marked(made, migration)


def _annotations(obj: Object) -> Object:
    found: Object = obj["metadata"].setdefault("annotations", {})
    return found


def without_addresses(service: Object) -> None:
    """Leave what the source gave the Service to the destination to give; in place."""
    if _annotations(service).get(PREFIX + "skip-modify-resource") == "true":
        return
    spec = service["spec"]
    if spec.get("clusterIP") != "None":
        spec["clusterIP"] = ""
        spec.pop("clusterIPs", None)
    spec.pop("loadBalancerIP", None)


def _volume(volume: Object) -> None:
    spec, name = volume["spec"], volume["metadata"]["name"]
    spec.pop("claimRef", None)
    annotations = _annotations(volume)
    annotations[PREFIX + "current-storage-class-name"] = spec.get("storageClassName", "")
    spec["storageClassName"] = ""
    annotations[PREFIX + "reclaimPolicy"] = spec.get("persistentVolumeReclaimPolicy", "Delete")
    spec["persistentVolumeReclaimPolicy"] = "Retain"
    if "csi" in spec:
        spec["csi"]["volumeHandle"] = name
    if "portworxVolume" in spec:
        spec["portworxVolume"]["volumeID"] = name


def _job(job: Object) -> None:
    for labels in (
        job["metadata"].get("labels") or {},
        (job["spec"].get("selector") or {}).get("matchLabels") or {},
        job["spec"]["template"].get("metadata", {}).get("labels") or {},
    ):
        for name in ("controller-uid", "batch.kubernetes.io/controller-uid"):
            labels.pop(name, None)


def _stop(api: ClusterAPI, info: ResourceInfo, obj: Object) -> None:
    if obj["kind"] in STOPPED and info.kind in STOPPED:
        annotations = _annotations(obj)
        replicas = obj["spec"].get("replicas", 1)
        if replicas == 0 and int(annotations.get(REPLICAS) or 0) > 0:
            replicas = int(annotations[REPLICAS])
        obj["spec"]["replicas"] = 0
        annotations[REPLICAS] = str(replicas)
        obj["metadata"].setdefault("labels", {})[PREFIX + "migrated"] = "true"
    elif info.kind == "CronJob":
        obj["spec"]["suspend"] = True
    elif info.custom is not None:
        _suspend(api, info, obj)


def _suspend(api: ClusterAPI, info: ResourceInfo, obj: Object) -> None:
    path, stopped = SUSPENDED.get((info.group, info.kind)) or _registered(api, info)
    if not path:
        return
    *steps, last = path.split(".")
    place = obj
    for step in steps:
        place = place.setdefault(step, {})
    current = place.get(last, "" if isinstance(stopped, str) else type(stopped)())
    # The annotation holds the value before, and what a string is set to.
    shown = str(current).lower() if isinstance(current, bool) else str(current)
    _annotations(obj)[PREFIX + path] = f"{shown},{stopped if isinstance(stopped, str) else ''}"
    place[last] = stopped


def _registered(api: ClusterAPI, info: ResourceInfo) -> tuple[str, Any]:
    """How an ApplicationRegistration says that applications of the kind are stopped."""
    registration = find(api, f"applicationregistrations.{PREFIX.rstrip('/')}", None, info.kind.lower())
    for each in (registration or {}).get("resources") or ():
        options = each.get("suspendOptions") or {}
        if (each.get("group"), each.get("kind")) == (info.group, info.kind) and options.get("path"):
            return options["path"], STOPPING_VALUES.get(options.get("type", ""), options.get("value", ""))
    return "", None


def _marked(obj: Object, migration: Object) -> Object:
    """With Stork's annotations; the hash is of all that does not change from run to run."""
    text = json.dumps({key: value for key, value in obj.items() if key != "status"}, sort_keys=True)
    annotations = _annotations(obj)
    annotations[PREFIX + "migrated"] = "true"
    annotations[PREFIX + "migrationName"] = migration["metadata"]["name"]
    annotations[PREFIX + "migrationNamespace"] = migration["metadata"]["namespace"]
    annotations[PREFIX + "migrationTime"] = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    if obj["kind"] != "PersistentVolume":
        annotations[HASH] = str(int(hashlib.sha256(text.encode()).hexdigest()[:16], 16))
    return obj
