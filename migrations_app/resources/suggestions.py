"""Names of Services and namespaces in texts, where namespaces are called differently on the destination.

`mysql.cms.svc` in a variable or a settings file names a Service of a namespace that is renamed; so may a variable that
says nothing but `cms`. Nobody can know, so nothing is changed by itself: each place is shown with what it would become
and a rule, ready to be taken into a ResourceTransformation. Values of Secrets are never shown: of them it is told that
they name a Service, and which key does.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonpointer import JsonPointer, escape

from migrations_app.resources.marks import key_of, type_of
from migrations_app.resources.shapes import containers, is_custom, items, pod_specs, section
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
Key = tuple[str, str, str, str]
ADMISSION = "admissionregistration.k8s.io"
# Where a namespace that stands alone is likely to be meant.
NAMESPACE_NAMES = re.compile(r"namespaces?$", re.IGNORECASE)


@dataclass(frozen=True)
class Suggestion:
    """One text that may have to change; `by_hand` where a person has to act, as no rule may touch it.

    `about` says what the path points to, where its numbers alone would say little.
    """

    key: Key
    path: str
    before: str
    after: str
    by_hand: bool = False
    about: str = ""

    @property
    def rule(self) -> Object | None:
        """As `rules.parse` reads it; None where a person has to act."""
        return None if self.by_hand else rule_for(self.key, self.path, self.before, self.after)


def suggestions(objects: Iterable[Object], spec: Spec) -> list[Suggestion]:
    """What names a renamed namespace in the objects as the source has them, in their order."""
    mapping = {name: there for name, there in spec.namespace_mapping.items() if name != there}
    if not mapping:
        return []
    given = list(objects)
    services = {key_of(obj)[2:] for obj in given if type_of(obj) == ("", "Service")}
    names = _Names(mapping, services)
    return [each for obj in given for each in _of(obj, names)]


def unsettled(pairs: Sequence[tuple[Object, Object]], spec: Spec) -> list[Suggestion]:
    """Suggestions for objects, each given with what it is to be, whose text no mapping and no rule changes already."""
    wanted = {key_of(source): there for source, there in pairs}
    found = suggestions((source for source, _there in pairs), spec)
    return [each for each in found if JsonPointer(each.path).get(wanted[each.key], None) == each.before or each.by_hand]


def rule_for(key: Key, path: str, before: str, after: str) -> Object:
    """A rule for this place only, which does nothing where the text has changed since."""
    group, kind, namespace, name = key
    conditions: Object = {"kinds": [f"{kind}.{group}" if group else kind], "names": [name]}
    if namespace:
        conditions["namespaces"] = [namespace]
    patches = [{"op": "test", "path": path, "value": before}, {"op": "replace", "path": path, "value": after}]
    return {"name": f"{kind} {name}: {path}", "conditions": conditions, "patches": patches}


class _Names:
    """The texts that name a Service of a renamed namespace: with `svc` behind it always, without where it is known."""

    def __init__(self, mapping: Mapping[str, str], services: Collection[tuple[str, str]]) -> None:
        self.mapping, self._services = mapping, services
        spaces = "|".join(re.escape(name) for name in sorted(mapping, key=len, reverse=True))
        label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
        self._pattern = re.compile(
            rf"(?<![-\w.])(?P<pods>({label}\.)*)(?P<service>{label})\.(?P<space>{spaces})(?P<svc>\.svc)?(?![-\w])"
        )
        self._quoted = re.compile(rf"(?P<quote>['\"])(?P<space>{spaces})(?P=quote)")

    def renamed(self, text: str) -> str:
        return self._pattern.sub(self._one, text)

    def requoted(self, expression: str) -> str:
        """The expression of CEL, with each namespace that stands alone between quotes under its new name."""
        return self._quoted.sub(
            lambda found: f"{found['quote']}{self.mapping[found['space']]}{found['quote']}", expression
        )

    def _one(self, found: re.Match[str]) -> str:
        known = (found["space"], found["service"]) in self._services
        if not found["svc"] and (not known or found.string[found.end() :][:1] == "."):
            return found[0]
        return f"{found['pods']}{found['service']}.{self.mapping[found['space']]}{found['svc'] or ''}"


def _of(obj: Object, names: _Names) -> Iterator[Suggestion]:
    group, kind = type_of(obj)
    if (group, kind) == ("", "Secret"):
        yield from _of_secret(obj, names)
        return
    if group == ADMISSION:
        yield from _of_conditions(obj, names)
    for path, text, alone, about in _texts(obj):
        after = names.renamed(text)
        if alone and text in names.mapping:
            after = names.mapping[text]
        if after != text:
            yield Suggestion(key_of(obj), path, text, after, about=about)


def _of_conditions(obj: Object, names: _Names) -> Iterator[Suggestion]:
    """Conditions in CEL on which webhooks are asked: `request.namespace == 'cms'`."""
    for number, webhook in enumerate(items(obj, "webhooks")):
        for place, condition in enumerate(items(webhook, "matchConditions")):
            before = str(condition.get("expression") or "")
            if (after := names.requoted(before)) != before:
                path = f"/webhooks/{number}/matchConditions/{place}/expression"
                about = f"condition {condition.get('name')} of webhook {webhook.get('name')}"
                yield Suggestion(key_of(obj), path, before, after, about=about)


def _texts(obj: Object) -> Iterator[tuple[str, str, bool, str]]:
    """Path and text of each place that programs read, whether a namespace may stand there alone, and what it is."""
    group, kind = type_of(obj)
    if (group, kind) == ("", "ConfigMap"):
        for key, text in section(obj, "data").items():
            if isinstance(text, str):
                yield f"/data/{escape(key)}", text, bool(NAMESPACE_NAMES.search(key)), ""
        return
    for key, text in section(obj, "metadata", "annotations").items():
        if isinstance(text, str) and not key.endswith("last-applied-configuration"):
            yield f"/metadata/annotations/{escape(key)}", text, False, ""
    for at, spec in pod_specs(obj):
        for place, container in containers(spec):
            yield from _of_container(
                container, "/" + f"{at}.{place}".replace(".", "/").replace("[", "/").replace("]", "")
            )
    if (group, kind) == ("", "Service") and isinstance(name := section(obj, "spec").get("externalName"), str):
        yield "/spec/externalName", name, False, ""
    if is_custom(obj):
        seen = tuple("/" + at.replace(".", "/") for at, _spec in pod_specs(obj))
        yield from (each for each in _within(obj.get("spec"), "/spec") if not each[0].startswith(seen or ("//",)))


def _of_container(container: Object, at: str) -> Iterator[tuple[str, str, bool, str]]:
    of = f"of container {container.get('name')}"
    for number, each in enumerate(items(container, "env")):
        if isinstance(text := each.get("value"), str):
            name = str(each.get("name"))
            yield f"{at}/env/{number}/value", text, bool(NAMESPACE_NAMES.search(name)), f"variable {name} {of}"
    for name in ("command", "args"):
        words = container.get(name)
        for number, text in enumerate(words if isinstance(words, list) else ()):
            if isinstance(text, str):
                yield f"{at}/{name}/{number}", text, False, f"{name} {of}"


def _within(value: Any, at: str, name: str = "") -> Iterator[tuple[str, str, bool, str]]:
    """Every text of an operator's own kind; a namespace may stand alone in what is called so."""
    if isinstance(value, str):
        yield at, value, bool(NAMESPACE_NAMES.search(name)), ""
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _within(each, f"{at}/{escape(str(key))}", str(key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _within(each, f"{at}/{number}", name)


def _of_secret(obj: Object, names: _Names) -> Iterator[Suggestion]:
    for key, encoded in section(obj, "data").items():
        try:
            text = base64.b64decode(str(encoded), validate=True).decode()
        except (binascii.Error, ValueError):
            continue
        if names.renamed(text) != text:
            said = "(not shown) It names a Service of a namespace that is called differently there."
            yield Suggestion(key_of(obj), f"/data/{escape(key)}", said, "(not shown) Change it by hand.", by_hand=True)
