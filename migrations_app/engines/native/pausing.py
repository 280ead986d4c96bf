"""A pause, and going on after it: the movers' Jobs are suspended and resumed, which is all of ours that runs there.

What a mover has transferred stays: it is stopped as by a drained node, and its next pod goes on where it was.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.kube.connection import Connection
from migrations_app import events, live
from migrations_app.engines import MigrationError, RetriableError
from migrations_app.engines.native import holding, keys, manifests, movers, placement
from migrations_app.engines.native.looking import look
from migrations_app.engines.native.notes import Notes
from migrations_app.engines.native.privileges import DIRECTIONS, Direction
from migrations_app.engines.native.starting import room_on
from migrations_app.engines.sides import both_sides, side_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationVolume, Status

Object = dict[str, Any]
SOON = timedelta(seconds=1)
AT_ONCE = timedelta(0)
STILL = "Paused: nothing of this migration runs any more. What was transferred stays."


def pause(migration: Migration, lease: Lease) -> timedelta | None:
    """Suspend every Job; None when no pod of them is left. Raises RetriableError, once all that can be is suspended."""
    if migration.stands_still_at is not None:
        return None
    trouble: Exception | None = None
    try:
        _take_over(migration, lease)
    except (RetriableError, MigrationError) as error:
        trouble = error
    gone = True
    for side in both_sides(migration.pair):
        for namespace in side.namespaces(migration):
            lease.renew()
            try:
                with side.asked() as connection:
                    gone = _hold_all(connection, migration, namespace) and gone
            except (RetriableError, MigrationError) as error:
                trouble = trouble or error
    if trouble is not None:
        # Nor does it fail because it is paused: who resumes it sees how it stands.
        raise RetriableError(str(trouble)) from trouble
    return _stands_still(migration, lease) if gone else SOON


def _take_over(migration: Migration, lease: Lease) -> None:
    """Take over what the movers have done until now: results would go with the pods. Raises as a Side's."""
    moving = _moving(migration)
    if moving:
        notes = Notes()
        look(migration, moving, notes)
        notes.write(migration, lease)


def _moving(migration: Migration) -> list[MigrationVolume]:
    return list(migration.volumes.filter(status=Status.IN_PROGRESS))


def _hold_all(connection: Connection, migration: Migration, namespace: str) -> bool:
    """Suspend the migration's Jobs in the namespace; whether none of their pods is left that runs or is going."""
    selector = movers.selector(migration)
    for job in list(connection.list(movers.JOBS, namespace, label_selector=selector)):
        if holding.is_open(job) and not (job.get("spec") or {}).get("suspend"):
            holding.hold(connection, job, held=True)
    pods = connection.list("pods", namespace, label_selector=selector)
    return not any(
        "deletionTimestamp" in pod["metadata"] or movers.phase_of(pod) not in ("Succeeded", "Failed") for pod in pods
    )


def _stands_still(migration: Migration, lease: Lease) -> timedelta | None:
    now = timezone.now()
    with transaction.atomic():
        lease.renew()
        # Somebody may have resumed or cancelled it during this look.
        paused = Migration.objects.filter(pk=migration.pk, paused_at=migration.paused_at)
        if not paused.update(stands_still_at=now, reason=""):
            return AT_ONCE
        migration.stands_still_at, migration.reason = now, ""
        moving = migration.volumes.filter(status=Status.IN_PROGRESS)
        moving.update(rate=None, eta_seconds=None, measured_at=None)
        events.emit(migration, "Paused", STILL)
        volumes = list(moving)
        transaction.on_commit(lambda: live.state_changed(migration, volumes=volumes), robust=True)
    return None


def resume(migration: Migration, lease: Lease) -> None:
    """Resume the Jobs that there is room for; the others follow at later looks. Raises as a Side's."""
    moving = _moving(migration)
    waiting: set[str] = set()
    if moving:
        keys.renew_before_resuming(migration, lease, moving)
        for direction in DIRECTIONS:
            waiting |= _resume(direction, migration, lease, moving, waiting)
    if not waiting:
        lease.renew()
        migration.to_be_resumed = False
        migration.save(update_fields=["to_be_resumed"])


def _resume(
    direction: Direction, migration: Migration, lease: Lease, volumes: list[MigrationVolume], waiting: set[str]
) -> set[str]:
    """Resume the Jobs of one direction; the names of those for which there is no room yet.

    A Job that writes waits for those that read its volumes: alone it would only take room.
    """
    side = side_of(migration.pair, direction)
    mine = {manifests.job_name(direction, volume) for volume in volumes}
    blocked = {
        manifests.job_name("pull", volume) for volume in volumes if manifests.job_name("push", volume) in waiting
    }
    with side.asked() as connection:
        held: dict[str, Object] = {}
        for namespace in side.namespaces(migration):
            jobs = connection.list(movers.JOBS, namespace, label_selector=movers.selector(migration))
            held |= {job["metadata"]["name"]: job for job in jobs if holding.is_open(job) and holding.is_held(job)}
        held = {name: job for name, job in held.items() if name in mine}
        if not held:
            return set()
        room = room_on(side, held=held)
        left = set()
        for name, job in held.items():
            node = placement.node_of(job["spec"]["template"]["spec"])
            if name in blocked or not room.takes(node):
                left.add(name)
                continue
            lease.renew()
            holding.hold(connection, job, held=False)
            room.take(node)
    return left
