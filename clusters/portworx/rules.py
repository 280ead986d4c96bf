"""Stork's Rules: commands in an application's pods before its volumes are taken, or right after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusters.portworx.migration import API_VERSION, GROUP

Object = dict[str, Any]
RULES = f"rules.{GROUP}"


class RuleError(ValueError):
    """The rule cannot be."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """One command in the pods that a selector finds.

    `background` keeps it running until the volumes have been taken (pre-exec rules only), `single_pod` runs it in one
    of the pods; without `container` it runs in the first.
    """

    selector: Mapping[str, str]
    command: str
    container: str = ""
    background: bool = False
    single_pod: bool = False


def manifest(name: str, namespace: str, actions: list[Action]) -> Object:
    """The whole object. Raises RuleError."""
    if not actions:
        raise RuleError("A rule needs at least one command.")
    found = []
    for each in actions:
        if not each.selector:
            raise RuleError("Say in which pods the command runs: give at least one label.")
        if not each.command.strip():
            raise RuleError("Say which command runs.")
        if each.background and "${WAIT_CMD}" not in each.command:
            raise RuleError("A background command has to hold ${WAIT_CMD}, where it waits until volumes are taken.")
        action = {
            "type": "command",
            "value": each.command,
            **({"background": True} if each.background else {}),
            **({"runInSinglePod": True} if each.single_pod else {}),
        }
        row: Object = {"podSelector": dict(each.selector), "actions": [action]}
        if each.container:
            row["container"] = each.container
        found.append(row)
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "Rule", "metadata": metadata, "rules": found}


def read(obj: Object) -> list[Action]:
    """The commands of a rule in a cluster."""
    return [
        Action(
            selector={str(key): str(value) for key, value in (row.get("podSelector") or {}).items()},
            command=str(action.get("value") or ""),
            container=str(row.get("container") or ""),
            background=action.get("background") is True,
            single_pod=action.get("runInSinglePod") is True,
        )
        for row in obj.get("rules") or ()
        for action in row.get("actions") or ()
    ]
