"""The values of expressions."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from demo.cluster.cel.reading import MACROS, Node

Scope = Mapping[str, Any]


class EvaluationError(Exception):
    """An expression that has no value for what it was given."""


class _Optional(NamedTuple):
    """A value that may not be there: `found` is empty then."""

    found: tuple[Any, ...]


def value_of(node: Node, scope: Scope) -> Any:
    parts = node.parts
    match node.kind:
        case "literal":
            return parts[0]
        case "name":
            return scope[parts[0]]
        case "list":
            return [value_of(each, scope) for each in parts]
        case "map":
            return {value_of(key, scope): value_of(value, scope) for key, value in parts}
        case "?:":
            return value_of(parts[1] if _bool(value_of(parts[0], scope)) else parts[2], scope)
        case "&&" | "||":
            return _either(node, scope)
        case "not":
            return not _bool(value_of(parts[0], scope))
        case "field" | "index" | "optional":
            return _member_of(node, scope)
        case "call" if parts[0] == "has":
            return bool(_looked_up(value_of(parts[1][0].parts[0], scope), _key_of(parts[1][0], scope)))
        case "call":
            return _applied(FUNCTIONS[parts[0]][0], [value_of(each, scope) for each in parts[1]])
        case "method" if parts[1] in MACROS:
            return _macro(node, scope)
        case "method":
            return _applied(METHODS[parts[1]][0], [value_of(each, scope) for each in (parts[0], *parts[2])])
        case "minus":
            return _applied(operator.neg, [value_of(parts[0], scope)])
    left, right = (value_of(each, scope) for each in parts)
    return _applied(OPERATORS[node.kind], [left, right])


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


def _either(node: Node, scope: Scope) -> bool:
    decides = node.kind == "||"
    error = None
    for each in node.parts:
        try:
            if _bool(value_of(each, scope)) == decides:
                return decides
        except EvaluationError as found:
            error = found
    if error is not None:
        raise error
    return not decides


def _key_of(node: Node, scope: Scope) -> Any:
    return node.parts[1] if node.kind == "field" else value_of(node.parts[1], scope)


def _looked_up(of: Any, key: Any) -> tuple[Any, ...]:
    """What is there under the key, if anything."""
    if isinstance(of, _Optional):
        return _looked_up(of.found[0], key) if of.found else ()
    if isinstance(of, dict):
        return (of[key],) if key in of else ()
    if isinstance(of, list) and isinstance(key, int) and not isinstance(key, bool):
        return (of[key],) if 0 <= key < len(of) else ()
    raise EvaluationError("no such overload")


def _member_of(node: Node, scope: Scope) -> Any:
    of, key = value_of(node.parts[0], scope), _key_of(node, scope)
    found = _looked_up(of, key)
    if node.kind == "optional" or isinstance(of, _Optional):
        return _Optional(found)
    if not found:
        raise EvaluationError(f"index out of bounds: {key}" if isinstance(of, list) else f"no such key: {key}")
    return found[0]


def _macro(node: Node, scope: Scope) -> Any:
    subject, name, (variable, inner) = node.parts
    of = value_of(subject, scope)
    if not isinstance(of, list | dict):
        raise EvaluationError("no such overload")

    def said(each: Any) -> Any:
        return value_of(inner, {**scope, variable.parts[0]: each})

    match name:
        case "map":
            return [said(each) for each in of]
        case "filter":
            return [each for each in of if _bool(said(each))]
        case "exists_one":
            return sum(_bool(said(each)) for each in of) == 1
    decides, error = name == "exists", None
    for each in of:
        try:
            if _bool(said(each)) == decides:
                return decides
        except EvaluationError as found:
            error = found
    if error is not None:
        raise error
    return not decides


def _applied(function: Callable[..., Any], arguments: list[Any]) -> Any:
    try:
        return function(*arguments)
    except ZeroDivisionError:
        raise EvaluationError("division by zero") from None
    except re.error as error:
        raise EvaluationError(f"error parsing regexp: {error}") from None
    except (TypeError, AttributeError, ValueError):
        raise EvaluationError("no such overload") from None


def _equal(left: Any, right: Any) -> bool:
    # True is 1 to Python only.
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(left: Any, right: Any) -> bool:
        if isinstance(left, bool) != isinstance(right, bool):
            raise TypeError
        return compare(left, right)

    return compared


def _divided(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        # Towards zero.
        return left // right if (left < 0) == (right < 0) else -(-left // right)
    return left / right


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": lambda left, right: any(_equal(left, each) for each in right),
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": lambda left, right: left - right * _divided(left, right),
}
# What a function does, and the type of what comes back.
FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "size": (len, "int"),
    "string": (_text, "string"),
    "int": (int, "int"),
    "double": (float, "double"),
    "dyn": (lambda value: value, "dyn"),
}
METHODS: dict[str, tuple[Callable[..., Any], str]] = {
    "size": (len, "int"),
    "startsWith": (str.startswith, "bool"),
    "endsWith": (str.endswith, "bool"),
    "contains": (str.__contains__, "bool"),
    "matches": (lambda text, pattern: re.search(pattern, text) is not None, "bool"),
    "lowerAscii": (str.lower, "string"),
    "upperAscii": (str.upper, "string"),
    "trim": (str.strip, "string"),
    "replace": (str.replace, "string"),
    "split": (str.split, "list(string)"),
    "join": (lambda texts, between="": between.join(texts), "string"),
    "orValue": (lambda value, other: value.found[0] if value.found else other, "dyn"),
    "hasValue": (lambda value: bool(value.found), "bool"),
}
