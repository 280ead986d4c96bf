"""One look at the Migration while Stork works: rows, events and stages brought up to what the source says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.portworx import durations
from clusters.portworx.migration import MigrationStatus, read
from migrations_app import progress
from migrations_app.engines import MigrationError
from migrations_app.engines.portworx import asking, rows, storage, stuck, telling
from migrations_app.engines.sides import source_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, Stage, Status

Object = dict[str, Any]
Rows = dict[tuple[str, str], Object]
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
STAGES = {
    "PreExecRule": Stage.PRE_EXEC_RULE,
    "Volumes": Stage.VOLUMES,
    "PostExecRule": Stage.POST_EXEC_RULE,
    "Applications": Stage.APPLICATIONS,
    "Final": Stage.FINAL,
}


def step(migration: Migration, lease: Lease) -> timedelta:
    """Look once; when to look again. Raises MigrationError where the Migration is gone, or Stork is stuck for good."""
    source = source_of(migration.pair)
    with source.asked() as connection:
        obj = asking.found(connection, migration)
        if obj is None:
            raise MigrationError(_gone(migration))
        status = read(obj)
        told = telling.of(connection, migration)
        claims: Rows = {}
        facts: Rows = {}
        if rows.lacks_volumes(migration, status):
            claims = rows.claims_of(connection, status)
            facts = storage.facts_of(connection, source, claims.values()).answer or {}
    with transaction.atomic():
        lease.renew()
        changed = stuck.note_change(migration, status)
        if changed:
            migration.save(update_fields=["stork_object"])
            if migration.reason and migration.status == Status.IN_PROGRESS:
                progress.going_on(migration)
        rows.bring_up_to_date(migration, status, claims, facts)
        _enter(migration, obj, status, told)
    if status.is_over:
        return timedelta(0)
    lease.renew()
    stuck.watch(migration, status, told)
    return _pause(migration)


def _enter(migration: Migration, obj: Object, status: MigrationStatus, told: Iterable[Object]) -> None:
    """Pass through the stages up to Stork's, each with the events that tell of it before the next one begins."""
    told = list(told)
    reached = STAGES.get(status.stage, Stage.INITIAL)
    order = list(Stage)
    at = order.index(Stage(migration.stage))
    for stage in order[at + 1 : order.index(reached) + 1]:
        telling.mirror(migration, telling.until(told, order[: order.index(stage)]))
        if stage == reached or _happened(stage, obj, status):
            progress.enter(migration, stage, at=_began(stage, status))
    # Events are read after the status, and may be ahead of it: those wait for the look that sees their stage.
    telling.mirror(migration, telling.until(told, order[: order.index(reached) + 1]))


def _happened(stage: Stage, obj: Object, status: MigrationStatus) -> bool:
    """Whether Stork was in a stage that no look saw it in."""
    spec = obj.get("spec") or {}
    match stage:
        case Stage.PRE_EXEC_RULE:
            return bool(spec.get("preExecRule"))
        case Stage.VOLUMES:
            return spec.get("includeVolumes") is not False
        case Stage.POST_EXEC_RULE:
            # Stork runs it inside the stage Volumes, right after it has triggered them.
            return bool(spec.get("postExecRule")) and status.volumes_finished is not None
        case Stage.APPLICATIONS:
            return status.volumes_finished is not None and status.status != "Failed"
    return False


def _began(stage: Stage, status: MigrationStatus) -> datetime | None:
    """When Stork says that the stage began; None where it does not say."""
    if stage == Stage.APPLICATIONS:
        return status.volumes_finished
    return status.finished if stage == Stage.FINAL else None


def _pause(migration: Migration) -> timedelta:
    """About every second at first, and less often the longer it takes; the watcher makes it quicker."""
    changed = datetime.fromisoformat(migration.stork_object["changed_at"])
    quiet = (timezone.now() - changed).total_seconds()
    return timedelta(seconds=min(LONGEST_PAUSE, max(SHORTEST_PAUSE, quiet / 10)))


def _gone(migration: Migration) -> str:
    known = migration.stork_object
    return (
        f"The Migration {known['namespace']}/{known['name']} was deleted on the source cluster "
        f"{migration.pair.source.name} by somebody else. Stork has cancelled what it was moving; what had arrived on "
        "the destination is still there. Start a new migration."
    )


def created_at(obj: Object) -> datetime:
    """When the Migration was made."""
    return durations.moment(obj["metadata"].get("creationTimestamp")) or timezone.now()
