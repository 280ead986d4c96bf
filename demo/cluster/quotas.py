"""The admission plugin ResourceQuota, and how much of a quota is used.

What counts as what: pkg/quota/v1/evaluator/core; the words: k8s.io/apiserver/pkg/admission/plugin/resourcequota.
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
Usage = dict[str, Decimal]
QUOTAS = "resourcequotas"
OBJECT_COUNTS = ("services", "secrets", "configmaps", "replicationcontrollers", "resourcequotas")
DEMANDED = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
BINARY = (("Pi", 2**50), ("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10))


def check(api: ClusterAPI, info: ResourceInfo, obj: Object) -> None:
    """Refuse a new object that a quota has no room for. Raises APIError."""
    metadata = obj["metadata"]
    for quota in sorted(api.store.objects(QUOTAS, metadata["namespace"]), key=lambda each: each["metadata"]["name"]):
        hard = _numbers(quota.get("spec", {}).get("hard") or {})
        if not hard or (info.name == "pods" and not _in_scope(quota, obj)):
            continue
        name = quota["metadata"]["name"]
        if info.name == "pods" and (unsaid := _unsaid(hard, obj)):
            raise statuses.forbidden(info, metadata["name"], f"failed quota: {name}: must specify {unsaid}")
        wanted = usage_of(info, obj)
        used = used_of(api, quota)
        over = sorted(
            each for each in wanted if each in hard and used.get(each, Decimal(0)) + wanted[each] > hard[each]
        )
        if over:
            parts = ("requested", wanted), ("used", used), ("limited", hard)
            said = ", ".join(
                f"{word}: {','.join(f'{each}={shown(each, amounts.get(each, Decimal(0)))}' for each in over)}"
                for word, amounts in parts
            )
            raise statuses.forbidden(info, metadata["name"], f"exceeded quota: {name}, {said}")


def used_of(api: ClusterAPI, quota: Object) -> Usage:
    """How much of what the quota limits is in use in its namespace."""
    hard = quota.get("spec", {}).get("hard") or {}
    used: Usage = dict.fromkeys(hard, Decimal(0))
    namespace = quota["metadata"]["namespace"]
    for info in _counted(api, hard):
        for obj in api.store.objects(info.name, namespace):
            if info.name == "pods" and (_is_over(obj) or not _in_scope(quota, obj)):
                continue
            for name, amount in usage_of(info, obj).items():
                if name in used:
                    used[name] += amount
    return used


def _counted(api: ClusterAPI, hard: Object) -> Iterator[ResourceInfo]:
    """The resources whose objects count for one of these limits."""
    names = {"pods", "services", "persistentvolumeclaims"} | (set(OBJECT_COUNTS) & set(hard))
    names |= {name.removeprefix("count/") for name in hard if name.startswith("count/")}
    for name in sorted(names):
        try:
            yield api.registry.named(name)
        except KeyError:
            continue


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def usage_of(info: ResourceInfo, obj: Object) -> Usage:
    """What one object counts for."""
    usage: Usage = {f"count/{info.name}": Decimal(1)}
    if info.name in OBJECT_COUNTS:
        usage[info.name] = Decimal(1)
    spec = obj.get("spec") or {}
    match info.name:
        case "services":
            ports = Decimal(len(spec.get("ports") or ()))
            kind = spec.get("type")
            usage["services.loadbalancers"] = Decimal(kind == "LoadBalancer")
            allocated = kind == "NodePort" or (
                kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
            )
            usage["services.nodeports"] = ports if allocated else Decimal(0)
        case "persistentvolumeclaims":
            size = quantity((spec.get("resources", {}).get("requests") or {}).get("storage", 0))
            usage |= {"persistentvolumeclaims": Decimal(1), "requests.storage": size}
            if name := spec.get("storageClassName"):
                at = f"{name}.storageclass.storage.k8s.io"
                usage |= {f"{at}/persistentvolumeclaims": Decimal(1), f"{at}/requests.storage": size}
        case "pods":
            usage["pods"] = Decimal(1)
            for field in ("requests", "limits"):
                for container in spec.get("containers") or ():
                    for name, amount in (container.get("resources", {}).get(field) or {}).items():
                        keys = [f"{field}.{name}"]
                        keys += [name] if field == "requests" and name in ("cpu", "memory", "ephemeral-storage") else []
                        for key in keys:
                            usage[key] = usage.get(key, Decimal(0)) + quantity(amount)
    return usage


def _unsaid(hard: Usage, pod: Object) -> str:
    """`limits.cpu for: a,b; limits.memory for: a`, or nothing where all is said."""
    found = []
    for demand in sorted(set(hard) & set(DEMANDED)):
        field, resource = ("limits" if demand.startswith("limits.") else "requests"), demand.rpartition(".")[2]
        containers = [
            each["name"]
            for each in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
            if resource not in (each.get("resources", {}).get(field) or {})
        ]
        if containers:
            found.append(f"{demand} for: {','.join(containers)}")
    return "; ".join(found)


def _in_scope(quota: Object, pod: Object) -> bool:
    spec = quota.get("spec", {})
    selected = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    wanted = [(each, "Exists", ()) for each in spec.get("scopes") or ()]
    wanted += [(each["scopeName"], each["operator"], each.get("values") or ()) for each in selected]
    best_effort = not any(
        each.get("resources", {}).get(field) for each in pod["spec"]["containers"] for field in ("requests", "limits")
    )
    terminating = pod["spec"].get("activeDeadlineSeconds") is not None
    priority = pod["spec"].get("priorityClassName")
    for scope, operator, values in wanted:
        holds = {
            "BestEffort": best_effort,
            "NotBestEffort": not best_effort,
            "Terminating": terminating,
            "NotTerminating": not terminating,
            "PriorityClass": {
                "In": priority in values,
                "NotIn": priority not in values,
                "Exists": bool(priority),
                "DoesNotExist": not priority,
            }.get(operator, False),
        }
        if not holds.get(scope, False):
            return False
    return True


def _numbers(amounts: Object) -> Usage:
    return {name: quantity(amount) for name, amount in amounts.items()}


def shown(name: str, amount: Decimal) -> str:
    """The amount in its canonical form (apimachinery/pkg/api/resource)."""
    if amount != amount.to_integral_value():
        return f"{int(amount * 1000)}m"
    number = int(amount)
    if "memory" in name or "storage" in name:
        for suffix, factor in BINARY:
            if number and number % factor == 0:
                return f"{number // factor}{suffix}"
    return str(number)
