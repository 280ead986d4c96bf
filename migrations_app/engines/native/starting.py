"""The start of volumes: claims re-created, and a push and a pull Job for each that there is room for."""

from __future__ import annotations

import time
from collections.abc import Collection

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from migrations_app.engines import MigrationError
from migrations_app.engines.native import manifests, movers, placement, places, sharing, snapshots
from migrations_app.engines.native.notes import Notes
from migrations_app.engines.native.placement import Room
from migrations_app.engines.native.privileges import DIRECTIONS, Direction, Power, what_is_lost
from migrations_app.engines.native.settling import Surroundings
from migrations_app.engines.native.sharing import Company
from migrations_app.engines.sides import Side, both_sides, side_of, source_of
from migrations_app.lease import Lease
from migrations_app.models import FINISHED, Migration, MigrationVolume, Status
from migrations_app.resources.marks import VOLUME_LABEL
from migrations_app.verifications.models import Verdict, VolumeVerification

# A look ends after this, well within the lease, and the next one goes on.
SLICE_SECONDS = 15.0
# Kept as it is, in English, as all that is written down; pages may translate it.
WAITING = gettext_noop("Waiting for other volumes")
BINDING = gettext_noop("Waiting until its claim is bound")
PLACING = gettext_noop("Waiting until another disk of the application is there, which decides on the place of this one")
MOVING = "Volume migration has started"


def start(migration: Migration, lease: Lease, volumes: list[MigrationVolume]) -> bool:
    """Start the movers of those volumes that there is room for; whether there was time for all of them.

    Which Job carries a volume is written down before the Job is made: whoever goes on after a worker that died has to
    make the same Jobs.
    """
    deadline = time.monotonic() + SLICE_SECONDS
    around = Surroundings(migration)
    if any(volume.snapshot_class for volume in volumes):
        # Of all of them at once, whether or not there is room for them: they should be of one moment.
        with source_of(migration.pair).asked() as connection:
            snapshots.take(connection, [snapshots.copy_for(migration, each) for each in volumes if each.snapshot_class])
    in_time = _assign(migration, lease, [volume for volume in volumes if not volume.push_job], around, deadline)
    assigned = [volume for volume in volumes if volume.push_job]
    for volume in assigned:
        if time.monotonic() > deadline:
            return False
        lease.renew()
        _ensure_claim(migration, volume)
    made: dict[tuple[Direction, str], Power | None] = {}
    for volume in assigned:
        if time.monotonic() > deadline:
            return False
        lease.renew()
        notes = Notes()
        if waits := _prepare_snapshot(migration, volume):
            _wait(volume, waits, notes)
            notes.write(migration, lease)
            continue
        for direction in DIRECTIONS:
            job = direction, manifests.job_name(direction, volume)
            if job not in made:
                with side_of(migration.pair, direction).asked() as connection:
                    made[job] = movers.ensure(connection, direction, migration, volume, around)
            power = made[job]
            if power and (lost := what_is_lost(direction, power, raw=volume.volume_mode == manifests.BLOCK)):
                notes.event(volume, "WithoutRoot", lost, warning=True)
        volume.status, volume.started_at, volume.reason = Status.IN_PROGRESS, timezone.now(), MOVING
        notes.change(volume)
        classes = f"{volume.source_class or 'no class'} to {volume.destination_class or 'the default class'}"
        notes.event(volume, "Started", f"Volume {volume.volume} of claim {volume}: push and pull started ({classes})")
        if volume.snapshot_class:
            notes.event(volume, "FromSnapshot", f"Read from the snapshot {manifests.snapshot_name(volume)}")
        notes.write(migration, lease)
    return in_time


