"""What an account has to be allowed for a migration, for its checks, and for taking it back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from migrations_app.resources import cluster_scoped
from migrations_app.resources.collect import asked_for
from migrations_app.resources.constraints import SCCS
from migrations_app.resources.preflight.access import Need
from migrations_app.resources.preflight.context import Context
from migrations_app.resources.preflight.facts import Facts, Unreadable
from migrations_app.resources.references import RBAC, items, section
from migrations_app.resources.selection import Chooser
from migrations_app.resources.spec import VolumeSnapshots

Object = dict[str, Any]
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


def trial_needs(context: Context, namespaces: Iterable[str]) -> list[Need]:
    """What trying a pod like a mover's takes, as a dry run."""
    return [Need(name, "pods", "create") for name in namespaces] if context.spec.include_volumes else []


def looking_needs(facts: Facts, namespaces: Iterable[str]) -> list[Need]:
    """What the other checks read, and what tells with how much power movers may come in.

    Lacking it, they say what they miss.
    """
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
                for verb, group, resource in granted_by(items(obj, "rules"))
                for plural, _slash, sub in [resource.partition("/")]
            ]
        elif obj["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            role = section(obj, "roleRef")
            kind, name = str(role.get("kind")), str(role.get("name"))
            if (RBAC, kind, namespace if kind == "Role" else "", name) not in context.planned_keys:
                found.append(Need(namespace, f"{kind.lower()}s.{RBAC}", "bind", name=name))
    return found


def granted_by(rules: list[Object]) -> list[tuple[str, str, str]]:
    """Verb, group and resource of all that rules grant."""
    return [
        (verb, group, plural)
        for rule in rules
        for verb in rule.get("verbs") or ()
        for group in rule.get("apiGroups") or ()
        for plural in rule.get("resources") or ()
    ]
