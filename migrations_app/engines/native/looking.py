"""A look at the movers of volumes under way: progress, results, verdicts, and what they wait for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.native import manifests, measuring, movers
from migrations_app.engines.native.movers import Jobs, Mover
from migrations_app.engines.native.notes import Notes
from migrations_app.engines.native.privileges import Direction
from migrations_app.engines.native.settling import Surroundings
from migrations_app.engines.native.starting import MOVING
from migrations_app.engines.sides import destination_of, source_of
from migrations_app.models import Migration, MigrationVolume, Status
from migrations_app.resources.quantities import to_text

# Images may have to be pulled and disks to be attached; what has not begun after this will not.
STARTING = timedelta(minutes=15)
# What the watcher measured just now need not be asked for again.
FRESH = timedelta(seconds=2.5)
LOG_LINES = 20
WARNING_LINES = 2000
MOST_WARNINGS = 20
HELD = "its mover goes on when the cluster has room for it."
STORE_WAITING = "store-waiting"
STORK_SUCCESS = "Migration successful for volume"


def look(migration: Migration, volumes: list[MigrationVolume], notes: Notes) -> None:
    now = timezone.now()
    measured = {volume.pk for volume in volumes if volume.measured_at and now - volume.measured_at < FRESH}
    around = Surroundings(migration)
    waits: dict[int, list[str]] = {volume.pk: [] for volume in volumes}
    for side, direction in _directions(migration):
        with side.asked() as connection:
            found: dict[str, Jobs] = {}
            for volume in volumes:
                if volume.status != Status.IN_PROGRESS or _digest(volume, direction):
                    continue
                namespace = volume.namespace_of(direction)
                if namespace not in found:
                    found[namespace] = movers.jobs_in(connection, migration, namespace)
                mover = found[namespace].mover(direction, volume)
                one = _Look(connection, migration, volume, direction, mover, around, notes)
                if said := one.take(measure=volume.pk not in measured):
                    waits[volume.pk].append(f"{'Source' if direction == 'push' else 'Destination'}: {said}")
    for volume in volumes:
        if volume.status == Status.IN_PROGRESS:
            _conclude(volume, " ".join(waits[volume.pk]), notes)


def _directions(migration: Migration) -> list[tuple[Any, Direction]]:
    # The push first: where it failed, it is the cause of what the pull then complains about.
    return [(source_of(migration.pair), "push"), (destination_of(migration.pair), "pull")]


def _digest(volume: MigrationVolume, direction: Direction) -> str:
    return volume.source_digest if direction == "push" else volume.destination_digest


@dataclass
class _Look:
    """One look at one mover."""

    connection: Connection
    migration: Migration
    volume: MigrationVolume
    direction: Direction
    mover: Mover
    around: Surroundings
    notes: Notes

    def take(self, *, measure: bool) -> str:
        """Take over what the mover has done; what it waits for, if anything."""
        volume, mover = self.volume, self.mover
        if mover.job is None:
            movers.ensure(self.connection, self.direction, self.migration, volume, self.around)
            self._event("Restarted", f"The {self.direction} Job was gone, and is started again")
            return ""
        if mover.is_going:
            return "the mover's former Job is being deleted."
        if mover.has_failed:
            _fail(volume, f"{self.direction}: {mover.failure()}", self.notes)
            return ""
        if mover.has_succeeded:
            # What a pull has brought counts once it is known what the push has sent in the end.
            is_early = self.direction == "pull" and not self.volume.source_digest
            return "" if is_early else self._take_result()
        if mover.is_held:
            return "" if self.migration.is_paused else HELD
        if mover.is_running:
            return self._measure() if measure else ""
        said = movers.why_not_running(self.connection, mover)
        if not said and mover.failed_pods:
            said = f"{mover.failure()} It is started again."
        elif said:
            # A Job without its Secret: we were stopped between the two.
            movers.ensure(self.connection, self.direction, self.migration, volume, self.around)
        if mover.began and timezone.now() - mover.began > STARTING and not mover.failed_pods:
            _fail(volume, f"The {self.direction} mover did not start: {said or 'no reason is given'}", self.notes)
            return ""
        return f"the mover cannot run: {said}" if said and not mover.failed_pods else said

    def _measure(self) -> str:
        try:
            log = self._log(LOG_LINES)
        except (errors.Invalid, errors.NotFound):
            # The container is just starting, or the pod has just gone: the next look knows more.
            return ""
        before = self.volume.bytes_pushed, self.volume.bytes_pulled
        said = movers.parse(log)
        if "progress" in said:
            measuring.note(self.volume, self.direction, said["progress"], timezone.now())
            self.notes.change(self.volume)
        warning = said.get("warning") or {}
        stalled = before == (self.volume.bytes_pushed, self.volume.bytes_pulled)
        return str(warning.get("message")) if stalled and warning.get("code") == STORE_WAITING else ""

    def _take_result(self) -> str:
        volume, result = self.volume, self.mover.result()
        if result is None:
            # Its pod is gone, and its last words with it. A transfer that is finished only answers once more.
            self._ask_again()
            return "the mover's result was lost with its pod, and it is asked again."
        run = str(result.get("run") or "")
        if self.direction == "pull" and run and run < volume.source_run:
            # The push was lost between its last word to the pull and its end, and began anew on data that goes on
            # changing. The pull brings what it has restored to that state.
            self._ask_again()
            return "the push began anew after the pull had ended, which goes on with what changed since."
        digest = str(result.get("digest") or "")
        if not digest:
            _fail(volume, f"{self.direction}: the mover gave no digest, so nothing is proved.", self.notes)
            return ""
        size, files = int(result.get("bytes") or 0), int(result.get("files") or 0)
        if self.direction == "push":
            volume.source_run, volume.source_digest = run, digest
            volume.bytes_total = volume.bytes_pushed = size
            volume.files_total = files
            volume.bytes_sent = max(volume.bytes_sent, int(result.get("bytes_sent") or 0))
        else:
            volume.destination_digest = digest
            volume.bytes_pulled, volume.files_pulled = size, files
        for each in result.get("unkept") or ():
            volume.unkept = [*volume.unkept, each]
            example = f", such as {each['example']}" if each.get("example") else ""
            self._event("NotKept", f"{each.get('what')} could not be kept for {each.get('count')} files{example}")
        self.notes.change(volume)
        self._take_warnings()
        return ""

    def _ask_again(self) -> None:
        name = manifests.job_name(self.direction, self.volume)
        self.connection.delete(movers.JOBS, name, self.volume.namespace_of(self.direction))

    def _take_warnings(self) -> None:
        """The mover's warnings as events, a bounded number of them."""
        try:
            log = self._log(WARNING_LINES)
        except errors.KubeError:
            # The data is there and proved; a log that cannot be read must not hold that up.
            return
        said = [line for line in movers.lines(log) if line["type"] == "warning" and line.get("code") != STORE_WAITING]
        for line in said[:MOST_WARNINGS]:
            path = f"{line['path']}: " if line.get("path") else ""
            self._event("MoverWarning", f"{self.direction}: {path}{line.get('message', '')}")
        if len(said) > MOST_WARNINGS:
            self._event("MoverWarning", f"{self.direction}: {len(said) - MOST_WARNINGS} more warnings")

    def _log(self, lines: int) -> str:
        assert self.mover.pod is not None
        pod, namespace = self.mover.pod["metadata"]["name"], self.volume.namespace_of(self.direction)
        return self.connection.logs(pod, namespace, container=self.mover.container, tail_lines=lines)

    def _event(self, reason: str, message: str) -> None:
        self.notes.event(self.volume, reason, message, warning=True)


