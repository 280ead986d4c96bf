"""The end of a pause, whoever brings it about: somebody who resumes or cancels, or the end of the migration."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from migrations_app.models import Migration, Status
from migrations_app.pauses.times import paused_in, seconds_of_this_pause

# What the row knows of the present pause.
PAUSE = ("paused_at", "paused_by", "pause_reason", "stands_still_at")


def end_pause(migration: Migration) -> list[str]:
    """End the pause that is in the row, if any, which the caller has locked; the fields that are to be saved.

    What was measured of its volumes begins anew: the pause is no time in which they were slow.
    """
    if migration.paused_at is None:
        return []
    now = timezone.now()
    if seconds := seconds_of_this_pause(migration, now):
        migration.pauses = {**migration.pauses, migration.stage: paused_in(migration, migration.stage) + seconds}
        migration.volumes.filter(status=Status.IN_PROGRESS).update(
            paused_seconds=F("paused_seconds") + seconds, rate=None, eta_seconds=None, measured_at=None
        )
    migration.paused_at = migration.stands_still_at = migration.paused_by = None
    migration.pause_reason = ""
    return [*PAUSE, "pauses"]


def end_pause_meanwhile(migration: Migration) -> None:
    """In the transaction that finishes it: a pause that was asked for during the last look ends with the migration."""
    row = Migration.objects.select_for_update().only(*PAUSE, "pauses", "stage", "started_at").get(pk=migration.pk)
    if changed := end_pause(row):
        row.save(update_fields=changed)
        for name in changed:
            setattr(migration, name, getattr(row, name))
