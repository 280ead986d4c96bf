"""One result of the preflight: what was looked at, how it is, and what to do about it.

The texts are plain English, as those of the apply are. `docs/preflight.md` has a row for every code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

SHOWN = 5


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
    title: str
    message: str
    objects: tuple[str, ...] = ()
    why: str = ""
    remedy: str = ""
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {**asdict(self), "status": str(self.status), "objects": list(self.objects)}

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


@dataclass(frozen=True)
class Check:
    """Something that is looked at; it makes the results."""

    code: str
    title: str

    def passed(self, message: str, objects: Iterable[str] = (), *, command: str = "") -> Result:
        return Result(self.code, Verdict.PASS, self.title, message, tuple(objects), command=command)

    def warning(
        self, message: str, objects: Iterable[str] = (), *, why: str = "", remedy: str = "", command: str = ""
    ) -> Result:
        return Result(self.code, Verdict.WARNING, self.title, message, tuple(objects), why, remedy, command)

    def failure(
        self, message: str, objects: Iterable[str] = (), *, why: str = "", remedy: str = "", command: str = ""
    ) -> Result:
        return Result(self.code, Verdict.FAILURE, self.title, message, tuple(objects), why, remedy, command)


def passed(code: str, title: str, message: str, objects: Iterable[str] = ()) -> Result:
    """A check that found nothing wrong."""
    return Check(code, title).passed(message, objects)


def failures(results: Iterable[Result]) -> list[Result]:
    """Those that keep the migration from beginning."""
    return [each for each in results if each.status is Verdict.FAILURE]


def worst_first(results: Iterable[Result]) -> list[Result]:
    """Failures, warnings, passes; within each as they came."""
    order = (Verdict.FAILURE, Verdict.WARNING, Verdict.PASS)
    return sorted(results, key=lambda each: order.index(each.status))


def listed(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first names as a text, and how many more there are."""
    every: Sequence[str] = list(names)
    more = f" and {len(every) - shown} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + more


def counted(count: int, singular: str, plural: str = "") -> str:
    """`1 pod`, `2 pods`."""
    return f"{count} {singular if count == 1 else plural or singular + 's'}"
