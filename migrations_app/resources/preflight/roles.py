"""The least role that lets an account do what a migration needs, as manifests to copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from migrations_app.resources.preflight.access import Need
from migrations_app.resources.preflight.facts import Facts

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"


def manifests(needs: Iterable[Need], *, name: str, user: str, absent: Iterable[str] = ()) -> list[Object]:
    """Roles for what lies in namespaces, a ClusterRole for the rest, and their bindings to the user.

    `absent` are namespaces that are not there yet, and come first.
    """
    every = list(needs)
    found: list[Object] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}} for each in sorted(set(absent))
    ]
    for namespace in sorted({each.namespace for each in every}):
        kind = "Role" if namespace else "ClusterRole"
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        rules = _rules([each for each in every if each.namespace == namespace])
        version = f"{RBAC}/v1"
        found.append({"apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules})
        role = {"apiGroup": RBAC, "kind": kind, "name": name}
        binding = {"kind": f"{kind}Binding", "metadata": metadata, "roleRef": role, "subjects": [_subject(user)]}
        found.append({"apiVersion": version, **binding})
    return found


def _rules(needs: list[Need]) -> list[Object]:
    """One rule for all resources of a group that need the same verbs, on all objects or on the same one."""
    verbs: dict[tuple[str, str, str], list[str]] = {}
    for each in needs:
        verbs.setdefault((each.group, each.name, each.plural), []).append(each.verb)
    resources: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, name, plural), found in verbs.items():
        resources.setdefault((group, name, tuple(sorted(set(found)))), []).append(plural)
    return [
        {
            "apiGroups": [group],
            "resources": sorted(plurals),
            **({"resourceNames": [name]} if name else {}),
            "verbs": list(allowed),
        }
        for (group, name, allowed), plurals in sorted(resources.items())
    ]


def _subject(user: str) -> Object:
    parts = user.split(":")
    if user.startswith("system:serviceaccount:") and len(parts) == 4:
        return {"kind": "ServiceAccount", "name": parts[3], "namespace": parts[2]}
    return {"kind": "User", "name": user or "NAME", "apiGroup": RBAC}


def command(facts: Facts, objects: Iterable[Object]) -> str:
    """How an administrator applies them."""
    text = yaml.safe_dump_all(list(objects), sort_keys=False, default_flow_style=None, width=110)
    return f"{facts.kubectl} apply -f - <<'EOF'\n{text}EOF"
