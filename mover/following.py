"""Following the newest run's journal while it grows, until one is closed."""

from __future__ import annotations

import time

from mover.applying import Applier
from mover.crypto import VolumeKeys
from mover.destination import Destination
from mover.errors import DestinationRefused, PusherSilent
from mover.fetching import Fetcher
from mover.jobs import Jobs
from mover.journal import JournalReader, list_runs
from mover.objectstore import ObjectStore
from mover.pace import Pace
from mover.report import Counters
from mover.restored import Restored
from mover.settings import Settings
from mover.state import State
from mover.tree import Volume

_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
# Each pause is so much longer than the one before: what has been silent for long is looked at more rarely.
_GROWTH = 1.3


class Follower:
    """Reads segment after segment, and has each of them restored."""

    def __init__(
        self, settings: Settings, volume: Volume, store: ObjectStore, keys: VolumeKeys, state: State, counters: Counters
    ) -> None:
        self._settings = settings
        self._volume = volume
        self._store = store
        self._keys = keys
        self._state = state
        self._counters = counters
        self._destination = Destination(volume, settings.volume)
        self._fetcher = Fetcher(store, keys, counters, settings.volume, Pace(settings.bytes_per_second))
        self._jobs = Jobs(settings.workers, self._record)
        # Whatever an earlier attempt left is looked at before anything is fetched.
        self._fresh = next(volume.names(b""), None) is None
        self._heard = time.monotonic()
        self._run = ""
        # So many segments of this run an earlier attempt restored.
        self._trusted = 0

    def follow(self) -> str:
        """Restore until a run's journal is closed; that run. Directories' metadata and hard links are still to come."""
        try:
            run = self._await_run("")
            while True:
                self._run = run
                # What completes the tree reads it once more.
                reader = JournalReader(self._store, self._keys, run, self._settings.volume, twice=True)
                if self._follow_run(reader, self._applier()):
                    return run
                self._jobs.drain()
                self._record(reader.number)
                self._fresh = False
                run = self._await_run(run)
        finally:
            self._jobs.stop()

    def _applier(self) -> Applier:
        applied = self._state.applied()
        self._trusted = applied.pop(self._run, 0)
        self._counters.bytes_done = self._counters.files_done = 0
        return Applier(
            self._destination,
            self._keys,
            self._fetcher,
            self._jobs,
            self._counters,
            Restored(self._settings, self._volume, self._store, self._keys, applied),
            trusted=self._trusted,
            fresh=self._fresh,
        )

    def _await_run(self, than: str) -> str:
        """The newest run, once there is one newer than `than`."""
        pause = _SHORTEST_PAUSE
        while True:
            newest = list_runs(self._store)[-1:]
            if newest and newest[0] > than and self._is_due(newest[0]):
                self._heard = time.monotonic()
                return newest[0]
            self._counters.phase = "wait"
            self._pause(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _is_due(self, run: str) -> bool:
        """Whether a run belongs to the pass that was asked for, or a later one."""
        if self._settings.pass_number <= 1:
            return True
        reader = JournalReader(self._store, self._keys, run, self._settings.volume)
        reader.next()
        return int(reader.head.get("pass", 0)) >= self._settings.pass_number

    def _pause(self, seconds: float) -> None:
        if time.monotonic() - self._heard > self._settings.pull_wait_seconds:
            raise PusherSilent(
                f"Nothing new came for volume {self._settings.volume} in {self._settings.pull_wait_seconds:.0f} "
                "seconds. Look at the push on the source, and start again: what was restored stays."
            )
        time.sleep(seconds)

    def _follow_run(self, reader: JournalReader, applier: Applier) -> bool:
        """Whether the run was followed to its end; False when a newer one exists."""
        pause = _SHORTEST_PAUSE
        looked = time.monotonic()
        while True:
            records = reader.next()
            if records is not None:
                self._counters.phase = "pull"
                self._heard = time.monotonic()
                pause = _SHORTEST_PAUSE
                self._require_same_mode(reader)
                self._take_totals(reader)
                applier.apply(records, reader.number, reader.head["packs"])
                self._jobs.make_room()
                continue
            if reader.close is not None:
                self._counters.files_total, self._counters.bytes_total = reader.close["files"], reader.close["bytes"]
                self._jobs.drain()
                return True
            self._jobs.collect(most=0 if pause >= _LONGEST_PAUSE else None)
            if time.monotonic() - looked >= _LONGEST_PAUSE:
                looked = time.monotonic()
                if list_runs(self._store)[-1:] > [self._run]:
                    return False
            if not self._jobs:
                self._counters.phase = "wait"
            self._pause(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _require_same_mode(self, reader: JournalReader) -> None:
        if reader.head.get("device", False) == self._volume.is_device:
            return
        there, here = ("a device", "a file system") if reader.head.get("device") else ("a file system", "a device")
        raise DestinationRefused(
            f"The source volume {self._settings.volume} is {there} and the destination is {here}. "
            "Give a claim with the same volumeMode."
        )

    def _take_totals(self, reader: JournalReader) -> None:
        totals = reader.head.get("totals")
        if totals is not None:
            self._counters.files_total, self._counters.bytes_total = totals

    def _record(self, segments: int) -> None:
        if segments <= self._trusted:
            return
        try:
            self._state.record(self._run, segments)
        except OSError as error:
            raise self._destination.failure(b".kubemotion-mover/state.json", error) from error
