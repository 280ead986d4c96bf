"""Label and field selectors, as the API parses them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from demo.cluster.statuses import APIError, bad_request

Matcher = Callable[[Mapping[str, Any]], bool]
WORD = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
SET_BASED = re.compile(rf"^\s*({WORD})\s+(in|notin)\s+\(([^()]*)\)\s*$")
EQUALITY = re.compile(rf"^\s*({WORD})\s*(==|!=|=|>|<)\s*([^=!<>\s]*)\s*$")
EXISTS = re.compile(rf"^\s*(!?)\s*({WORD})\s*$")


def _split(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [*parts, current]


def labels(selector: str) -> Matcher | None:
    """A predicate over labels, or None where everything is selected. Raises APIError 400."""
    if not selector.strip():
        return None
    requirements = [_requirement(part, selector) for part in _split(selector)]
    return lambda found: all(holds(found) for holds in requirements)


def _requirement(part: str, whole: str) -> Matcher:
    if found := SET_BASED.match(part):
        key, negated = found[1], found[3] == "notin"
        values = {value.strip() for value in found[4].split(",")}
        return lambda have: (have.get(key) in values) != negated if not negated else have.get(key) not in values
    if found := EQUALITY.match(part):
        key, operator, value = found[1], found[3], found[4]
        if operator in ("=", "=="):
            return lambda have: have.get(key) == value
        if operator == "!=":
            return lambda have: have.get(key) != value
        sign = 1 if operator == ">" else -1
        return lambda have: key in have and sign * (int(have[key]) - int(value)) > 0
    if found := EXISTS.match(part):
        key, wanted = found[2], not found[1]
        return lambda have: (key in have) == wanted
    raise _unparsable(part, whole)


def _unparsable(part: str, whole: str) -> APIError:
    words = part.split()
    found = words[1] if len(words) > 1 else part
    message = f"unable to parse requirement: found '{found}', expected: in, notin, =, ==, !=, gt, lt"
    return bad_request(message)


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector selects these labels; an absent selector selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_requirement_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _requirement_holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = requirement["key"], requirement["operator"], requirement.get("values", [])
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt":
            return key in labels and int(labels[key]) > int(values[0])
        case "Lt":
            return key in labels and int(labels[key]) < int(values[0])
    return False


# Fields beyond metadata.name and metadata.namespace that can be selected by, as the real registry strategies have them.
FIELDS: dict[str, frozenset[str]] = {
    "pods": frozenset(
        {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
         "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"}
    ),
    "events": frozenset(
        {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
         "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
         "reportingComponent", "source", "type"}
    ),
    "secrets": frozenset({"type"}),
    "namespaces": frozenset({"status.phase"}),
    "nodes": frozenset({"spec.unschedulable"}),
    "jobs.batch": frozenset({"status.successful"}),
    "replicasets.apps": frozenset({"status.replicas"}),
    "services": frozenset({"spec.clusterIP", "spec.type"}),
}  # fmt: skip


def fields(selector: str, resource: str) -> Matcher | None:
    """A predicate over whole objects. Raises APIError 400 for a field that cannot be selected by."""
    if not selector.strip():
        return None
    wanted: list[tuple[str, bool, str]] = []
    for part in selector.split(","):
        found = re.match(r"^\s*([^=!]+?)\s*(==|!=|=)\s*(.*?)\s*$", part)
        if not found:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
        path, operator, value = found[1], found[2], found[3]
        if path not in ("metadata.name", "metadata.namespace") and path not in FIELDS.get(resource, frozenset()):
            raise bad_request(_unsupported(path, resource))
        wanted.append((path, operator != "!=", value))
    return lambda obj: all((_value(obj, path) == value) == equal for path, equal, value in wanted)


def _unsupported(path: str, resource: str) -> str:
    if resource in FIELDS:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _value(obj: Mapping[str, Any], path: str) -> str:
    at: Any = obj
    if path == "source":
        return str((obj.get("source") or {}).get("component", ""))
    for name in path.split("."):
        at = at.get(name) if isinstance(at, Mapping) else None
    if at is None:
        return "false" if path in ("spec.unschedulable", "spec.hostNetwork") else ""
    return str(at).lower() if isinstance(at, bool) else str(at)
