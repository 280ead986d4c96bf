"""Replicas that an autoscaler of the destination decides: who brings the workload again has no say in them."""

from __future__ import annotations

from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, NotFound
from migrations_app.resources import ownership
from migrations_app.resources.marks import type_of

Object = dict[str, Any]
AUTOSCALERS = "horizontalpodautoscalers.autoscaling"


def without_scaled(connection: Connection, obj: Object, present: Object) -> tuple[Object, str]:
    """The object without the replicas that an autoscaler has set, and the autoscaler's name; else as it is.

    So it is advised for server-side apply (kubernetes.io/docs/reference/using-api/server-side-apply, "Transferring
    ownership"): a field that is not applied stays with whoever holds it. Raises KubeError.
    """
    spec, there = obj.get("spec"), present.get("spec")
    if not isinstance(spec, dict) or not isinstance(there, dict) or "replicas" not in spec:
        return obj, ""
    if spec["replicas"] == there.get("replicas") or not ownership.held_by_others(present, "spec", "replicas"):
        return obj, ""
    scaler = _scaler_of(connection, obj)
    if not scaler:
        return obj, ""
    return {**obj, "spec": {key: value for key, value in spec.items() if key != "replicas"}}, scaler


def _scaler_of(connection: Connection, obj: Object) -> str:
    metadata = obj["metadata"]
    wanted = (*type_of(obj), metadata["name"])
    try:
        for each in connection.list(AUTOSCALERS, metadata.get("namespace")):
            target = (each.get("spec") or {}).get("scaleTargetRef") or {}
            if (*type_of(target), target.get("name")) == wanted:
                return str(each["metadata"]["name"])
    except (Forbidden, NotFound):
        pass
    return ""
