"""How a migration's row moves on: the few writes of stage and status, each with its event and its push."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from migrations_app import events, live
from migrations_app.models import Migration, Stage, Status
from migrations_app.pauses.ending import end_pause_meanwhile


def enter(migration: Migration, stage: Stage, *, at: datetime | None = None) -> None:
    """Move the migration into `stage`, which began at `at` (now, where that is not known); twice changes nothing."""
    if migration.stage == stage and stage in migration.stage_times:
        return
    now = timezone.now()
    if at is not None:
        # Clusters tell times in whole seconds; no stage begins before the one before it.
        now = max([at, *(datetime.fromisoformat(each) for each in migration.stage_times.values())])
    migration.stage = stage
    migration.stage_times = {**migration.stage_times, stage.value: now.isoformat()}
    if migration.status == Status.PENDING:
        migration.status = Status.IN_PROGRESS
        migration.started_at = now
    with transaction.atomic():
        migration.save(update_fields=["stage", "stage_times", "status", "started_at"])
        events.emit(migration, stage.value, f"Stage {stage.value} began")
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)


def finish(migration: Migration, status: Status, reason: str, *, at: datetime | None = None) -> None:
    """End the migration with its verdict. What runs in the clusters is cleaned up by the engine's later steps.

    `at` is when it ended, where that was before now.
    """
    now = at or timezone.now()
    migration.stage, migration.status, migration.reason, migration.finished_at = (
        Stage.FINAL,
        status,
        reason,
        now,
    )
    migration.started_at = migration.started_at or now
    if Stage.FINAL.value not in migration.stage_times:
        migration.stage_times = {**migration.stage_times, Stage.FINAL.value: now.isoformat()}
    with transaction.atomic():
        end_pause_meanwhile(migration)
        migration.save(update_fields=["stage", "status", "reason", "finished_at", "started_at", "stage_times"])
        events.emit(migration, status.value, reason, warning=status in {Status.FAILED, Status.PARTIAL_SUCCESS})
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)


def rolled_back(migration: Migration, *, complete: bool) -> None:
    """Say that the way back is done; the verdict stays."""
    migration.rolled_back_at = timezone.now()
    said = (
        "Rolled back: what the migration had made on the destination is removed, and what it had changed is as before"
        if complete
        else "Rolled back, but for what the warnings before this name"
    )
    with transaction.atomic():
        migration.save(update_fields=["rolled_back_at"])
        events.emit(migration, "RolledBack", said, warning=not complete)
        transaction.on_commit(lambda: live.state_changed(migration, resources=migration.resources.all()), robust=True)


def note(migration: Migration, message: str) -> None:
    """Say what the migration does at the moment, without a warning; the same message is said once."""
    if migration.reason == message:
        return
    migration.reason = message
    with transaction.atomic():
        migration.save(update_fields=["reason"])
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)


def waiting(migration: Migration, message: str) -> None:
    """Say what the migration waits for; the same message is said once until something else is."""
    if migration.reason == message or migration.is_finished:
        return
    migration.reason = message
    with transaction.atomic():
        migration.save(update_fields=["reason"])
        events.emit(migration, "Waiting", message, warning=True)
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)


def going_on(migration: Migration) -> None:
    """Take back what the migration waited for, once it goes on."""
    if migration.is_finished or not migration.reason:
        return
    migration.reason = ""
    with transaction.atomic():
        migration.save(update_fields=["reason"])
        events.emit(migration, "Continuing", "Going on")
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)
