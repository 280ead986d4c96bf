"""The Volumes stage: claims re-created, data pushed and pulled at once, and the digests of both sides compared."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from migrations_app.engines import MigrationError
from migrations_app.engines.native import keys
from migrations_app.engines.native.looking import look
from migrations_app.engines.native.notes import Notes
from migrations_app.engines.native.starting import start
from migrations_app.lease import Lease
from migrations_app.models import FINISHED, Migration, MigrationVolume, Status

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0


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
        keys.renew_if_due(migration, lease, moving)
        look(migration, moving, notes)
    notes.write(migration, lease)
    if any(volume.status == Status.FAILED for volume in moving):
        _stop_the_others(migration, lease, unfinished)
        _end_if_one_failed(volumes)
    # The largest first, so that it is not what all wait for at the end.
    waiting = [volume for volume in unfinished if volume.status == Status.PENDING]
    waiting.sort(key=lambda volume: (-volume.capacity_bytes, volume.pk))
    if waiting and not start(migration, lease, waiting):
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
