"""A lease per migration: at any moment one worker takes steps for it, and a dead worker's lease runs out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Least
from django.utils import timezone

from migrations_app.models import Migration

# Longer than any step may take; a worker that was killed delays its migrations by no more than this.
LEASE = timedelta(seconds=45)


class LeaseLostError(RuntimeError):
    """Somebody else has taken the lease, because ours had run out: stop, and write nothing more."""


class Lease:
    """The right to take steps for one migration. `renew` it before every batch of writes: that is the fence."""

    def __init__(self, migration_id: uuid.UUID, token: uuid.UUID, look_if_killed_at: datetime) -> None:
        self.migration_id = migration_id
        self.token = token
        self._look_if_killed_at = look_if_killed_at

    def renew(self) -> None:
        """Extend by a whole lease from now. Raises LeaseLostError."""
        renewed = Migration.objects.filter(pk=self.migration_id, lease_token=self.token).update(
            lease_expires_at=timezone.now() + LEASE
        )
        if not renewed:
            raise LeaseLostError(f"the lease of migration {self.migration_id} was taken over")

    def release(self, *, next_look: timedelta | None) -> None:
        """Give the lease back and say when to look again; None means never (the migration is finished).

        Whoever asked for an earlier look meanwhile (somebody who cancels, the watcher) gets it.
        """
        wanted = None if next_look is None else timezone.now() + next_look
        moment: Case | None = None
        if wanted is not None:
            moment = Case(
                When(next_look_at=self._look_if_killed_at, then=Value(wanted)),
                default=Least(F("next_look_at"), Value(wanted)),
            )
        Migration.objects.filter(pk=self.migration_id, lease_token=self.token).update(
            lease_token=None, lease_expires_at=None, next_look_at=moment
        )


@contextmanager
def taken(migration_id: uuid.UUID) -> Iterator[Lease | None]:
    """The lease of the migration, or None where another worker holds it. It is not given back here: see `release`."""
    now = timezone.now()
    token = uuid.uuid4()
    free = Q(lease_token=None) | Q(lease_expires_at__lt=now)
    expiry = now + LEASE
    got = Migration.objects.filter(free, pk=migration_id).update(
        lease_token=token, lease_expires_at=expiry, next_look_at=expiry
    )
    yield Lease(migration_id, token, expiry) if got else None
