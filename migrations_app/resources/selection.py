"""Which of the collected objects go along: label selectors in Kubernetes' own syntax, kinds, and single objects.

What decides, first to last: an object that is named to stay stays; one that is named to go goes; an exclude selector or
an excluded kind keeps it back; included kinds and the label selector, where there are any, must take it. To take
nothing but what is named, exclude the kinds `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from clusters.texts import NOTHING, Text, said
from migrations_app.resources.marks import labels_of
from migrations_app.resources.spec import Selection

Object = dict[str, Any]

# apimachinery pkg/labels/selector.go, and the forms of keys and values in pkg/util/validation.
_TOKEN = re.compile(r"\s*(?:(==|!=|=|!|>|<|\(|\)|,)|([^\s=!<>(),]+))")
_PREFIX = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"({_PREFIX}/)?{_WORD}")
_VALUE = re.compile(rf"({_WORD})?")
CLAIMS = "persistentvolumeclaims"
_OPERATORS = {"=": "in", "==": "in", "!=": "notin", ">": ">", "<": "<"}
_OBJECT = re.compile(r"[^/\s]+/[^/\s]*/[^/\s]+")
_KIND = re.compile(r"[a-z0-9*.?-]+")


# Why an object stays that somebody took out, by itself or with its kind.
BY_NAME = said("is left out by name")
# How the sentence about those begins, by which they are found.
WITH_ITS_KIND = "is left out with all "


class SelectorError(ValueError):
    """Text that is no selector; the message says where it ends to be one."""


@dataclass(frozen=True)
class Requirement:
    """One condition on labels. `operator` is in, notin, exists, absent, > or <."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """As in Kubernetes: what is not labelled at all satisfies `notin` and `!=`."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "absent":
                return value is None
        try:
            number, (limit,) = int(value or ""), (int(each) for each in self.values)
        except ValueError:
            return False
        return number > limit if self.operator == ">" else number < limit


