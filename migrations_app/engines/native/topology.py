"""Where a disk that is yet to come may come into being, so that the application's pod can have all that it needs there.

The scheduler keeps the first pod that uses a claim to what that pod asks for, and to what the storage class allows.
What the application's own pod will need beside that, a mover has to be told:

    together      the pod's other disks, which can be attached only in some places
    apart         replicas that must not be in one zone, or on one node, with another
    large enough  nodes that can hold what the pod asks for, and of those the ones with that much left

Plain dicts in and out. Each answer is what node affinities are made of: a node selector, or expressions to add to one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from migrations_app.resources.preflight import scheduling
from migrations_app.resources.preflight.workloads import pod_requests
from migrations_app.resources.quantities import to_number
from migrations_app.resources.references import items, section
from migrations_app.resources.selection import LabelSelector, SelectorError

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
HOSTNAME = "kubernetes.io/hostname"


def both(one: Object, other: Object) -> Object:
    """The node selector that holds where both do; an empty one holds everywhere."""
    if not one or not other:
        return one or other
    terms = [
        {
            kind: [*(first.get(kind) or ()), *(second.get(kind) or ())]
            for kind in ("matchExpressions", "matchFields")
            if first.get(kind) or second.get(kind)
        }
        for first in one["nodeSelectorTerms"]
        for second in other["nodeSelectorTerms"]
    ]
    return {"nodeSelectorTerms": terms}


def all_of(expressions: list[Object]) -> Object:
    """The node selector of these expressions; empty without any."""
    return {"nodeSelectorTerms": [{"matchExpressions": expressions}]} if expressions else {}


def has_rules(pod: Object) -> bool:
    """Whether replicas of this pod (metadata and spec) must not all be in one place."""
    return bool(_rules(pod))


def apart(pod: Object, others: Iterable[Object], nodes: list[Object]) -> list[Object]:
    """The places that are left to a replica: `others` are the node selectors of the other replicas' disks.

    Where no place would be left, none is forbidden: the data is worth more than the rule.
    """
    others = list(others)
    found = []
    usable = [node for node in nodes if not scheduling.refusal(section(pod, "spec"), node)]
    for key, most in _rules(pod):
        domains = {value for node in usable if (value := _labels(node).get(key))}
        taken = Counter(value for selector in others if (value := _only_value(key, selector, nodes)))
        least = min((taken[each] for each in domains), default=0)
        # A rule that lets nobody be beside another: `most` is 0.
        full = {each for each in domains if (taken[each] + 1 - least > most if most else taken[each])}
        if full and full != domains:
            found.append({"key": key, "operator": "NotIn", "values": sorted(full)})
    return found


def _rules(pod: Object) -> list[tuple[str, int]]:
    """By topology key: how much fuller than the emptiest a place may be, or 0 where each takes one alone."""
    labels = section(pod, "metadata").get("labels") or {}
    spec = section(pod, "spec")
    terms = items(section(spec, "affinity", "podAntiAffinity"), REQUIRED)
    alone = [(str(each.get("topologyKey")), 0) for each in terms if _selects(each, labels)]
    spread = [
        (str(each.get("topologyKey")), int(each.get("maxSkew") or 1))
        for each in items(spec, "topologySpreadConstraints")
        if each.get("whenUnsatisfiable") == "DoNotSchedule" and _selects(each, labels)
    ]
    return alone + spread


def _selects(rule: Object, labels: Mapping[str, str]) -> bool:
    """Whether the rule is about replicas of the same pod."""
    if rule.get("labelSelector") is None:
        return False
    try:
        return LabelSelector.from_object(rule["labelSelector"]).matches(labels)
    except SelectorError:
        return False


def _only_value(key: str, selector: Object, nodes: list[Object]) -> str:
    """The label's value on all nodes where the disk can be attached, if it is one."""
    values = {_labels(node).get(key) or "" for node in nodes if selector and scheduling.is_selected(selector, node)}
    return values.pop() if len(values) == 1 else ""


def large_enough(spec: Object, nodes: list[Object], pods: Iterable[Object]) -> list[Object]:
    """Leaves out the nodes that cannot hold a pod of this spec; `pods` are those that run in the cluster.

    Nodes without that much left are left out while others have it; without any, only those that never could hold it.
    Nodes that are yet to come are not left out.
    """
    asked = pod_requests(spec)
    if not asked:
        return []
    usable = [node for node in nodes if not scheduling.refusal(spec, node)]
    offered = {
        node["metadata"]["name"]: {
            name: to_number(value) for name, value in section(node, "status", "allocatable").items()
        }
        for node in usable
    }
    left = {name: dict(amounts) for name, amounts in offered.items()}
    for pod in pods:
        if (amounts := left.get(pod["spec"].get("nodeName") or "")) is not None:
            for name, value in pod_requests(pod["spec"]).items():
                amounts[name] = amounts.get(name, Decimal(0)) - value
    for held in (left, offered):
        small = [node for node in usable if not _holds(held[node["metadata"]["name"]], asked)]
        if not small:
            return []
        if len(small) < len(usable):
            values = sorted(_labels(node).get(HOSTNAME) or node["metadata"]["name"] for node in small)
            return [{"key": HOSTNAME, "operator": "NotIn", "values": values}]
    return []


def _holds(offered: Mapping[str, Decimal], asked: Mapping[str, Decimal]) -> bool:
    return all(value <= offered.get(name, Decimal(0)) for name, value in asked.items())


def _labels(node: Object) -> dict[str, str]:
    return node["metadata"].get("labels") or {}
