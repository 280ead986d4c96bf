"""What people do with Stork's schedules. Every change is one object in one cluster, and one entry in the history."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import Cluster, ClusterPair
from clusters.portworx import actions, activation, policies, rules, schedules
from clusters.portworx.actions import Kind
from clusters.portworx.migration import ADMIN_NAMESPACE, MigrationSpec
from clusters.portworx.policies import Policy, PolicyError
from clusters.portworx.rules import RuleError
from clusters.portworx.schedules import Schedule
from migrations_app.schedules.overview import PAIRS, asked
from teams.refusals import Conflict, Refusal

Object = dict[str, Any]
ENGINE = "portworx"
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def require_stork(pair: ClusterPair) -> None:
    """Raises Refusal for a pair whose clusters are not driven by Stork."""
    if pair.engine != ENGINE:
        raise Refusal(_("Schedules are Stork's: they need a pair whose engine is Portworx."))


# -- what is made


def add_policy(pair: ClusterPair, *, name: str, policy: Policy, namespace: str = "", by: Actor) -> None:
    """A SchedulePolicy on the source, of the cluster or of one namespace. Raises Refusal."""
    try:
        made = policies.manifest(_name(name), policy, namespace=namespace)
    except PolicyError as error:
        raise Refusal(str(error), {"__all__": [str(error)]}) from None
    _create(pair, policies.NAMESPACED_POLICIES if namespace else policies.POLICIES, made, "schedule_policy.add", by)


def add_rule(pair: ClusterPair, *, name: str, namespace: str, commands: list[rules.Action], by: Actor) -> None:
    """A Rule in a namespace of the source. Raises Refusal."""
    try:
        made = rules.manifest(_name(name), namespace, commands)
    except RuleError as error:
        raise Refusal(str(error), {"__all__": [str(error)]}) from None
    _create(pair, rules.RULES, made, "rule.add", by)


def add_schedule(
    pair: ClusterPair,
    *,
    name: str,
    namespace: str,
    spec: MigrationSpec,
    policy: str,
    auto_suspend: bool = True,
    by: Actor,
) -> None:
    """A MigrationSchedule on the source, in the namespace of its ClusterPair. Raises Refusal."""
    require_stork(pair)
    chosen = tuple(dict.fromkeys(spec.namespaces))
    if not chosen:
        message = _("Name at least one namespace.")
        raise Refusal(message, {"namespaces": [message]})
    if namespace != ADMIN_NAMESPACE and chosen != (namespace,):
        message = _("A schedule in %(namespace)s can migrate only that namespace; others need one in %(admin)s.")
        said = message % {"namespace": namespace, "admin": ADMIN_NAMESPACE}
        raise Refusal(said, {"namespaces": [said]})
    with asked(pair.source) as connection:
        _there(connection, PAIRS, spec.cluster_pair, namespace, "cluster_pair")
        if not _has_policy(connection, policy, namespace):
            message = _("There is no schedule policy %(name)s on %(cluster)s.")
            said = message % {"name": policy, "cluster": pair.source.name}
            raise Refusal(said, {"policy": [said]})
        for field in ("pre_exec_rule", "post_exec_rule"):
            if rule := getattr(spec, field):
                _there(connection, rules.RULES, rule, namespace, field)
    made = schedules.manifest(_name(name), namespace, spec, policy=policy, auto_suspend=auto_suspend)
    _create(pair, schedules.SCHEDULES, made, "schedule.add", by)


def _name(text: str) -> str:
    name = text.strip()
    if not NAME.fullmatch(name):
        message = _("Use at most 253 lower-case letters, digits, hyphens and dots, beginning and ending with one.")
        raise Refusal(message, {"name": [message]})
    return name


def _there(connection: Connection, resource: str, name: str, namespace: str, field: str) -> None:
    try:
        connection.get(resource, name, namespace)
    except errors.NotFound as error:
        raise Refusal(error.message, {field: [error.message]}) from None


def _has_policy(connection: Connection, name: str, namespace: str) -> bool:
    for resource, place in ((policies.NAMESPACED_POLICIES, namespace), (policies.POLICIES, None)):
        try:
            connection.get(resource, name, place)
        except errors.NotFound:
            continue
        return True
    return False


def _create(pair: ClusterPair, resource: str, made: Object, action: str, by: Actor) -> None:
    require_stork(pair)
    with asked(pair.source) as connection:
        try:
            connection.create(resource, made)
        except errors.AlreadyExists:
            message = _("There is one named %(name)s already. Choose another name.") % made["metadata"]
            raise Conflict(message, {"name": [message]}) from None
    record(by, action, pair, after={key: value for key, value in made.items() if key not in ("apiVersion", "status")})


# -- what is done with a schedule


def suspend(pair: ClusterPair, namespace: str, name: str, *, suspended: bool = True, by: Actor) -> str:
    """Hold the schedule, or let it go on; storkctl's words. Raises Refusal."""
    require_stork(pair)
    with asked(pair.source) as connection:
        schedules.suspend(connection, namespace, name, suspended=suspended)
    action = "suspend" if suspended else "resume"
    record(by, f"schedule.{action}", pair, after={"schedule": f"{namespace}/{name}"})
    return f"MigrationSchedule {name} {'suspended' if suspended else 'resumed'} successfully"


