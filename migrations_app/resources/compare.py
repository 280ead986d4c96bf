"""Whether an object that is already there says what ours says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
IGNORED_METADATA = {"labels", "annotations"}
# Servers leave these out, or write them where there was nothing.
EMPTY: tuple[Any, ...] = (None, "", False, 0)


def differing_fields(wanted: Any, present: Any) -> list[str]:
    """The paths of `compare`."""
    return [path for path, _wanted, _present in compare(wanted, present)]


def compare(wanted: Any, present: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where `present` lacks or contradicts what `wanted` says: path, wanted value, present value.

    Servers fill in defaults, so the comparison goes one way: what only `present` has is no difference. Lists must
    agree item by item.
    """
    if isinstance(wanted, dict):
        if not isinstance(present, dict):
            if wanted:
                yield at or ".", wanted, present
            return
        for name, value in wanted.items():
            if at == "metadata" and name in IGNORED_METADATA:
                continue
            yield from compare(value, present.get(name), f"{at}.{name}" if at else name)
    elif isinstance(wanted, list):
        if not wanted and present is None:
            return
        if not isinstance(present, list) or len(wanted) != len(present):
            yield at, wanted, present
            return
        for place, each in enumerate(wanted):
            yield from compare(each, present[place], f"{at}[{place}]")
    elif wanted != present and not (wanted in EMPTY and present in EMPTY):
        yield at, wanted, present
