"""What a comparison finds: what differs, and what could not be kept."""

from __future__ import annotations

from typing import Any

from mover.entries import readable
from mover.errors import IntegrityError
from mover.report import Reporter
from mover.trouble import Trouble

_MOST_DIFFERENCES = 20


class Findings:
    """Of one walk."""

    def __init__(self, reporter: Reporter, label: str, differences: list[str] | None) -> None:
        """Differences are added to `differences`; without such a list the first is an IntegrityError."""
        self._reporter = reporter
        self._label = label
        self._raises = differences is None
        self._differences: list[str] = [] if differences is None else differences
        self._unkept = Trouble()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self._differences)

    @property
    def are_enough(self) -> bool:
        """Whether so much differs that the rest does not have to be looked at."""
        return len(self._differences) >= _MOST_DIFFERENCES

    def unkept(self) -> list[dict[str, Any]]:
        """For the result line."""
        return self._unkept.listed()

    def could_not_keep(self, what: str, path: bytes) -> None:
        """One more thing that this process or the file system at the destination cannot keep."""
        self._unkept.add(what, path)
        self._reporter.unkept(what, readable(path))

    def differ(self, path: bytes, how: str) -> None:
        """What is at `path` is not what the journal tells."""
        if self._raises:
            raise IntegrityError(
                f"{readable(path)} on volume {self._label} {how}, after it was restored. Something else works on the "
                "destination volume: stop it, and start again.",
                code="destination-differs",
            )
        self._differences.append(f"{readable(path)} {how}")
