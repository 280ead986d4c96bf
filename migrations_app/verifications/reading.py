"""One volume's two readers: what keeps a claim from being read, their Jobs, and what they said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines import MigrationError
from migrations_app.engines.claims import CLAIMS, Claim, claim_of
from migrations_app.engines.native import movers, snapshots
from migrations_app.engines.native.movers import Mover
from migrations_app.engines.native.privileges import Direction
from migrations_app.engines.native.settling import Surroundings, holder
from migrations_app.engines.sides import Side, side_of
from migrations_app.events import Said
from migrations_app.models import Migration
from migrations_app.verifications import comparing, holding, jobs
from migrations_app.verifications.models import SIDES, Verdict, VolumeVerification

Object = dict[str, Any]
DIRECTIONS: dict[str, Direction] = {"source": "push", "destination": "pull"}
# Images may have to be pulled and disks to be attached; what has not begun after this will not.
STARTING = timedelta(minutes=15)
PROGRESS_LINES = 5
ALL_LINES = 50_000
MOST_USERS = 5
RESULT = ("digest", "files", "bytes", "newest", "changed", "listed")
CHANGING = "Files changed while they were read. Verify again when the application is quiet."
# What a reader calls an entry with an attribute that it could not read.
UNREAD = "xattr-unread"
NOT_LISTED = "Which files differ is not known: the log of their reader was not complete."


@dataclass
class Readers:
    """The readers of one migration at one look. Its methods raise RetriableError, and write nothing down."""

    migration: Migration
    around: Surroundings
    said: list[Said] = field(default_factory=list)
    _jobs: dict[tuple[str, str], movers.Jobs] = field(default_factory=dict)

    def side(self, side: str) -> Side:
        return side_of(self.migration.pair, DIRECTIONS[side])

    def nodes(self, row: VolumeVerification) -> list[str]:
        """The node that each side's reader will have to run on; empty for one that is free, or cannot be begun."""
        volume = row.volume
        mapped = [self.migration.access_mode_mapping.get(mode, mode) for mode in volume.access_modes]
        found = []
        for side, modes in zip(SIDES, (volume.access_modes, mapped), strict=True):
            try:
                user = holder(modes, self.around.users(DIRECTIONS[side], volume))
            except MigrationError:
                user = None
            # What one pod has alone is read from a copy, which is nowhere yet.
            found.append(user["spec"]["nodeName"] if user and holding.ONE_POD not in modes else "")
        return found

    def begin(self, row: VolumeVerification) -> None:
        """Make both Jobs, or say why the volume cannot be read."""
        self._or_unreadable(row, self._begin)

    def look(self, row: VolumeVerification) -> None:
        """Take over what both readers have said, and conclude from it what can be concluded."""
        self._or_unreadable(row, self._look)

    def _or_unreadable(self, row: VolumeVerification, act: Callable[[VolumeVerification], None]) -> None:
        try:
            act(row)
        except MigrationError as error:
            self._unreadable(row, str(error))

    def _begin(self, row: VolumeVerification) -> None:
        for side in SIDES:
            with self.side(side).asked() as connection:
                why = self._claim(connection, row, side)
            if why:
                self._unreadable(row, why)
                return
        row.status, row.started_at = Verdict.IN_PROGRESS, timezone.now()
        for side in SIDES:
            self._ensure(row, side)

    def _claim(self, connection: Connection, row: VolumeVerification, side: str) -> str:
        """Why the claim cannot be read; empty where it can, with how in the row."""
        name, namespace = row.volume.claim, jobs.namespace_of(row, side)
        where = self.side(side)
        try:
            claim = claim_of(connection.get(CLAIMS, name, namespace))
        except errors.NotFound:
            return f"The {where} has no claim {namespace}/{name} any more."
        users = [each["metadata"]["name"] for each in self.around.users(DIRECTIONS[side], row.volume)]
        row.of(side)["used_by"] = users[:MOST_USERS]
        if claim.is_going:
            return f"Claim {claim} is being deleted on the {where}."
        if not claim.is_bound:
            return f"Claim {claim} is not bound on the {where}: it has no data."
        held = holding.held(connection, where, claim, users)
        if held.why_not:
            return held.why_not
        if held.snapshot_class:
            row.of(side)["snapshot_class"] = held.snapshot_class
        return ""

    def _ensure(self, row: VolumeVerification, side: str) -> None:
        """Make the Job unless it is there, or the snapshot that it is to read."""
        with self.side(side).asked() as connection:
            claim = claim_of(connection.get(CLAIMS, row.volume.claim, jobs.namespace_of(row, side)))
            if row.of(side).get("snapshot_class") and not self._prepare(connection, row, side, claim):
                return
            settled = self.around.settle_reader(
                DIRECTIONS[side], row.volume, claim, copied=bool(row.of(side).get("snapshot_class"))
            )
            jobs.ensure(connection, row, side, settled)

    def _prepare(self, connection: Connection, row: VolumeVerification, side: str, claim: Claim) -> bool:
        """Whether there is a copy of the claim to be read."""
        copy = jobs.copy_for(row, side, claim)
        snapshots.take(connection, [copy])
        try:
            waits = snapshots.prepare(connection, copy)
        except snapshots.NotReady as error:
            raise MigrationError(f"{side.capitalize()}: {error}.") from None
        if waits:
            row.reason = f"{side.capitalize()}: {waits}."
            # A mover's time to start begins when there is something to read.
            row.started_at = timezone.now()
        return not waits

    def _look(self, row: VolumeVerification) -> None:
        for side in SIDES:
            if not self._is_done(row, side) and row.status == Verdict.IN_PROGRESS:
                with self.side(side).asked() as connection:
                    self._take(connection, row, side, self._mover(connection, row, side))
        if row.status == Verdict.IN_PROGRESS and all(self._is_done(row, side) for side in SIDES):
            self._conclude(row)

    @staticmethod
    def _is_done(row: VolumeVerification, side: str) -> bool:
        known = row.of(side)
        return bool(known.get("listed") is not None if row.look == 2 else known.get("digest"))

    def _mover(self, connection: Connection, row: VolumeVerification, side: str) -> Mover:
        namespace = jobs.namespace_of(row, side)
        if (side, namespace) not in self._jobs:
            self._jobs[side, namespace] = movers.jobs_in(connection, self.migration, namespace)
        return self._jobs[side, namespace].named(jobs.name_of(row), jobs.container_of(row))

    def _take(self, connection: Connection, row: VolumeVerification, side: str, mover: Mover) -> None:
        if mover.is_going:
            return
        if mover.job is None:
            self._ensure(row, side)
        elif mover.has_failed:
            self._unreadable(row, f"{side.capitalize()}: {mover.failure()}")
        elif mover.has_succeeded:
            self._take_result(connection, row, side, mover)
        elif mover.is_running:
            self._measure(connection, row, side, mover)
        else:
            self._wait(connection, row, side, mover)

    def _take_result(self, connection: Connection, row: VolumeVerification, side: str, mover: Mover) -> None:
        known, result = row.of(side), mover.result()
        if result is None:
            # Its pod is gone, and its last words with it.
            self._ask_again(connection, row, side)
        elif row.look == 2:
            known["listed"] = result.get("listed") or 0
        elif not result.get("digest"):
            self._unreadable(row, f"{side.capitalize()}: the mover gave no digest.")
        else:
            known |= {name: result[name] for name in RESULT[:-1] if name in result}
            known["bytes_done"] = known["bytes_total"] = result.get("bytes") or 0

    def _ask_again(self, connection: Connection, row: VolumeVerification, side: str) -> None:
        known = row.of(side)
        known["asked_again"] = known.get("asked_again", 0) + 1
        known.pop("listed" if row.look == 2 else "digest", None)
        connection.delete(movers.JOBS, jobs.name_of(row), jobs.namespace_of(row, side))

    def _measure(self, connection: Connection, row: VolumeVerification, side: str, mover: Mover) -> None:
        progress = movers.parse(self._log(connection, row, side, mover, PROGRESS_LINES)).get("progress", {})
        if row.look == 1:
            known = row.of(side)
            known |= {name: progress[name] for name in ("bytes_done", "bytes_total") if progress.get(name) is not None}
        row.reason = ""

    def _wait(self, connection: Connection, row: VolumeVerification, side: str, mover: Mover) -> None:
        why = movers.why_not_running(connection, mover)
        if why:
            # A Job without its Secret: we were stopped between the two.
            self._ensure(row, side)
        elif mover.failed_pods:
            why = f"{mover.failure()} It is started again."
        if why:
            row.reason = f"{side.capitalize()}: {why}"
        if row.started_at and timezone.now() - row.started_at > STARTING and not mover.failed_pods:
            self._unreadable(row, f"{side.capitalize()}: the mover did not start: {why or 'no reason is given'}")

    @staticmethod
    def _log(connection: Connection, row: VolumeVerification, side: str, mover: Mover, lines: int) -> str:
        if mover.pod is None:
            return ""
        pod, namespace = mover.pod["metadata"]["name"], jobs.namespace_of(row, side)
        try:
            return connection.logs(pod, namespace, container=mover.container, tail_lines=lines)
        except (errors.Invalid, errors.NotFound):
            # The container is just starting, or the pod has just gone: the next look knows more.
            return ""

    def _lines(self, row: VolumeVerification) -> dict[str, list[Object]]:
        """All that both readers have said, by side."""
        found = {}
        for side in SIDES:
            with self.side(side).asked() as connection:
                mover = self._mover(connection, row, side)
                found[side] = movers.lines(self._log(connection, row, side, mover, ALL_LINES))
        return found

    def _conclude(self, row: VolumeVerification) -> None:
        if row.source["digest"] == row.destination["digest"]:
            self._end(row, Verdict.SAME, "")
            return
        lines = self._lines(row)
        if row.look == 1:
            sums = {side: comparing.sums_in(lines[side]) for side in SIDES}
            if self._are_complete(row, {side: each is not None for side, each in sums.items()}):
                self._look_closer(row, sums["source"] or b"", sums["destination"] or b"")
            return
        listed = {side: sum(line["type"] == "entry" for line in lines[side]) for side in SIDES}
        if self._are_complete(row, {side: listed[side] >= row.of(side)["listed"] for side in SIDES}):
            found = comparing.differences(lines["source"], lines["destination"])
            row.differences, row.differing = found[: comparing.MOST_NAMED], len(found)
            self._end(row, Verdict.DIFFERENT, "" if found else CHANGING)

    def _are_complete(self, row: VolumeVerification, complete: dict[str, bool]) -> bool:
        """Whether both logs are; one that is not is asked for once more, and then done without."""
        lacking = [side for side in SIDES if not complete[side]]
        if any(row.of(side).get("asked_again") for side in lacking):
            self._end(row, Verdict.DIFFERENT, NOT_LISTED)
            return False
        for side in lacking:
            with self.side(side).asked() as connection:
                self._ask_again(connection, row, side)
        return not lacking

    def _look_closer(self, row: VolumeVerification, source: bytes, destination: bytes) -> None:
        unlike = comparing.unlike(source, destination)
        row.buckets = comparing.few_enough(unlike, max(row.source["files"], row.destination["files"]))
        row.differing_at_least = len(row.buckets) < len(unlike)
        row.look, row.started_at = 2, timezone.now()
        for side in SIDES:
            row.of(side).pop("asked_again", None)
            self._ensure(row, side)

    def _unreadable(self, row: VolumeVerification, why: str) -> None:
        digests = [row.of(side).get("digest") for side in SIDES]
        if all(digests) and digests[0] != digests[1]:
            # That it differs is known, only not where.
            self._end(row, Verdict.DIFFERENT, f"Which files differ is not known: {why}")
        else:
            self._end(row, Verdict.UNREADABLE, why)

    def _end(self, row: VolumeVerification, verdict: Verdict, reason: str) -> None:
        row.status, row.finished_at = verdict, timezone.now()
        row.reason = " ".join([*filter(None, [reason]), *not_compared(row)])
        same = f"{row}: the same on both sides ({row.source.get('files')} files, read anew)"
        said = {
            Verdict.SAME: ". ".join([same, *not_compared(row)]),
            Verdict.DIFFERENT: f"{row}: {differs(row)}",
            Verdict.UNREADABLE: f"{row} could not be read: {reason}",
        }[verdict]
        regarding = f"PersistentVolumeClaim {row}"
        self.said.append(Said(f"Volume{verdict.value}", said, warning=verdict != Verdict.SAME, regarding=regarding))


