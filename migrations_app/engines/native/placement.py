"""On which nodes movers run: where the volume is, or where the application will be able to run; not too many at once.

The first pod that uses a claim of a class with `WaitForFirstConsumer` decides where its volume comes into being. On the
destination that pod is a mover, so it is held to the nodes that the application's own pods can go to, and to those that
`topology.py` leaves of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.claims import claims_in_spec, claims_of_pod
from migrations_app.engines.native import pod_options, topology
from migrations_app.engines.native.topology import REQUIRED as REQUIRED
from migrations_app.resources.marks import VOLUME_LABEL

Object = dict[str, Any]
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
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
    # Rather there, if there is room.
    preferred: list[Object] = field(default_factory=list)

    def spec(self) -> Object:
        """As fields of a pod's spec."""
        found: Object = {}
        if self.node_selector:
            found["nodeSelector"] = self.node_selector
        affinity: Object = {}
        if self.node_affinity:
            affinity[REQUIRED] = self.node_affinity
        if self.preferred:
            affinity[PREFERRED] = self.preferred
        if affinity:
            found["affinity"] = {"nodeAffinity": affinity}
        if self.tolerations:
            found["tolerations"] = self.tolerations
        return found

    def within(self, selector: Object) -> Placement:
        """The same on the nodes alone that this node selector selects; an empty one selects all."""
        return replace(self, node_affinity=topology.both(self.node_affinity, selector))


def beside(pod: Object) -> Placement:
    """On the node of the pod, which holds the volume there."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [pod["spec"]["nodeName"]]}]}
    return Placement(node_affinity={"nodeSelectorTerms": [term]}, tolerations=pod["spec"].get("tolerations") or [])


def where_it_can_run(spec: Object | None, *, decides: bool) -> Placement:
    """Where pods of this spec can run.

    `decides` says that the mover's node becomes the volume's; a volume that is there leads the mover by itself, and
    only taints have to be tolerated.
    """
    tolerations = (spec or {}).get("tolerations") or []
    if not decides:
        return Placement(tolerations=tolerations, preferred=pod_options.preferred())
    if spec is None:
        return Placement()
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    return Placement(spec.get("nodeSelector") or {}, affinity, tolerations)


@dataclass(frozen=True)
class Use:
    """Who uses a claim: such a pod, and a name that is the same for claims that the same pods use."""

    # Labels and spec of the pod, as it is or as a template has it.
    pod: Object
    who: str
    # All claims of the pod, and those of each of its other replicas.
    claims: frozenset[str] = frozenset()
    others: tuple[frozenset[str], ...] = ()

    @property
    def spec(self) -> Object:
        found: Object = self.pod["spec"]
        return found


def use_of(claim: str, workloads: Iterable[Object], names: Iterable[str] = ()) -> Use | None:
    """The workload whose pods mount the claim, or the one pod of a StatefulSet that does; None where nobody does.

    `names` are the claims among which other replicas' are looked for.
    """
    for workload in workloads:
        template = _template_of(workload)
        if not template.get("spec"):
            continue
        who = f"{workload.get('kind')} {(workload.get('metadata') or {}).get('name')}"
        mounted = frozenset(claims_in_spec(template["spec"]))
        if claim in mounted:
            return Use(template, who, mounted)
        prefixes = list(_claim_prefixes(workload))
        for prefix in prefixes:
            if _is_replica_claim(claim, prefix):
                own = claim[len(prefix) :]
                others: dict[str, set[str]] = {}
                for name in names:
                    for each in prefixes:
                        if _is_replica_claim(name, each):
                            others.setdefault(name[len(each) :], set()).add(name)
                others.pop(own, None)
                claims = mounted | {f"{each}{own}" for each in prefixes}
                return Use(template, f"{who} {own}", claims, tuple(map(frozenset, others.values())))
    return None


def use_by_pods(pods: list[Object], everyone: Iterable[Object]) -> Use | None:
    """The first of the pods that use a claim stands for them all; its replicas are among `everyone`."""
    if not pods:
        return None
    first, who = pods[0], " ".join(sorted(pod["metadata"]["name"] for pod in pods))
    own, controller = frozenset(claims_of_pod(first)), _controller(first)
    replicas = [
        frozenset(claims_of_pod(pod)) - own
        for pod in everyone
        if controller and _controller(pod) == controller and pod["metadata"]["name"] != first["metadata"]["name"]
    ]
    return Use(first, who, own, tuple(each for each in replicas if each))


def _controller(pod: Object) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(each["uid"]) for each in owners if each.get("controller")), "")


def _template_of(workload: Object) -> Object:
    spec = workload.get("spec") or {}
    if workload.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return spec.get("template") or {}


def _claim_prefixes(workload: Object) -> Iterator[str]:
    """A StatefulSet's claims are named TEMPLATE-SET-ORDINAL."""
    if workload.get("kind") == "StatefulSet":
        for template in workload["spec"].get("volumeClaimTemplates") or ():
            yield f"{template['metadata']['name']}-{workload['metadata']['name']}-"


def _is_replica_claim(claim: str, prefix: str) -> bool:
    return claim.startswith(prefix) and claim[len(prefix) :].isdigit()


def workloads_in(connection: Connection, namespace: str) -> list[Object]:
    """The namespace's workloads but for movers' Jobs. What may not be read is passed over, as if it were not there."""
    found: list[Object] = []
    for name in WORKLOADS:
        resource = connection.discovery().find(name)
        if resource is None:
            continue
        try:
            found += connection.list(resource, namespace, label_selector=f"!{VOLUME_LABEL}")
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


def node_of(spec: Object) -> str:
    """The node beside whose pod the mover of this spec has to run, as `beside` has it; else empty."""
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for each in term.get("matchFields") or ():
            if each.get("key") == "metadata.name" and len(each.get("values") or ()) == 1:
                return str(each["values"][0])
    return ""


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
