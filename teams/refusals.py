"""A refusal: bad input or a state that does not allow what was asked. Pages and API both show it as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _


class Refusal(Exception):
    """Nothing was changed. The message says what was wrong, where, and what to do.

    `errors` maps field names of the form or request body to lists of messages, or to a like mapping of what is inside.
    """

    status = 400
    title: Any = _("Not possible as asked")

    def __init__(self, message: Any, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or {}


class Unavailable(Refusal):
    """Something that had to be asked for this, a cluster or a store, does not answer as it should. It may pass."""

    status = 502
    title = _("Something behind this server does not answer")


class Conflict(Refusal):
    """The present state of something does not allow it (in use, already finished, name taken)."""

    status = 409
    title = _("Conflicts with the present state")


def messages(errors: Mapping[str, Any]) -> Iterator[Any]:
    """Every message of a refusal's `errors`, in order."""
    for said in errors.values():
        yield from messages(said) if isinstance(said, Mapping) else said


class WrongFields(ValueError):
    """A value with fields of its own, some of which are wrong: `errors` has the messages by their names."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(" ".join(messages(errors)))
        self.errors = errors
