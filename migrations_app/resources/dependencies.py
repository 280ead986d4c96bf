"""What the objects need and does not go along: shown before anything is touched, with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clusters.texts import Text, said
from migrations_app.resources.belonging import GENERATED_ACCOUNTS, GENERATED_CONFIG_MAPS
from migrations_app.resources.marks import key_of
from migrations_app.resources.references import Reference, references

Object = dict[str, Any]
Key = tuple[str, str, str, str]
# A cluster's own, which the destination has to have under the same name or, for storage, under the mapped one.
OF_THE_CLUSTER = frozenset({"IngressClass", "GatewayClass", "RuntimeClass", "StorageClass"})
BUILT_IN_ROLES = frozenset({"admin", "edit", "view", "cluster-admin"})
NOWHERE = said("is not there on the source either")


@dataclass(frozen=True)
class Missing:
    """A reference of an object that goes along to one that does not. Keys are group, kind, namespace and name."""

    user: Key
    needed: Key
    reason: Text
    # Kubernetes starts the user without it, which may or may not be what its author wants.
    optional: bool = False
    at: str = ""
    # Only the name of a field says that it is a reference at all.
    presumed: bool = False


def missing(
    objects: Iterable[Object], *, namespaces: Collection[str], left_out: Mapping[Key, Text], claims: Collection[Key]
) -> list[Missing]:
    """What the objects refer to and no one carries, each once per user.

    `left_out` gives the reasons for what was kept back; `claims` are those of the source, which come with the volumes.
    """
    given = list(objects)
    carried = {key_of(obj) for obj in given} | set(claims)
    found: dict[tuple[Key, Key], Missing] = {}
    for obj in given:
        for each in references(obj):
            if each.key in carried or _is_everywhere(each):
                continue
            user = key_of(obj)
            reason = _reason(each, namespaces, left_out)
            known = found.get((user, each.key))
            # One place that needs it outweighs others that could do without.
            # What is presumed and is nowhere may be something that the operator is to make.
            if each.presumed and reason == NOWHERE:
                continue
            if known is None or (known.optional and not each.optional):
                found[user, each.key] = Missing(user, each.key, reason, each.optional, each.at, each.presumed)
    return list(found.values())


def _is_everywhere(reference: Reference) -> bool:
    """Whether each cluster or namespace has it by itself."""
    match reference.kind:
        case "ServiceAccount":
            return reference.name in GENERATED_ACCOUNTS
        case "ConfigMap":
            return reference.name in GENERATED_CONFIG_MAPS
        case "PriorityClass":
            return reference.name.startswith("system-") or reference.name in ("openshift-user-critical",)
        case "ClusterRole":
            return reference.name in BUILT_IN_ROLES or (
                reference.name.startswith("system:") and not reference.name.startswith("system:openshift:")
            )
        case "StorageClass":
            return True
    return False


def _reason(reference: Reference, namespaces: Collection[str], left_out: Mapping[Key, Text]) -> Text:
    if reason := left_out.get(reference.key):
        return reason
    if reference.kind in OF_THE_CLUSTER or reference.name.startswith("system:openshift:"):
        return said("belongs to the cluster and is not carried: the destination needs one of this name")
    if reference.namespace and reference.namespace not in namespaces:
        return said("lies in the namespace {namespace}, which is not migrated", namespace=reference.namespace)
    return NOWHERE
