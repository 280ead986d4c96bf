"""Whether the accounts may do what this very migration needs, on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clusters.texts import Text, listed, said
from migrations_app.resources import cluster_scoped
from migrations_app.resources.collect import asked_for
from migrations_app.resources.preflight import roles
from migrations_app.resources.preflight.access import Access, Need, covered
from migrations_app.resources.preflight.context import Context, label
from migrations_app.resources.preflight.facts import Facts, Unreadable
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.references import items, section
from migrations_app.resources.selection import Chooser
from migrations_app.resources.spec import VolumeSnapshots

Object = dict[str, Any]
PERMISSIONS = Check("permissions", said("Permissions"))
ESCALATION = Check("rbac-escalation", said("Permissions to grant permissions"))
PAUSELESS = said("The migration could not be paused.")
RBAC = "rbac.authorization.k8s.io"
# The access mode of claims that one pod alone may mount.
HELD_MODE = "ReadWriteOncePod"

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
    ("list", "secrets", ""),
    ("list", "events", ""),
)
CLAIMS, DISKS, NAMESPACES = "persistentvolumeclaims", "persistentvolumes", "namespaces"
SNAPSHOTS = "volumesnapshots.snapshot.storage.k8s.io"
SNAPSHOT_CLASSES = "volumesnapshotclasses.snapshot.storage.k8s.io"
SCCS = "securitycontextconstraints.security.openshift.io"
ACCESS_REVIEWS = "localsubjectaccessreviews.authorization.k8s.io"
# Server-side apply creates and changes by PATCH, and needs `create` for what is not there.
APPLY = ("get", "list", "create", "patch")


def _movers(context: Context, namespace: str) -> list[Need]:
    if not context.spec.include_volumes:
        return []
    renewing = (("patch", "secrets", ""),) if context.renews_keys else ()
    return [Need(namespace, resource, verb, sub) for verb, resource, sub in (*MOVERS, *renewing)]


def source_needs(context: Context) -> list[Need]:
    """What the account of the source has to be allowed."""
    needs = [Need("", NAMESPACES, "get")]
    for namespace in context.spec.namespaces:
        needs += [Need(namespace, CLAIMS, verb) for verb in ("list", "get")]
        needs += _movers(context, namespace)
        if context.spec.include_resources:
            kinds = {(obj["apiVersion"], obj["kind"]) for obj in context.collected if _is_in(obj, namespace)}
            needs += [Need(namespace, name, "list") for name in _names(context.source, kinds)]
    return needs


def reading_needs(context: Context) -> list[Need]:
    """What lets everything be read that may belong to the application. What may not be read stays behind, which is
    told where it is collected."""
    if not context.spec.include_resources:
        return []
    candidates = [each.name for each in asked_for(context.source.discovery, Chooser(context.spec.selection))]
    return [
        *(Need(namespace, name, "list") for namespace in context.spec.namespaces for name in candidates),
        *(Need("", name, verb) for verb, name in cluster_scoped.read_for(context.source.discovery, context.collected)),
    ]


def snapshot_needs(context: Context) -> list[Need]:
    """What snapshots of the volumes take on the source, where the migration reads from some."""
    if not _takes_snapshots(context):
        return []
    return [
        Need("", SNAPSHOT_CLASSES, "list"),
        Need("", DISKS, "get"),
        *(
            Need(namespace, resource, verb)
            for namespace in context.spec.namespaces
            for resource in (SNAPSHOTS, CLAIMS)
            for verb in ("create", "get", "list", "delete")
        ),
    ]


def _takes_snapshots(context: Context) -> bool:
    wanted = context.spec.volume_snapshots
    if not context.spec.include_volumes or wanted == VolumeSnapshots.NEVER or not context.source.serves(SNAPSHOTS):
        return False
    held = any(HELD_MODE in (section(each.source, "spec").get("accessModes") or ()) for each in context.claims)
    return held or wanted == VolumeSnapshots.WHENEVER_POSSIBLE


def destination_needs(context: Context) -> list[Need]:
    """What the account of the destination has to be allowed."""
    needs = [Need("", NAMESPACES, "get")]
    if set(context.namespaces) - context.existing:
        needs.append(Need("", NAMESPACES, "create"))
    for namespace in context.namespaces:
        needs += [Need(namespace, CLAIMS, verb) for verb in ("create", "get", "list", "patch")]
        needs += _movers(context, namespace)
        kinds = {(obj["apiVersion"], obj["kind"]) for obj in context.planned if _is_in(obj, namespace)}
        needs += [Need(namespace, name, verb) for name in _names(context.destination, kinds) for verb in APPLY]
        purged = {(version, kind) for version, kind, place in context.purgeable if place == namespace}
        needs += [
            Need(namespace, name, verb) for name in _names(context.destination, purged) for verb in ("list", "delete")
        ]
    outside = {(obj["apiVersion"], obj["kind"]) for obj in context.planned if _is_in(obj, "")}
    return [*needs, *(Need("", name, verb) for name in _names(context.destination, outside) for verb in APPLY)]


def undo_needs(context: Context) -> list[Need]:
    """What taking back what was made, changed or purged has to be allowed."""
    every = destination_needs(context)
    found = [Need(each.namespace, each.resource, "delete") for each in every if each.verb == "create"]
    if context.existing:
        # What is there may be changed, and is then written as it was.
        found += [Need(each.namespace, each.resource, "update") for each in every if each.verb == "patch"]
    found += [
        Need(each.namespace, each.resource, verb)
        for each in every
        if each.verb == "delete" and context.purgeable
        for verb in ("get", "create")
    ]
    if _keeps_disks(context):
        found += [Need("", DISKS, verb) for verb in ("get", "patch")]
    return list(dict.fromkeys(found))


def pause_needs(context: Context, namespaces: Iterable[str]) -> list[Need]:
    """What suspending the movers' Jobs has to be allowed."""
    return [Need(name, "jobs.batch", "patch") for name in namespaces] if context.spec.include_volumes else []


