"""Who manages which field: the sets of server-side apply (sigs.k8s.io/structured-merge-diff), in a compact form.

A set is a frozenset of paths; a path is a tuple of steps. A step is `f:name` for a field or map key, `k:{...}` for an
item of a list by its keys, `v:...` for an item of a set. Encoded, a path that has others below it is marked by `.`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from demo.cluster import schemas
from demo.cluster.copies import HOLDERS

Path = tuple[str, ...]
# The server's own: nobody manages them.
UNMANAGED_METADATA = {
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
    "deletionTimestamp", "deletionGracePeriodSeconds",
}  # fmt: skip


_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def item_step(item: Any, node: schemas.Node | None) -> str:
    """The step to an item of an associative list or a set."""
    if schemas.list_kind(node) == "map":
        keys = {
            key: item.get(key, schemas.KEY_DEFAULTS.get(key))
            for key in schemas.list_keys(node)
            if isinstance(item, dict)
        }
        return f"k:{_compact({key: keys[key] for key in sorted(keys) if keys[key] is not None})}"
    return f"v:{_compact(item)}"


# Texts that an empty Event has already: left empty, they are nobody's.
PRESENT_IF_EMPTY = {"reportingComponent", "reportingInstance"}


# Fields of Go's types that are written even as null: they are somebody's as soon as what holds them is.
OWNED_NULLS = {"lastProbeTime", "conditions"}


class _Container:
    """What stands for a map, object or list whose content is managed piece by piece."""

    def __repr__(self) -> str:
        return "CONTAINER"


CONTAINER = _Container()


def values(value: Any, node: schemas.Node | None, *, containers: str = "none") -> dict[Path, Any]:
    """All that an object sets, by path: leaves with their values; items of lists, and what holds them, as CONTAINER.

    `containers` says which holders count: "none" (an applied intent), "optional" (those that Go's types leave out
    of an empty object) or "all" (as for custom resources, which have no types).
    """
    found: dict[Path, Any] = {}
    _collect(value, node, (), found, containers)
    return found


def _collect(value: Any, node: schemas.Node | None, at: Path, found: dict[Path, Any], containers: str) -> None:
    if isinstance(value, dict) and value and not schemas.is_atomic_map(node):
        if at and _counts(at, containers):
            found[at] = CONTAINER
        for name, inner in value.items():
            if (inner is None and name not in OWNED_NULLS) or (not at and inner == "" and name in PRESENT_IF_EMPTY):
                continue
            if len(at) == 1 and at[0] == "f:metadata" and name in UNMANAGED_METADATA:
                continue
            if not at and name in ("apiVersion", "kind"):
                continue
            step = (*at, f"f:{name}")
            if type(inner) not in HOLDERS:
                found[step] = inner
            else:
                _collect(inner, schemas.field(node, name), step, found, containers)
    elif isinstance(value, list) and value and (kind := schemas.list_kind(node)) != "atomic":
        if _counts(at, containers):
            found[at] = CONTAINER
        each = schemas.items(node)
        for item in value:
            step = (*at, item_step(item, node))
            if kind == "map":
                _collect(item, each, step, found, "none" if containers == "none" else containers)
            found[step] = CONTAINER if kind == "map" else item
    elif at:
        found[at] = value


def paths(value: Any, node: schemas.Node | None, *, containers: str = "none") -> set[Path]:
    """The paths of `values`."""
    return set(values(value, node, containers=containers))


# Fields that Go declares as plain structs (or as lists without omitempty): they exist in an empty object already, so
# that a write which fills them does not own them, only what is inside.
ALWAYS_THERE = {
    "metadata", "spec", "status", "template", "strategy", "updateStrategy", "resources", "containers", "loadBalancer",
    "scaleTargetRef", "roleRef", "to", "involvedObject", "source", "jobTemplate", "names", "nodeInfo",
    "daemonEndpoints", "kubeletEndpoint",
}  # fmt: skip


def _counts(at: Path, containers: str) -> bool:
    kind, _colon, name = at[-1].partition(":")
    if kind != "f" or containers == "none" or at == ("f:metadata",):
        return False
    if at == ("f:status", "f:resources"):
        return True
    # An item of a list was not there before, so that nothing inside of it was.
    return containers == "all" or name not in ALWAYS_THERE or any(step.startswith("k:") for step in at)


def encode(found: Iterable[Path]) -> dict[str, Any]:
    """The set as `fieldsV1`."""
    tree: dict[str, Any] = {}
    for path in found:
        at = tree
        for step in path:
            below = at.get(step)
            if below is None:
                below = at[step] = {}
            at = below
        at["."] = {}
    return _in_order(tree)


def _in_order(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree sorted, without the dots of what has nothing below it."""
    if len(tree) == 1:
        [(step, inner)] = tree.items()
        return {} if step == "." else {step: _in_order(inner)}
    return {step: _in_order(tree[step]) if step != "." else {} for step in sorted(tree)}


