"""Whether the accounts may do what this very migration needs, on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clusters.texts import Text, listed, said
from migrations_app.resources.preflight import roles
from migrations_app.resources.preflight.access import Access, Need, covered
from migrations_app.resources.preflight.context import Context, label
from migrations_app.resources.preflight.facts import Facts
from migrations_app.resources.preflight.needs import (
    NAMESPACES,
    destination_needs,
    granted_by,
    granting_needs,
    looking_needs,
    pause_needs,
    reading_needs,
    snapshot_needs,
    source_needs,
    trial_needs,
    undo_needs,
)
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import RBAC, items, section

Object = dict[str, Any]
PERMISSIONS = Check("permissions", said("Permissions"))
ESCALATION = Check("rbac-escalation", said("Permissions to grant permissions"))


def of_source(context: Context) -> Iterator[Result]:
    names = context.spec.namespaces
    lesser = (
        (
            snapshot_needs(context),
            said("Volumes would be read file by file while they change, not from a snapshot."),
        ),
        *_of_movers(context, names),
    )
    silent = [*reading_needs(context), *looking_needs(context.source, names)]
    yield from _judged(context.source, source_needs(context), lesser, silent, frozenset())


def of_destination(context: Context) -> Iterator[Result]:
    absent = frozenset(context.namespaces) - context.existing
    lesser = (
        (undo_needs(context), said("A cancelled migration could not take back what it had made.")),
        *_of_movers(context, context.namespaces),
    )
    silent = [*granting_needs(context), *looking_needs(context.destination, context.namespaces)]
    yield from _judged(context.destination, destination_needs(context), lesser, silent, absent)


def _of_movers(context: Context, namespaces: Iterable[str]) -> Iterator[tuple[list[Need], Text]]:
    names = list(namespaces)
    yield pause_needs(context, names), said("The migration could not be paused.")
    yield trial_needs(context, names), said("With how much power movers may come in could not be tried beforehand.")


def _judged(
    facts: Facts,
    needs: list[Need],
    lesser: Iterable[tuple[list[Need], Text]],
    silent: list[Need],
    absent: frozenset[str],
) -> Iterator[Result]:
    """`lesser` needs are only warned of, with why; `silent` ones are told elsewhere, and belong to the role."""
    access = Access(facts)
    missing = access.missing(needs)
    # To make a namespace is worth naming by itself: the engine does.
    found = [(missing, PERMISSIONS.failure, said("The migration would stop there, or objects would be refused."))]
    if not missing:
        found += [(access.missing(each), PERMISSIONS.warning, why) for each, why in lesser]
    every = [*needs, *(need for each, _why in lesser for need in each), *silent]
    command = _least(facts, list(dict.fromkeys(every)), access.user(), absent)
    if not any(lacking for lacking, _make, _why in found):
        yield PERMISSIONS.passed(
            said("The account of the {side} may do all that this migration needs.", side=facts),
            command=command,
        )
        return
    for lacking, make, why in found:
        for namespace in dict.fromkeys(each.namespace for each in lacking):
            verbs = [str(each) for each in lacking if each.namespace == namespace]
            yield make(
                _lacking(facts, listed(verbs, 12), namespace),
                [f"Namespace {namespace}"] if namespace else [],
                why=why,
                remedy=said(
                    "Grant it a role with these permissions there, or use a kubeconfig of an account that has them."
                ),
                command=command,
            )


def _lacking(facts: Facts, verbs: Text, namespace: str) -> Text:
    if not namespace:
        return said("The account of the {side} may not {verbs} outside of namespaces.", side=facts, verbs=verbs)
    return said(
        "The account of the {side} may not {verbs} in namespace {namespace}.",
        side=facts,
        verbs=verbs,
        namespace=namespace,
    )


def _least(facts: Facts, needs: list[Need], user: str, absent: frozenset[str]) -> str:
    """The role, and the namespaces that it lies in: who is given those need not make any."""
    if absent:
        needs = [each for each in needs if each.resource != NAMESPACES or each.verb == "get"]
    name = f"kubemotion-{facts.role}"
    return roles.command(facts, roles.manifests(needs, name=name, user=user, absent=absent))


def escalation(context: Context) -> Iterator[Result]:
    """Roles that grant more than the account has itself: the API server lets nobody make those (RBAC escalation)."""
    access = Access(context.destination)
    refused = []
    for obj in context.planned:
        if obj["apiVersion"].partition("/")[0] != RBAC:
            continue
        namespace = str(obj["metadata"].get("namespace") or "")
        if obj["kind"] in ("Role", "ClusterRole"):
            resource = f"{obj['kind'].lower()}s.{RBAC}"
            name = str(obj["metadata"]["name"])
            more = _more(access, items(obj, "rules"), Need(namespace, resource, "escalate", name=name))
        elif obj["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            role = section(obj, "roleRef")
            rules = _rules_of(context, role, namespace)
            resource = f"{str(role.get('kind')).lower()}s.{RBAC}"
            more = _more(access, rules, Need(namespace, resource, "bind", name=str(role.get("name"))))
        else:
            continue
        if more:
            refused.append((label(obj), more))
    for name, more in refused:
        yield ESCALATION.failure(
            said(
                "The account of the {destination} may not make {name}, because that grants what it may not do "
                "itself: {more}.",
                destination=context.destination,
                name=name,
                more=listed(more, 3),
            ),
            [name],
            why=said("The API server refuses it (attempting to grant RBAC permissions not currently held)."),
            remedy=said("Let an administrator make it, or allow the account to escalate and bind roles."),
            command=f"{context.destination.kubectl} create clusterrole kubemotion-grants --verb=escalate,bind "
            f"--resource=roles.{RBAC},clusterroles.{RBAC}",
        )


def _more(access: Access, rules: list[Object], instead: Need) -> list[str]:
    """What of the rules the account may not do itself; empty where it may do `instead`, which allows it anyhow."""
    wanted = granted_by(rules)
    if not wanted:
        return []
    own, incomplete = access.rules(instead.namespace or "default")
    lacking = [each for each in wanted if not covered(own, each[0], each[1], each[2])]
    if not lacking or incomplete or access.may(instead):
        return []
    return [f"{found_verb} {plural}{f'.{group}' if group else ''}" for found_verb, group, plural in lacking]


def _rules_of(context: Context, role: Object, namespace: str) -> list[Object]:
    kind, name = str(role.get("kind")), str(role.get("name"))
    for obj in context.of_type(RBAC, kind):
        if obj["metadata"]["name"] == name and (kind == "ClusterRole" or obj["metadata"].get("namespace") == namespace):
            return items(obj, "rules")
    if kind == "ClusterRole":
        return items(context.destination.named(f"clusterroles.{RBAC}").get(name), "rules")
    return items(context.destination.named(f"roles.{RBAC}", namespace).get(name), "rules")