def _keeps_disks(context: Context) -> bool:
    """Whether a disk would outlive its claim, so that taking the claim back has to see to the disk as well."""
    try:
        classes = [context.class_of(each) for each in context.claims]
    except Unreadable:
        return False
    return any(each is not None and each.get("reclaimPolicy") == "Retain" for each in classes)


def _is_in(obj: Object, namespace: str) -> bool:
    return (obj["metadata"].get("namespace") or "") == namespace


def _names(facts: Facts, kinds: Iterable[tuple[str, str]]) -> list[str]:
    """The resources of kinds that the cluster serves, as RBAC names them."""
    found = (facts.discovery.by_kind(api_version, kind) for api_version, kind in kinds)
    return sorted({each.name for each in found if each})


def of_source(context: Context) -> Iterator[Result]:
    live = said("Volumes would be read file by file while they change, not from a snapshot.")
    lesser = ((snapshot_needs(context), live), (pause_needs(context, context.spec.namespaces), PAUSELESS))
    silent = [*reading_needs(context), *_looking_needs(context.source, context.spec.namespaces)]
    yield from _judged(context.source, source_needs(context), lesser, silent, frozenset())


def of_destination(context: Context) -> Iterator[Result]:
    absent = frozenset(context.namespaces) - context.existing
    lesser = (
        (undo_needs(context), said("A cancelled migration could not take back what it had made.")),
        (pause_needs(context, context.namespaces), PAUSELESS),
    )
    silent = [*granting_needs(context), *_looking_needs(context.destination, context.namespaces)]
    yield from _judged(context.destination, destination_needs(context), lesser, silent, absent)


def _looking_needs(facts: Facts, namespaces: Iterable[str]) -> list[Need]:
    """What the other checks read, and what tells whether movers may be root. Lacking it, they say what they miss."""
    found = [Need(namespace, resource, "list") for resource, namespace in facts.asked_for()]
    if facts.serves(SCCS):
        found.append(Need("", SCCS, "list"))
        if _has_constraints(facts):
            found += [Need(namespace, ACCESS_REVIEWS, "create") for namespace in namespaces]
    return found


def _has_constraints(facts: Facts) -> bool:
    try:
        return bool(facts.list(SCCS))
    except Unreadable:
        return True


def granting_needs(context: Context) -> list[Need]:
    """What the account has to hold itself to make the roles that come, or to bind to those that are there.

    Told by the check of its own.
    """
    found = []
    for obj in context.planned:
        if obj["apiVersion"].partition("/")[0] != RBAC:
            continue
        namespace = str(obj["metadata"].get("namespace") or "")
        if obj["kind"] in ("Role", "ClusterRole"):
            found += [
                Need(namespace, f"{plural}.{group}" if group else plural, verb, sub)
                for verb, group, resource in _granted(items(obj, "rules"))
                for plural, _slash, sub in [resource.partition("/")]
            ]
        elif obj["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            role = section(obj, "roleRef")
            kind, name = str(role.get("kind")), str(role.get("name"))
            if (RBAC, kind, namespace if kind == "Role" else "", name) not in context.planned_keys:
                found.append(Need(namespace, f"{kind.lower()}s.{RBAC}", "bind", name=name))
    return found


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
    wanted = _granted(rules)
    if not wanted:
        return []
    own, incomplete = access.rules(instead.namespace or "default")
    lacking = [each for each in wanted if not covered(own, each[0], each[1], each[2])]
    if not lacking or incomplete or access.may(instead):
        return []
    return [f"{found_verb} {plural}{f'.{group}' if group else ''}" for found_verb, group, plural in lacking]


def _granted(rules: list[Object]) -> list[tuple[str, str, str]]:
    """Verb, group and resource of all that rules grant."""
    return [
        (verb, group, plural)
        for rule in rules
        for verb in rule.get("verbs") or ()
        for group in rule.get("apiGroups") or ()
        for plural in rule.get("resources") or ()
    ]


def _rules_of(context: Context, role: Object, namespace: str) -> list[Object]:
    kind, name = str(role.get("kind")), str(role.get("name"))
    for obj in context.of_type(RBAC, kind):
        if obj["metadata"]["name"] == name and (kind == "ClusterRole" or obj["metadata"].get("namespace") == namespace):
            return items(obj, "rules")
    if kind == "ClusterRole":
        return items(context.destination.named(f"clusterroles.{RBAC}").get(name), "rules")
    return items(context.destination.named(f"roles.{RBAC}", namespace).get(name), "rules")
