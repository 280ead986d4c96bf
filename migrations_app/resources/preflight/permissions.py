"""Whether the accounts may do what this very migration needs, on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clusters.texts import Text, listed, said
from migrations_app.resources.preflight import roles
from migrations_app.resources.preflight.access import Access, Need, covered
from migrations_app.resources.preflight.context import Context, label
from migrations_app.resources.preflight.facts import Facts
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import items, section

Object = dict[str, Any]
PERMISSIONS = Check("permissions", said("Permissions"))
ESCALATION = Check("rbac-escalation", said("Permissions to grant permissions"))
RBAC = "rbac.authorization.k8s.io"

# What the movers take, in the order in which it is told.
MOVERS = (
    ("create", "jobs.batch", ""),
    ("delete", "jobs.batch", ""),
    ("create", "secrets", ""),
    ("delete", "secrets", ""),
    ("list", "pods", ""),
    ("get", "pods", "log"),
    ("get", "jobs.batch", ""),
    ("list", "jobs.batch", ""),
    ("get", "secrets", ""),
    ("list", "events", ""),
)
CLAIMS = "persistentvolumeclaims"
# Server-side apply creates and changes by PATCH, and needs `create` for what is not there.
APPLY = ("get", "list", "create", "patch")


def _movers(context: Context, namespace: str) -> list[Need]:
    if not context.spec.include_volumes:
        return []
    renewing = (("patch", "secrets", ""),) if context.renews_keys else ()
    return [Need(namespace, resource, verb, sub) for verb, resource, sub in (*MOVERS, *renewing)]


def source_needs(context: Context) -> list[Need]:
    """What the account of the source has to be allowed."""
    needs = [Need("", "namespaces", "get")]
    for namespace in context.spec.namespaces:
        needs.append(Need(namespace, CLAIMS, "list"))
        needs += _movers(context, namespace)
        if context.spec.include_resources:
            kinds = {(obj["apiVersion"], obj["kind"]) for obj in context.collected if _is_in(obj, namespace)}
            needs += [Need(namespace, name, "list") for name in _names(context.source, kinds)]
    outside = {(obj["apiVersion"], obj["kind"]) for obj in context.collected if _is_in(obj, "")}
    return [*needs, *(Need("", name, "list") for name in _names(context.source, outside))]


def destination_needs(context: Context) -> list[Need]:
    """What the account of the destination has to be allowed."""
    needs = [Need("", "namespaces", "get")]
    if set(context.namespaces) - context.existing:
        needs.append(Need("", "namespaces", "create"))
    for namespace in context.namespaces:
        needs += [Need(namespace, CLAIMS, verb) for verb in ("create", "get", "list")]
        needs += _movers(context, namespace)
        kinds = {(obj["apiVersion"], obj["kind"]) for obj in context.planned if _is_in(obj, namespace)}
        needs += [Need(namespace, name, verb) for name in _names(context.destination, kinds) for verb in APPLY]
    outside = {(obj["apiVersion"], obj["kind"]) for obj in context.planned if _is_in(obj, "")}
    return [*needs, *(Need("", name, verb) for name in _names(context.destination, outside) for verb in APPLY)]


def undo_needs(context: Context) -> list[Need]:
    """What taking back what was made has to be allowed."""
    found = [
        Need(each.namespace, each.resource, "delete") for each in destination_needs(context) if each.verb == "create"
    ]
    return list(dict.fromkeys(found))


def pause_needs(context: Context, namespaces: Iterable[str]) -> list[Need]:
    """What suspending the movers' Jobs has to be allowed."""
    return [Need(name, "jobs.batch", "patch") for name in namespaces] if context.spec.include_volumes else []


def _is_in(obj: Object, namespace: str) -> bool:
    return (obj["metadata"].get("namespace") or "") == namespace


def _names(facts: Facts, kinds: Iterable[tuple[str, str]]) -> list[str]:
    """The resources of kinds that the cluster serves, as RBAC names them."""
    found = (facts.discovery.by_kind(api_version, kind) for api_version, kind in kinds)
    return sorted({each.name for each in found if each})


def of_source(context: Context) -> Iterator[Result]:
    pause = pause_needs(context, context.spec.namespaces)
    yield from _judged(context.source, source_needs(context), [], pause, frozenset())


def of_destination(context: Context) -> Iterator[Result]:
    absent = frozenset(context.namespaces) - context.existing
    pause = pause_needs(context, context.namespaces)
    yield from _judged(context.destination, destination_needs(context), undo_needs(context), pause, absent)


def _judged(
    facts: Facts, needs: list[Need], undo: list[Need], pause: list[Need], absent: frozenset[str]
) -> Iterator[Result]:
    access = Access(facts)
    missing = access.missing(needs)
    # To make a namespace is worth naming by itself: the engine does.
    without_undo = access.missing(undo) if not missing else []
    without_pause = access.missing(pause) if not missing else []
    every = list(dict.fromkeys([*needs, *undo, *pause]))
    if not missing and not without_undo and not without_pause:
        yield PERMISSIONS.passed(
            said("The account of the {side} may do all that this migration needs.", side=facts),
            command=_least(facts, every, access.user(), frozenset()),
        )
        return
    command = _least(facts, every, access.user(), absent)
    for found, make, why in (
        (missing, PERMISSIONS.failure, said("The migration would stop there, or objects would be refused.")),
        (without_undo, PERMISSIONS.warning, said("A cancelled migration could not take back what it had made.")),
        (without_pause, PERMISSIONS.warning, said("The migration could not be paused.")),
    ):
        for namespace in dict.fromkeys(each.namespace for each in found):
            verbs = [str(each) for each in found if each.namespace == namespace]
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
            more = _more(access, items(obj, "rules"), namespace, f"{obj['kind'].lower()}s.{RBAC}", "escalate")
        elif obj["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            role = section(obj, "roleRef")
            rules = _rules_of(context, role, namespace)
            more = _more(access, rules, namespace, f"{str(role.get('kind')).lower()}s.{RBAC}", "bind")
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


def _more(access: Access, rules: list[Object], namespace: str, resource: str, verb: str) -> list[str]:
    """What of the rules the account may not do itself; empty where it may hand out roles anyhow."""
    wanted = [
        (found_verb, group, plural)
        for rule in rules
        for found_verb in rule.get("verbs") or ()
        for group in rule.get("apiGroups") or ()
        for plural in rule.get("resources") or ()
    ]
    if not wanted:
        return []
    own, incomplete = access.rules(namespace or "default")
    lacking = [each for each in wanted if not covered(own, each[0], each[1], each[2])]
    if not lacking or incomplete or access.may(Need(namespace, resource, verb)):
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
