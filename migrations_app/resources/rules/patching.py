"""JSON patch (RFC 6902), whose paths may have `*` for every item of a list or mapping, and merge patch (RFC 7396)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jsonpatch
import jsonpointer

from migrations_app.resources.rules.errors import RuleError, checked_list, checked_mapping, unknown_names

Object = dict[str, Any]
OPERATIONS = {
    "add": ("value",),
    "replace": ("value",),
    "test": ("value",),
    "remove": (),
    "move": ("from",),
    "copy": ("from",),
}


@dataclass(frozen=True)
class Operation:
    """One operation of a JSON patch, checked."""

    op: str
    path: str
    value: Any = None
    source: str = ""

    def to_dict(self, path: str) -> Object:
        """As RFC 6902 has it, for a path without wildcards."""
        found: Object = {"op": self.op, "path": path}
        if "value" in OPERATIONS[self.op]:
            found["value"] = copy.deepcopy(self.value)
        if self.source:
            found["from"] = self.source
        return found


def parse(given: Any) -> tuple[Operation, ...]:
    """Raises RuleError, naming the operation."""
    found = []
    for number, each in enumerate(checked_list(given, "patches"), 1):
        with RuleError.about(f"patch {number}"):
            found.append(_operation(checked_mapping(each, "It")))
    return tuple(found)


def _operation(given: Object) -> Operation:
    unknown_names(given, ("op", "path", "value", "from"), "a JSON patch")
    op = given.get("op")
    if op not in OPERATIONS:
        raise RuleError(f"There is no operation {op!r}; there are {', '.join(OPERATIONS)}.")
    path = checked_path(given.get("path"))
    needed = OPERATIONS[op]
    for name in ("value", "from"):
        if name in needed and name not in given:
            raise RuleError(f"{op} {path} needs `{name}`.")
    source = checked_path(given.get("from")) if "from" in needed else ""
    if source and "*" in (*path.split("/"), *source.split("/")):
        raise RuleError(f"{op} takes one path without `*`.")
    return Operation(op, path, given.get("value"), source)


def checked_path(path: Any) -> str:
    """A JSON pointer (RFC 6901) below the root. Raises RuleError."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise RuleError(f"A path is a text such as `/spec/replicas`, with `/` as `~1` in names, not {path!r}.")
    try:
        jsonpointer.JsonPointer(path)
    except jsonpointer.JsonPointerException as error:
        raise RuleError(f"The path {path} cannot be read: {error}.") from None
    return path


def json_patched(obj: Object, operations: Sequence[Operation]) -> Object:
    """The object after all operations; as it was, where a `test` fails (as Velero has it). Raises RuleError."""
    result = copy.deepcopy(obj)
    for operation in operations:
        paths = expanded(result, operation.path)
        if not paths:
            if operation.op == "test":
                return obj
            raise RuleError(f"{operation.op} {operation.path}: there is nothing at this path.")
        # Last to first, so that removing an item does not move those that are still to be removed.
        for path in reversed(paths):
            try:
                result = jsonpatch.apply_patch(result, [operation.to_dict(path)], in_place=True)
            except jsonpatch.JsonPatchTestFailed:
                return obj
            except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
                # The library's words can hold values of the object.
                raise RuleError(f"{operation.op} {path}: {_why(result, operation, path)}.") from None
    return result


def _why(obj: Object, operation: Operation, path: str) -> str:
    if operation.source and not list(found_at(obj, operation.source)):
        return f"there is nothing at {operation.source}"
    parent, _slash, last = path.rpartition("/")
    if parent and not list(found_at(obj, parent)):
        return f"there is nothing at {parent}"
    if isinstance(next(found_at(obj, parent)) if parent else obj, list):
        return f"the list has no place {last}"
    return "there is nothing at this path"


def expanded(obj: Object, path: str) -> list[str]:
    """The paths that it stands for, in order: itself, unless it has `*` where the object has a list or a mapping."""
    paths: list[tuple[str, Any]] = [("", obj)]
    names = path.split("/")[1:]
    for name in names:
        following: list[tuple[str, Any]] = []
        for at, value in paths:
            if name == "*" and isinstance(value, list):
                following += [(f"{at}/{number}", each) for number, each in enumerate(value)]
            elif name == "*" and isinstance(value, dict) and "*" not in value:
                following += [(f"{at}/{jsonpointer.escape(key)}", each) for key, each in value.items()]
            else:
                following.append((f"{at}/{name}", _step(value, name)))
        paths = following
    if "*" not in names:
        return [path]
    # A wildcard is for the items that have what is spoken of; the last step may be yet to come.
    return [at for at, _value in paths if list(found_at(obj, at.rpartition("/")[0]))]


def _step(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(jsonpointer.unescape(name))
    if isinstance(value, list) and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    return None


def found_at(obj: Any, path: str) -> Iterator[Any]:
    """The value at the path, or nothing."""
    try:
        yield jsonpointer.JsonPointer(path).resolve(obj)
    except (jsonpointer.JsonPointerException, TypeError):
        return


def equal(one: Any, other: Any) -> bool:
    """As JSON has it: true is not 1."""
    return (
        type(one) is type(other) and one == other if isinstance(one, bool) or isinstance(other, bool) else one == other
    )


def merged(obj: Any, patch: Any) -> Any:
    """RFC 7396: mappings are merged, null removes, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(obj) if isinstance(obj, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
