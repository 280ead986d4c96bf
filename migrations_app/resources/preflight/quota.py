"""Quotas of the destination's namespaces against what would be made there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal

from clusters.texts import Text, counted, listed, said
from migrations_app.resources.preflight import limits
from migrations_app.resources.preflight.context import Context, Object
from migrations_app.resources.preflight.facts import Facts
from migrations_app.resources.preflight.limits import shown
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.preflight.usage import QUOTAS, Quota, Usage, pod_usage, quota_of, quotas_of, shares, total
from migrations_app.resources.preflight.workloads import Workload, amounts
from migrations_app.resources.references import items

QUOTA = Check("quota", said("Quotas of the destination's namespaces"))
SPECIFIED = Check("quota-needs-limits", said("Requests and limits that quotas demand"))
MOVERS = Check("mover-quota", said("Room for the movers' pods"))
# A quota on one of these is a demand that each container says how much.
DEMANDED = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory", "cpu", "memory")


def quotas(context: Context) -> Iterator[Result]:
    """Quotas that what comes would exceed."""
    looked_at, wrong = 0, False
    for quota in quotas_of(context):
        looked_at += 1
        coming = [
            share
            for namespace in sorted(quota.namespaces & set(context.namespaces))
            for share in shares(context, namespace, quota)
        ]
        if exceeded := _exceeded(quota, total(coming)):
            wrong = True
            yield QUOTA.failure(
                said(
                    "{quota} of the {destination} is too small ({amounts}).",
                    quota=quota,
                    destination=context.destination,
                    amounts=listed(exceeded.values()),
                ),
                [share.label for share in coming if exceeded.keys() & share.usage.keys()],
                why=said("The API server would refuse what exceeds it: claims are not made, or workloads get no pods."),
                remedy=said(
                    "Raise the quota there, or bring less: fewer replicas, or without starting the applications."
                ),
                command=quota.command(context.destination, "edit"),
            )
    if looked_at and not wrong:
        yield QUOTA.passed(
            counted(
                looked_at,
                "What comes fits into {n} quota of the {destination}.",
                "What comes fits into {n} quotas of the {destination}.",
                destination=context.destination,
            )
        )


def _exceeded(quota: Quota, usage: Usage) -> dict[str, Text]:
    """What of the quota the additional usage exceeds, each with the numbers."""
    return {
        name: said(
            "{name}: {more} more on top of {used}, of {hard}",
            name=name,
            more=shown(name, usage[name]),
            used=shown(name, quota.used.get(name, Decimal(0))),
            hard=shown(name, hard),
        )
        for name, hard in quota.hard.items()
        if usage.get(name) and quota.used.get(name, Decimal(0)) + usage[name] > hard
    }


def demands(context: Context) -> Iterator[Result]:
    """Pods that do not say what a quota demands."""
    for quota in quotas_of(context):
        lacking: dict[str, list[Workload]] = {}
        for workload in context.workloads:
            if workload.namespace in quota.namespaces:
                spec = limits.with_defaults(workload.spec, limits.ranges_of(context, workload.namespace))
                for name in _unsaid(quota, spec):
                    lacking.setdefault(name, []).append(workload)
        if lacking:
            users = list(dict.fromkeys(workload for each in lacking.values() for workload in _distinct(each)))
            make = SPECIFIED.failure if any(each.starts for each in users) else SPECIFIED.warning
            yield make(
                counted(
                    len(users),
                    "{quota} of the {destination} demands {demanded} of every container, and {users} does not say it.",
                    "{quota} of the {destination} demands {demanded} of every container, and {users} do not say it.",
                    quota=quota,
                    destination=context.destination,
                    demanded=listed(sorted(lacking)),
                    users=listed(users),
                ),
                map(str, users),
                why=said("The API server would refuse their pods (failed quota: must specify)."),
                remedy=said(
                    "Add a LimitRange with defaults to the namespace, or requests and limits to the containers."
                ),
                command=_limit_range(
                    context.destination, sorted(quota.namespaces & set(context.namespaces))[0], lacking
                ),
            )


def _distinct(workloads: list[Workload]) -> Iterator[Workload]:
    seen: set[str] = set()
    for each in workloads:
        if str(each) not in seen:
            seen.add(str(each))
            yield each


def _limit_range(facts: Facts, namespace: str, names: Iterable[str]) -> str:
    """A command that adds a LimitRange, which fills in what is demanded."""
    values = {"cpu": "500m", "memory": "512Mi"}
    kinds: dict[str, Object] = {}
    for name in sorted(names):
        kind = "default" if name.startswith("limits.") else "defaultRequest"
        resource = name.rpartition(".")[2]
        kinds.setdefault(kind, {})[resource] = values[resource]
    body = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "defaults", "namespace": namespace},
        "spec": {"limits": [{"type": "Container", **kinds}]},
    }
    return f"{facts.kubectl} apply -f - <<'EOF'\n{json.dumps(body, indent=2)}\nEOF"


def _unsaid(quota: Quota, spec: Object) -> Iterator[str]:
    if not quota.covers(spec):
        return
    containers = [*items(spec, "initContainers"), *items(spec, "containers")]
    for name in DEMANDED:
        if name in quota.hard:
            kind, resource = ("limits" if name.startswith("limits.") else "requests"), name.rpartition(".")[2]
            if any(resource not in amounts(each, kind) for each in containers):
                yield name


def movers(context: Context) -> Iterator[Result]:
    """Whether at least one mover's pod fits into the quotas that are there, on both sides."""
    carried = [each for each in context.claims if each.with_data]
    if context.mover is None or not carried:
        return
    looked_at, wrong = 0, False
    for facts, namespaces in (
        (context.source, {str(each.source["metadata"]["namespace"]) for each in carried}),
        (context.destination, {each.namespace for each in carried} & context.existing),
    ):
        for namespace in sorted(namespaces):
            for raw in facts.list(QUOTAS, namespace):
                spec = limits.with_defaults(context.mover, facts.list(limits.RANGES, namespace))
                looked_at += 1
                if found := _keeps_out(facts, namespace, quota_of(raw, namespace), spec):
                    wrong = True
                    yield found
    if looked_at and not wrong:
        yield MOVERS.passed(
            counted(looked_at, "The movers' pods fit into {n} quota.", "The movers' pods fit into {n} quotas.")
        )


def _keeps_out(facts: Facts, namespace: str, quota: Quota, spec: Object) -> Result | None:
    """How the quota keeps a mover's pod out, if it does."""
    if not quota.covers(spec):
        return None
    values = {"namespace": namespace, "side": facts, "quota": quota}
    why = said("The volumes could not be read or written.")
    if full := _exceeded(quota, pod_usage(spec, 1)):
        return MOVERS.failure(
            said(
                "The movers' pods cannot run in namespace {namespace} on the {side}: {quota} has no room left for one "
                "({amounts}).",
                **values,
                amounts=listed(full.values()),
            ),
            [str(quota)],
            why=why,
            remedy=said("Raise the quota for the time of the migration."),
            command=quota.command(facts, "edit"),
        )
    if unsaid := list(_unsaid(quota, spec)):
        return MOVERS.failure(
            said(
                "The movers' pods cannot run in namespace {namespace} on the {side}: {quota} demands {demanded} of "
                "every container, which theirs do not say.",
                **values,
                demanded=listed(unsaid),
            ),
            [str(quota)],
            why=why,
            remedy=said("Add a LimitRange with defaults to the namespace for the time of the migration."),
            command=_limit_range(facts, namespace, unsaid),
        )
    return None
