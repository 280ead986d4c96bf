"""What workers do for a verification: one short step after the other, each of which may be repeated or cut short.

begin readers of pending volumes, as many as both clusters have room for
look at those under way: results, a second look where digests differ, a verdict on the volume
when every volume has one, or somebody wants it stopped: remove all Jobs, Secrets and snapshots, then give the verdict
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from migrations_app import events, live
from migrations_app.engines.native import movers, snapshots
from migrations_app.engines.native.settling import Surroundings
from migrations_app.engines.native.starting import room_on
from migrations_app.engines.sides import both_sides
from migrations_app.events import Said
from migrations_app.lease import Lease
from migrations_app.models import Migration
from migrations_app.verifications.models import OPEN, Verdict, Verification, VolumeVerification
from migrations_app.verifications.reading import Readers

# A look ends after this, well within the lease, and the next one goes on.
SLICE_SECONDS = 15.0
SOON = timedelta(seconds=1)
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
NAMED = 5


def step(migration: Migration, lease: Lease) -> timedelta | None:
    """The next step; when to look again, or None when there is a verdict. Raises RetriableError, MigrationError."""
    verification: Verification = migration.verification
    rows = list(verification.volumes.select_related("volume"))
    for row in rows:
        # Names and namespaces are asked of the migration that is at hand.
        row.volume.migration, row.verification = migration, verification
    if verification.cancel_requested_at is None and any(row.status in OPEN for row in rows):
        return _go_on(migration, lease, verification, rows)
    return _end(migration, lease, verification, rows)


def _go_on(migration: Migration, lease: Lease, verification: Verification, rows: list[VolumeVerification]) -> timedelta:
    in_time = _look(migration, lease, rows)
    # Once for all of them: the page shows them together.
    transaction.on_commit(lambda: live.state_changed(migration), robust=True)
    if not in_time or all(row.status not in OPEN for row in rows):
        return timedelta(0)
    return _pause(verification)


def _look(migration: Migration, lease: Lease, rows: list[VolumeVerification]) -> bool:
    """Look at readers under way, and begin others; whether there was time for all of them."""
    deadline = time.monotonic() + SLICE_SECONDS
    readers = Readers(migration, Surroundings(migration))
    for row in [row for row in rows if row.status == Verdict.IN_PROGRESS]:
        if time.monotonic() > deadline:
            return False
        lease.renew()
        readers.look(row)
        _write(migration, lease, readers, row)
    pending = [row for row in rows if row.status == Verdict.PENDING]
    rooms = [room_on(side) for side in both_sides(migration.pair)] if pending else []
    for row in pending:
        if not all(room.takes() for room in rooms):
            break
        if time.monotonic() > deadline:
            return False
        nodes = readers.nodes(row)
        if not all(room.takes(node) for room, node in zip(rooms, nodes, strict=True)):
            continue
        lease.renew()
        readers.begin(row)
        if row.status == Verdict.IN_PROGRESS:
            for room, node in zip(rooms, nodes, strict=True):
                room.take(node)
        _write(migration, lease, readers, row)
    return True


def _pause(verification: Verification) -> timedelta:
    """Seldom for what takes long: a volume of hours need not be looked at each second."""
    elapsed = (timezone.now() - verification.requested_at).total_seconds()
    return timedelta(seconds=min(LONGEST_PAUSE, max(SHORTEST_PAUSE, elapsed / 30)))


def _write(migration: Migration, lease: Lease, readers: Readers, row: VolumeVerification) -> None:
    """The row and what is to be told of it, in one transaction, which a worker that lost its lease cannot commit."""
    said, readers.said = readers.said, []
    with transaction.atomic():
        lease.renew()
        row.save()
        events.emit_all(migration, said)


def _end(
    migration: Migration, lease: Lease, verification: Verification, rows: list[VolumeVerification]
) -> timedelta | None:
    gone = True
    for side in both_sides(migration.pair):
        for namespace in side.namespaces(migration):
            lease.renew()
            with side.asked() as connection:
                ended = movers.end(connection, migration, namespace)
                gone = snapshots.remove(connection, migration, namespace) and ended and gone
    if not gone:
        return SOON
    stopped = any(row.status in OPEN for row in rows)
    with transaction.atomic():
        lease.renew()
        verification.volumes.filter(status__in=OPEN).update(status=Verdict.CANCELLED, finished_at=timezone.now())
        verification.status, verification.reason = _verdict(rows, stopped=stopped)
        verification.finished_at, verification.key = timezone.now(), ""
        verification.save(update_fields=["status", "reason", "finished_at", "key"])
        warning = verification.status != Verdict.SAME
        events.emit_all(migration, [Said("VerificationFinished", verification.reason, warning=warning)])
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)
    return None


def _verdict(rows: list[VolumeVerification], *, stopped: bool) -> tuple[Verdict, str]:
    def having(verdict: Verdict) -> list[str]:
        return [str(row) for row in rows if row.status == verdict]

    same, unlike, unread = having(Verdict.SAME), having(Verdict.DIFFERENT), having(Verdict.UNREADABLE)
    said = f"{len(same)} of {len(rows)} volumes are the same on both sides, every file read anew"
    if unlike:
        said += f"; {_named(unlike)} {'differs' if len(unlike) == 1 else 'differ'}"
    if unread:
        said += f"; {_named(unread)} could not be read"
    if stopped:
        return Verdict.CANCELLED, f"The verification was stopped. {said}"
    return Verdict.DIFFERENT if unlike else Verdict.UNREADABLE if unread else Verdict.SAME, said


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
