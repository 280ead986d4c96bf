"""Between the versions of an API: events of both groups, and both versions of the autoscaler.

Events are stored as `v1`, autoscalers as `autoscaling/v2`; every other kind looks the same in all its served versions.
"""

from __future__ import annotations

from typing import Any

from demo.cluster.registry import ResourceInfo

Object = dict[str, Any]

STORED = {"Event": "v1", "HorizontalPodAutoscaler": "autoscaling/v2"}
# Name in events.k8s.io/v1: name in v1.
EVENT_FIELDS = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
SERVED_EVENT = {old: new for new, old in EVENT_FIELDS.items()}
CPU_TARGET, CPU_NOW = "targetCPUUtilizationPercentage", "currentCPUUtilizationPercentage"


def served(info: ResourceInfo, obj: Object) -> Object:
    """The stored object as this version of its API shows it."""
    if obj.get("apiVersion") == info.api_version:
        return obj
    if info.kind == "Event":
        obj = {SERVED_EVENT.get(name, name): value for name, value in obj.items()}
    elif info.kind == "HorizontalPodAutoscaler":
        obj = _to_first_autoscaler(obj)
    return {**obj, "apiVersion": info.api_version}


def stored(info: ResourceInfo, obj: Object) -> Object:
    """What a client sent in this version of the API, as it is stored."""
    if info.kind not in STORED or info.custom is not None or info.api_version == STORED[info.kind]:
        return obj
    if info.kind == "Event":
        obj = {EVENT_FIELDS.get(name, name): value for name, value in obj.items()}
    else:
        obj = _from_first_autoscaler(obj)
    return {**obj, "apiVersion": STORED[info.kind]}


def _is_cpu_target(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    return resource.get("name") == "cpu" and (resource.get("target") or {}).get("type") == "Utilization"


def _to_first_autoscaler(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    for metric in spec.pop("metrics", None) or []:
        if _is_cpu_target(metric):
            spec[CPU_TARGET] = metric["resource"]["target"].get("averageUtilization")
    status = dict(obj.get("status") or {})
    for metric in status.pop("currentMetrics", None) or []:
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu":
            status[CPU_NOW] = (resource.get("current") or {}).get("averageUtilization")
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    return {**obj, "spec": spec, "status": status}


def _from_first_autoscaler(obj: Object) -> Object:
    spec = dict(obj.get("spec") or {})
    utilization = spec.pop(CPU_TARGET, None)
    if utilization is not None:
        target = {"type": "Utilization", "averageUtilization": utilization}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    status = dict(obj.get("status") or {})
    status.pop(CPU_NOW, None)
    return {**obj, "spec": spec, **({"status": status} if "status" in obj else {})}
