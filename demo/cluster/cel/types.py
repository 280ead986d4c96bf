"""The types of expressions, as far as the API server's answer depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.cluster.cel.reading import MACROS, CompileError, Node
from demo.cluster.cel.values import FUNCTIONS, METHODS

DYN = "dyn"
_KIND = {"group": "string", "version": "string", "kind": "string"}
_RESOURCE = {"group": "string", "version": "string", "resource": "string"}
# The fields of an AdmissionRequest and their types (apiserver/pkg/admission/plugin/cel, BuildRequestType).
REQUEST: dict[str, Any] = {
    "kind": _KIND, "resource": _RESOURCE, "subResource": "string",
    "requestKind": _KIND, "requestResource": _RESOURCE, "requestSubResource": "string",
    "name": "string", "namespace": "string", "operation": "string", "dryRun": "bool", "options": DYN,
    "userInfo": {"username": "string", "uid": "string", "groups": "list(string)", "extra": "map(string, list(string))"},
}  # fmt: skip


def typed_in(text: str, node: Node, known: Mapping[str, Any]) -> Any:
    """The type of the part: a dict of fields, or a name. Raises CompileError."""

    def typed(each: Node) -> Any:
        return typed_in(text, each, known)

    parts = node.parts
    match node.kind:
        case "literal":
            return _TYPES[type(parts[0])]
        case "name":
            if parts[0] not in known:
                raise CompileError(text, node.at, f"undeclared reference to '{parts[0]}' (in container '')")
            return known[parts[0]]
        case "field":
            of = typed(parts[0])
            if isinstance(of, dict):
                if parts[1] not in of:
                    raise CompileError(text, node.at, f"undefined field '{parts[1]}'")
                return of[parts[1]]
            if of in ("string", "bool", "int", "double"):
                raise CompileError(text, node.at, f"type '{of}' does not support field selection")
            return DYN
        case "list":
            return f"list({_common([typed(each) for each in parts])})"
        case "map":
            of = [(typed(key), typed(value)) for key, value in parts]
            return f"map({_common([key for key, _value in of])}, {_common([value for _key, value in of])})"
        case "?:":
            return _common([typed(each) for each in parts][1:])
        case "call":
            return _call_type(text, node, [typed(each) for each in parts[1]])
        case "method" if parts[1] in MACROS:
            return _macro_type(text, node, known)
        case "method":
            for each in (parts[0], *parts[2]):
                typed(each)
            if parts[1] not in METHODS:
                raise CompileError(text, node.at, f"undeclared reference to '{parts[1]}' (in container '')")
            return METHODS[parts[1]][1]
    found = [typed(each) for each in parts]
    if node.kind in ("+", "-", "*", "/", "%", "minus"):
        return _common(found)
    return DYN if node.kind in ("index", "optional") else "bool"


def _call_type(text: str, node: Node, arguments: list[Any]) -> str:
    name, given = node.parts
    if name == "has":
        if len(given) != 1 or given[0].kind != "field":
            raise CompileError(text, node.at, "invalid argument to has() macro")
        return "bool"
    if name not in FUNCTIONS or len(arguments) != 1:
        raise CompileError(text, node.at, f"undeclared reference to '{name}' (in container '')")
    return FUNCTIONS[name][1]


def _macro_type(text: str, node: Node, known: Mapping[str, Any]) -> str:
    subject, name, given = node.parts
    if len(given) != 2 or given[0].kind != "name":
        raise CompileError(text, node.at, f"argument of {name}() must be a simple name")
    typed_in(text, subject, known)
    inner = typed_in(text, given[1], {**known, given[0].parts[0]: DYN})
    return f"list({name_of(inner)})" if name == "map" else "list(dyn)" if name == "filter" else "bool"


_TYPES = {bool: "bool", int: "int", float: "double", str: "string", type(None): "null"}


def name_of(found: Any) -> str:
    return "object" if isinstance(found, dict) else str(found)


def _common(types: list[Any]) -> str:
    names = {name_of(each) for each in types}
    return names.pop() if len(names) == 1 else DYN
