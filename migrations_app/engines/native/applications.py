"""The Applications stage: collect, transform and apply, in slices that end before the lease does.

What was done is written down in batches, each in one transaction with the renewal of the lease. A batch that was
applied but not written down is applied again, which finds the objects there with our mark and changes nothing.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.db import transaction

from clusters.kube.connection import Connection
from migrations_app import events, live
from migrations_app.engines.native import places
from migrations_app.engines.native.claims import claims_in, volume_of
from migrations_app.engines.native.sides import destination_of, source_of
from migrations_app.engines.native.survey import Wanted
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationResource, MigrationVolume, Status
from migrations_app.resources import apply, collect, order, transform
from migrations_app.resources.apply import SUCCESS, Result
from migrations_app.resources.marks import key_of, migration_of

Object = dict[str, Any]
SLICE_SECONDS = 15.0
BATCH_SECONDS = 0.3
DONE = (Status.SUCCESSFUL, Status.FAILED)
# Claims and their volumes are listed before all other objects.
FIRST_OBJECT = 1000


def step(migration: Migration, lease: Lease) -> timedelta | None:
    """Apply what is still to be applied; None when every object has been looked at. Raises RetriableError."""
    source, destination = source_of(migration.pair), destination_of(migration.pair)
    with source.asked() as connection:
        namespaces = [connection.get("namespaces", name) for name in migration.namespaces]
        empty = _claims_without_data(migration, connection)
        objects = _objects(migration, lease, connection) if migration.include_resources else []
    done = {(row.group, row.kind, row.namespace, row.name) for row in migration.resources.filter(status__in=DONE)}
    records = Records(migration, lease)
    with destination.asked() as connection:
        for namespace in namespaces:
            lease.renew()
            places.ensure_namespace(connection, migration, namespace)
        for volume in [*migration.volumes.all(), *empty]:
            if ("", "PersistentVolumeClaim", volume.destination_namespace, volume.claim) not in done:
                _report_claim(migration, volume, places.ensure_claim(connection, migration, volume), records)
        records.write()
        finished = apply.apply(
            connection,
            [obj for obj in objects if key_of(obj) not in done],
            migration_id=str(migration.pk),
            on_result=records.note,
            stop_at=time.monotonic() + SLICE_SECONDS,
        )
    records.write()
    if not finished:
        return timedelta(0)
    _note_vanished(migration, lease)
    return None


def _claims_without_data(migration: Migration, connection: Connection) -> list[MigrationVolume]:
    """Claims that come empty: those without a volume, and all of them where volumes are not included."""
    if not migration.include_resources:
        return []
    wanted = Wanted.by(migration)
    known = {(volume.namespace, volume.claim) for volume in migration.volumes.all()}
    return [
        volume_of(migration, claim, wanted.class_for(claim.storage_class))
        for namespace in migration.namespaces
        for claim in claims_in(connection, namespace)
        if (claim.namespace, claim.name) not in known and not (migration.include_volumes and claim.is_bound)
    ]


def _objects(migration: Migration, lease: Lease, connection: Connection) -> list[Object]:
    """The objects as they are to be, in order; each has its row."""
    collected = collect.collect(connection, migration.spec())
    options = Wanted.by(migration).options()
    wanted = order.ordered(transform.transformed(each, options) for each in collected.objects)
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
    if rows:
        with transaction.atomic():
            lease.renew()
            MigrationResource.objects.bulk_create(rows, ignore_conflicts=True)
            kinds = len({row.kind for row in rows})
            events.emit(migration, "Collected", f"{len(rows)} resources of {kinds} kinds are to be applied")
            transaction.on_commit(
                lambda: live.state_changed(migration, resources=migration.resources.all()), robust=True
            )
    return wanted


class Records:
    """What became of objects, written down together every moment: rows and events, then one push."""

    def __init__(self, migration: Migration, lease: Lease) -> None:
        self._migration, self._lease = migration, lease
        self._results: list[Result] = []
        self._written_at = time.monotonic()

    def note(self, result: Result) -> None:
        self._results.append(result)
        if time.monotonic() - self._written_at >= BATCH_SECONDS:
            self.write()

    def write(self) -> None:
        """Raises LeaseLostError."""
        results, self._results, self._written_at = self._results, [], time.monotonic()
        if not results:
            return
        with transaction.atomic():
            self._lease.renew()
            rows = [self._write_one(result) for result in results]
            transaction.on_commit(lambda: live.state_changed(self._migration, resources=rows), robust=True)

    def _write_one(self, result: Result) -> MigrationResource:
        row, _made = MigrationResource.objects.get_or_create(
            migration=self._migration,
            group=result.group,
            kind=result.kind,
            namespace=result.namespace,
            name=result.name,
            defaults={"version": result.version},
        )
        if row.status in DONE:
            return row
        row.status, row.action, row.reason = result.status, result.action, result.reason
        row.created_uid = result.uid if result.action == "created" else ""
        row.save()
        said = f"{result.group}/{result.version}, Kind={result.kind} {result.namespace}/{result.name}: {result.reason}"
        events.emit(
            self._migration, result.status, said, warning=result.status != Status.SUCCESSFUL, regarding=str(row)
        )
        return row


def _report_claim(migration: Migration, volume: MigrationVolume, claim: Object, records: Records) -> None:
    """Each claim and the PersistentVolume behind it are resources too, as in Stork's account."""
    ours = migration_of(claim) == str(migration.pk)
    action = "created" if ours else "unchanged"
    place = volume.destination_namespace, volume.claim
    uid = claim["metadata"]["uid"]
    if name := claim["spec"].get("volumeName", ""):
        records.note(Result("", "v1", "PersistentVolume", "", name, Status.SUCCESSFUL, "provisioned", SUCCESS))
    records.note(Result("", "v1", "PersistentVolumeClaim", *place, Status.SUCCESSFUL, action, SUCCESS, uid))


def _note_vanished(migration: Migration, lease: Lease) -> None:
    """Objects that were there when they were counted, and have gone from the source since."""
    left = list(migration.resources.exclude(status__in=DONE))
    if not left:
        return
    with transaction.atomic():
        lease.renew()
        for row in left:
            row.status, row.reason = Status.FAILED, "It was deleted on the source before it could be applied."
            row.save()
            events.emit(migration, row.status, f"{row}: {row.reason}", warning=True, regarding=str(row))
        transaction.on_commit(lambda: live.state_changed(migration, resources=left), robust=True)
