"""A lease per migration or plan: at any moment one worker takes steps for it, and a dead worker's lease runs out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import Case, DateTimeField, F, Q, Value, When
from django.db.models.functions import Least
from django.utils import timezone

from migrations_app.leased import Leased
from migrations_app.models import Migration

# Longer than any step may take; a worker that was killed delays its migrations by no more than this.
LEASE = timedelta(seconds=45)


class LeaseLostError(RuntimeError):
    """Somebody else has taken the lease, because ours had run out: stop, and write nothing more."""


class Lease:
    """The right to take steps for one row. `renew` it before every batch of writes: that is the fence."""

    def __init__(self, rows: type[Leased], pk: uuid.UUID, token: uuid.UUID, look_if_killed_at: datetime) -> None:
        self._mine = rows._default_manager.filter(pk=pk, lease_token=token)
        self._said = f"{rows._meta.verbose_name} {pk}"
        self.token = token
        self._look_if_killed_at = look_if_killed_at

    def renew(self) -> None:
        """Extend by a whole lease from now. Raises LeaseLostError."""
        if not self._mine.update(lease_expires_at=timezone.now() + LEASE):
            raise LeaseLostError(f"the lease of {self._said} was taken over")

    def release(self, *, next_look: timedelta | None, went_well: bool = False) -> None:
        """Give the lease back and say when to look again; None means never (it is finished, or stands still).

        A look that went well leaves the time at which it did.

        Whoever asked for an earlier look meanwhile (somebody who cancels, the watcher) gets it.
        """
        wanted = None if next_look is None else timezone.now() + next_look
        moment = Case(
            When(next_look_at=self._look_if_killed_at, then=Value(wanted)),
            default=F("next_look_at") if wanted is None else Least(F("next_look_at"), Value(wanted)),
            output_field=DateTimeField(),
        )
        looked = {"looked_at": timezone.now()} if went_well else {}
        self._mine.update(lease_token=None, lease_expires_at=None, next_look_at=moment, **looked)


@contextmanager
def taken(pk: uuid.UUID, rows: type[Leased] = Migration) -> Iterator[Lease | None]:
    """The lease of the row, or None where another worker holds it. It is not given back here: see `release`."""
    now = timezone.now()
    token = uuid.uuid4()
    free = Q(lease_token=None) | Q(lease_expires_at__lt=now)
    expiry = now + LEASE
    got = rows._default_manager.filter(free, pk=pk).update(
        lease_token=token, lease_expires_at=expiry, next_look_at=expiry
    )
    yield Lease(rows, pk, token, expiry) if got else None


def due(rows: type[Leased] = Migration) -> list[uuid.UUID]:
    """The rows whose next look has come, and which nobody is looking at."""
    now = timezone.now()
    found = rows._default_manager.filter(next_look_at__lte=now).exclude(lease_expires_at__gt=now)
    return list(found.order_by("next_look_at").values_list("pk", flat=True)[:500])
