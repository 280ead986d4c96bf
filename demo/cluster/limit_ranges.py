"""The admission plugin LimitRanger: fills in what its ranges say, and refuses what is outside of them.

Rules and words of plugin/pkg/admission/limitranger/admission.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from demo.cluster import statuses
from demo.cluster.controllers.quantities import quantity
from demo.cluster.registry import ResourceInfo

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
RANGES = "limitranges"


def complete(limit_range: Object) -> None:
    """What the API fills into a LimitRange itself (core/v1 defaults)."""
    for limit in limit_range.get("spec", {}).get("limits") or ():
        if limit.get("type") != "Container":
            continue
        default = {**(limit.get("max") or {}), **(limit.get("default") or {})}
        request = {**(limit.get("min") or {}), **default, **(limit.get("defaultRequest") or {})}
        if default:
            limit["default"] = default
        if request:
            limit["defaultRequest"] = request


def fill(api: ClusterAPI, pod: Object) -> None:
    """Requests and limits that the pod's containers do not say."""
    for limit in _limits(api, pod["metadata"]["namespace"], "Container"):
        for container in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
            resources = container.setdefault("resources", {})
            for field, default in (("limits", "default"), ("requests", "defaultRequest")):
                for name, amount in (limit.get(default) or {}).items():
                    resources.setdefault(field, {}).setdefault(name, amount)


def check(api: ClusterAPI, info: ResourceInfo, obj: Object) -> None:
    """Refuse what a range does not let in. Raises APIError."""
    namespace = obj["metadata"]["namespace"]
    if info.name == "pods":
        wrong = [each for limit in _limits(api, namespace, "Container") for each in _of_containers(limit, obj)]
        wrong += [each for limit in _limits(api, namespace, "Pod") for each in _of_pod(limit, obj)]
    else:
        asked = obj["spec"].get("resources", {}).get("requests", {})
        amounts = {name: str(amount) for name, amount in asked.items()}
        wrong = []
        for limit in _limits(api, namespace, "PersistentVolumeClaim"):
            for name, least in (limit.get("min") or {}).items():
                if name in amounts and quantity(amounts[name]) < quantity(least):
                    wrong.append(_least("PersistentVolumeClaim", name, least, f"but request is {amounts[name]}"))
            for name, most in (limit.get("max") or {}).items():
                if name in amounts and quantity(amounts[name]) > quantity(most):
                    wrong.append(_most("PersistentVolumeClaim", name, most, f"but request is {amounts[name]}"))
    if wrong:
        why = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
        raise statuses.forbidden(info, obj["metadata"]["name"], why)


def _limits(api: ClusterAPI, namespace: str, kind: str) -> Iterator[Object]:
    for each in api.store.objects(RANGES, namespace):
        yield from (limit for limit in each.get("spec", {}).get("limits") or () if limit.get("type") == kind)


def _of_containers(limit: Object, pod: Object) -> Iterator[str]:
    for container in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
        resources = container.get("resources", {})
        yield from _outside("Container", limit, resources.get("requests") or {}, resources.get("limits") or {})


def _of_pod(limit: Object, pod: Object) -> Iterator[str]:
    sums: dict[str, dict[str, Decimal]] = {"requests": {}, "limits": {}}
    for container in pod["spec"]["containers"]:
        for field, total in sums.items():
            for name, amount in (container.get("resources", {}).get(field) or {}).items():
                total[name] = total.get(name, Decimal(0)) + quantity(amount)
    requests, limits = ({name: str(amount) for name, amount in sums[field].items()} for field in ("requests", "limits"))
    yield from _outside("Pod", limit, requests, limits)


def _outside(kind: str, limit: Object, requests: Object, limits: Object) -> Iterator[str]:
    for name, least in (limit.get("min") or {}).items():
        if name not in requests:
            yield f"minimum {name} usage per {kind} is {least}.  No request is specified"
        elif quantity(requests[name]) < quantity(least):
            yield _least(kind, name, least, f"but request is {requests[name]}")
        elif name in limits and quantity(limits[name]) < quantity(least):
            yield _least(kind, name, least, f"but limit is {limits[name]}")
    for name, most in (limit.get("max") or {}).items():
        if name not in limits:
            yield f"maximum {name} usage per {kind} is {most}.  No limit is specified"
        elif quantity(limits[name]) > quantity(most):
            yield _most(kind, name, most, f"but limit is {limits[name]}")
        elif name in requests and quantity(requests[name]) > quantity(most):
            yield _most(kind, name, most, f"but request is {requests[name]}")


def _least(kind: str, name: str, amount: str, but: str) -> str:
    return f"minimum {name} usage per {kind} is {amount}, {but}"


def _most(kind: str, name: str, amount: str, but: str) -> str:
    return f"maximum {name} usage per {kind} is {amount}, {but}"
