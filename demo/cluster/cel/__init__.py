"""The Common Expression Language, as far as conditions of webhooks use it; what is not known here does not compile.

Known are literals, lists, maps, all operators, `has`, indices, optional fields (`a.?b.orValue(c)`), the macros `all`,
`exists`, `exists_one`, `filter` and `map`, and the functions in `METHODS` and `FUNCTIONS`. As in the real language
`&&` and `||` let one side's error pass where the other side decides. Types are checked where the API server's
answer depends on them: fields of `request`, and whether the whole is a bool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from demo.cluster.cel.reading import CompileError, Node, Parser
from demo.cluster.cel.types import REQUEST, name_of, typed_in
from demo.cluster.cel.values import EvaluationError, Scope, value_of

__all__ = ["REQUEST", "CompileError", "EvaluationError", "Program", "compiled"]


class Program(NamedTuple):
    """A compiled expression and the type of its value."""

    node: Node
    type: str

    def evaluate(self, scope: Scope) -> Any:
        """Its value where the names have these values. Raises EvaluationError."""
        return value_of(self.node, scope)


def compiled(text: str, known: Mapping[str, Any]) -> Program:
    """The expression over the names in `known`, whose values are types (a dict by field, or a name). Raises
    CompileError."""
    node = Parser(text).whole()
    return Program(node, name_of(typed_in(text, node, known)))
