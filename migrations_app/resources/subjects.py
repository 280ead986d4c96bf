"""Whom a binding names: accounts of the namespaces that are migrated, or somebody else."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

Object = dict[str, Any]
ACCOUNT = "system:serviceaccount:"
ACCOUNTS = "system:serviceaccounts:"


def namespace_of(subject: Object) -> str:
    """The namespace of an account, of its user name, or of the group of all of one's accounts; empty for others."""
    name = str(subject.get("name") or "")
    match subject.get("kind"):
        case "ServiceAccount":
            return str(subject.get("namespace") or "")
        case "User":
            parts = name.split(":")
            return parts[2] if name.startswith(ACCOUNT) and len(parts) == 4 else ""
        case "Group":
            # Stork drops these; the application needs them as much.
            return name.removeprefix(ACCOUNTS) if name.startswith(ACCOUNTS) else ""
    return ""


def account_of(subject: Object) -> tuple[str, str] | None:
    """Namespace and name of the one account that is meant."""
    namespace = namespace_of(subject)
    if not namespace or subject.get("kind") == "Group":
        return None
    name = str(subject.get("name") or "")
    return namespace, name if subject["kind"] == "ServiceAccount" else name.split(":")[3]


def lies_within(subject: Object, namespaces: Collection[str]) -> bool:
    """Whether the subject is an account of these namespaces, its user name, or the group of all of one's accounts."""
    return bool(namespace_of(subject)) and namespace_of(subject) in namespaces


def renamed(subject: Object, namespace_for: Callable[[str], str]) -> Object:
    """The subject with its namespace as the destination calls it."""
    namespace = namespace_of(subject)
    if not namespace or (mapped := namespace_for(namespace)) == namespace:
        return subject
    match subject["kind"]:
        case "ServiceAccount":
            return {**subject, "namespace": mapped}
        case "User":
            return {**subject, "name": user_name(mapped, subject["name"].split(":")[3])}
    return {**subject, "name": ACCOUNTS + mapped}


def user_name(namespace: str, account: str) -> str:
    """The user as which an account is known to the API."""
    return f"{ACCOUNT}{namespace}:{account}"
