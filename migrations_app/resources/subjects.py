"""Whom a binding names: accounts of the namespaces that are migrated, or somebody else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

ACCOUNT = "system:serviceaccount:"
ACCOUNTS = "system:serviceaccounts:"


def lies_within(subject: dict[str, Any], namespaces: Collection[str]) -> bool:
    """Whether the subject is an account of these namespaces, its user name, or the group of all of one's accounts."""
    name = subject.get("name") or ""
    match subject.get("kind"):
        case "ServiceAccount":
            return subject.get("namespace") in namespaces
        case "User":
            parts = name.split(":")
            return name.startswith(ACCOUNT) and len(parts) == 4 and parts[2] in namespaces
        case "Group":
            # Stork drops these; the application needs them as much.
            return name.startswith(ACCOUNTS) and name.removeprefix(ACCOUNTS) in namespaces
    return False
