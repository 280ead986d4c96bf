"""Which objects a rule is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from migrations_app.resources.marks import labels_of, type_of
from migrations_app.resources.rules import patching
from migrations_app.resources.rules.errors import (
    RuleError,
    checked_list,
    checked_mapping,
    checked_texts,
    unknown_names,
)
from migrations_app.resources.selection import LabelSelector, SelectorError

Object = dict[str, Any]
FIELDS = ("kinds", "names", "nameRegex", "namespaces", "labelSelector", "matches")
# With more, matching a name of 253 letters can take longer than a migration.
MAX_REPEATS = 3
MAX_PATTERN = 200
ANYTHING = object()


@dataclass(frozen=True)
class Match:
    """A value at a path; without a value, that there is one. `*` in a path stands for any item."""

    path: str
    value: Any = ANYTHING

    def holds(self, obj: Object) -> bool:
        found = [value for path in patching.expanded(obj, self.path) for value in patching.found_at(obj, path)]
        return any(self.value is ANYTHING or patching.equal(value, self.value) for value in found)


@dataclass(frozen=True)
class Conditions:
    """All that are given must hold; each of them by any one of its items, but for matches, which must all hold."""

    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    name_regex: str = ""
    namespaces: tuple[str, ...] = ()
    selector: LabelSelector = field(default_factory=LabelSelector)
    matches: tuple[Match, ...] = ()

    @classmethod
    def parse(cls, given: Any) -> Conditions:
        """Raises RuleError."""
        conditions = checked_mapping(given, "Conditions")
        unknown_names(conditions, FIELDS, "a rule's conditions")
        pattern = conditions.get("nameRegex") or ""
        if pattern:
            _check_pattern(pattern)
        return cls(
            checked_texts(conditions.get("kinds") or [], "kinds"),
            checked_texts(conditions.get("names") or [], "names"),
            pattern,
            checked_texts(conditions.get("namespaces") or [], "namespaces"),
            _selector(conditions.get("labelSelector")),
            tuple(_match(each) for each in checked_list(conditions.get("matches") or [], "matches")),
        )

    def hold_for(self, obj: Object) -> bool:
        """Whether the rule is about the object as the source has it."""
        metadata = obj["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace") or ""
        return (
            (not self.kinds or any(_is_kind(obj, each) for each in self.kinds))
            and (not self.names or any(fnmatchcase(name, each) for each in self.names))
            and (not self.name_regex or re.search(self.name_regex, name) is not None)
            # What lies outside of namespaces is not kept back by them, as in Velero.
            and (not self.namespaces or not namespace or any(fnmatchcase(namespace, each) for each in self.namespaces))
            and self.selector.matches(labels_of(obj))
            and all(each.holds(obj) for each in self.matches)
        )


def _selector(given: Any) -> LabelSelector:
    try:
        if given is None or isinstance(given, str):
            return LabelSelector.parse(given or "")
        return LabelSelector.from_object(checked_mapping(given, "labelSelector"))
    except (SelectorError, KeyError) as error:
        raise RuleError(f"labelSelector: {error}") from None


def _match(given: Any) -> Match:
    match = checked_mapping(given, "Each of matches")
    unknown_names(match, ("path", "value"), "a match")
    path = patching.checked_path(match.get("path"))
    return Match(path, match["value"]) if "value" in match else Match(path)


def _is_kind(obj: Object, pattern: str) -> bool:
    """`deployments.apps`, `Deployment.apps`, `*.apps`, `secrets`, or `**` for all; `*` ends at a dot, as in Velero."""
    group, kind = type_of(obj)
    ending = f".{group}" if group else ""
    expression = _glob(pattern.lower())
    return any(expression.fullmatch(f"{name}{ending}") for name in (kind.lower(), *_plurals(kind.lower())))


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    wild = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts))


def _plurals(kind: str) -> Iterator[str]:
    """As apimachinery guesses them (meta.UnsafeGuessKindToResource)."""
    yield kind
    if kind.endswith(("s", "x", "ch", "sh")):
        yield f"{kind}es"
    elif kind.endswith("y"):
        yield f"{kind[:-1]}ies"
    else:
        yield f"{kind}s"


def _check_pattern(pattern: Any) -> None:
    """Raises RuleError for what is no regular expression, or one that can take for ever."""
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise RuleError(f"nameRegex must be a text of at most {MAX_PATTERN} letters.")
    try:
        parsed = _parser.parse(pattern)
        re.compile(pattern)
    except re.error as error:
        raise RuleError(f"nameRegex: `{pattern}` is no regular expression: {error}.") from None
    if _repeats(parsed) > MAX_REPEATS:
        raise RuleError(
            f"nameRegex: `{pattern}` has more than {MAX_REPEATS} repetitions, or one within another; matching it could "
            "take very long. Write it more simply, or use names with wildcards."
        )


def _repeats(parsed: Any, within: int = 1) -> int:
    """How many repetitions without end there are, those within others counted for too many."""
    found = 0
    for operator, value in parsed:
        if operator in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, getattr(_constants, "POSSESSIVE_REPEAT", None)):
            low, high, inner = value
            endless = high - low > 20
            found += (within if endless else 0) + _repeats(inner, within + MAX_REPEATS if endless else within)
        elif operator is _constants.SUBPATTERN:
            found += _repeats(value[-1], within)
        elif operator is _constants.BRANCH:
            found += sum(_repeats(each, within) for each in value[1])
        elif operator is _constants.GROUPREF:
            found += MAX_REPEATS + 1
        elif operator in (_constants.ASSERT, _constants.ASSERT_NOT):
            found += _repeats(value[1], within)
    return found
