"""The Volumes stage: claims re-created, data pushed and pulled at once, and the digests of both sides compared."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app import events, live
from migrations_app.engines import MigrationError
from migrations_app.engines.native import manifests, measuring, movers, placement, places, settling
from migrations_app.engines.native.claims import users_of_claims
from migrations_app.engines.native.movers import Mover
from migrations_app.engines.native.placement import Room
from migrations_app.engines.native.privileges import Direction, Power, what_is_lost
from migrations_app.engines.native.quantities import to_text
from migrations_app.engines.native.sides import Side, destination_of, source_of
from migrations_app.lease import Lease
from migrations_app.models import FINISHED, Migration, MigrationVolume, Status

Object = dict[str, Any]
# A look ends after this, well within the lease, and the next one goes on.
SLICE_SECONDS = 15.0
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
# Images may have to be pulled and disks to be attached; what has not begun after this will not.
STARTING = timedelta(minutes=15)
# What the watcher measured just now need not be asked for again.
FRESH = timedelta(seconds=2.5)
LOG_LINES = 20
WARNING_LINES = 2000
MOST_WARNINGS = 20
STORE_WAITING = "store-waiting"
# Kept as it is, in English, as all that is written down; pages may translate it.
WAITING = gettext_noop("Waiting for other volumes")
MOVING = "Volume migration has started"
STORK_SUCCESS = "Migration successful for volume"


@dataclass
class Notes:
    """What a look has to write down: the volumes that changed, and events."""

    changed: dict[int, MigrationVolume] = field(default_factory=dict)
    events: list[tuple[MigrationVolume, str, str, bool]] = field(default_factory=list)

    def change(self, volume: MigrationVolume) -> None:
        self.changed[volume.pk] = volume

    def event(self, volume: MigrationVolume, reason: str, message: str, *, warning: bool = False) -> None:
        self.events.append((volume, reason, message, warning))

    def write(self, migration: Migration, lease: Lease) -> None:
        """All of it in one transaction, which a worker that lost its lease cannot commit."""
        if not self.changed and not self.events:
            return
        changed = list(self.changed.values())
        with transaction.atomic():
            lease.renew()
            for volume in changed:
                volume.save()
            for volume, reason, message, warning in self.events:
                events.emit(migration, reason, message, warning=warning, regarding=f"PersistentVolumeClaim {volume}")
            transaction.on_commit(lambda: live.state_changed(migration, volumes=changed), robust=True)


def step(migration: Migration, lease: Lease) -> timedelta | None:
    """Look at every volume once; when to look again, or None when all have arrived. Raises MigrationError."""
    volumes = list(migration.volumes.all())
    _end_if_one_failed(volumes)
    unfinished = [volume for volume in volumes if volume.status not in FINISHED]
    if not unfinished:
        return None
    moving = [volume for volume in unfinished if volume.status == Status.IN_PROGRESS]
    notes = Notes()
    if moving:
        _look(migration, moving, notes)
    notes.write(migration, lease)
    if any(volume.status == Status.FAILED for volume in moving):
        _stop_the_others(migration, lease, unfinished)
        _end_if_one_failed(volumes)
    # The largest first, so that it is not what all wait for at the end.
    waiting = [volume for volume in unfinished if volume.status == Status.PENDING]
    waiting.sort(key=lambda volume: (-volume.capacity_bytes, volume.pk))
    if waiting and not _start(migration, lease, waiting):
        return timedelta(0)
    if all(volume.status in FINISHED for volume in volumes):
        return timedelta(0)
    return _pause(moving)


def _pause(moving: list[MigrationVolume]) -> timedelta:
    """Seldom for what takes long: a volume of hours need not be looked at each second."""
    oldest = min((volume.started_at for volume in moving if volume.started_at), default=timezone.now())
    elapsed = (timezone.now() - oldest).total_seconds()
    return timedelta(seconds=min(LONGEST_PAUSE, max(SHORTEST_PAUSE, elapsed / 30)))


def _end_if_one_failed(volumes: list[MigrationVolume]) -> None:
    failed = [volume for volume in volumes if volume.status == Status.FAILED]
    if failed:
        said = " ".join(f"Volume {volume} could not be moved: {volume.reason}" for volume in failed[:3])
        raise MigrationError(f"{said} No object was applied.")


def _stop_the_others(migration: Migration, lease: Lease, volumes: list[MigrationVolume]) -> None:
    notes = Notes()
    for volume in volumes:
        if volume.status not in FINISHED:
            volume.status, volume.reason = Status.CANCELLED, "Stopped, because another volume failed."
            volume.rate = volume.eta_seconds = None
            notes.change(volume)
    notes.write(migration, lease)


# -- starting


def _start(migration: Migration, lease: Lease, volumes: list[MigrationVolume]) -> bool:
    """Start the movers of those volumes that there is room for; whether there was time for all of them."""
    deadline = time.monotonic() + SLICE_SECONDS
    source, destination = source_of(migration.pair), destination_of(migration.pair)
    rooms = [_room(side) for side in (source, destination)]
    delayed = Notes()
    users: dict[str, dict[str, list[Object]]] = {}
    for volume in volumes:
        if time.monotonic() > deadline:
            return False
        lease.renew()
        if all(room.takes() for room in rooms) and volume.namespace not in users:
            with source.asked() as connection:
                users[volume.namespace] = users_of_claims(connection, volume.namespace)
        user = settling.holder(volume, users.get(volume.namespace, {}).get(volume.claim, []))
        places_needed = (user["spec"]["nodeName"] if user else "", "")
        if not all(room.takes(node) for room, node in zip(rooms, places_needed, strict=True)):
            if volume.reason != WAITING:
                volume.reason = WAITING
                delayed.change(volume)
            continue
        for room, node in zip(rooms, places_needed, strict=True):
            room.take(node)
        with source.asked() as connection:
            original = connection.get("namespaces", volume.namespace)
        with destination.asked() as connection:
            places.ensure_namespace(connection, migration, original)
            places.ensure_claim(connection, migration, volume)
        with source.asked() as connection:
            reading = movers.ensure(connection, "push", migration, volume)
        with destination.asked() as connection:
            writing = movers.ensure(connection, "pull", migration, volume)
        notes = Notes()
        powers: list[tuple[Direction, Power | None]] = [("push", reading), ("pull", writing)]
        for direction, power in powers:
            if power is not None and (
                lost := what_is_lost(direction, power, raw=volume.volume_mode == manifests.BLOCK)
            ):
                notes.event(volume, "WithoutRoot", lost, warning=True)
        volume.status, volume.started_at, volume.reason = Status.IN_PROGRESS, timezone.now(), MOVING
        notes.change(volume)
        classes = f"{volume.source_class or 'no class'} to {volume.destination_class or 'the default class'}"
        notes.event(volume, "Started", f"Volume {volume.volume} of claim {volume}: push and pull started ({classes})")
        notes.write(migration, lease)
    delayed.write(migration, lease)
    return True


def _room(side: Side) -> Room:
    """What the side's cluster has room for, beside the volumes of all migrations that move there now.

    Two workers that look in the same moment may go a little beyond it: it is there for the cluster's comfort.
    """
    cluster = side.cluster
    busy = MigrationVolume.objects.filter(
        Q(migration__pair__source=cluster) | Q(migration__pair__destination=cluster), status=Status.IN_PROGRESS
    ).exclude(migration__status__in=FINISHED)
    busy = busy.select_related("migration")
    with side.asked() as connection:
        pods = [
            pod
            for namespace in sorted(_namespaces_of(busy))
            for pod in connection.list("pods", namespace, label_selector=manifests.VOLUME_LABEL)
            if movers.phase_of(pod) not in ("Succeeded", "Failed")
        ]
        return placement.room(
            pods,
            busy=busy.count(),
            nodes=placement.usable_nodes(connection),
            per_cluster=settings.MOVERS_PER_CLUSTER,
            per_node=settings.MOVERS_PER_NODE,
        )


def _namespaces_of(volumes: Iterable[MigrationVolume]) -> set[str]:
    """Where movers of these volumes may be, on either side."""
    return {name for volume in volumes for name in (volume.namespace, volume.destination_namespace)}


# -- looking


def _look(migration: Migration, volumes: list[MigrationVolume], notes: Notes) -> None:
    now = timezone.now()
    measured = {volume.pk for volume in volumes if volume.measured_at and now - volume.measured_at < FRESH}
    waits: dict[int, list[str]] = {volume.pk: [] for volume in volumes}
    for side, direction in _directions(migration):
        with side.asked() as connection:
            found: dict[str, Mover] = {}
            for namespace in sorted({volume.namespace_of(direction) for volume in volumes}):
                found |= movers.movers_in(connection, migration, namespace)
            for volume in volumes:
                if volume.status != Status.IN_PROGRESS or _digest(volume, direction):
                    continue
                mover = found.get(manifests.job_name(direction, volume), Mover())
                look = _Look(connection, migration, volume, direction, mover, notes)
                if said := look.take(measure=volume.pk not in measured):
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
    notes: Notes

    def take(self, *, measure: bool) -> str:
        """Take over what the mover has done; what it waits for, if anything."""
        volume, mover = self.volume, self.mover
        if mover.job is None:
            movers.ensure(self.connection, self.direction, self.migration, volume)
            self._event("Restarted", f"The {self.direction} Job was gone, and is started again")
            return ""
        if mover.is_going:
            return "the mover's former Job is being deleted."
        if mover.has_failed:
            _fail(volume, f"{self.direction}: {mover.failure()}", self.notes)
            return ""
        if mover.has_succeeded:
            return self._take_result()
        if mover.is_running:
            return self._measure() if measure else ""
        said = movers.why_not_running(self.connection, mover)
        if not said and mover.failed_pods:
            said = f"{mover.failure()} It is started again."
        elif said:
            # A Job without its Secret: we were stopped between the two.
            movers.ensure(self.connection, self.direction, self.migration, volume)
        if volume.started_at and timezone.now() - volume.started_at > STARTING and not mover.failed_pods:
            _fail(volume, f"The {self.direction} mover did not start: {said or 'no reason is given'}", self.notes)
            return ""
        return f"the mover cannot run: {said}" if said and not mover.failed_pods else said

    def _measure(self) -> str:
        assert self.mover.pod is not None
        pod = self.mover.pod["metadata"]["name"]
        try:
            log = self.connection.logs(pod, self.volume.namespace_of(self.direction), tail_lines=LOG_LINES)
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
            name = manifests.job_name(self.direction, volume)
            self.connection.delete(movers.JOBS, name, volume.namespace_of(self.direction))
            return "the mover's result was lost with its pod, and it is asked again."
        digest = str(result.get("digest") or "")
        if not digest:
            _fail(volume, f"{self.direction}: the mover gave no digest, so nothing is proved.", self.notes)
            return ""
        size, files = int(result.get("bytes") or 0), int(result.get("files") or 0)
        if self.direction == "push":
            volume.source_digest = digest
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

    def _take_warnings(self) -> None:
        """The mover's warnings as events, a bounded number of them."""
        assert self.mover.pod is not None
        pod = self.mover.pod["metadata"]["name"]
        try:
            log = self.connection.logs(pod, self.volume.namespace_of(self.direction), tail_lines=WARNING_LINES)
        except errors.KubeError:
            # The data is there and proved; a log that cannot be read must not hold that up.
            return
        said = [line for line in movers.lines(log) if line["type"] == "warning" and line.get("code") != STORE_WAITING]
        for line in said[:MOST_WARNINGS]:
            path = f"{line['path']}: " if line.get("path") else ""
            self._event("MoverWarning", f"{self.direction}: {path}{line.get('message', '')}")
        if len(said) > MOST_WARNINGS:
            self._event("MoverWarning", f"{self.direction}: {len(said) - MOST_WARNINGS} more warnings")

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
        volume.rate = volume.bytes_total / max(0.001, (volume.finished_at - volume.started_at).total_seconds())
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
