"""One result of the preflight: what was looked at, how it is, and what to do about it.

Its texts are said in the reader's language where they are shown. `docs/preflight.md` has a row for every code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from clusters.texts import NOTHING, Text


class Verdict(StrEnum):
    """How a check came out. A failure keeps the migration from beginning."""

    PASS = "pass"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Result:
    """One check's outcome.

    `title` names what was looked at, `message` says what was found; `objects` are the objects that it concerns, as
    `Kind namespace/name`; `why` says what would happen, `remedy` what to do, and `command` is a shell command that does
    or shows it, for whoever has a kubeconfig with contexts named like the clusters. All but code, status, title and
    message can be empty.
    """

    code: str
    status: Verdict
    title: Text
    message: Text
    objects: tuple[str, ...] = ()
    why: Text = NOTHING
    remedy: Text = NOTHING
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values and Texts, which `clusters.texts` carries through JSON."""
        return {**asdict(self), "status": str(self.status), "objects": list(self.objects)}

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


@dataclass(frozen=True)
class Check:
    """Something that is looked at; it makes the results."""

    code: str
    title: Text

    def passed(self, message: Text, objects: Iterable[str] = (), *, command: str = "") -> Result:
        return Result(self.code, Verdict.PASS, self.title, message, tuple(objects), command=command)

    def warning(
        self,
        message: Text,
        objects: Iterable[str] = (),
        *,
        why: Text = NOTHING,
        remedy: Text = NOTHING,
        command: str = "",
    ) -> Result:
        return Result(self.code, Verdict.WARNING, self.title, message, tuple(objects), why, remedy, command)

    def failure(
        self,
        message: Text,
        objects: Iterable[str] = (),
        *,
        why: Text = NOTHING,
        remedy: Text = NOTHING,
        command: str = "",
    ) -> Result:
        return Result(self.code, Verdict.FAILURE, self.title, message, tuple(objects), why, remedy, command)


def passed(code: str, title: Text, message: Text, objects: Iterable[str] = ()) -> Result:
    """A check that found nothing wrong."""
    return Check(code, title).passed(message, objects)


def failures(results: Iterable[Result]) -> list[Result]:
    """Those that keep the migration from beginning."""
    return [each for each in results if each.status is Verdict.FAILURE]


def worst_first(results: Iterable[Result]) -> list[Result]:
    """Failures, warnings, passes; within each as they came."""
    order = (Verdict.FAILURE, Verdict.WARNING, Verdict.PASS)
    return sorted(results, key=lambda each: order.index(each.status))
