"""What of a preflight is shown: results of one check together, of many the first few, failures first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Check = dict[str, Any]
# Of one check's results. One more than these is shown as well: its place would be taken by the offer to show it.
SHOWN = 3


@dataclass(frozen=True)
class Group:
    """The results of one check with the same status. `rest` are those that are shown when somebody asks."""

    code: str
    status: str
    title: str
    first: list[Check]
    rest: list[Check]

    def __len__(self) -> int:
        return len(self.first) + len(self.rest)


def groups(checks: Iterable[Check], opened: str = "") -> list[Group]:
    """What did not pass, failures first and then as the checks come; that of the code `opened` is shown whole.

    Each result has its `number` among them, for the ids of a page.
    """
    together: dict[tuple[str, str], list[Check]] = {}
    for each in checks:
        if each["status"] != "pass":
            together.setdefault((each["status"], each["code"]), []).append(each)
    found, number = [], 0
    for (status, code), results in sorted(together.items(), key=lambda each: each[0][0] != "failure"):
        numbered = [{**each, "number": number + place} for place, each in enumerate(results, 1)]
        number += len(results)
        first = len(results) if code == opened or len(results) == SHOWN + 1 else SHOWN
        found.append(Group(code, status, results[0]["title"], numbered[:first], numbered[first:]))
    return found


def rest_of(checks: Iterable[Check], code: str, status: str) -> list[Check]:
    """The results of one check that are not shown at first."""
    return [check for each in groups(checks) if (each.code, each.status) == (code, status) for check in each.rest]
