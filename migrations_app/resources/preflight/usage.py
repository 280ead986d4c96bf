"""Quotas, and what of them each object that comes would take.

What counts as what is the evaluators' of k8s.io/kubernetes/pkg/quota/v1/evaluator/core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from migrations_app.resources.preflight import limits
from migrations_app.resources.preflight.context import Context, Object, label
from migrations_app.resources.preflight.facts import Facts
from migrations_app.resources.preflight.scheduling import nodes_for
from migrations_app.resources.preflight.workloads import Workload, amounts, pod_requests
from migrations_app.resources.quantities import to_number
from migrations_app.resources.references import items, section
from migrations_app.resources.selection import LabelSelector

QUOTAS = "resourcequotas"
CLUSTER_QUOTAS = "clusterresourcequotas.quota.openshift.io"
CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
COUNTED = {
    ("", "Service"): "services",
    ("", "Secret"): "secrets",
    ("", "ConfigMap"): "configmaps",
    ("", "ReplicationController"): "replicationcontrollers",
    ("", "ResourceQuota"): "resourcequotas",
}
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
Usage = dict[str, Decimal]


@dataclass(frozen=True)
class Quota:
    """A ResourceQuota, or OpenShift's ClusterResourceQuota over several namespaces."""

    kind: str
    name: str
    namespaces: frozenset[str]
    hard: Usage
    used: Usage
    spec: Object = field(default_factory=dict)

    def __str__(self) -> str:
        place = f"{next(iter(self.namespaces))}/{self.name}" if self.kind == "ResourceQuota" else self.name
        return f"{self.kind} {place}"

    def command(self, facts: Facts, verb: str) -> str:
        if self.kind != "ResourceQuota":
            return f"{facts.kubectl} {verb} clusterresourcequota {self.name}"
        return f"{facts.kubectl} {verb} resourcequota {self.name} -n {next(iter(self.namespaces))}"

    def covers(self, spec: Object) -> bool:
        """Whether its scopes are about pods of this spec."""
        selector = section(self.spec, "scopeSelector")
        wanted = [{"scopeName": each, "operator": "Exists"} for each in self.spec.get("scopes") or ()]
        return all(_in_scope(each, spec) for each in [*wanted, *items(selector, "matchExpressions")])

    @property
    def is_scoped(self) -> bool:
        return bool(self.spec.get("scopes") or self.spec.get("scopeSelector"))


def _in_scope(scope: Object, spec: Object) -> bool:
    best_effort = not any(amounts(each, name) for each in items(spec, "containers") for name in ("requests", "limits"))
    match scope.get("scopeName"):
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return best_effort
        case "NotBestEffort":
            return not best_effort
        case "PriorityClass":
            name, values = spec.get("priorityClassName"), scope.get("values") or ()
            match scope.get("operator"):
                case "In":
                    return name in values
                case "NotIn":
                    return name not in values
                case "DoesNotExist":
                    return not name
            return bool(name)
    # Scopes of other things than pods.
    return False


def quotas_of(context: Context) -> Iterator[Quota]:
    """The quotas that will hold for the destination's namespaces. Raises Unreadable."""
    for namespace in context.namespaces:
        there = context.destination.named(QUOTAS, namespace) if namespace in context.existing else {}
        coming = {
            obj["metadata"]["name"]: obj
            for obj in context.of_type("", "ResourceQuota")
            if obj["metadata"].get("namespace") == namespace
        }
        for raw in {**coming, **there}.values():
            yield quota_of(raw, namespace)
    for raw in context.destination.list(CLUSTER_QUOTAS):
        selector = section(raw, "spec", "selector")
        chosen = frozenset(name for name, each in context.namespaces.items() if _selects(selector, each))
        if chosen:
            used = section(raw, "status", "total", "used")
            hard = section(raw, "spec", "quota", "hard")
            yield Quota("ClusterResourceQuota", raw["metadata"]["name"], chosen, _numbers(hard), _numbers(used))


def _selects(selector: Object, namespace: Object) -> bool:
    metadata = namespace["metadata"]
    annotations = metadata.get("annotations") or {}
    wanted = section(selector, "annotations")
    labels = selector.get("labels")
    if not wanted and labels is None:
        return False
    return all(annotations.get(key) == value for key, value in wanted.items()) and (
        labels is None or LabelSelector.from_object(labels).matches(metadata.get("labels") or {})
    )


