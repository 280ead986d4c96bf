"""What is wrong with a rule, said so that its author finds the place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class RuleError(ValueError):
    """A rule that cannot be read, or cannot be applied to an object. Values of objects are never in the message."""

    @classmethod
    @contextmanager
    def about(cls, what: str) -> Iterator[None]:
        """Says in errors from within what they are about."""
        try:
            yield
        except RuleError as error:
            raise cls(f"{what[:1].upper()}{what[1:]}: {error}") from None


def checked_list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RuleError(f"{what} must be a list, not {_kind(value)}.")
    return value


def checked_mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise RuleError(f"{what} must be a mapping of names to values, not {_kind(value)}.")
    return value


def checked_texts(value: Any, what: str) -> tuple[str, ...]:
    found = checked_list(value, what)
    if not all(isinstance(each, str) and each for each in found):
        raise RuleError(f"{what} must be a list of texts.")
    return tuple(found)


def unknown_names(given: Mapping[str, Any], known: Collection[str], what: str) -> None:
    """Raises RuleError where a name is not known: a misspelt one would do nothing, silently."""
    if unknown := sorted(set(given) - set(known)):
        raise RuleError(f"{', '.join(unknown)}: {what} has no such field; it has {', '.join(known)}.")


def _kind(value: Any) -> str:
    names = {
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a mapping",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
