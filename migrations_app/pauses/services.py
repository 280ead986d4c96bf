"""Pause a migration, and resume it. Pages and API both call these."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.models import ClusterPair
from migrations_app import events, live
from migrations_app.engines import Pauses, engine_for
from migrations_app.models import Migration
from migrations_app.pauses.ending import end_pause
from migrations_app.pauses.fields import MOST_REASON
from teams.refusals import Conflict, Refusal


def why_never(pair: ClusterPair) -> str:
    """Why no migration over the pair can be paused, and what there is instead; empty where they can."""
    if isinstance(engine_for(pair), Pauses):
        return ""
    return _(
        "Stork has no pause. Cancel this migration and start it again when it suits: over the same pair, Portworx then "
        "usually sends only what has changed since its last transfer. Schedules can be suspended."
    )


def may_be_paused(migration: Migration) -> bool:
    """Whether a pause can be asked for, as far as the row tells."""
    return not (migration.is_paused or _why_not(migration))


def pause(migration: Migration, *, reason: str = "", by: Actor) -> Migration:
    """Ask for the migration to stand still until somebody resumes it. Asking again changes nothing.

    Raises Conflict, and Refusal for a reason that is too long.
    """
    reason = _checked(reason)
    with transaction.atomic():
        migration = _locked(migration)
        if why := _why_not(migration):
            raise Conflict(why)
        if migration.is_paused:
            return migration
        migration.paused_at = migration.next_look_at = timezone.now()
        migration.paused_by, migration.pause_reason, migration.stands_still_at = by.user, reason, None
        migration.save(update_fields=["paused_at", "paused_by", "pause_reason", "stands_still_at", "next_look_at"])
        record(by, "migration.pause", migration, after={"reason": reason})
        events.emit(migration, "Pausing", _said(f"A pause was asked for by {by.name}", reason))
        transaction.on_commit(lambda: live.state_changed(migration))
    return migration


def resume(migration: Migration, *, reason: str = "", by: Actor) -> Migration:
    """Let the migration go on where it was. Where it is not paused, nothing changes.

    Raises Conflict, and Refusal for a reason that is too long.
    """
    reason = _checked(reason)
    with transaction.atomic():
        migration = _locked(migration)
        if migration.is_finished:
            message = _("This migration is finished (%(status)s); there is nothing to resume.")
            raise Conflict(message % {"status": migration.get_status_display()})
        if why := why_never(migration.pair):
            raise Conflict(why)
        if not migration.is_paused:
            return migration
        changed = end_pause(migration)
        migration.next_look_at, migration.to_be_resumed = timezone.now(), True
        migration.failed_looks, migration.reason = 0, ""
        migration.save(update_fields=[*changed, "next_look_at", "to_be_resumed", "failed_looks", "reason"])
        record(by, "migration.resume", migration, after={"reason": reason})
        events.emit(migration, "Resumed", _said(f"Resumed by {by.name}", reason))
        volumes = list(migration.volumes.all())
        transaction.on_commit(lambda: live.state_changed(migration, volumes=volumes))
    return migration


def apply(migration: Migration, paused: bool | None, *, by: Actor) -> Migration:
    """What a manifest says: paused, not paused, or (None) nothing of it. Raises Conflict."""
    if paused is None or paused == migration.is_paused:
        return migration
    return pause(migration, by=by) if paused else resume(migration, by=by)


def _why_not(migration: Migration) -> str:
    if migration.is_finished:
        message = _("This migration is finished (%(status)s); there is nothing to pause.")
        return message % {"status": migration.get_status_display()}
    if why := why_never(migration.pair):
        return why
    if migration.is_cancelling:
        return _("This migration is being cancelled; there is nothing to pause.")
    return ""


def _locked(migration: Migration) -> Migration:
    """Locked, so that it is not finished or cancelled in the same moment."""
    return Migration.objects.select_for_update().select_related("team", "pair").get(pk=migration.pk)


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) > MOST_REASON:
        message = _("Give the reason in at most %(most)s characters.") % {"most": MOST_REASON}
        raise Refusal(message, {"reason": [message]})
    return reason


def _said(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what
