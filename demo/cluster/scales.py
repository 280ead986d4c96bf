"""The subresource that says and sets how many replicas there are."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def scale_of(obj: Object) -> Object:
    """The Scale of an object."""
    metadata = {
        key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    spec, status = obj.get("spec", {}), obj.get("status", {})
    shown: Object = {"replicas": status.get("replicas", 0)}
    selector = spec.get("selector")
    if selector:
        wanted = selector.get("matchLabels", selector) or {}
        shown["selector"] = ",".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    scale: Object = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata}
    return {**scale, "spec": {"replicas": spec.get("replicas", 0)} if spec.get("replicas") else {}, "status": shown}