def _assign(
    migration: Migration, lease: Lease, volumes: list[MigrationVolume], around: Surroundings, deadline: float
) -> bool:
    """Say for each volume that there is room for which Jobs carry it; whether there was time for all of them."""
    if not volumes:
        return True
    rooms = {direction: room_on(side_of(migration.pair, direction)) for direction in DIRECTIONS}
    company = {direction: Company() for direction in DIRECTIONS}
    notes = Notes()
    in_time = True
    begun = _begun(migration)
    for volume in volumes:
        if time.monotonic() > deadline:
            in_time = False
            break
        lease.renew()
        if not all(rooms[each].takes() or company[each].is_expected for each in DIRECTIONS):
            _wait(volume, WAITING, notes)
            continue
        if sharing.is_small(volume) and around.binds_at_once(volume) and not around.destination_claim(volume):
            # Made now, it is bound at the next look, and then there is something to say about its company.
            _ensure_claim(migration, volume)
            if len(volumes) > 1:
                _wait(volume, BINDING, notes)
                continue
        settled = {direction: around.settle(direction, volume) for direction in DIRECTIONS}
        there = volume.destination_namespace
        if around.waits_for_others(volume, begun.get(there, ())) and not company["pull"].takes(
            there, settled["pull"].together, volume
        ):
            _wait(volume, PLACING, notes)
            continue
        joined = {
            direction: company[direction].join(volume.namespace_of(direction), one.together, volume)
            for direction, one in settled.items()
        }
        alone = [direction for direction in DIRECTIONS if not joined[direction]]
        if not all(rooms[direction].takes(settled[direction].node) for direction in alone):
            _wait(volume, WAITING, notes)
            continue
        for direction in alone:
            rooms[direction].take(settled[direction].node)
            joined[direction] = manifests.own_name(direction, volume)
            company[direction].open(
                volume.namespace_of(direction), settled[direction].together, volume, joined[direction]
            )
        volume.push_job, volume.pull_job = joined["push"], joined["pull"]
        begun.setdefault(there, set()).add(volume.claim)
        notes.change(volume)
    notes.write(migration, lease)
    return in_time


def _begun(migration: Migration) -> dict[str, set[str]]:
    """The claims that movers are about to write, or have written, by their namespace on the destination."""
    found: dict[str, set[str]] = {}
    for volume in migration.volumes.exclude(pull_job=""):
        found.setdefault(migration.spec().namespace_for(volume.namespace), set()).add(volume.claim)
    return found


def _prepare_snapshot(migration: Migration, volume: MigrationVolume) -> str:
    """What a volume that is read from a snapshot still waits for; empty for all that can begin."""
    if not volume.snapshot_class:
        return ""
    with source_of(migration.pair).asked() as connection:
        try:
            waits = snapshots.prepare(connection, snapshots.copy_for(migration, volume))
        except snapshots.NotReady as error:
            raise MigrationError(f"Volume {volume} could not be moved: {error}. No object was applied.") from None
    return f"Source: {waits}." if waits else ""


def _wait(volume: MigrationVolume, reason: str, notes: Notes) -> None:
    if volume.reason != reason:
        volume.reason = reason
        notes.change(volume)


def _ensure_claim(migration: Migration, volume: MigrationVolume) -> None:
    source, destination = both_sides(migration.pair)
    with source.asked() as connection:
        original = connection.get("namespaces", volume.namespace)
    with destination.asked() as connection:
        places.ensure_namespace(connection, migration, original)
        places.ensure_claim(connection, migration, volume)


def room_on(side: Side, *, held: Collection[str] = ()) -> Room:
    """What the side's cluster has room for, beside the movers of all migrations that move there now.

    Those of paused migrations take no room, nor do the Jobs named as `held`, which are yet to be resumed.
    Two workers that look in the same moment may go a little beyond it: it is there for the cluster's comfort.
    """
    cluster = side.cluster
    busy = (
        MigrationVolume.objects.exclude(push_job="")
        .filter(status__in=[Status.PENDING, Status.IN_PROGRESS])
        .exclude(migration__status__in=FINISHED)
        .exclude(migration__stands_still_at__isnull=False)
        .select_related("migration")
    )
    reading, writing = busy.filter(migration__pair__source=cluster), busy.filter(migration__pair__destination=cluster)
    namespaces = {each.namespace for each in reading} | {each.destination_namespace for each in writing}
    verifying = VolumeVerification.objects.filter(status=Verdict.IN_PROGRESS).select_related("volume__migration__pair")
    read_anew = [
        namespace
        for each in verifying
        for cluster_id, namespace in (
            (each.volume.migration.pair.source_id, each.volume.namespace),
            (each.volume.migration.pair.destination_id, each.volume.destination_namespace),
        )
        if cluster_id == cluster.pk
    ]
    namespaces |= set(read_anew)
    jobs = {each.push_job for each in reading} | {each.pull_job for each in writing}
    with side.asked() as connection:
        pods = [
            pod
            for namespace in sorted(namespaces)
            for pod in connection.list("pods", namespace, label_selector=VOLUME_LABEL)
            if movers.phase_of(pod) not in ("Succeeded", "Failed")
        ]
        return placement.room(
            pods,
            busy=len(jobs.difference(held)) + len(read_anew),
            nodes=placement.usable_nodes(connection),
            per_cluster=settings.MOVERS_PER_CLUSTER,
            per_node=settings.MOVERS_PER_NODE,
        )
