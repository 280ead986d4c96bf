"""Expressions as trees, in the words of cel-go where one is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"\s*(?://[^\n]*\n\s*)*(?:(?P<number>\d+\.\d+(?:[eE][-+]?\d+)?|0x[0-9a-fA-F]+u?|\d+u?)"
    r"|(?P<text>[rR]?(?:\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'))"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>\.\?|\[\?|&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])|(?P<end>$))"
)
_ORDER = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
MACROS = {"all", "exists", "exists_one", "filter", "map"}


class CompileError(Exception):
    """An expression that is none, in the words of cel-go, with the place."""

    def __init__(self, text: str, at: int, message: str) -> None:
        super().__init__(f"ERROR: <input>:1:{at + 1}: {message}\n | {text}\n | {'.' * at}^")


class Node(NamedTuple):
    """A part of an expression: what it is, where it begins, and what it is made of."""

    kind: str
    at: int
    parts: tuple[Any, ...]


class Parser:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._next = text, list(_tokens(text)), 0

    def whole(self) -> Node:
        node = self._ternary()
        if self._peek()[0] != "end":
            raise self._unexpected()
        return node

    def _peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next]

    def _take(self) -> tuple[str, str, int]:
        self._next += 1
        return self._tokens[self._next - 1]

    def _has(self, *signs: str) -> bool:
        kind, text, _at = self._peek()
        return (kind == "sign" or text == "in") and text in signs

    def _unexpected(self) -> CompileError:
        _kind, text, at = self._peek()
        return CompileError(self._text, at, f"Syntax error: mismatched input '{text or '<EOF>'}'")

    def _expect(self, sign: str) -> None:
        if not self._has(sign):
            raise self._unexpected()
        self._take()

    def _ternary(self) -> Node:
        condition = self._binary(0)
        if not self._has("?"):
            return condition
        self._take()
        yes = self._binary(0)
        self._expect(":")
        return Node("?:", condition.at, (condition, yes, self._ternary()))

    def _binary(self, level: int) -> Node:
        if level == len(_ORDER):
            return self._unary()
        left = self._binary(level + 1)
        while self._has(*_ORDER[level]):
            _kind, sign, at = self._take()
            left = Node(sign, at, (left, self._binary(level + 1)))
        return left

    def _unary(self) -> Node:
        if self._has("!", "-"):
            _kind, sign, at = self._take()
            return Node("not" if sign == "!" else "minus", at, (self._unary(),))
        return self._member(self._primary())

    def _member(self, node: Node) -> Node:
        while self._has(".", ".?", "[", "[?"):
            _kind, sign, at = self._take()
            if sign in ("[", "[?"):
                node = Node("index" if sign == "[" else "optional", at, (node, self._ternary()))
                self._expect("]")
                continue
            kind, name, place = self._take()
            if kind != "name":
                self._next -= 1
                raise self._unexpected()
            if sign == ".?":
                node = Node("optional", at, (node, Node("literal", place, (name,))))
            elif self._has("("):
                node = Node("method", at, (node, name, self._several("(", ")")))
            else:
                node = Node("field", at, (node, name))
        return node

    def _several(self, first: str, last: str) -> tuple[Node, ...]:
        self._expect(first)
        found = []
        while not self._has(last):
            found.append(self._ternary())
            if not self._has(last):
                self._expect(",")
        self._expect(last)
        return tuple(found)

    def _primary(self) -> Node:
        kind, text, at = self._peek()
        if self._has("("):
            self._take()
            node = self._ternary()
            self._expect(")")
            return node
        if self._has("["):
            return Node("list", at, self._several("[", "]"))
        if self._has("{"):
            return Node("map", at, self._entries())
        if kind in ("number", "text"):
            self._take()
            return Node("literal", at, (_literal(kind, text),))
        if kind != "name" or text == "in":
            raise self._unexpected()
        self._take()
        if text in ("true", "false", "null"):
            return Node("literal", at, ({"true": True, "false": False, "null": None}[text],))
        if self._has("("):
            return Node("call", at, (text, self._several("(", ")")))
        return Node("name", at, (text,))

    def _entries(self) -> tuple[tuple[Node, Node], ...]:
        self._expect("{")
        found = []
        while not self._has("}"):
            key = self._ternary()
            self._expect(":")
            found.append((key, self._ternary()))
            if not self._has("}"):
                self._expect(",")
        self._expect("}")
        return tuple(found)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while True:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            rest = text[at:].lstrip()
            raise CompileError(text, len(text) - len(rest), f"Syntax error: token recognition error at: '{rest[:1]}'")
        kind = found.lastgroup
        yield kind, found.group(kind), found.start(kind)
        if kind == "end":
            return
        at = found.end()


def _literal(kind: str, text: str) -> Any:
    if kind == "number":
        return float(text) if "." in text else int(text.rstrip("u"), 0)
    return ast.literal_eval(text)
