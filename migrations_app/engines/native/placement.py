"""On which nodes movers run: where the volume is, or where the application will be able to run; not too many at once.

The first pod that uses a claim of a class with `WaitForFirstConsumer` decides where its volume comes into being. On the
destination that pod is a mover, so it is held to the nodes that the application's own pods can go to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# Where pods come from; what a cluster does not serve is passed over.
WORKLOADS = (
    "statefulsets.apps",
    "deployments.apps",
    "deploymentconfigs.apps.openshift.io",
    "daemonsets.apps",
    "replicasets.apps",
    "jobs.batch",
    "cronjobs.batch",
)


@dataclass(frozen=True)
class Placement:
    """The part of a pod's spec that decides on its node."""

    node_selector: dict[str, str] = field(default_factory=dict)
    node_affinity: Object = field(default_factory=dict)
    tolerations: list[Object] = field(default_factory=list)

    def spec(self) -> Object:
        """As fields of a pod's spec."""
        found: Object = {}
        if self.node_selector:
            found["nodeSelector"] = self.node_selector
        if self.node_affinity:
            found["affinity"] = {"nodeAffinity": {REQUIRED: self.node_affinity}}
        if self.tolerations:
            found["tolerations"] = self.tolerations
        return found


def beside(pod: Object) -> Placement:
    """On the node of the pod, which holds the volume there."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [pod["spec"]["nodeName"]]}]}
    return Placement(node_affinity={"nodeSelectorTerms": [term]}, tolerations=pod["spec"].get("tolerations") or [])


def where_it_can_run(spec: Object | None, *, decides: bool) -> Placement:
    """Where pods of this spec can run.

    `decides` says that the mover's node becomes the volume's; a volume that is there leads the mover by itself, and
    only taints have to be tolerated.
    """
    if spec is None:
        return Placement()
    tolerations = spec.get("tolerations") or []
    if not decides:
        return Placement(tolerations=tolerations)
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    return Placement(spec.get("nodeSelector") or {}, affinity, tolerations)


@dataclass(frozen=True)
class Use:
    """Who uses a claim: the spec of such pods, and a name that is the same for claims that the same pods use."""

    spec: Object
    who: str


def use_of(claim: str, workloads: Iterable[Object]) -> Use | None:
    """The workload whose pods mount the claim, or the one pod of a StatefulSet that does; None where nobody does."""
    for workload in workloads:
        spec = _spec_of(workload)
        if not spec:
            continue
        who = f"{workload.get('kind')} {(workload.get('metadata') or {}).get('name')}"
        if claim in {(each.get("persistentVolumeClaim") or {}).get("claimName") for each in spec.get("volumes") or ()}:
            return Use(spec, who)
        for prefix in _claim_prefixes(workload):
            if _is_replica_claim(claim, prefix):
                return Use(spec, f"{who} {claim[len(prefix) :]}")
    return None


def _spec_of(workload: Object) -> Object:
    spec = workload.get("spec") or {}
    if workload.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return (spec.get("template") or {}).get("spec") or {}


def _claim_prefixes(workload: Object) -> Iterator[str]:
    """A StatefulSet's claims are named TEMPLATE-SET-ORDINAL."""
    if workload.get("kind") == "StatefulSet":
        for template in workload["spec"].get("volumeClaimTemplates") or ():
            yield f"{template['metadata']['name']}-{workload['metadata']['name']}-"


def _is_replica_claim(claim: str, prefix: str) -> bool:
    return claim.startswith(prefix) and claim[len(prefix) :].isdigit()


def workloads_in(connection: Connection, namespace: str) -> list[Object]:
    """The namespace's workloads. What may not be read is passed over: then movers are placed like any pod."""
    found: list[Object] = []
    for name in WORKLOADS:
        resource = connection.discovery().find(name)
        if resource is None:
            continue
        try:
            found += connection.list(resource, namespace)
        except errors.Forbidden:
            continue
    return found


# -- how many at once


@dataclass
class Room:
    """How many more movers a cluster takes, and how many each of its nodes has."""

    free: int
    per_node: int
    on_nodes: Counter[str] = field(default_factory=Counter)

    def takes(self, node: str = "") -> bool:
        """Whether one more fits, on this node if it has to be that one."""
        return self.free > 0 and (not node or self.on_nodes[node] < self.per_node)

    def take(self, node: str = "") -> None:
        self.free -= 1
        if node:
            self.on_nodes[node] += 1


def room(pods: Iterable[Object], *, busy: int, nodes: int | None, per_cluster: int, per_node: int) -> Room:
    """The room that is left beside `busy` volumes, whose movers' pods are `pods`; `nodes` is None where not known."""
    on_nodes = Counter(name for pod in pods if (name := pod["spec"].get("nodeName")))
    most = per_cluster if nodes is None else min(per_cluster, max(1, nodes) * per_node)
    return Room(most - busy, per_node, on_nodes)


def usable_nodes(connection: Connection) -> int | None:
    """How many nodes take ordinary pods; None where that may not be asked."""
    try:
        nodes = list(connection.list("nodes"))
    except errors.Forbidden:
        return None
    return sum(not node["spec"].get("unschedulable") for node in nodes)