def resume(pair: ClusterPair, namespace: str, name: str, *, by: Actor) -> str:
    """Let the schedule go on. Raises Refusal."""
    return suspend(pair, namespace, name, suspended=False, by=by)


def remove(pair: ClusterPair, namespace: str, name: str, *, by: Actor) -> str:
    """Delete the schedule on the source and its copy on the destination. Migrations that it made go with it."""
    require_stork(pair)
    for cluster in (pair.source, pair.destination):
        with asked(cluster) as connection:
            try:
                found = connection.get(schedules.SCHEDULES, name, namespace)
            except errors.NotFound:
                continue
            if cluster == pair.source or schedules.read(found).is_static_copy:
                connection.delete(schedules.SCHEDULES, name, namespace, uid=found["metadata"]["uid"])
    record(by, "schedule.remove", pair, before={"schedule": f"{namespace}/{name}"})
    return f"MigrationSchedule {name} deleted successfully"


def activate(pair: ClusterPair, namespace: str, *, active: bool = True, by: Actor) -> list[str]:
    """Start (or stop) on the destination what was migrated into the namespace; what was done. Raises Refusal."""
    require_stork(pair)
    with asked(pair.destination) as connection:
        done = activation.activate(connection, namespace, active=active)
    action = "migrations.activate" if active else "migrations.deactivate"
    record(by, action, pair, after={"namespace": namespace, "done": done})
    return done


def fail_over(
    pair: ClusterPair, namespace: str, name: str, *, namespaces: list[str], skip_source: bool = False, by: Actor
) -> str:
    """The destination takes the schedule's applications over; the Action's name. Raises Refusal.

    `skip_source` is for a source that is lost: nothing is stopped there, and what it has written since its last
    migration stays behind.
    """
    return _act(pair, Kind.FAILOVER, pair.destination, namespace, name, namespaces, skip_source, by)


def fail_back(pair: ClusterPair, namespace: str, name: str, *, namespaces: list[str], by: Actor) -> str:
    """The source takes applications back, over a schedule of the destination; the Action's name. Raises Refusal."""
    return _act(pair, Kind.FAILBACK, pair.source, namespace, name, namespaces, False, by)


def _act(
    pair: ClusterPair,
    kind: Kind,
    cluster: Cluster,
    namespace: str,
    name: str,
    namespaces: list[str],
    skip_source: bool,
    by: Actor,
) -> str:
    """The Action on the cluster that takes over, after storkctl's own checks, in its words where it has some."""
    require_stork(pair)
    with asked(cluster) as connection:
        schedule = _copy(connection, kind, namespace, name)
        if not skip_source:
            back = schedule.spec.cluster_pair
            message = _("unable to find the ClusterPair %(pair)s in the %(namespace)s namespace")
            said = message % {"pair": back, "namespace": namespace}
            remedy = _("The way back needs one of the same name there: pair both directions.")
            _found(connection, PAIRS, back, namespace, f"{said}. {remedy}")
        made = actions.manifest(
            kind,
            actions.name_for(kind, name),
            namespace,
            name,
            namespaces=namespaces or list(schedule.spec.namespaces),
            skip_source=skip_source,
        )
        connection.create(actions.ACTIONS, made)
    record(by, f"schedule.{kind}", pair, after={"cluster": cluster.name, "action": made["spec"]})
    return str(made["metadata"]["name"])


def _copy(connection: Connection, kind: Kind, namespace: str, name: str) -> Schedule:
    message = _("unable to find the reference MigrationSchedule %(name)s in the %(namespace)s namespace")
    said = message % {"name": name, "namespace": namespace}
    schedule = schedules.read(_found(connection, schedules.SCHEDULES, name, namespace, said))
    if not schedule.is_static_copy:
        message = _("ensure that `storkctl perform %(kind)s` is run in the cluster you want to %(kind)s to")
        remedy = _("This schedule starts from that very cluster: ask on the pair that leads the other way.")
        raise Refusal(f"{message % {'kind': kind}}. {remedy}")
    return schedule


def _found(connection: Connection, resource: str, name: str, namespace: str, otherwise: str) -> Object:
    try:
        return connection.get(resource, name, namespace)
    except errors.NotFound:
        raise Refusal(otherwise) from None


# What can be asked of a schedule by a word, in the API and on the page.
SIMPLE: dict[str, Callable[..., str]] = {"suspend": suspend, "resume": resume, "remove": remove}
