"""A lease per migration: one worker at a time, and a dead worker's lease runs out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_app import lease as leases
from migrations_app.models import Migration

pytestmark = pytest.mark.django_db


def test_a_free_lease_is_given_once(migration: Migration) -> None:
    with leases.taken(migration.pk) as first, leases.taken(migration.pk) as second:
        assert first is not None
        assert second is None


def test_a_lease_that_ran_out_is_given_to_the_next(migration: Migration) -> None:
    with leases.taken(migration.pk) as dead:
        assert dead is not None
    Migration.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    with leases.taken(migration.pk) as heir:
        assert heir is not None
    with pytest.raises(leases.LeaseLostError):
        dead.renew()


def test_giving_back_a_lost_lease_changes_nothing(migration: Migration) -> None:
    with leases.taken(migration.pk) as dead:
        assert dead is not None
    Migration.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    with leases.taken(migration.pk) as heir:
        assert heir is not None
    dead.release(next_look=None)
    migration.refresh_from_db()
    assert migration.lease_token == heir.token
    assert migration.next_look_at is not None


def test_due_migrations_are_those_whose_look_has_come_and_that_nobody_holds(migration: Migration) -> None:
    assert leases.due() == [migration.pk]
    with leases.taken(migration.pk) as lease:
        assert leases.due() == []
        assert lease is not None
        lease.release(next_look=timedelta(minutes=1))
    assert leases.due() == []
    Migration.objects.update(next_look_at=timezone.now())
    assert leases.due() == [migration.pk]


def test_who_asks_for_a_look_during_the_last_one_gets_it(migration: Migration) -> None:
    """Somebody resumes a migration while the look that has brought it to rest is about to end."""
    with leases.taken(migration.pk) as lease:
        assert lease is not None
        asked = timezone.now()
        Migration.objects.filter(pk=migration.pk).update(next_look_at=asked)
        lease.release(next_look=None)
    migration.refresh_from_db()
    assert (migration.lease_token, migration.next_look_at) == (None, asked)
    with leases.taken(migration.pk) as lease:
        assert lease is not None
        lease.release(next_look=None)
    migration.refresh_from_db()
    assert migration.next_look_at is None
