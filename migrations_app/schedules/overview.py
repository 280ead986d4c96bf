"""What Stork has on both clusters of a pair: schedules, policies, rules, pairs, failovers and failbacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from clusters.connections import connect
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import Cluster, ClusterPair
from clusters.portworx import actions, policies, rules, schedules
from clusters.portworx.actions import ActionStatus
from clusters.portworx.migration import GROUP
from clusters.portworx.policies import Policy
from clusters.portworx.schedules import Schedule
from clusters.translation import translated
from teams.refusals import Refusal, Unavailable

Object = dict[str, Any]
PAIRS = f"clusterpairs.{GROUP}"


@dataclass(frozen=True)
class PolicyRow:
    """A policy; `namespace` is empty for one of the whole cluster."""

    name: str
    namespace: str
    policy: Policy


@dataclass(frozen=True)
class RuleRow:
    """A rule and its commands."""

    name: str
    namespace: str
    commands: list[rules.Action]


@dataclass(frozen=True)
class PairRow:
    """A ClusterPair, which schedules of its namespace can use."""

    name: str
    namespace: str
    ready: bool

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Side:
    """What one of the clusters has. `copies` are the marks of schedules of the other; `trouble` why it has nothing."""

    cluster: Cluster
    trouble: str = ""
    schedules: list[Schedule] = field(default_factory=list)
    copies: list[Schedule] = field(default_factory=list)
    policies: list[PolicyRow] = field(default_factory=list)
    rules: list[RuleRow] = field(default_factory=list)
    pairs: list[PairRow] = field(default_factory=list)
    actions: list[ActionStatus] = field(default_factory=list)

    def is_active(self, schedule: Schedule) -> bool:
        """Whether applications that a schedule of the other cluster brings run here."""
        return any(
            (each.namespace, each.name) == (schedule.namespace, schedule.name) and each.applications_activated
            for each in self.copies
        )


@contextmanager
def asked(cluster: Cluster) -> Iterator[Connection]:
    """A connection for the block; what the cluster refuses becomes a Refusal that names it."""
    try:
        with connect(cluster) as connection:
            yield connection
    except errors.KubeError as error:
        failure = Unavailable if isinstance(error, errors.RETRIABLE) else Refusal
        raise failure(f"{cluster.name}: {translated(error.message)}") from None


def both_sides(pair: ClusterPair) -> tuple[Side, Side]:
    """Source and destination as they are now; one that does not answer says so and hides nothing of the other."""
    return _look(pair.source), _look(pair.destination)


def _look(cluster: Cluster) -> Side:
    side = Side(cluster)
    try:
        with asked(cluster) as connection:
            _read(connection, side)
    except Refusal as refusal:
        side.trouble = str(refusal)
    return side


def _read(connection: Connection, side: Side) -> None:
    if connection.discovery().find(schedules.SCHEDULES) is None:
        side.trouble = _("%(cluster)s has no Stork: it does not serve MigrationSchedules. Install Stork there.") % {
            "cluster": side.cluster.name
        }
        return
    for found in map(schedules.read, connection.list(schedules.SCHEDULES)):
        (side.copies if found.is_static_copy else side.schedules).append(found)
    for resource in (policies.POLICIES, policies.NAMESPACED_POLICIES):
        side.policies += [
            PolicyRow(obj["metadata"]["name"], obj["metadata"].get("namespace", ""), Policy.of(obj))
            for obj in _served(connection, resource)
        ]
    side.rules = [
        RuleRow(obj["metadata"]["name"], obj["metadata"]["namespace"], rules.read(obj))
        for obj in _served(connection, rules.RULES)
    ]
    side.pairs = [_pair(obj) for obj in _served(connection, PAIRS)]
    read = [actions.read(obj) for obj in _served(connection, actions.ACTIONS)]
    side.actions = sorted((each for each in read if each), key=lambda each: each.name, reverse=True)


def _served(connection: Connection, resource: str) -> list[Object]:
    """The objects; older Storks have no Actions, and no policies of namespaces."""
    return [] if connection.discovery().find(resource) is None else list(connection.list(resource))


def _pair(obj: Object) -> PairRow:
    status = obj.get("status") or {}
    # A pair without storage (metro DR) is NotProvided there, and still usable.
    ready = status.get("schedulerStatus") == "Ready" and status.get("storageStatus") in ("Ready", "NotProvided")
    return PairRow(obj["metadata"]["name"], obj["metadata"]["namespace"], ready)
