"""The published schemas of Kubernetes' kinds: field types, merge keys, list and map types.

They come from the package kubernetes-validate, which ships Kubernetes' OpenAPI definitions with their `x-kubernetes-*`
extensions. A custom resource brings its own schema in the same form.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from typing import Any

Node = dict[str, Any]
VERSION = "v1.36.0-local"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# Types that are one value to everybody although they are written as objects or as several types.
SCALARS = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
}
ANYTHING = {
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
}


@lru_cache(maxsize=1)
def definitions() -> dict[str, Node]:
    """Every definition by its full name."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / VERSION
    document = json.loads((folder / "_definitions.json").read_text())
    return dict(document.get("$defs") or document["definitions"])


@lru_cache(maxsize=1)
def _by_kind() -> dict[tuple[str, str, str], Node]:
    found: dict[tuple[str, str, str], Node] = {}
    for node in definitions().values():
        for each in node.get("x-kubernetes-group-version-kind", ()):
            found.setdefault((each["group"], each["version"], each["kind"]), node)
    return found


@lru_cache(maxsize=512)
def of_kind(group: str, version: str, kind: str) -> Node | None:
    """The schema of a built-in kind, or None for one that Kubernetes does not publish."""
    return _by_kind().get((group, version, kind))


def object_meta() -> Node:
    return definitions()[OBJECT_META]


# What a node with a reference stands for, by the node's id. The node is kept beside it, so that no other gets its id;
# only Kubernetes' own schemas have references, so that there is an end to them.
_resolved: dict[int, tuple[Node, Node]] = {}


def resolve(node: Node | None) -> Node | None:
    """The node itself, with its reference followed and its own extensions kept. Not to be changed."""
    if node is None:
        return None
    known = _resolved.get(id(node))
    if known is not None:
        return known[1]
    reference = node.get("$ref")
    if reference is None and len(node.get("allOf", ())) == 1:
        reference = node["allOf"][0].get("$ref")
    if reference is None:
        return node
    _resolved[id(node)] = node, (found := _referred(node, reference))
    return found


def _referred(node: Node, reference: str) -> Node:
    name = reference.rsplit("/", 1)[-1]
    if name in SCALARS or name in ANYTHING:
        return {"x-opaque": True, "x-name": name}
    target = definitions().get(name, {})
    extensions = {key: value for key, value in node.items() if key.startswith("x-kubernetes-")}
    return {**target, **extensions} if extensions else target


def is_opaque(node: Node | None) -> bool:
    """Whether nothing is known about what may be inside."""
    return node is None or bool(node.get("x-opaque")) or bool(node.get("x-kubernetes-preserve-unknown-fields"))


def field(node: Node | None, name: str) -> Node | None:
    """The schema of one field of an object, or of any value of a map."""
    if node is None:
        return None
    properties = node.get("properties")
    if properties and name in properties:
        if name == "metadata" and not properties[name].get("$ref") and not properties[name].get("properties"):
            return object_meta()
        return resolve(properties[name])
    extra = node.get("additionalProperties")
    return resolve(extra) if isinstance(extra, dict) else None


def described_field(node: Node | None, name: str) -> Node | None:
    """The schema of one field of an object with the description that the field has there."""
    found = field(node, name)
    description = ((node or {}).get("properties") or {}).get(name, {}).get("description")
    return {**found, "description": description} if found is not None and description else found


def is_atomic_map(node: Node | None) -> bool:
    if node is None:
        # Where no schema says otherwise, maps are merged and lists replaced.
        return False
    return (
        bool(node.get("x-opaque"))
        or node.get("x-kubernetes-map-type") == "atomic"
        or (
            not node.get("properties")
            and not isinstance(node.get("additionalProperties"), dict)
            and not node.get("x-kubernetes-preserve-unknown-fields")
        )
    )


def items(node: Node | None) -> Node | None:
    return resolve(node.get("items")) if node else None


def list_kind(node: Node | None) -> str:
    """`map`, `set` or `atomic`, for server-side apply."""
    return str((node or {}).get("x-kubernetes-list-type", "atomic"))


def list_keys(node: Node | None) -> list[str]:
    return list((node or {}).get("x-kubernetes-list-map-keys", ()))


