"""The start of volumes: claims re-created, and a push and a pull Job for each that there is room for."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from migrations_app.engines.native import manifests, movers, placement, places, settling
from migrations_app.engines.native.claims import users_of_claims
from migrations_app.engines.native.notes import Notes
from migrations_app.engines.native.placement import Room
from migrations_app.engines.native.privileges import Direction, Power, what_is_lost
from migrations_app.engines.native.sides import Side, destination_of, source_of
from migrations_app.lease import Lease
from migrations_app.models import FINISHED, Migration, MigrationVolume, Status

Object = dict[str, Any]
# A look ends after this, well within the lease, and the next one goes on.
SLICE_SECONDS = 15.0
# Kept as it is, in English, as all that is written down; pages may translate it.
WAITING = gettext_noop("Waiting for other volumes")
MOVING = "Volume migration has started"


def start(migration: Migration, lease: Lease, volumes: list[MigrationVolume]) -> bool:
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
