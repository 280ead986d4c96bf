"""The last stage: "Successful" is said of what was seen on the destination, not of what was sent there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from migrations_app import progress
from migrations_app.engines.native.quantities import to_text
from migrations_app.engines.native.sides import destination_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationResource, Stage, Status
from migrations_app.resources import check

Object = dict[str, Any]
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
# Images have to be pulled and databases to recover; longer than this is worth a person's look.
PATIENCE = timedelta(minutes=15)
NAMED = 5
# What can be there without being ready. All else is looked for once, when these are ready.
WITH_READINESS = {"Deployment", "DeploymentConfig", "StatefulSet", "DaemonSet", "Job", "PersistentVolumeClaim"}


def step(migration: Migration, lease: Lease) -> timedelta | None:
    """Compare, wait for the workloads, and give the verdict; None once it is given."""
    rows = list(migration.resources.all())
    refused = [row for row in rows if row.status != Status.SUCCESSFUL]
    present = [_named(row) for row in rows if row.status == Status.SUCCESSFUL]
    began = datetime.fromisoformat(migration.stage_times[Stage.FINAL.value])
    elapsed = timezone.now() - began
    with destination_of(migration.pair).asked() as connection:
        wanted = [obj for obj in present if _has_readiness(migration, obj)]
        waiting = check.not_ready(connection, wanted)
        if waiting and elapsed < PATIENCE and not any(each.failed for each in waiting):
            lease.renew()
            progress.note(migration, f"Waiting for {'; '.join(str(each) for each in waiting[:NAMED])}")
            return timedelta(seconds=min(LONGEST_PAUSE, max(SHORTEST_PAUSE, elapsed.total_seconds() / 20)))
        waiting += check.not_ready(connection, [obj for obj in present if obj not in wanted])
    lease.renew()
    wrong = [f"{row}: {row.reason}" for row in refused] + [str(each) for each in waiting]
    if wrong:
        more = f" And {len(wrong) - NAMED} more." if len(wrong) > NAMED else ""
        said = f"{len(wrong)} of {len(rows)} resources are not there or not ready. {' '.join(wrong[:NAMED])}{more}"
        progress.finish(migration, Status.PARTIAL_SUCCESS, said)
    else:
        progress.finish(migration, Status.SUCCESSFUL, _account(migration, len(rows)))
    return None


def _has_readiness(migration: Migration, obj: Object) -> bool:
    if obj["kind"] == "PersistentVolumeClaim":
        # An empty claim may wait for its first pod, which need not be started.
        place = obj["metadata"]["namespace"], obj["metadata"]["name"]
        volumes = migration.volumes.filter(claim=place[1])
        return any(volume.destination_namespace == place[0] for volume in volumes)
    return obj["kind"] in WITH_READINESS


def _named(row: MigrationResource) -> Object:
    api_version = f"{row.group}/{row.version}" if row.group else row.version
    metadata = {"name": row.name, **({"namespace": row.namespace} if row.namespace else {})}
    return {"apiVersion": api_version, "kind": row.kind, "metadata": metadata}


def _account(migration: Migration, resources: int) -> str:
    volumes = list(migration.volumes.all())
    size = to_text(sum(volume.bytes_total or 0 for volume in volumes))
    return (
        f"{len(volumes)} volumes ({size}) and {resources} resources migrated and verified: digests equal on both "
        "sides, every object present, workloads ready"
    )
