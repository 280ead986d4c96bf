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
    or shows it, for whoever has a kubeconfig of the cluster. All but code, status, title and message can be empty.
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


def passed(code: str, title: str, message: str, objects: Iterable[str] = ()) -> Result:
    """A check that found nothing wrong."""
    return Result(code, Verdict.PASS, title, message, tuple(objects))


def failures(results: Iterable[Result]) -> list[Result]:
    """Those that keep the migration from beginning."""
    return [each for each in results if each.status is Verdict.FAILURE]


def listed(names: Sequence[str], shown: int = SHOWN) -> str:
    """The first names as a text, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