def decode(tree: dict[str, Any], at: Path = ()) -> set[Path]:
    """The set from `fieldsV1`."""
    found: set[Path] = set()
    _decode(tree, at, found)
    return found


def _decode(tree: dict[str, Any], at: Path, found: set[Path]) -> None:
    if not tree and at:
        found.add(at)
    for step, inner in tree.items():
        if step == ".":
            found.add(at)
        else:
            _decode(inner, (*at, step), found)


def readable(path: Path) -> str:
    """The path as conflicts print it: `.spec.template.spec.containers[name="web"].image`."""
    text = ""
    for step in path:
        kind, _colon, rest = step.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            keys = json.loads(rest)
            text += "[" + ",".join(f"{key}={_compact(value)}" for key, value in keys.items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def value_at(value: Any, path: Path, node: schemas.Node | None) -> Any:
    """What stands at the path; None where nothing does."""
    for step in path:
        kind, _colon, rest = step.partition(":")
        if kind == "f":
            if not isinstance(value, dict):
                return None
            value, node = value.get(rest), schemas.field(node, rest)
        else:
            if not isinstance(value, list):
                return None
            value = next((item for item in value if item_step(item, node) == step), None)
            node = schemas.items(node)
        if value is None:
            return None
    return value


def remove(value: Any, path: Path, node: schemas.Node | None) -> Any:
    """The value without what stands at the path; containers on the way are copied."""
    step, rest = path[0], path[1:]
    kind, _colon, name = step.partition(":")
    if kind == "f":
        if not isinstance(value, dict) or name not in value:
            return value
        if not rest:
            return {key: inner for key, inner in value.items() if key != name}
        return {**value, name: remove(value[name], rest, schemas.field(node, name))}
    if not isinstance(value, list):
        return value
    if not rest:
        return [item for item in value if item_step(item, node) != step]
    each = schemas.items(node)
    return [remove(item, rest, each) if item_step(item, node) == step else item for item in value]


def merged(live: Any, applied: Any, node: schemas.Node | None) -> Any:
    """The live value with what is applied laid over it: maps and lists merged, atomic ones replaced."""
    if isinstance(applied, dict):
        if not isinstance(live, dict) or schemas.is_atomic_map(node):
            return applied
        result = dict(live)
        for name, inner in applied.items():
            result[name] = merged(live.get(name), inner, schemas.field(node, name))
        return result
    if isinstance(applied, list) and isinstance(live, list):
        kind = schemas.list_kind(node)
        if kind == "set":
            return live + [item for item in applied if item not in live]
        if kind == "map":
            each = schemas.items(node)
            wanted = {item_step(item, node): item for item in applied}
            result_list = [
                merged(item, wanted.pop(step), each) if (step := item_step(item, node)) in wanted else item
                for item in live
            ]
            return result_list + list(wanted.values())
    return applied