def merge_key(node: Node | None) -> str | None:
    """The key by which a strategic merge patch merges this list, or None where it replaces it."""
    if node and "merge" in str(node.get("x-kubernetes-patch-strategy", "")):
        return str(node.get("x-kubernetes-patch-merge-key", ""))
    return None


# What a key of an item is where it is not written.
KEY_DEFAULTS = {"protocol": "TCP"}
SCALAR_TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int}
# A type that a scalar has to have, or a function that tells whether a value fits.
Check = type | Callable[[Any], bool]
_checks: dict[int, tuple[Node, Check]] = {}


def fits(value: Any, node: Node | None) -> bool:
    """Whether nothing at all is to be said of the value: no wrong type, no unknown field, no null, no item twice.

    False means that it has to be looked at more closely; most values need that not. For Kubernetes' own schemas, of
    which is kept what was found out about them.
    """
    return _passes(value, _check(node))


def _passes(value: Any, check: Check) -> bool:
    return type(value) is check if isinstance(check, type) else check(value)


def _is_something(value: Any) -> bool:
    return value is not None


def _check(node: Node | None) -> Check:
    if node is None or node.get("x-opaque"):
        return _is_something
    known = _checks.get(id(node))
    if known is None:
        known = _checks[id(node)] = node, _new_check(node)
    return known[1]


def _new_check(node: Node) -> Check:
    wanted = node.get("type", "")
    wanted = wanted[0] if isinstance(wanted, list) else wanted
    if wanted == "object":
        return _object_check(node)
    if wanted == "array":
        return _list_check(node)
    return SCALAR_TYPES.get(wanted, lambda value: False)


def _object_check(node: Node) -> Check:
    properties: dict[str, Node] = node.get("properties") or {}
    checks: dict[str, Check] = {}
    of_any = None if properties else _check(field(node, ""))

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, inner in value.items():
            known = of_any or checks.get(name)
            if known is None:
                if name not in properties:
                    return False
                known = checks[name] = _check(field(node, name))
            if type(inner) is not known and (isinstance(known, type) or not known(inner)):
                return False
        return True

    return check


def _list_check(node: Node) -> Check:
    each, is_associative = items(node), list_kind(node) == "map"

    def check(value: Any) -> bool:
        if type(value) is not list:
            return False
        known = _check(each)
        return all(_passes(inner, known) for inner in value) and not (is_associative and _repeats(value, node))

    return check


def _repeats(found: list[Any], node: Node) -> bool:
    """Whether items of an associative list may have the same keys."""
    keys = list_keys(node)
    return len({str([item.get(key, KEY_DEFAULTS.get(key)) for key in keys]) for item in found}) < len(found)


def unknown_fields(value: Any, node: Node | None, at: str = "") -> list[str]:
    """The paths of fields that the schema does not have."""
    if is_opaque(node) and not (node or {}).get("properties"):
        return []
    found: list[str] = []
    if isinstance(value, dict):
        keeps = bool((node or {}).get("x-kubernetes-preserve-unknown-fields"))
        for name, inner in value.items():
            path = f"{at}.{name}" if at else name
            known = field(node, name)
            if known is None:
                if not keeps and (node or {}).get("properties") and not (at == "" and name in ("apiVersion", "kind")):
                    found.append(path)
                continue
            found += unknown_fields(inner, known, path)
    elif isinstance(value, list):
        each = items(node)
        for index, inner in enumerate(value):
            found += unknown_fields(inner, each, f"{at}[{index}]")
    return found


def prune(value: Any, node: Node | None) -> Any:
    """The value without fields that the schema does not have, and without nulls in objects."""
    if isinstance(value, dict):
        if is_opaque(node) and not (node or {}).get("properties"):
            return value
        keeps = bool((node or {}).get("x-kubernetes-preserve-unknown-fields"))
        kept = {}
        for name, inner in value.items():
            if inner is None:
                continue
            known = field(node, name)
            if known is None and (node or {}).get("properties") and not keeps and name not in ("apiVersion", "kind"):
                continue
            kept[name] = prune(inner, known)
        return kept
    if isinstance(value, list):
        each = items(node)
        return [prune(inner, each) for inner in value]
    return value
