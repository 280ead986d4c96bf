"""The state machine's heart: one look at one migration.

take the lease, or leave
finished and cleaned up: nothing to do, unless a roll-back or a verification was asked for: its next step
cancel asked for: the engine's next step of cancelling
paused: the engine's next step of coming to rest, and then nothing until somebody resumes or cancels
otherwise: the engine's next step (of cleaning up, where there is a verdict)
give the lease back with the time of the next look
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

from audit import context
from migrations_app import events, progress
from migrations_app import lease as leases
from migrations_app.engines import MigrationError, Pauses, RetriableError, RollsBack, engine_for
from migrations_app.models import Migration, Status
from migrations_app.verifications import steps as verifying

logger = logging.getLogger(__name__)

# A step that failed on something that may pass is tried again after 2, 4, 8 … seconds, for about an hour in all.
LONGEST_PAUSE = timedelta(seconds=60)
MOST_FAILED_LOOKS = 64


def reconcile(migration_id: uuid.UUID) -> bool:
    """Take one step for the migration, if nobody else is taking one; whether the next step can be taken at once."""
    token = context.migration_id.set(str(migration_id))
    try:
        with leases.taken(migration_id) as lease:
            return lease is not None and _look(migration_id, lease) == timedelta(0)
    except leases.LeaseLostError:
        logger.warning("lease lost; another worker goes on")
        return False
    finally:
        context.migration_id.reset(token)


def _look(migration_id: uuid.UUID, lease: leases.Lease) -> timedelta | None:
    migration = Migration.objects.select_related(
        "team", "pair__source", "pair__destination", "pair__object_store", "verification"
    ).get(pk=migration_id)
    if migration.is_finished and migration.cleaned_up and not (migration.is_rolling_back or migration.is_verifying):
        lease.release(next_look=None)
        return None
    next_look: timedelta | None
    went_well = False
    try:
        next_look = _step(migration, lease)
    except RetriableError as error:
        lease.renew()
        next_look = _after_failed_look(migration, error.message)
    except MigrationError as error:
        lease.renew()
        if migration.is_finished:
            # The verdict stands: what cannot be cleared away now is tried again, somebody may have mended it.
            next_look = _after_failed_look(migration, error.message)
        else:
            progress.finish(migration, Status.FAILED, error.message)
            next_look = timedelta(0)
    except leases.LeaseLostError:
        raise
    except Exception:
        # A defect of ours must not leave the migration silent: it is said, and the next look may well work.
        logger.exception("a look failed unexpectedly")
        lease.renew()
        next_look = _after_failed_look(
            migration, "An unexpected error; the worker's log says which. It is tried again."
        )
    else:
        went_well = True
        if migration.failed_looks:
            migration.failed_looks = 0
            migration.save(update_fields=["failed_looks"])
            if not migration.is_paused:
                progress.going_on(migration)
    lease.release(next_look=next_look, went_well=went_well)
    return next_look


def _step(migration: Migration, lease: leases.Lease) -> timedelta | None:
    engine = engine_for(migration.pair)
    if migration.is_cancelling:
        return engine.cancel(migration, lease)
    if migration.is_finished and migration.cleaned_up:
        if migration.is_verifying:
            return verifying.step(migration, lease)
        if isinstance(engine, RollsBack):
            return engine.roll_back(migration, lease)
    if migration.is_paused and isinstance(engine, Pauses):
        return engine.pause(migration, lease)
    next_look = engine.step(migration, lease)
    # Somebody may have asked for a roll-back or a verification while it was cleaned up.
    asked = migration.is_rolling_back or migration.is_verifying
    return timedelta(0) if next_look is None and asked else next_look


def _after_failed_look(migration: Migration, message: str) -> timedelta:
    failed = migration.failed_looks = migration.failed_looks + 1
    migration.save(update_fields=["failed_looks"])
    if failed > MOST_FAILED_LOOKS and not migration.is_finished and not migration.is_paused:
        progress.finish(migration, Status.FAILED, message)
        return timedelta(0)
    if not migration.is_finished:
        progress.waiting(migration, message)
    elif failed == 1:
        # The verdict stands; only what the migration used or made is still to be cleared away: that is tried for ever.
        delayed = "VerificationDelayed" if migration.is_verifying else "RollBackDelayed"
        delayed = delayed if migration.cleaned_up else "CleanUpDelayed"
        events.emit(migration, delayed, message, warning=True)
    return min(LONGEST_PAUSE, timedelta(seconds=2 ** min(failed, 6)))
