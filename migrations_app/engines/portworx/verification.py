"""The stage Final: Stork's verdict, and whether what it reports is there and runs on the destination."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.portworx import complaints
from clusters.portworx.migration import MigrationStatus, read
from migrations_app import progress
from migrations_app.engines import MigrationError
from migrations_app.engines.portworx import asking, rows, telling
from migrations_app.engines.sides import destination_of, source_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationResource, Stage, Status
from migrations_app.resources import check
from migrations_app.resources.quantities import to_text

Object = dict[str, Any]
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
# Images have to be pulled and databases to recover; longer than this is worth a person's look.
PATIENCE = timedelta(minutes=15)
# Stork writes its last events after its verdict; some seconds later they have all come.
LAST_EVENTS = timedelta(seconds=3)
NAMED = 5
WITH_READINESS = {"Deployment", "DeploymentConfig", "StatefulSet", "DaemonSet", "Job", "PersistentVolumeClaim"}


def step(migration: Migration, lease: Lease) -> timedelta | None:
    """Hear Stork's verdict, look at the destination, give ours; None once it is given."""
    with source_of(migration.pair).asked() as connection:
        obj = asking.found(connection, migration)
        told = telling.of(connection, migration) if obj is not None else []
    with transaction.atomic():
        lease.renew()
        telling.mirror(migration, told)
    if obj is None:
        raise MigrationError("The Migration was deleted on the source before its verdict could be read.")
    status = read(obj)
    elapsed = timezone.now() - datetime.fromisoformat(migration.stage_times[Stage.FINAL.value])
    if migration.imported:
        return _finish(migration, lease, Status(rows.STATUSES[status.status]), _storks_words(status), status.finished)
    if status.status == "Failed":
        return _finish(migration, lease, Status.FAILED, _why_failed(migration, status, told))
    if status.status not in ("Successful", "PartialSuccess"):
        raise MigrationError(f"Stork ended the Migration with the status {status.status or 'blank'}, which is unknown.")
    present = [
        row for row in migration.resources.all() if row.status == Status.SUCCESSFUL and row.action != rows.PURGED
    ]
    with destination_of(migration.pair).asked() as connection:
        named = [_named(row) for row in present]
        wanted = [each for each in named if each["kind"] in WITH_READINESS]
        waiting = check.not_ready(connection, wanted)
        if waiting and elapsed < PATIENCE and not any(each.failed for each in waiting):
            lease.renew()
            progress.note(migration, f"Waiting for {'; '.join(str(each) for each in waiting[:NAMED])}")
            return timedelta(seconds=min(LONGEST_PAUSE, max(SHORTEST_PAUSE, elapsed.total_seconds() / 20)))
        waiting += check.not_ready(connection, [each for each in named if each not in wanted])
    if elapsed < LAST_EVENTS:
        return timedelta(seconds=SHORTEST_PAUSE)
    refused = [f"{row}: {row.reason.rstrip('.')}." for row in migration.resources.exclude(status=Status.SUCCESSFUL)]
    wrong = [*refused, *(str(each) for each in waiting)]
    if wrong:
        more = f" And {len(wrong) - NAMED} more." if len(wrong) > NAMED else ""
        said = f"{len(wrong)} resources are not there or not ready. {' '.join(wrong[:NAMED])}{more}"
        return _finish(migration, lease, Status.PARTIAL_SUCCESS, said)
    return _finish(migration, lease, Status.SUCCESSFUL, _account(migration))


def _finish(
    migration: Migration, lease: Lease, status: Status, said: str, at: datetime | None = None
) -> timedelta | None:
    lease.renew()
    progress.finish(migration, status, said, at=at)
    return None


def _why_failed(migration: Migration, status: MigrationStatus, told: list[Object]) -> str:
    failed = [each for each in status.volumes if each.status == "Failed"]
    if failed:
        first = complaints.explained(failed[0].reason)
        also = f" The same happened to {len(failed) - 1} more." if len(failed) > 1 else ""
        return f"Volume {failed[0].namespace}/{failed[0].claim}: {first}{also} No objects were applied."
    complaint = complaints.newest(told)
    return str(complaint) if complaint else "Stork ended the Migration as Failed and does not say why; see its log."


def _named(row: MigrationResource) -> Object:
    api_version = f"{row.group}/{row.version}" if row.group else row.version
    metadata = {"name": row.name, **({"namespace": row.namespace} if row.namespace else {})}
    return {"apiVersion": api_version, "kind": row.kind, "metadata": metadata}


def _storks_words(status: MigrationStatus) -> str:
    if (summary := status.summary) is None:
        return f"Stork's verdict is {status.status}"
    return (
        f"Stork's verdict is {status.status}: {summary.volumes_migrated} of {summary.volumes_total} volumes and "
        f"{summary.resources_migrated} of {summary.resources_total} resources migrated"
    )


def _account(migration: Migration) -> str:
    volumes = list(migration.volumes.all())
    size = to_text(sum(volume.bytes_total or 0 for volume in volumes))
    purged = migration.resources.filter(action=rows.PURGED).count()
    resources = migration.resources.count() - purged
    also = f"; {purged} deleted on the destination" if purged else ""
    return (
        f"{len(volumes)} volumes ({size}) and {resources} resources migrated by Stork{also}; every object is present "
        "on the destination and its workloads are ready"
    )
