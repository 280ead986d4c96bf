"""What a puller remembers at the destination while it restores: a folder that says that the content is its own,
and how far it got."""

from __future__ import annotations

import contextlib
import json
import os
import shutil

from mover.tree import STATE_FOLDER, Volume

_MOST_RUNS = 4
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def state_of(volume: Volume) -> State:
    """What a puller remembers at this destination."""
    return _Nothing(volume) if volume.is_device else State(volume)


class State:
    """The state folder of a volume under restoration."""

    def __init__(self, volume: Volume) -> None:
        self._folder = volume.root + b"/" + STATE_FOLDER
        self._file = self._folder + b"/state.json"
        self._boot = _boot_id()

    def exists(self) -> bool:
        """Whether an earlier pull began here and did not finish."""
        return os.path.isdir(self._folder)

    def create(self) -> None:
        """From now on the volume's content is the mover's."""
        os.mkdir(self._folder, 0o700)

    def applied(self) -> dict[str, int]:
        """How many segments of which runs are restored for certain, oldest run first.

        Nothing after the node was restarted: what was written before may never have reached the disk.
        """
        try:
            with open(self._file, encoding="utf-8") as file:
                known = json.load(file)
        except (OSError, ValueError):
            return {}
        if known["boot"] != self._boot or not self._boot:
            return {}
        return {str(run): int(segments) for run, segments in known["applied"].items()}

    def record(self, run: str, segments: int) -> None:
        """The first `segments` of `run` are restored."""
        applied = self.applied()
        applied[run] = max(segments, applied.get(run, 0))
        newest = dict(sorted(applied.items())[-_MOST_RUNS:])
        temporary = self._file + b".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"boot": self._boot, "applied": newest}, file)
        os.replace(temporary, self._file)

    def remove(self) -> None:
        """The restoration is complete."""
        shutil.rmtree(self._folder)


class _Nothing(State):
    """On a device nothing can be remembered: whatever is there is compared, and is the mover's to overwrite."""

    def exists(self) -> bool:
        return True

    def applied(self) -> dict[str, int]:
        return {}

    def record(self, run: str, segments: int) -> None:
        """Nothing."""

    def remove(self) -> None:
        """Nothing."""


def _boot_id() -> str:
    with contextlib.suppress(OSError), open(_BOOT_ID, encoding="ascii") as file:
        return file.read().strip()
    return ""
