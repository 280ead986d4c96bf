"""Where the simulated clusters are known to answer otherwise than a real one, and why."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from tests.conformance.comparison import Difference


class Known(NamedTuple):
    """A difference at places whose dotted path matches the pattern; `step` None means every step of the scenario.

    `always` says that it must be there; otherwise it depends on the moment at which a controller acts.
    """

    scenario: str
    step: int | None
    path: str
    reason: str
    always: bool = True

    def covers(self, scenario: str, step: int, difference: Difference) -> bool:
        return self.scenario == scenario and self.step in (None, step) and fnmatchcase(difference.path, self.path)


KNOWN: list[Known] = []
