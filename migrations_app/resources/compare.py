"""Whether an object that is already there says what ours says."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
IGNORED_METADATA = {"labels", "annotations"}


def differing_fields(wanted: Any, present: Any, at: str = "") -> list[str]:
    """The paths at which `present` lacks or contradicts what `wanted` says; what only `present` has is no difference.

    Servers fill in defaults, so the comparison goes one way. Lists must agree item by item.
    """
    if isinstance(wanted, dict):
        if not isinstance(present, dict):
            return [at or "."] if wanted else []
        found = []
        for name, value in wanted.items():
            if at == "metadata" and name in IGNORED_METADATA:
                continue
            found += differing_fields(value, present.get(name), f"{at}.{name}" if at else name)
        return found
    if isinstance(wanted, list):
        if not wanted and present is None:
            return []
        if not isinstance(present, list) or len(wanted) != len(present):
            return [at]
        return [path for i, each in enumerate(wanted) for path in differing_fields(each, present[i], f"{at}[{i}]")]
    if wanted in (None, "", False, 0) and present in (None, "", False, 0):
        return []
    return [] if wanted == present else [at]
