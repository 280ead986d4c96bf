"""Bodies against the path they were sent to and against their kind's schema."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from demo.cluster import crds, managed_fields, schemas, statuses
from demo.cluster.registry import ResourceInfo

Object = dict[str, Any]


def schema_of(info: ResourceInfo) -> schemas.Node | None:
    """The schema of a kind, or None where nothing is known of it."""
    if info.custom is not None:
        return crds.schema(info)
    return schemas.of_kind(info.group, info.version, info.kind)


def fits(info: ResourceInfo, obj: Object) -> bool:
    """Whether nothing is to be said of the object, so that no further look at its types and fields is needed."""
    return info.custom is None and schemas.fits(obj, schema_of(info))


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.1 as Go's yaml reads it: y and n are booleans too. Times stay texts."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:y|Y|n|N)$"), list("yYnN"))
_Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


def load_yaml(data: bytes) -> Any:
    """A YAML document with the keys that JSON would have. Raises yaml.YAMLError."""
    return _texts_as_keys(yaml.load(data, Loader=_Loader))


def _texts_as_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name if isinstance(name, str) else json.dumps(name): _texts_as_keys(inner) for name, inner in value.items()
        }
    return [_texts_as_keys(inner) for inner in value] if isinstance(value, list) else value


EXPECTED = {"string": str, "boolean": bool, "integer": int, "number": int | float}


def check_types(info: ResourceInfo, obj: Object) -> None:
    """An applied intent against its schema. Raises APIError 500, as the real server does."""
    wrong = _first_mistyped(obj, schema_of(info), "")
    if wrong:
        metadata = obj.get("metadata") or {}
        place = "/".join(each if isinstance(each := metadata.get(key), str) else "" for key in ("namespace", "name"))
        what = f"({place}; {info.api_version if info.group else '/' + info.version}, Kind={info.kind})"
        raise statuses.APIError(500, "", f"failed to create typed patch object {what}: {wrong}")


def _first_mistyped(value: Any, node: schemas.Node | None, at: str) -> str:
    if node is None or schemas.is_opaque(node) or value is None:
        return ""
    wanted = node.get("type")
    wanted = wanted[0] if isinstance(wanted, list) else wanted
    if wanted in EXPECTED and (
        not isinstance(value, EXPECTED[wanted]) or (isinstance(value, bool) and wanted != "boolean")
    ):
        said = "numeric (int or float)" if wanted in ("integer", "number") else wanted
        shown = json.dumps(value) if not isinstance(value, str) else value
        return f"{at}: expected {said}, got &value.valueUnstructured{{Value:{shown}}}"
    if isinstance(value, dict):
        inner_nodes = ((name, inner, schemas.field(node, name)) for name, inner in value.items())
        return next(
            (found for name, inner, known in inner_nodes if (found := _first_mistyped(inner, known, f"{at}.{name}"))),
            "",
        )
    if isinstance(value, list):
        each = schemas.items(node)
        return next(
            (found for inner in value if (found := _first_mistyped(inner, each, at))), _repeated(value, node, at)
        )
    return ""


def _repeated(items: list[Any], node: schemas.Node, at: str) -> str:
    """The first two items of an associative list that have the same keys: POST stores them, applying refuses them."""
    if schemas.list_kind(node) != "map":
        return ""
    seen: set[str] = set()
    for step in (managed_fields.item_step(item, node) for item in items):
        if step in seen:
            return f"{at}: duplicate entries for key {managed_fields.readable((step,))}"
        seen.add(step)
    return ""


def check_body(info: ResourceInfo, obj: Any, namespace: str, name: str | None) -> None:
    """Kind, version, name and namespace of a body against the path. Raises APIError."""
    if obj.get("kind") and obj["kind"] != info.kind:
        version = info.version
        group = info.group or "core"
        message = (
            f'{obj["kind"]} in version "{version}" cannot be handled as a {info.kind}: converting '
            f"({version}.{obj['kind']}) to ({group}.{info.kind}): unknown conversion"
        )
        raise statuses.bad_request(message)
    if obj.get("apiVersion") and obj["apiVersion"] != info.api_version:
        raise statuses.bad_request(
            f"the API version in the data ({obj['apiVersion']}) does not match "
            f"the expected API version ({info.api_version})"
        )
    metadata = obj.get("metadata") or {}
    if metadata.get("namespace") and metadata["namespace"] != namespace:
        raise statuses.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if name is not None and metadata.get("name") and metadata["name"] != name:
        raise statuses.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )


def decode_strictly(info: ResourceInfo, obj: Object, mode: str) -> tuple[Object, list[str]]:
    """The object without unknown fields, and warnings about them. Raises APIError for `Strict`, and for wrong types."""
    node = schema_of(info)
    if fits(info, obj):
        return obj, []
    wrong = type_error(obj, node)
    if wrong and info.custom is None:
        raise statuses.bad_request(
            f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: {wrong}'
        )
    if node is None:
        return obj, []
    if mode in ("Strict", "Warn"):
        unknown = schemas.unknown_fields(obj, node)
        if unknown and mode == "Strict":
            listed = ", ".join(f'unknown field "{path}"' for path in unknown)
            raise statuses.bad_request(
                f'{info.kind} in version "{info.version}" cannot be handled as a {info.kind}: '
                f"strict decoding error: {listed}"
            )
        return schemas.prune(obj, node), [f'unknown field "{path}"' for path in unknown]
    return schemas.prune(obj, node), []


GO_TYPES = {"integer": "int32", "string": "string", "boolean": "bool"}


def type_error(value: Any, node: schemas.Node | None, at: tuple[str, ...] = (), kind: str = "") -> str:
    """The first type error as Go's JSON decoder says it, or an empty text."""
    if node is None or schemas.is_opaque(node) or value is None:
        return ""
    wanted = node.get("type")
    wanted = wanted[0] if isinstance(wanted, list) else wanted
    given = {bool: "bool", int: "number", float: "number", str: "string", dict: "object", list: "array"}[type(value)]
    fits = {"integer": int, "number": int | float, "string": str, "boolean": bool, "object": dict, "array": list}
    if wanted in fits and (not isinstance(value, fits[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        go = GO_TYPES.get(str(wanted), str(wanted))
        owner = f"{kind}." if kind else ""
        return f"json: cannot unmarshal {given} into Go struct field {owner}{'.'.join(at)} of type {go}"
    if isinstance(value, dict):
        for name, inner in value.items():
            known = schemas.field(node, name)
            inner_kind = kind
            reference = (node.get("properties") or {}).get(name, {}).get("$ref", "")
            if reference:
                inner_kind = reference.rsplit(".", 1)[-1]
            if wrong := type_error(inner, known, (*at, name), inner_kind or kind):
                return wrong
    elif isinstance(value, list):
        each = schemas.items(node)
        for inner in value:
            if wrong := type_error(inner, each, at, kind):
                return wrong
    return ""
