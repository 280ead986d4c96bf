"""Custom resources against their structural schemas: pruning, defaults, validation."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from demo.cluster import schemas
from demo.cluster.registry import ResourceInfo
from demo.cluster.statuses import Cause

Object = dict[str, Any]
EMBEDDED = ("apiVersion", "kind", "metadata")


def schema(info: ResourceInfo) -> schemas.Node:
    """The structural schema, with Kubernetes' own for metadata; an absent one keeps everything."""
    assert info.custom is not None
    node = info.custom.get("schema", {}).get("openAPIV3Schema") or {"x-kubernetes-preserve-unknown-fields": True}
    properties = {**node.get("properties", {}), "metadata": schemas.object_meta()}
    return {**node, "properties": properties}


def default(info: ResourceInfo, obj: Object) -> Object:
    """The object without fields that the schema lacks, and with the schema's defaults."""
    node = schema(info)
    pruned = schemas.prune(obj, node)
    metadata = {key: value for key, value in obj["metadata"].items() if value is not None}
    completed = _default(pruned, node)
    return {**completed, "metadata": metadata}


def _default(value: Any, node: schemas.Node | None) -> Any:
    if node is None:
        return value
    if isinstance(value, dict):
        filled = dict(value)
        for name, inner in (node.get("properties") or {}).items():
            if name in EMBEDDED:
                continue
            if name not in filled and "default" in inner:
                filled[name] = copy.deepcopy(inner["default"])
        return {name: _default(inner, schemas.field(node, name)) for name, inner in filled.items()}
    if isinstance(value, list):
        each = schemas.items(node)
        return [_default(inner, each) for inner in value]
    return value


def validate(info: ResourceInfo, obj: Object) -> list[Cause]:
    """What the schema refuses."""
    body = {key: value for key, value in obj.items() if key not in EMBEDDED}
    return _validate(body, schema(info), "")


GIVEN_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}


def _validate(value: Any, node: schemas.Node | None, at: str) -> list[Cause]:
    if node is None or value is None:
        return []
    wanted = node.get("type")
    given = GIVEN_TYPES[type(value)]
    if node.get("x-kubernetes-int-or-string"):
        return []
    if wanted and given != wanted and not (wanted == "number" and given == "integer"):
        shown = json.dumps(given)
        message = f"Invalid value: {shown}: {at} in body must be of type {wanted}: {shown}"
        return [Cause("FieldValueTypeInvalid", at, message)]
    causes: list[Cause] = []
    if isinstance(value, dict):
        for name, inner in sorted(value.items()):
            if at or name not in EMBEDDED:
                causes += _validate(inner, schemas.field(node, name), f"{at}.{name}" if at else name)
        for name in node.get("required", ()):
            if name not in value and name not in EMBEDDED:
                causes.append(Cause("FieldValueRequired", f"{at}.{name}" if at else name, "Required value"))
        return causes
    if isinstance(value, list):
        each = schemas.items(node)
        for index, inner in enumerate(value):
            causes += _validate(inner, each, f"{at}[{index}]")
        return causes
    return _scalar(value, node, at)


def _scalar(value: Any, node: schemas.Node, at: str) -> list[Cause]:
    shown = json.dumps(value, ensure_ascii=False)
    if "enum" in node and value not in node["enum"]:
        allowed = ", ".join(json.dumps(each) for each in node["enum"])
        return [Cause("FieldValueNotSupported", at, f"Unsupported value: {shown}: supported values: {allowed}")]
    if "minimum" in node and value < node["minimum"]:
        detail = f"{at} in body should be greater than or equal to {node['minimum']}"
        return [Cause("FieldValueInvalid", at, f"Invalid value: {shown}: {detail}")]
    if "maximum" in node and value > node["maximum"]:
        detail = f"{at} in body should be less than or equal to {node['maximum']}"
        return [Cause("FieldValueInvalid", at, f"Invalid value: {shown}: {detail}")]
    if "pattern" in node and isinstance(value, str) and not re.search(node["pattern"], value):
        detail = f"{at} in body should match '{node['pattern']}'"
        return [Cause("FieldValueInvalid", at, f"Invalid value: {shown}: {detail}")]
    if isinstance(value, str) and len(value) > node.get("maxLength", len(value)):
        return [Cause("FieldValueTooLong", at, f"Too long: may not be more than {node['maxLength']} bytes")]
    return []
