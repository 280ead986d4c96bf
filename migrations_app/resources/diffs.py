"""What a write would change, field by field, for people: without noise, and without a Secret's values.

The comparison is between what a server has and what the same server says that it would have (a dry run), so that
its defaults and its way of writing quantities are on both sides.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from clusters.texts import Text
from migrations_app.resources.compare import EMPTY
from migrations_app.resources.marks import MIGRATION_LABEL, SOURCE_ANNOTATION, type_of
from migrations_app.resources.quantities import to_number

Object = dict[str, Any]
# The server's own, and our marks: they say nothing about the application.
HIDDEN_METADATA = (
    "managedFields", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "deletionTimestamp",
)  # fmt: skip
HIDDEN_ANNOTATIONS = (SOURCE_ANNOTATION, "kubectl.kubernetes.io/last-applied-configuration")
HIDDEN_LABELS = (MIGRATION_LABEL,)
SECRET = ("", "Secret")
SECRET_FIELDS = ("data", "stringData")
# Items of lists are told apart by the first of these that all of them have, each with another value.
ITEM_KEYS = ("name", "containerPort", "port", "mountPath", "devicePath", "ip", "key", "type", "uid")
LONGEST_VALUE = 2000
MOST_FIELDS = 200


@dataclass(frozen=True)
class FieldDiff:
    """One field that a write changes: None where it is absent. Of a Secret's values only their lengths are told."""

    path: str
    before: Any
    after: Any


def differences(before: Object, after: Object) -> list[FieldDiff]:
    """What differs between an object as it is and as it would be, at most 200 fields."""
    secret = type_of(after) == SECRET or type_of(before) == SECRET
    found: list[FieldDiff] = []
    for path, was, becomes in _walk(without_noise(before), without_noise(after), ""):
        if len(found) >= MOST_FIELDS:
            break
        found += field_diffs(path, was, becomes, secret=secret)
    return found


def alterations(given: Object, made: Object) -> list[FieldDiff]:
    """What a server makes of an object otherwise than it was given: its own rules did that, or a webhook.

    What was not said is a default that the server fills in, except for labels, annotations and items of lists, which
    no default adds.
    """
    return [each for each in differences(given, made) if _is_altered(each)]


def _is_altered(diff: FieldDiff) -> bool:
    if diff.before is None:
        return diff.path.startswith(("metadata.labels", "metadata.annotations")) or diff.path.endswith("]")
    if diff.before in EMPTY and diff.after in EMPTY:
        return False
    try:
        return to_number(diff.before) != to_number(diff.after)
    except ValueError:
        return True


def field_diffs(path: str, before: Any, after: Any, *, secret: bool) -> list[FieldDiff]:
    """The difference as it may be shown: long texts shortened, and nothing of a Secret's values but their lengths."""
    if secret and path.partition(".")[0] in SECRET_FIELDS:
        return [FieldDiff(*each) for each in _hidden(path, before, after)]
    return [FieldDiff(path, _shortened(before), _shortened(after))]


def without_noise(obj: Object) -> Object:
    """The object without its status, what the server keeps for itself, and our marks."""
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in HIDDEN_METADATA}
    for name, hidden in (("annotations", HIDDEN_ANNOTATIONS), ("labels", HIDDEN_LABELS)):
        kept = {key: value for key, value in (metadata.get(name) or {}).items() if key not in hidden}
        metadata[name] = kept
        if not kept:
            del metadata[name]
    plain = {key: value for key, value in obj.items() if key not in ("status", "metadata", "apiVersion", "kind")}
    return {**plain, "metadata": metadata}


def _walk(before: Any, after: Any, at: str) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _walk(before.get(name), after.get(name), f"{at}.{name}" if at else name)
        return
    if isinstance(before, list) and isinstance(after, list):
        if key := _item_key([*before, *after], before, after):
            was, becomes = ({each[key]: each for each in items} for items in (before, after))
            for name in dict.fromkeys([*was, *becomes]):
                yield from _walk(was.get(name), becomes.get(name), f"{at}[{key}={name}]")
            return
        if len(before) == len(after):
            for place, (was, becomes) in enumerate(zip(before, after, strict=True)):
                yield from _walk(was, becomes, f"{at}[{place}]")
            return
    yield at or ".", before, after


def _item_key(items: list[Any], *lists: list[Any]) -> str:
    """What tells the items apart, or an empty text where nothing does."""
    if not items or not all(isinstance(each, dict) for each in items):
        return ""
    for key in ITEM_KEYS:
        if all(isinstance(each.get(key), str | int) for each in items) and all(
            len({each[key] for each in one}) == len(one) for one in lists
        ):
            return key
    return ""


def _hidden(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) or isinstance(after, dict):
        was, becomes = (each if isinstance(each, dict) else {} for each in (before, after))
        for name in dict.fromkeys([*was, *becomes]):
            if was.get(name) != becomes.get(name):
                yield f"{path}.{name}", _length(was.get(name)), _length(becomes.get(name))
        return
    yield path, _length(before), _length(after)


def _length(value: Any) -> str | None:
    if value is None:
        return None
    try:
        count = len(base64.b64decode(value, validate=True))
    except (binascii.Error, TypeError, ValueError):
        count = len(str(value))
    return f"(hidden, {count} bytes)"


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        return f"{value[:LONGEST_VALUE]}… ({len(value)} characters)"
    return value


def redacted(obj: Object, message: Text) -> Text:
    """A server's words about an object; a Secret's values are taken out, should any stand there."""
    if type_of(obj) != SECRET:
        return message

    def hidden(words: str) -> str:
        for field in SECRET_FIELDS:
            for value in (obj.get(field) or {}).values():
                for text in _spellings(value):
                    words = words.replace(text, "(hidden)")
        return words

    return message.with_names(hidden)


def _spellings(value: Any) -> Iterator[str]:
    # Shorter ones would take words out of the message that have nothing to do with them.
    if not isinstance(value, str) or len(value) < 4:
        return
    yield value
    try:
        plain = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    if len(plain) >= 4:
        yield plain
