"""Objects as they may be shown: the values of Secrets never, only how long they are."""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Iterable
from typing import Any

from migrations_app.resources.marks import type_of
from migrations_app.resources.transform import LAST_APPLIED

Object = dict[str, Any]
SECRET = ("", "Secret")
VALUES = ("data", "stringData")


def masked(obj: Object) -> Object:
    """The object; of a Secret with lengths instead of values, and without the annotation that repeats them."""
    if type_of(obj) != SECRET:
        return obj
    shown = copy.deepcopy(obj)
    for name in VALUES:
        if isinstance(shown.get(name), dict):
            shown[name] = {key: length_of(value, encoded=name == "data") for key, value in shown[name].items()}
    annotations = (shown.get("metadata") or {}).get("annotations")
    if isinstance(annotations, dict) and LAST_APPLIED in annotations:
        annotations[LAST_APPLIED] = "(not shown)"
    return shown


def length_of(value: Any, *, encoded: bool) -> str:
    """What is shown instead of a value."""
    text = str(value)
    if not encoded:
        return f"(not shown: {len(text.encode())} bytes)"
    try:
        return f"(not shown: {len(base64.b64decode(text, validate=True))} bytes)"
    except (binascii.Error, ValueError):
        return "(not shown)"


def masked_diff[Diff: Any](group: str, kind: str, diff: Iterable[Diff]) -> list[Diff]:
    """The differences; of a Secret's values only that they differ, whatever came in."""
    if (group, kind) != SECRET:
        return list(diff)
    found = []
    for each in diff:
        if each.path.startswith(VALUES) or LAST_APPLIED in each.path:
            changed = {"before": _hidden(each.before), "after": _hidden(each.after)}
            found.append(type(each)(path=each.path, **changed))
        else:
            found.append(each)
    return found


def _hidden(value: Any) -> str | None:
    return None if value is None else "(not shown)"
