"""The last stage: "Successful" is said of what was seen on the destination, not of what was sent there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from migrations_app import progress
from migrations_app.engines.native.undoing import stub_of
from migrations_app.engines.sides import destination_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, Stage, Status
from migrations_app.pauses.times import paused_in
from migrations_app.resources import check
from migrations_app.resources.quantities import to_text

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
    present = [stub_of(row) for row in rows if row.status == Status.SUCCESSFUL and row.action != "purged"]
    began = datetime.fromisoformat(migration.stage_times[Stage.FINAL.value])
    elapsed = timezone.now() - began - timedelta(seconds=paused_in(migration, Stage.FINAL))
    with destination_of(migration.pair).asked() as connection:
        # An empty claim may wait for its first pod, which need not be started.
        filled = {(volume.destination_namespace, volume.claim) for volume in migration.volumes.all()}
        wanted = [obj for obj in present if _has_readiness(obj, filled)]
        waiting = check.not_ready(connection, wanted)
        if waiting and elapsed < PATIENCE and not any(each.failed for each in waiting):
            lease.renew()
            progress.note(migration, f"Waiting for {'; '.join(str(each) for each in waiting[:NAMED])}")
            return timedelta(seconds=min(LONGEST_PAUSE, max(SHORTEST_PAUSE, elapsed.total_seconds() / 20)))
        looked_at = {id(obj) for obj in wanted}
        waiting += check.not_ready(connection, [obj for obj in present if id(obj) not in looked_at])
    lease.renew()
    wrong = [f"{row}: {row.reason}" for row in refused] + [str(each) for each in waiting]
    if wrong:
        more = f" And {len(wrong) - NAMED} more." if len(wrong) > NAMED else ""
        said = f"{len(wrong)} of {len(rows)} resources are not there or not ready. {' '.join(wrong[:NAMED])}{more}"
        progress.finish(migration, Status.PARTIAL_SUCCESS, said)
    else:
        progress.finish(migration, Status.SUCCESSFUL, _account(migration, len(rows)))
    return None


def _has_readiness(obj: Object, filled: set[tuple[str, str]]) -> bool:
    if obj["kind"] == "PersistentVolumeClaim":
        return (obj["metadata"]["namespace"], obj["metadata"]["name"]) in filled
    return obj["kind"] in WITH_READINESS


def _account(migration: Migration, resources: int) -> str:
    volumes = list(migration.volumes.all())
    size = to_text(sum(volume.bytes_total or 0 for volume in volumes))
    return (
        f"{len(volumes)} volumes ({size}) and {resources} resources migrated and verified: digests equal on both "
        "sides, every object present, workloads ready"
    )
