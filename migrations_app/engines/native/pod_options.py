"""What the settings say of all movers' pods: resources, priority, tolerations, and keys of the image's registry."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from django.conf import settings

from migrations_app.engines import RetriableError
from migrations_app.resources.quantities import to_number

Object = dict[str, Any]
RESOURCES: Object = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
# Side by side in one pod, small volumes need less each.
SHARED_RESOURCES: Object = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
MOST_WEIGHT = 100


def resources(*, shared: bool = False) -> Object:
    """A mover's requests and limits: ours, and what the settings say instead; null takes one of ours away."""
    ours, given = SHARED_RESOURCES if shared else RESOURCES, settings.MOVER_RESOURCES
    found = {
        kind: {name: value for name, value in {**ours[kind], **(given.get(kind) or {})}.items() if value is not None}
        for kind in ("requests", "limits")
    }
    for name, asked in found["requests"].items():
        # The API server refuses a limit below the request.
        if name in found["limits"] and to_number(found["limits"][name]) < to_number(asked):
            found["limits"][name] = asked
    return {kind: amounts for kind, amounts in found.items() if amounts}


def added(job: str, spec: Object) -> Object:
    """What is added to the spec of the Job's pods."""
    found: Object = {}
    if settings.MOVER_PRIORITY_CLASS:
        found["priorityClassName"] = settings.MOVER_PRIORITY_CLASS
    if settings.MOVER_PULL_CONFIG:
        found["imagePullSecrets"] = [{"name": pull_secret_name(job)}]
    if settings.MOVER_TOLERATIONS:
        own = spec.get("tolerations") or []
        found["tolerations"] = [*own, *(each for each in settings.MOVER_TOLERATIONS if each not in own)]
    return found


def preferred() -> list[Object]:
    """The nodes that movers should rather run on, as preferred node affinity."""
    wanted = settings.MOVER_PREFERRED_NODES
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in sorted(wanted.items())]
    return [{"weight": MOST_WEIGHT, "preference": {"matchExpressions": expressions}}] if expressions else []


def pull_secret_name(job: str) -> str:
    """The name of the Secret with which the Job's image is pulled."""
    return f"{job}-pull"


def pull_secret(job: Object, labels: dict[str, str]) -> Object | None:
    """The Secret with which the Job's image is pulled; None where none is needed. Raises RetriableError.

    The file is read each time: somebody may have renewed it.
    """
    if not settings.MOVER_PULL_CONFIG:
        return None
    try:
        config = Path(settings.MOVER_PULL_CONFIG).read_bytes()
    except OSError as error:
        raise RetriableError(
            f"KUBEMOTION_MOVER_PULL_CONFIG names a file that cannot be read ({type(error).__name__})."
        ) from None
    metadata = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job"} | {key: metadata[key] for key in ("name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": pull_secret_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config).decode()},
    }
