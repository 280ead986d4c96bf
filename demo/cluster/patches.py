"""JSON patch (RFC 6902), JSON merge patch (RFC 7396) and Kubernetes' strategic merge patch."""

from __future__ import annotations

import copy
from typing import Any

from demo.cluster import schemas
from demo.cluster.statuses import APIError


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


class PatchFailed(ValueError):
    """An operation of a JSON patch cannot be done."""


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902. Raises PatchFailed in the words of evanphx/json-patch, which the real server uses."""
    document = copy.deepcopy(target)
    for operation in operations:
        kind, path = operation.get("op"), operation.get("path", "")
        match kind:
            case "add":
                document = _add(document, path, operation.get("value"), kind)
            case "remove":
                _remove(document, path)
            case "replace":
                _lookup(document, path, "replace")
                document = _add(document, path, operation.get("value"), kind, replace=True)
            case "test":
                try:
                    found = _lookup(document, path, "test")
                except PatchFailed:
                    found = None
                if found != operation.get("value"):
                    raise PatchFailed(f"testing value {path} failed: test failed")
            case "move" | "copy":
                value = copy.deepcopy(_lookup(document, operation.get("from", ""), kind))
                if kind == "move":
                    _remove(document, operation["from"])
                document = _add(document, path, value, kind)
            case _:
                raise PatchFailed(f"Unexpected kind: {kind}")
    return document


def _parts(path: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _step(at: Any, part: str) -> Any:
    if isinstance(at, list):
        return at[int(part)]
    return at[part]


def _parent(document: Any, path: str, operation: str) -> tuple[Any, str]:
    *above, last = _parts(path)
    at = document
    try:
        for part in above:
            at = _step(at, part)
    except (KeyError, IndexError, ValueError, TypeError):
        raise PatchFailed(
            f'{operation} operation does not apply: doc is missing path: "{path}": missing value'
        ) from None
    if not isinstance(at, dict | list):
        raise PatchFailed(f'{operation} operation does not apply: doc is missing path: "{path}": missing value')
    return at, last


def _lookup(document: Any, path: str, operation: str) -> Any:
    if path == "":
        return document
    at, last = _parent(document, path, operation)
    try:
        return _step(at, last)
    except (KeyError, IndexError, ValueError):
        raise PatchFailed(f"{operation} operation does not apply: doc is missing key: {path}: missing value") from None


def _add(document: Any, path: str, value: Any, operation: str, *, replace: bool = False) -> Any:
    if path == "":
        return value
    at, last = _parent(document, path, operation)
    if isinstance(at, dict):
        at[last] = value
    elif replace:
        at[int(last)] = value
    elif last == "-":
        at.append(value)
    else:
        at.insert(int(last), value)
    return document


def _remove(document: Any, path: str) -> None:
    at, last = _parent(document, path, "remove")
    try:
        if isinstance(at, dict):
            del at[last]
        else:
            del at[int(last)]
    except (KeyError, IndexError, ValueError):
        raise PatchFailed(f'remove operation does not apply: doc is missing path: "{path}": missing value') from None


def strategic(target: Any, patch: Any, node: schemas.Node | None) -> Any:
    """The target with the patch merged by the kind's merge keys and `$patch` directives."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if name.startswith("$setElementOrder/") or name == "$retainKeys":
            continue
        if name.startswith("$deleteFromPrimitiveList/"):
            plain = name.split("/", 1)[1]
            merged[plain] = [each for each in merged.get(plain, []) if each not in value]
            continue
        inner = schemas.field(node, name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = strategic(merged.get(name), value, inner)
        elif isinstance(value, list):
            merged[name] = _strategic_list(merged.get(name), value, inner)
        else:
            merged[name] = value
    for name, order in patch.items():
        if name.startswith("$setElementOrder/"):
            plain = name.split("/", 1)[1]
            merged[plain] = _ordered(merged.get(plain, []), order, schemas.merge_key(schemas.field(node, plain)))
    return merged


def _strategic_list(target: Any, patch: list[Any], node: schemas.Node | None) -> list[Any]:
    key = schemas.merge_key(node)
    have = list(target) if isinstance(target, list) else []
    if key is None:
        return [each for each in patch if not (isinstance(each, dict) and "$patch" in each)]
    if not key:
        return have + [each for each in patch if each not in have]
    if any(isinstance(each, dict) and each.get("$patch") == "replace" for each in patch):
        return [each for each in patch if "$patch" not in each]
    each_node = schemas.items(node)
    for each in patch:
        if key not in each:
            raise APIError(500, "", f"map: {_go_map(each)} does not contain declared merge key: {key}")
        place = next((i for i, old in enumerate(have) if old.get(key) == each[key]), None)
        if each.get("$patch") == "delete":
            if place is not None:
                del have[place]
        elif place is None:
            have.append(strategic({}, each, each_node))
        else:
            have[place] = strategic(have[place], each, each_node)
    return have


def _go_map(value: dict[str, Any]) -> str:
    return "map[" + " ".join(f"{name}:{inner}" for name, inner in sorted(value.items())) + "]"


def _ordered(have: list[Any], order: list[Any], key: str | None) -> list[Any]:
    wanted = [each.get(key) if key and isinstance(each, dict) else each for each in order]

    def place(each: Any) -> int:
        name = each.get(key) if key and isinstance(each, dict) else each
        return wanted.index(name) if name in wanted else len(wanted)

    return sorted(have, key=place)
