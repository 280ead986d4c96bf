"""Objects copied: they are made of JSON's values alone, which is several times as fast as `copy.deepcopy`."""

from __future__ import annotations

from typing import Any


def copied[T: Any](value: T) -> T:
    """The value with all that it holds, none of it shared."""
    if isinstance(value, dict):
        return {name: copied(inner) for name, inner in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [copied(inner) for inner in value]  # type: ignore[return-value]
    return value
