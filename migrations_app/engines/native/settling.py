"""What a mover's Job depends on in the clusters: with which power it runs, where, and with which others.

Several small volumes share one Job when one pod can hold them all: on the source those whose pods run on one node or
whose disks can be attached in the same places, on the destination those whose disks are there and can be attached in
the same places, or that are first consumed by the same pods of the application. Others must not share: the first
consumer decides where a disk comes into being, and disks of several applications would then all lie in one place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, cast

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import ClusterPair
from migrations_app.engines.claims import CLAIMS, Claim, claim_of, users_of_claims
from migrations_app.engines.native import placement, privileges
from migrations_app.engines.native.placement import Placement, Use
from migrations_app.engines.native.privileges import Direction, Power
from migrations_app.engines.sides import destination_of, source_of
from migrations_app.models import MigrationVolume

Object = dict[str, Any]
SCCS = "securitycontextconstraints.security.openshift.io"
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

    def __init__(self, pair: ClusterPair) -> None:
        self._sides = {"push": source_of(pair), "pull": destination_of(pair)}
        self._known: dict[tuple[str, ...], Any] = {}

    def settle(self, direction: Direction, volume: MigrationVolume) -> Settled:
        """Power and place of the volume's mover, and its company."""
        # The application is on the source, whichever side asks.
        pods, use = self._application("push", volume)
        users = pods or ([] if use is None else [{"spec": use.spec}])
        spec = None if use is None else use.spec
        name = volume.namespace_of(direction)
        refused = self._asked("pull" if direction == "pull" else "push", lambda c: refuses_root(c, name), "scc", name)
        power = privileges.decide(direction, self._namespace(direction, volume), users, refuses_root=refused)
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
        place = ""
        if not self.binds_at_once(volume):
            consumer = f"of class {volume.destination_class}" if use is None else use.who
            place = f"first consumer {consumer}"
        return _settled(power, placement.where_it_can_run(spec, decides=True), place)

    def settle_reader(self, side: Direction, volume: MigrationVolume, access_modes: list[str]) -> Settled:
        """Power and place of what only reads the volume's claim on the side where it is read (`push`) or written."""
        pods, use = self._application(side, volume)
        if not pods and use is None:
            # Where the application did not come along, the files still belong to whom it runs as on the source.
            pods, use = self._application("push", volume)
        users = pods or ([] if use is None else [{"spec": use.spec}])
        name = volume.namespace_of(side)
        refused = self._asked(side, lambda c: refuses_root(c, name), "scc", name)
        power = privileges.decide("push", self._namespace(side, volume), users, refuses_root=refused)
        if user := holder(access_modes, self.users(side, volume)):
            return Settled(power, placement.beside(user), user["spec"]["nodeName"])
        return Settled(power, placement.where_it_can_run(None if use is None else use.spec, decides=False))

    def users(self, side: Direction, volume: MigrationVolume) -> list[Object]:
        """The pods of the side that use the volume's claim."""
        name = volume.namespace_of(side)
        found = self._asked(side, lambda c: users_of_claims(c, name), "users", name)
        return found.get(volume.claim, [])

    def destination_claim(self, volume: MigrationVolume) -> Claim | None:
        """The volume's claim on the destination, if it is there."""
        name = volume.destination_namespace
        claims = self._asked("pull", lambda c: {each.name: each for each in map(claim_of, c.list(CLAIMS, name))}, name)
        return claims.get(volume.claim)

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
        if free:
            return pods, Use(free[0]["spec"], " ".join(sorted(pod["metadata"]["name"] for pod in free)))
        workloads = self._asked(side, lambda c: placement.workloads_in(c, name), "workloads", name)
        return pods, placement.use_of(volume.claim, workloads)

    def _place_of(self, direction: Direction, disk: str) -> str:
        """Where the PersistentVolume can be attached; empty where that may not be asked."""
        affinity = self._asked(direction, lambda c: _node_affinity(c, disk), "disk", disk)
        return "" if affinity is None else f"disk {json.dumps(affinity, sort_keys=True)}"


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


def refuses_root(connection: Connection, namespace: str) -> bool:
    """Whether OpenShift keeps the namespace's pods from being root with the capabilities of a mover."""
    if connection.discovery().find(SCCS) is None:
        return False
    try:
        constraints = list(connection.list(SCCS))
    except errors.Forbidden:
        permissive = ["privileged"]
    else:
        if not constraints:
            return False
        permissive = [each["metadata"]["name"] for each in constraints if privileges.is_permissive(each)]
    return not any(_may_use(connection, namespace, name) for name in permissive)


def _may_use(connection: Connection, namespace: str, name: str) -> bool:
    """Whether movers' pods, which have the default service account, may use the constraints."""
    attributes = {
        "namespace": namespace,
        "verb": "use",
        "group": "security.openshift.io",
        "resource": "securitycontextconstraints",
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": namespace},
        "spec": {
            "user": f"system:serviceaccount:{namespace}:default",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": attributes,
        },
    }
    path = f"/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"
    try:
        answer = connection.json("POST", path, body=review, repeatable=True, what="review the movers' permissions")
    except errors.Forbidden:
        # Without an answer, as OpenShift comes: not.
        return False
    return bool((answer.get("status") or {}).get("allowed"))