def _conclude(volume: MigrationVolume, waits: str, notes: Notes) -> None:
    """The verdict on a volume whose movers are both done: equal digests, or it has failed. Else what it waits for."""
    if not (volume.source_digest and volume.destination_digest):
        if (waits or MOVING) != volume.reason:
            volume.reason = waits or MOVING
            notes.change(volume)
            if waits:
                notes.event(volume, "Waiting", waits, warning=True)
        return
    if (volume.source_digest, volume.bytes_total) != (volume.destination_digest, volume.bytes_pulled):
        _fail(volume, "the data on the destination is not the same as on the source: their digests differ.", notes)
        return
    volume.status, volume.reason, volume.finished_at = Status.SUCCESSFUL, STORK_SUCCESS, timezone.now()
    volume.eta_seconds = None
    if volume.started_at and volume.bytes_total is not None:
        seconds = (volume.finished_at - volume.started_at).total_seconds() - volume.paused_seconds
        volume.rate = volume.bytes_total / max(0.001, seconds)
    notes.change(volume)
    notes.event(volume, Status.SUCCESSFUL.value, f"Volume {volume.volume} migrated successfully")
    size = to_text(volume.bytes_total or 0)
    proof = f"{volume.files_total} files, {size}: digest {volume.source_digest[:16]}… is equal on both sides"
    notes.event(volume, "Verified", proof)


def _fail(volume: MigrationVolume, reason: str, notes: Notes) -> None:
    volume.status, volume.reason, volume.finished_at = Status.FAILED, reason, timezone.now()
    volume.rate = volume.eta_seconds = None
    notes.change(volume)
    notes.event(volume, Status.FAILED.value, f"Error migrating volume {volume.volume}: {reason}", warning=True)
