"""What a mover's Job depends on in the clusters: with which power it runs, where, and with which others.

Several small volumes share one Job when one pod can hold them all: on the source those whose pods run on one node or
whose disks can be attached in the same places, on the destination those whose disks are there and can be attached in
the same places, or that are first consumed by the same pods of the application. Others must not share: the first
consumer decides where a disk comes into being, and disks of several applications would then all lie in one place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import astuple, dataclass
from typing import Any, cast

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.claims import CLAIMS, Claim, claim_of, users_of_claims
from migrations_app.engines.native import placement, privileges, topology
from migrations_app.engines.native.letting_in import most_power, refuses_root
from migrations_app.engines.native.placement import Placement, Use
from migrations_app.engines.native.privileges import Direction, Power
from migrations_app.engines.native.wanted import Wanted
from migrations_app.engines.sides import destination_of, source_of
from migrations_app.models import Migration, MigrationVolume
from migrations_app.resources.preflight import scheduling
from migrations_app.resources.preflight.workloads import pod_requests
from migrations_app.resources.rules import RuleError
from migrations_app.resources.transform import transformed

Object = dict[str, Any]
CLASSES = "storageclasses.storage.k8s.io"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
SHARED = {"ReadWriteMany", "ReadOnlyMany"}


@dataclass(frozen=True)
class Settled:
    """How one volume's mover runs. `node` is the only one that it can run on, if there is one.

    Volumes of one namespace with the same `together` fit into one pod; with an empty one they are carried alone.
    """

    power: Power
    placement: Placement
    node: str = ""
    together: str = ""


class Surroundings:
    """What is asked of both clusters for the movers of a migration, each thing once. Its methods raise as a Side's."""

    def __init__(self, migration: Migration) -> None:
        self._migration = migration
        self._sides = {"push": source_of(migration.pair), "pull": destination_of(migration.pair)}
        self._known: dict[tuple[str, ...], Any] = {}

    def settle(self, direction: Direction, volume: MigrationVolume) -> Settled:
        """Power and place of the volume's mover, and its company."""
        # The application is on the source, whichever side asks.
        pods, use = self._application("push", volume)
        if direction == "pull":
            use = self._consumer(volume, use)
        users = pods or ([] if use is None else [{"spec": use.spec}])
        spec = None if use is None else use.spec
        power = self._power(direction, direction, volume, users)
        if direction == "push" and volume.snapshot_class:
            # A new disk, which its only reader has made where there is room.
            return Settled(power, placement.where_it_can_run(spec, decides=False))
        if direction == "push":
            if user := holder(volume.access_modes, pods):
                node = user["spec"]["nodeName"]
                return _settled(power, placement.beside(user), f"node {node}", node)
            disk = self._place_of(direction, volume.volume)
            return _settled(power, placement.where_it_can_run(spec, decides=False), disk)
        claim = self.destination_claim(volume)
        if claim is not None and claim.is_bound:
            place = self._place_of(direction, claim.volume)
            return _settled(power, placement.where_it_can_run(spec, decides=False), place)
        if self.binds_at_once(volume):
            return _settled(power, placement.where_it_can_run(spec, decides=False), "")
        if use is None:
            return _settled(power, Placement(), f"first consumer of class {volume.destination_class}")
        where = placement.where_it_can_run(spec, decides=True).within(self._places_left(volume, use))
        return _settled(power, where, f"first consumer {use.who}")

    def settle_reader(self, side: Direction, volume: MigrationVolume, claim: Claim, *, copied: bool) -> Settled:
        """Power and place of what only reads the volume's claim on the side where it is read (`push`) or written.

        `copied` says that it reads a copy made from a snapshot, which nobody else holds.
        """
        pods, use = self._application(side, volume)
        if not pods and use is None:
            # Where the application did not come along, the files still belong to whom it runs as on the source.
            pods, use = self._application("push", volume)
        users = pods or ([] if use is None else [{"spec": use.spec}])
        power = self._power("push", side, volume, users)
        user = None if copied else holder(claim.access_modes, self.users(side, volume))
        if user is not None:
            return Settled(power, placement.beside(user), user["spec"]["nodeName"])
        return Settled(power, placement.where_it_can_run(None if use is None else use.spec, decides=False))

    def _power(self, direction: Direction, side: Direction, volume: MigrationVolume, users: list[Object]) -> Power:
        """Of what reads (`push`) or writes on the side."""
        name = volume.namespace_of(side)
        refused = self._asked(side, lambda c: refuses_root(c, name), "scc", name)
        most, refusal = self._asked(side, lambda c: most_power(c, name, direction), "most power", direction, name)
        namespace = self._namespace(side, volume)
        return privileges.decide(direction, namespace, users, refuses_root=refused, most=most, refusal=refusal)

    def waits_for_others(self, volume: MigrationVolume, begun: Collection[str]) -> bool:
        """Whether the place of the volume's disk depends on that of one of `begun` claims, which has none yet."""
        claim = self.destination_claim(volume)
        if (claim is not None and claim.is_bound) or self.binds_at_once(volume):
            return False
        use = self._consumer(volume, self._application("push", volume)[1])
        if use is None:
            return False
        names = set(use.claims).union(*(use.others if topology.has_rules(use.pod) else ())) - {volume.claim}
        return any(name in begun and not self._is_bound(volume, name) for name in names)

    def users(self, side: Direction, volume: MigrationVolume) -> list[Object]:
        """The pods of the side that use the volume's claim."""
        name = volume.namespace_of(side)
        found = self._asked(side, lambda c: users_of_claims(c, name), "users", name)
        return found.get(volume.claim, [])

    def destination_claim(self, volume: MigrationVolume) -> Claim | None:
        """The volume's claim on the destination, if it is there."""
        return self._destination_claims(volume).get(volume.claim)

    def _destination_claims(self, volume: MigrationVolume) -> dict[str, Claim]:
        name = volume.destination_namespace
        return self._asked("pull", lambda c: {each.name: each for each in map(claim_of, c.list(CLAIMS, name))}, name)

    def _is_bound(self, volume: MigrationVolume, name: str) -> bool:
        claim = self._destination_claims(volume).get(name)
        return claim is not None and claim.is_bound

    def binds_at_once(self, volume: MigrationVolume) -> bool:
        """Whether the destination makes the volume's disk without waiting for its first consumer."""
        classes = self._asked("pull", _binding_modes, "classes")
        return classes.get(volume.destination_class) == "Immediate"

    def _asked[T](self, direction: str, look: Callable[[Connection], T], *what: str) -> T:
        key = (direction, *what)
        if key not in self._known:
            with self._sides[direction].asked() as connection:
                self._known[key] = look(connection)
        return cast(T, self._known[key])

    def _namespace(self, direction: Direction, volume: MigrationVolume) -> Object:
        name = volume.namespace_of(direction)
        if direction == "pull":
            found = self._asked("pull", lambda c: _namespace_or_none(c, name), "namespace", name)
            if found is not None:
                return found
            # One that is not there yet comes with the labels and annotations of the source's.
            name = volume.namespace
        return self._asked("push", lambda c: c.get("namespaces", name), "namespace", name)

    def _application(self, side: Direction, volume: MigrationVolume) -> tuple[list[Object], Use | None]:
        """The pods of the side that use the claim, and who decides where such pods run."""
        name = volume.namespace_of(side)
        pods = self.users(side, volume)
        # A DaemonSet's controller has tied each of its pods to a node; their template is not.
        free = [pod for pod in pods if not _is_of_daemon_set(pod)]
        everyone = self._asked(side, lambda c: users_of_claims(c, name), "users", name)
        use = placement.use_by_pods(free, [pod for users in everyone.values() for pod in users])
        return pods, use or placement.use_of(volume.claim, self._workloads(side, name), self._names(volume))

    def _consumer(self, volume: MigrationVolume, on_source: Use | None) -> Use | None:
        """Who will use the claim on the destination: workloads as they arrive there, else what does on the source."""
        workloads = self._arriving(volume.namespace)
        if not self._migration.include_resources:
            workloads = [*self._workloads("pull", volume.destination_namespace), *workloads]
        return placement.use_of(volume.claim, workloads, self._names(volume)) or on_source

    def _workloads(self, side: Direction, namespace: str) -> list[Object]:
        return self._asked(side, lambda c: placement.workloads_in(c, namespace), "workloads", namespace)

    def _arriving(self, namespace: str) -> list[Object]:
        """The source's workloads with the templates that they arrive with: users' rules may place their pods."""
        options = Wanted.by(self._migration).options({})

        def arriving(workload: Object) -> Object:
            try:
                return {**workload, "spec": transformed(workload, options)["spec"]}
            except RuleError:
                # It will not arrive at all, which its own row says.
                return workload

        found = self._workloads("push", namespace)
        return self._asked("push", lambda _: [arriving(each) for each in found], "arriving", namespace)

    def _names(self, volume: MigrationVolume) -> list[str]:
        """The claims of the volume's namespace, of the migration and on the destination."""
        moved = self._asked("push", lambda _: list(self._migration.volumes.values_list("namespace", "claim")), "moved")
        there = self._destination_claims(volume)
        return sorted({claim for namespace, claim in moved if namespace == volume.namespace} | set(there))

    def _places_left(self, volume: MigrationVolume, use: Use) -> Object:
        """The nodes where the volume's disk may come into being, beside what the pod's own spec says: a node selector.

        Empty where nothing speaks against any.
        """
        selector = self._places_of(volume, use.claims - {volume.claim})
        nodes = self._asked("pull", _nodes, "nodes")
        if topology.has_rules(use.pod):
            others = [self._places_of(volume, claims) for claims in use.others]
            selector = topology.both(selector, topology.all_of(topology.apart(use.pod, others, nodes)))
        if pod_requests(use.spec):
            left = [node for node in nodes if not selector or scheduling.is_selected(selector, node)]
            pods = self._asked("pull", _running_pods, "running pods")
            selector = topology.both(selector, topology.all_of(topology.large_enough(use.spec, left, pods)))
        return selector

    def _places_of(self, volume: MigrationVolume, claims: Collection[str]) -> Object:
        """Where all of those claims' disks that are there can be attached: a node selector."""
        selector: Object = {}
        for name in sorted(claims):
            claim = self._destination_claims(volume).get(name)
            if claim is not None and claim.is_bound:
                affinity = self._affinity_of("pull", claim.volume) or {}
                selector = topology.both(selector, affinity.get("required") or {})
        return selector

    def _place_of(self, direction: Direction, disk: str) -> str:
        """Where the PersistentVolume can be attached; empty where that may not be asked."""
        affinity = self._affinity_of(direction, disk)
        return "" if affinity is None else f"disk {json.dumps(affinity, sort_keys=True)}"

    def _affinity_of(self, direction: Direction, disk: str) -> Object | None:
        return self._asked(direction, lambda c: _node_affinity(c, disk), "disk", disk)