def not_compared(row: VolumeVerification) -> list[str]:
    """In words whose attributes a reader could not read, so that a difference there would not have shown."""
    return [
        f"Attributes of {each['count']} entries on the {side}{_such_as(each)} could not be read and were not compared."
        for side in SIDES
        for each in row.of(side).get("changed") or ()
        if each["what"] == UNREAD
    ]


def _such_as(counted: Object) -> str:
    # A last word that became too long has no examples.
    return f", such as {counted['example']}," if counted.get("example") else ""


def _told(difference: dict[str, Any]) -> str:
    what = ", ".join(difference["what"])
    ranges = [f"{each['length']} bytes from {each['offset']}" for each in difference.get("ranges") or ()]
    where = f"; in it {', '.join(ranges[:3])}{', …' if len(ranges) > 3 or difference.get('more_ranges') else ''}"
    return f"{difference['path']} ({what}{where if ranges else ''})"


def differs(row: VolumeVerification) -> str:
    """In words what differs, and why that may be as it should be."""
    count = f"{'at least ' if row.differing_at_least else ''}{row.differing}"
    words = [f"{count} paths differ." if row.differing else "It differs."]
    if row.differences:
        words.append("Such as " + "; ".join(map(_told, row.differences[:3])))
        words[-1] += "."
    if row.newer:
        words.append(f"The {row.newer} was written to later.")
    if row.used_by:
        pods = ", ".join(f"{pod} on the {side}" for side, pod in row.used_by)
        words.append(f"Pods use it ({pods}): an application at work changes its files, so that is normal.")
    return " ".join([*words, row.reason]).strip()
