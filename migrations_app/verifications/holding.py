"""Claims that one pod alone may mount (ReadWriteOncePod) and that some pod has: read from a snapshot, or not at all.

Told beforehand, too: whoever asks for a verification learns which volumes it will read so, and which it cannot read.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines import MigrationError, RetriableError
from migrations_app.engines.claims import CLAIMS, Claim, claim_of, users_of_claims
from migrations_app.engines.native.snapshots import Offer
from migrations_app.engines.sides import Side, both_sides
from migrations_app.models import Migration, MigrationVolume, Status

ONE_POD = "ReadWriteOncePod"


@dataclass(frozen=True)
class Held:
    """How a claim is read that a pod may hold: from a snapshot of this class, not at all, or as any other."""

    snapshot_class: str = ""
    why_not: str = ""


def held(connection: Connection, side: Side, claim: Claim, users: list[str]) -> Held:
    """How the claim can be read beside the pods that use it. Raises KubeError."""
    if ONE_POD not in claim.access_modes or not users:
        return Held()
    reading = Offer(connection).reading_of(claim)
    if reading.snapshot_class:
        return Held(reading.snapshot_class)
    said = _(
        "Pod %(pod)s holds claim %(claim)s on the %(side)s alone (ReadWriteOncePod), and no snapshot of it can be "
        "taken: %(why)s. Scale its workload to zero and verify again."
    )
    return Held(why_not=said % {"pod": users[0], "claim": claim, "side": side, "why": reading.why_live})


def foreseen(migration: Migration) -> list[str]:
    """What whoever asks for a verification has to know of such claims; a cluster that is silent is passed over."""
    volumes = [volume for volume in migration.volumes.filter(status=Status.SUCCESSFUL) if _may_be_held(volume)]
    if not volumes:
        return []
    found = []
    for side in both_sides(migration.pair):
        try:
            with side.asked() as connection:
                for volume in volumes:
                    volume.migration = migration
                    found += _told(connection, side, volume)
        except (RetriableError, MigrationError):
            continue
    return found


def _may_be_held(volume: MigrationVolume) -> bool:
    mapped = volume.migration.access_mode_mapping
    return ONE_POD in {*volume.access_modes, *(mapped.get(mode, mode) for mode in volume.access_modes)}


def _told(connection: Connection, side: Side, volume: MigrationVolume) -> list[str]:
    namespace = volume.namespace if side.role == "source" else volume.destination_namespace
    try:
        claim = claim_of(connection.get(CLAIMS, volume.claim, namespace))
    except errors.NotFound:
        return []
    users = [pod["metadata"]["name"] for pod in users_of_claims(connection, namespace).get(claim.name, [])]
    how = held(connection, side, claim, users)
    if how.why_not:
        return [how.why_not]
    if how.snapshot_class:
        said = _(
            "Claim %(claim)s on the %(side)s is read from a snapshot of class %(class)s: pod %(pod)s holds it alone."
        )
        return [said % {"claim": claim, "side": side, "class": how.snapshot_class, "pod": users[0]}]
    return []
