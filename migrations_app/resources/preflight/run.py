"""All checks, side by side: each is asked for what it finds, and none stops another."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from clusters.texts import said
from migrations_app.resources.preflight import (
    admission,
    apis,
    consistency,
    existing,
    images,
    limits,
    missing,
    networking,
    permissions,
    pod_security,
    quota,
    scc,
    scheduling,
    secret_types,
    storage,
    uids,
)
from migrations_app.resources.preflight.access import Access
from migrations_app.resources.preflight.context import Context
from migrations_app.resources.preflight.facts import Unreadable
from migrations_app.resources.preflight.result import Check, Result, worst_first

Look = Callable[[Context], Iterator[Result]]
WORKERS = 6

# Looked at when the others have said what they had to read, which belongs to the role that is offered.
LAST: tuple[tuple[Check, Look], ...] = (
    (permissions.PERMISSIONS, permissions.of_source),
    (permissions.PERMISSIONS, permissions.of_destination),
)
# In the order in which results of one kind are shown.
CHECKS: tuple[tuple[Check, Look], ...] = (
    *LAST,
    (permissions.ESCALATION, permissions.escalation),
    (apis.VERSIONS, apis.versions),
    (apis.DEFINITIONS, apis.definitions),
    (apis.CONVERSION, apis.conversion),
    (apis.SILENT, apis.silent),
    (storage.CLASS, storage.classes),
    (storage.ACCESS, storage.access_modes),
    (storage.MODE, storage.volume_modes),
    (storage.CAPACITY, storage.capacity),
    (storage.STATIC, storage.static),
    (storage.DRIVER, storage.drivers),
    (consistency.HELD, consistency.held),
    (consistency.CONSISTENCY, consistency.consistency),
    (quota.QUOTA, quota.quotas),
    (quota.SPECIFIED, quota.demands),
    (quota.MOVERS, quota.movers),
    (limits.LIMITS, limits.limit_ranges),
    (pod_security.POD_SECURITY, pod_security.pod_security),
    (scc.SCC, scc.constraints),
    (uids.UID_RANGE, uids.uid_ranges),
    (scheduling.ARCHITECTURE, scheduling.architecture),
    (scheduling.PLACEMENT, scheduling.placement),
    (scheduling.ROOM, scheduling.room),
    (scheduling.PRIORITY, scheduling.priorities),
    (scheduling.RUNTIME, scheduling.runtimes),
    (scheduling.SCHEDULER, scheduling.schedulers),
    (images.PULL_SECRETS, images.pull_secrets),
    (images.REGISTRIES, images.registries),
    (networking.INGRESS_CLASS, networking.ingress_classes),
    (networking.GATEWAY_CLASS, networking.gateways),
    (networking.HOSTS, networking.hosts),
    (networking.NODE_PORTS, networking.node_ports),
    (existing.EXISTING, existing.existing),
    (missing.REFERENCES, missing.references),
    (secret_types.SECRETS, secret_types.secret_types),
    (secret_types.SEALED, secret_types.sealed_secrets),
    (admission.WEBHOOKS, admission.webhooks),
    (admission.POLICIES, admission.policies),
)


def preflight(context: Context) -> list[Result]:
    """What stands in the way, failures first."""
    others = [each for each in CHECKS if each not in LAST]
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="preflight") as pool:
        found = list(pool.map(lambda each: _looked(context, *each), others))
    first = [_looked(context, *each) for each in LAST]
    return worst_first(result for results in (*first, *found) for result in results)


def _looked(context: Context, check: Check, look: Look) -> list[Result]:
    results = []
    try:
        for each in look(context):
            results.append(each)
    except Unreadable as unreadable:
        results.append(_unmade(check, unreadable))
    return results


def _unmade(check: Check, unreadable: Unreadable) -> Result:
    """A check that could not be made for want of a permission to read."""
    facts, resource = unreadable.facts, unreadable.resource
    user = Access(facts).user() or "NAME"
    name = f"kubemotion-lists-{resource.partition('.')[0]}"
    return check.warning(
        said("Not checked: the account of the {side} may not list {resource}.", side=facts, resource=resource),
        [f"{resource} of the {facts}"],
        why=said("What this check would find shows only when the migration runs."),
        remedy=said("Allow it the verb list on {resource}, then check again.", resource=resource),
        command=f"{facts.kubectl} create clusterrole {name} --verb=list --resource={resource}\n"
        f"{facts.kubectl} create clusterrolebinding {name} --clusterrole={name} --user={shlex.quote(user)}",
    )