@dataclass(frozen=True)
class LabelSelector:
    """All of its requirements must hold; without any it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """The selector that `kubectl -l` takes: `app=web,tier in (a, b),!canary`. Raises SelectorError."""
        return cls(tuple(_Parser(text).requirements()))

    @classmethod
    def from_object(cls, given: Mapping[str, Any] | None) -> LabelSelector:
        """A `LabelSelector` as API objects have it: matchLabels and matchExpressions."""
        given = given or {}
        found = [Requirement(k, "in", frozenset({str(v)})) for k, v in (given.get("matchLabels") or {}).items()]
        names = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
        for each in given.get("matchExpressions") or ():
            if each.get("operator") not in names:
                raise SelectorError(f"There is no operator {each.get('operator')!r}; take one of {', '.join(names)}.")
            values = frozenset(str(value) for value in each.get("values") or ())
            found.append(Requirement(each["key"], names[each["operator"]], values))
        return cls(tuple(found))

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(each.holds(labels) for each in self.requirements)


class _Parser:
    """One selector's text, token by token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = [found[1] or found[2] for found in _TOKEN.finditer(text.rstrip())]

    def requirements(self) -> Iterator[Requirement]:
        if not self._tokens:
            return
        yield self._requirement()
        while self._tokens:
            if (token := self._take()) != ",":
                raise self._wrong(f"{token!r} stands where a comma or the end should be")
            yield self._requirement()

    def _requirement(self) -> Requirement:
        if self._next() == "!":
            self._take()
            return Requirement(self._key(), "absent")
        key = self._key()
        if self._next() in ("", ","):
            return Requirement(key, "exists")
        operator = self._take()
        if operator in ("in", "notin"):
            return Requirement(key, operator, frozenset(self._values()))
        if operator not in _OPERATORS:
            raise self._wrong(f"{key!r} is followed by {operator!r} instead of =, !=, in (…), notin (…), > or <")
        value = self._value() if self._next() not in ("", ",") else ""
        if operator in "><" and not value.lstrip("-").isdigit():
            raise self._wrong(f"{operator} compares numbers, and {value!r} is none")
        return Requirement(key, _OPERATORS[operator], frozenset({value}))

    def _values(self) -> Iterator[str]:
        if self._take() != "(":
            raise self._wrong("values do not stand in parentheses, as in `tier in (a, b)`")
        while True:
            yield self._value() if self._next() not in (",", ")") else ""
            if (token := self._take()) == ")":
                return
            if token != ",":
                raise self._wrong("the list of values is not closed by a parenthesis")

    def _key(self) -> str:
        if not _KEY.fullmatch(token := self._take()):
            raise self._wrong(f"{token!r} is no name of a label" if token else "the name of a label is missing")
        return token

    def _value(self) -> str:
        if not _VALUE.fullmatch(token := self._take()):
            raise self._wrong(f"{token!r} cannot be the value of a label")
        return token

    def _next(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _take(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""

    def _wrong(self, what: str) -> SelectorError:
        return SelectorError(f"In the selector `{self.text}`, {what}.")


def object_name(resource: str, obj: Object) -> str:
    """`plural.group/namespace/name`, as a Selection names single objects."""
    metadata = obj["metadata"]
    return f"{resource}/{metadata.get('namespace', '')}/{metadata['name']}"


class Chooser:
    """A Selection, read once and asked about each object. Raises SelectorError where it cannot be read."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self._selector = LabelSelector.parse(selection.label_selector)
        self._excluding = [(text, LabelSelector.parse(text)) for text in selection.exclude_selectors]
        self._named_in, self._named_out = frozenset(selection.include_objects), frozenset(selection.exclude_objects)
        for text, selector in self._excluding:
            if not selector.requirements:
                raise SelectorError(f"The exclude selector {text!r} is empty and would leave everything out.")
        for kind in (*selection.include_kinds, *selection.exclude_kinds):
            if not _KIND.fullmatch(kind):
                raise SelectorError(f"{kind!r} is no kind: write its plural and group, such as `deployments.apps`.")
        for name in self._named_in | self._named_out:
            if not _OBJECT.fullmatch(name):
                raise SelectorError(
                    f"{name!r} names no object: write `plural.group/namespace/name`, such as `secrets/cms/mysql`."
                )

    @property
    def narrows(self) -> bool:
        """Whether some objects of the namespaces may stay behind that nobody named."""
        return bool(self._selector.requirements or self.selection.include_kinds)

    def named_kinds(self) -> set[str]:
        """The kinds of the objects that are named to go along."""
        return {name.partition("/")[0] for name in self._named_in}

    def is_named(self, resource: str, obj: Object) -> bool:
        """Whether the object is named to go along, which overrules all but its being named to stay."""
        name = object_name(resource, obj)
        return name in self._named_in and name not in self._named_out

    def why_not(self, resource: str, obj: Object, *, needed: bool = False) -> Text:
        """Why the object stays behind, or an empty text.

        `needed` says that it lies outside of the namespaces and comes because others need it: then only what excludes
        is asked, since the labels of what several applications share say nothing about one of them.
        """
        if object_name(resource, obj) in self._named_out:
            return BY_NAME
        if self.is_named(resource, obj):
            return NOTHING
        labels = labels_of(obj)
        for text, selector in self._excluding:
            if selector.matches(labels):
                return said("is left out by the exclude selector `{text}`", text=text)
        if reason := self._kept_back(resource, needed=needed):
            return reason
        if not needed and not self._selector.matches(labels):
            return said("is not selected by `{selector}`", selector=self.selection.label_selector)
        return NOTHING

    def why_not_claim(self, claim: Object) -> Text:
        """Why a claim, and so its volume, stays behind, or an empty text.

        Chosen kinds say nothing about claims: whether volumes move is a choice of its own.
        """
        if reason := self.why_not(CLAIMS, claim, needed=True):
            return reason
        if self.is_named(CLAIMS, claim) or self._selector.matches(labels_of(claim)):
            return NOTHING
        return said("is not selected by `{selector}`", selector=self.selection.label_selector)

    def _kept_back(self, resource: str, *, needed: bool = False) -> Text:
        included = self.selection.include_kinds
        if any(fnmatchcase(resource, kind) for kind in self.selection.exclude_kinds):
            return said("is left out with all {resource}", resource=resource)
        if included and not needed and not any(fnmatchcase(resource, kind) for kind in included):
            return said("is not of the kinds that were chosen")
        return NOTHING
