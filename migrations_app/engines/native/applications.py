"""The Applications stage: collect, transform and apply, in slices that end before the lease does.

What was done is written down in batches, each in one transaction with the renewal of the lease. A batch that was
applied but not written down is applied again, which finds the objects there with our mark and changes nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction

from clusters.kube.connection import Connection
from migrations_app import events, live
from migrations_app.engines import RetriableError
from migrations_app.engines.claims import CLAIMS, chosen_claims, volume_of
from migrations_app.engines.native import places
from migrations_app.engines.native.records import DONE, ENDS, PURGING, Records, key_of_row
from migrations_app.engines.native.wanted import Wanted
from migrations_app.engines.sides import destination_of, source_of
from migrations_app.events import Said
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationResource, MigrationVolume, Status, earlier_over
from migrations_app.resources import apply, order, purge
from migrations_app.resources.apply import SUCCESS, Result
from migrations_app.resources.collect import Collected, collect
from migrations_app.resources.marks import key_of, migration_of
from migrations_app.resources.owners import Owners
from migrations_app.resources.restoring import Former
from migrations_app.resources.rules import RuleError
from migrations_app.resources.transform import transformed

Object = dict[str, Any]
SLICE_SECONDS = 15.0
# Claims and their volumes are listed before all other objects.
FIRST_OBJECT = 1000
ROWS_AT_ONCE = 500
PURGED_AT_ONCE = 50
PURGED = "Deleted: an earlier migration had brought it, and the source has it no longer"


@dataclass
class Brought:
    """What the source has for this migration: as it was collected, and as it is to be."""

    namespaces: list[Object]
    empty_claims: list[MigrationVolume]
    collected: Collected = field(default_factory=lambda: Collected([], []))
    objects: list[Object] = field(default_factory=list)
    owners: Owners = field(default_factory=Owners)
    # What a user's rule cannot be applied to.
    refused: list[Result] = field(default_factory=list)


def step(migration: Migration, lease: Lease) -> timedelta | None:
    """Apply what is still to be applied; None when every object has been looked at. Raises RetriableError."""
    with source_of(migration.pair).asked() as connection:
        brought = _brought(migration, lease, connection)
    done = {key_of_row(row): row for row in migration.resources.filter(status__in=DONE)}
    for key, row in done.items():
        if row.created_uid or row.status == Status.FAILED:
            brought.owners.note(key, row.created_uid)
    records = Records(migration, lease)
    stop_at = time.monotonic() + SLICE_SECONDS
    with destination_of(migration.pair).asked() as connection:
        for namespace in brought.namespaces:
            lease.renew()
            places.ensure_namespace(connection, migration, namespace)
        for volume in _all_claims(migration, brought):
            if ("", "PersistentVolumeClaim", volume.destination_namespace, volume.claim) not in done:
                _report_claim(migration, volume, places.ensure_claim(connection, migration, volume), records)
        for result in brought.refused:
            records.note(result)
        records.write()
        spec = migration.spec()
        earlier = earlier_over(migration.pair) - {str(migration.pk)}
        finished = apply.apply(
            connection,
            [obj for obj in brought.objects if key_of(obj) not in done],
            migration_id=str(migration.pk),
            on_result=records.note,
            before_changes=records.before,
            policy=spec.conflict_policy,
            earlier=earlier,
            owners=brought.owners,
            stop_at=stop_at,
        )
        records.write()
        if not finished:
            return timedelta(0)
        _give_claims_their_owners(migration, connection, brought)
        if spec.purge_deleted_resources and migration.include_resources:
            outlived = purge.outlived(connection, brought.collected, brought.objects, spec, earlier)
            if not _purge(connection, outlived, records, stop_at):
                return timedelta(0)
    _note_vanished(migration, lease, brought.collected)
    return None


def _brought(migration: Migration, lease: Lease, connection: Connection) -> Brought:
    """What goes along; each object has its row afterwards."""
    namespaces = [connection.get("namespaces", name) for name in migration.namespaces]
    brought = Brought(namespaces, _claims_without_data(migration, connection))
    if not migration.include_resources:
        return brought
    brought.collected = collect(connection, migration.spec())
    options = Wanted.by(migration).options(brought.collected.suspensions)
    pairs = []
    for obj in brought.collected.objects:
        try:
            pairs.append((obj, transformed(obj, options)))
        except RuleError as error:
            # Preflight refuses this; the object has changed since.
            group, kind, namespace, name = key_of(obj)
            place = (options.spec.namespace_for(namespace), name)
            version = obj["apiVersion"].rpartition("/")[2]
            brought.refused.append(Result(group, version, kind, *place, Status.FAILED, "refused", str(error)))
    claims = [(volume.source_claim, _claim_stub(volume)) for volume in _all_claims(migration, brought)]
    brought.owners = Owners([*pairs, *claims])
    brought.objects = order.ordered(wanted for _obj, wanted in pairs)
    _note_collected(migration, lease, brought.objects)
    return brought


def _all_claims(migration: Migration, brought: Brought) -> list[MigrationVolume]:
    return [*migration.volumes.all(), *brought.empty_claims]


def _claim_stub(volume: MigrationVolume) -> Object:
    """What tells the destination's claim: it is made before all else, and may own some of that."""
    metadata = {"name": volume.claim, "namespace": volume.destination_namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}


