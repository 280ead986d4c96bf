"""Ask for a verification, and stop it. Pages and API both call these."""

from __future__ import annotations

import base64
import secrets

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from migrations_app import events, live
from migrations_app.models import Migration, MigrationVolume, Status
from migrations_app.verifications.models import Verdict, Verification, VolumeVerification
from teams.refusals import Conflict


def may_be_verified(migration: Migration) -> bool:
    """Whether a verification can be asked for, as far as the row tells."""
    return not (_why_not(migration) or migration.is_verifying)


def verify(migration: Migration, *, by: Actor) -> Migration:
    """Ask for every volume to be read anew on both sides and compared; nothing is changed on either.

    While that is under way, asking again changes nothing. Raises Conflict.
    """
    with transaction.atomic():
        migration = Migration.objects.select_for_update().select_related("team", "pair").get(pk=migration.pk)
        if migration.is_verifying:
            return migration
        if why := _why_not(migration):
            raise Conflict(why)
        volumes = _volumes(migration)
        if not volumes:
            raise Conflict(_("This migration has brought no volume: there is nothing to verify."))
        now = timezone.now()
        Verification.objects.filter(migration=migration).delete()
        verification = Verification.objects.create(
            migration=migration,
            status=Verdict.IN_PROGRESS,
            requested_at=now,
            requested_by=by.user,
            key=base64.b64encode(secrets.token_bytes(32)).decode(),
        )
        VolumeVerification.objects.bulk_create(
            VolumeVerification(verification=verification, volume=volume, left_out=_left_out(volume))
            for volume in volumes
        )
        migration.next_look_at, migration.failed_looks = now, 0
        migration.save(update_fields=["next_look_at", "failed_looks"])
        record(by, "migration.verify", migration, after={"volumes": [str(volume) for volume in volumes]})
        events.emit(migration, "Verifying", f"A verification of {len(volumes)} volumes was asked for by {by.name}")
        transaction.on_commit(lambda: live.state_changed(migration))
    # The row has another verification than the one it may know.
    return Migration.objects.select_related("team", "pair", "verification").get(pk=migration.pk)


def stop(migration: Migration, *, by: Actor) -> Migration:
    """Ask for the verification under way to be stopped; what it has found so far stays. Raises Conflict."""
    with transaction.atomic():
        migration = Migration.objects.select_for_update().select_related("team", "pair").get(pk=migration.pk)
        if not migration.is_verifying:
            raise Conflict(_("No verification of this migration is under way."))
        verification: Verification = migration.verification
        if verification.cancel_requested_at is None:
            verification.cancel_requested_at = migration.next_look_at = timezone.now()
            verification.save(update_fields=["cancel_requested_at"])
            migration.save(update_fields=["next_look_at"])
            record(by, "migration.stop_verification", migration)
            events.emit(migration, "StoppingVerification", f"{by.name} asked for the verification to be stopped")
            transaction.on_commit(lambda: live.state_changed(migration))
    return migration


def _why_not(migration: Migration) -> str:
    if not migration.is_finished:
        return _("This migration is still under way. Its volumes are verified as they arrive.")
    if migration.rollback_requested_at is not None:
        return _("This migration is rolled back: what it had brought is no longer there.")
    if migration.status == Status.CANCELLED and migration.remove_when_cancelled:
        return _("This migration was cancelled, and what it had made was removed then.")
    if not migration.include_volumes:
        return _("This migration has brought no volume: there is nothing to verify.")
    return ""


def _volumes(migration: Migration) -> list[MigrationVolume]:
    """Those that have arrived. With the migration itself, which knows the namespaces."""
    found = list(migration.volumes.filter(status=Status.SUCCESSFUL))
    for volume in found:
        volume.migration = migration
    return found


def _left_out(volume: MigrationVolume) -> list[str]:
    """What could not be kept, so that its difference is known and no news."""
    return sorted({each["what"] for each in volume.unkept if each.get("what") and each["what"] != "socket"})