def _settled(power: Power, where: Placement, place: str, node: str = "") -> Settled:
    together = json.dumps([place, astuple(power), where.spec()], sort_keys=True) if place else ""
    return Settled(power, where, node, together)


def holder(access_modes: list[str], pods: list[Object]) -> Object | None:
    """The pod that holds the volume to its node, if any: a volume of one node can be mounted only there."""
    if SHARED & set(access_modes):
        return None
    return next((pod for pod in pods if pod["spec"].get("nodeName")), None)


def _binding_modes(connection: Connection) -> dict[str, str]:
    """When classes make disks, by name and, for the default one, by the empty name; nothing where it may not be asked.

    Without an answer all are taken for those that wait, which only keeps volumes from sharing a mover.
    """
    try:
        classes = list(connection.list(CLASSES))
    except errors.Forbidden:
        return {}
    found = {each["metadata"]["name"]: each.get("volumeBindingMode") or "Immediate" for each in classes}
    for each in classes:
        if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true":
            found[""] = found[each["metadata"]["name"]]
    return found


def _nodes(connection: Connection) -> list[Object]:
    """The nodes; none where they may not be asked for."""
    try:
        return list(connection.list("nodes"))
    except errors.Forbidden:
        return []


def _running_pods(connection: Connection) -> list[Object]:
    """The pods that take room on the nodes; none where they may not be asked for."""
    try:
        return list(connection.list("pods", field_selector="status.phase!=Succeeded,status.phase!=Failed"))
    except errors.Forbidden:
        return []


def _namespace_or_none(connection: Connection, name: str) -> Object | None:
    try:
        return connection.get("namespaces", name)
    except errors.NotFound:
        return None


def _node_affinity(connection: Connection, disk: str) -> Object | None:
    """The PersistentVolume's; {} where it has none, None where it cannot be known."""
    try:
        return connection.get("persistentvolumes", disk)["spec"].get("nodeAffinity") or {}
    except (errors.Forbidden, errors.NotFound):
        return None


def _is_of_daemon_set(pod: Object) -> bool:
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or ())