def quota_of(raw: Object, namespace: str) -> Quota:
    spec = section(raw, "spec")
    used = section(raw, "status", "used")
    return Quota(
        "ResourceQuota",
        raw["metadata"]["name"],
        frozenset({namespace}),
        _numbers(section(spec, "hard")),
        _numbers(used),
        spec,
    )


def _numbers(amounts_of: Mapping[str, str]) -> Usage:
    return {name: to_number(value) for name, value in amounts_of.items()}


@dataclass(frozen=True)
class Share:
    """What one thing that comes would take of quotas."""

    label: str
    usage: Usage


def shares(context: Context, namespace: str, quota: Quota) -> Iterator[Share]:
    """All that comes into the namespace and counts for the quota; what is there under its name is counted as used."""
    for workload in context.workloads:
        if workload.namespace == namespace and workload.starts and _is_new(context, workload.obj):
            spec = limits.with_defaults(workload.spec, limits.ranges_of(context, namespace))
            if quota.covers(spec):
                yield Share(str(workload), pod_usage(spec, _pods(context, workload)))
    if quota.is_scoped:
        return
    for obj in context.planned:
        if obj["metadata"].get("namespace") == namespace and (usage := _object_usage(context, obj, quota)):
            yield Share(label(obj), usage)
    there = set(context.destination.named("persistentvolumeclaims", namespace)) if namespace in context.existing else ()
    for claim in context.claims:
        if claim.namespace == namespace and claim.name not in there:
            one = {"persistentvolumeclaims": Decimal(1), "requests.storage": Decimal(claim.bytes)}
            found = context.class_of(claim)
            of_class = f"{found['metadata']['name']}{CLASS_SUFFIX}" if found else ""
            by_class = {f"{of_class}{name}": value for name, value in one.items()} if of_class else {}
            yield Share(claim.label, {**one, **by_class, "count/persistentvolumeclaims": Decimal(1)})


def _pods(context: Context, workload: Workload) -> int:
    return len(nodes_for(context, workload)) if workload.pods is None else workload.pods


def _object_usage(context: Context, obj: Object, quota: Quota) -> Usage:
    """What the object itself counts for, of what the quota limits."""
    resource = context.discovery.by_kind(obj["apiVersion"], obj["kind"])
    if resource is None:
        return {}
    usage = {f"count/{resource.name}": Decimal(1)}
    if name := COUNTED.get((resource.group, obj["kind"])):
        usage[name] = Decimal(1)
    if (resource.group, obj["kind"]) == ("", "Service"):
        spec = section(obj, "spec")
        kind, allocated = spec.get("type"), spec.get("allocateLoadBalancerNodePorts") is not False
        usage["services.loadbalancers"] = Decimal(kind == "LoadBalancer")
        ports = len(items(spec, "ports")) if kind in WITH_NODE_PORTS and allocated else 0
        usage["services.nodeports"] = Decimal(ports)
    usage = {name: value for name, value in usage.items() if value and name in quota.hard}
    # Asked last: it may take a list of all objects of the kind.
    return usage if usage and _is_new(context, obj) else {}


def _is_new(context: Context, obj: Object) -> bool:
    """Whether the namespace does not have the object already. Raises Unreadable."""
    namespace = obj["metadata"].get("namespace", "")
    resource = context.discovery.by_kind(obj["apiVersion"], obj["kind"])
    if namespace not in context.existing or resource is None:
        return True
    return obj["metadata"]["name"] not in context.destination.named(resource.name, namespace)


def pod_usage(spec: Object, pods: int) -> Usage:
    """What so many pods of this spec take."""
    usage: Usage = {"pods": Decimal(pods), "count/pods": Decimal(pods)}
    for name, value in pod_requests(spec).items():
        usage[f"requests.{name}"] = value * pods
        if name in ("cpu", "memory", "ephemeral-storage"):
            usage[name] = value * pods
    for name, value in pod_requests(spec, "limits").items():
        usage[f"limits.{name}"] = value * pods
    return usage


def total(found: Iterable[Share]) -> Usage:
    """The shares together."""
    usage: Usage = {}
    for share in found:
        for name, value in share.usage.items():
            usage[name] = usage.get(name, Decimal(0)) + value
    return usage
