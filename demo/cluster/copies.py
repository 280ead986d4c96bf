"""Objects copied: they are made of JSON's values alone, which is several times as fast as `copy.deepcopy`."""

from __future__ import annotations

from typing import Any

HOLDERS = frozenset({dict, list})


def copied[T: Any](value: T) -> T:
    """The value with all that it holds, none of it shared."""
    # Most values are leaves: asking for their type here is a fifth of what a call for each of them costs.
    if isinstance(value, dict):
        return {  # type: ignore[return-value]
            name: copied(inner) if type(inner) in HOLDERS else inner for name, inner in value.items()
        }
    if isinstance(value, list):
        return [copied(inner) if type(inner) in HOLDERS else inner for inner in value]  # type: ignore[return-value]
    return value