def _claims_without_data(migration: Migration, connection: Connection) -> list[MigrationVolume]:
    """Claims that come empty: those without a volume, and all of them where volumes are not included."""
    if not migration.include_resources:
        return []
    wanted = Wanted.by(migration)
    known = {(volume.namespace, volume.claim) for volume in migration.volumes.all()}
    return [
        volume_of(migration, claim, wanted.class_for(claim.storage_class))
        for namespace in migration.namespaces
        for claim in chosen_claims(connection, namespace, wanted.spec)
        if (claim.namespace, claim.name) not in known and not (migration.include_volumes and claim.is_bound)
    ]


def _note_collected(migration: Migration, lease: Lease, wanted: list[Object]) -> None:
    known = set(migration.resources.values_list("group", "kind", "namespace", "name"))
    rows = [
        MigrationResource(
            migration=migration,
            order=FIRST_OBJECT + place,
            group=key_of(obj)[0],
            version=obj["apiVersion"].rpartition("/")[2],
            kind=obj["kind"],
            namespace=obj["metadata"].get("namespace", ""),
            name=obj["metadata"]["name"],
        )
        for place, obj in enumerate(wanted)
        if key_of(obj) not in known
    ]
    if not rows:
        return
    with transaction.atomic():
        lease.renew()
        MigrationResource.objects.bulk_create(rows, ignore_conflicts=True, batch_size=ROWS_AT_ONCE)
        kinds = len({row.kind for row in rows})
        events.emit(migration, "Collected", f"{len(rows)} resources of {kinds} kinds are to be applied")
        transaction.on_commit(lambda: live.state_changed(migration, resources=migration.resources.all()), robust=True)


def _report_claim(migration: Migration, volume: MigrationVolume, claim: Object, records: Records) -> None:
    """Each claim and the PersistentVolume behind it are resources too, as in Stork's account."""
    ours = migration_of(claim) == str(migration.pk)
    action = "created" if ours else "unchanged"
    place = volume.destination_namespace, volume.claim
    uid = claim["metadata"]["uid"]
    if name := claim["spec"].get("volumeName", ""):
        records.note(Result("", "v1", "PersistentVolume", "", name, Status.SUCCESSFUL, "provisioned", SUCCESS))
    records.note(Result("", "v1", "PersistentVolumeClaim", *place, Status.SUCCESSFUL, action, SUCCESS, uid))


def _give_claims_their_owners(migration: Migration, connection: Connection, brought: Brought) -> None:
    """Claims came before what owns them: their references are pointed there now, as Stork does (its issue 1269)."""
    for volume in _all_claims(migration, brought):
        metadata = volume.source_claim["metadata"]
        owners = brought.owners.references(metadata.get("ownerReferences") or (), connection)
        if not owners:
            continue
        claim = connection.get(CLAIMS, volume.claim, volume.destination_namespace)
        if migration_of(claim) == str(migration.pk) and claim["metadata"].get("ownerReferences") != owners:
            body = {"metadata": {"uid": claim["metadata"]["uid"], "ownerReferences": owners}}
            connection.patch(CLAIMS, volume.claim, volume.destination_namespace, body)


def _purge(connection: Connection, objects: list[Object], records: Records, stop_at: float) -> bool:
    """Delete what outlived its original, the last first; whether there was time for all of it."""
    objects = order.ordered(objects)[::-1]
    for start in range(0, len(objects), PURGED_AT_ONCE):
        if time.monotonic() > stop_at:
            return False
        batch = objects[start : start + PURGED_AT_ONCE]
        records.before_purge({key_of(obj): Former(obj) for obj in batch})
        for obj in batch:
            group, kind, namespace, name = key_of(obj)
            resource = connection.resource_of(obj)
            connection.delete(resource, name, namespace or None, uid=obj["metadata"]["uid"])
            records.note(Result(group, resource.version, kind, namespace, name, Status.SUCCESSFUL, "purged", PURGED))
        records.write()
    return True


def _note_vanished(migration: Migration, lease: Lease, collected: Collected) -> None:
    """Objects that were there when they were counted, and have gone from the source since.

    Raises RetriableError where they may only not be seen.
    """
    left = list(migration.resources.exclude(status__in=DONE))
    if not left:
        return
    if unseen := [each for each in collected.skipped if each.group in {row.group for row in left if row.group}]:
        raise RetriableError(f"Source cluster {migration.pair.source}: {unseen[0].resource}: {unseen[0].reason}")
    with transaction.atomic():
        lease.renew()
        for row in left:
            if row.action == PURGING:
                # A worker was cut short after it had deleted it.
                row.status, row.action = Status.SUCCESSFUL, ENDS[PURGING]
                row.reason = PURGED
            else:
                row.status, row.reason = Status.FAILED, "It was deleted on the source before it could be applied."
        MigrationResource.objects.bulk_update(left, ["status", "action", "reason"], batch_size=ROWS_AT_ONCE)
        events.emit_all(
            migration,
            [Said(row.status, f"{row}: {row.reason}", row.status == Status.FAILED, str(row)) for row in left],
        )
        transaction.on_commit(lambda: live.state_changed(migration, resources=left), robust=True)
