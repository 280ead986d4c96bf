"""Thin Celery tasks: one look at one migration, and the sweep that finds the migrations that are due."""

from __future__ import annotations

import uuid
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from migrations_app import lease as leases
from migrations_app import reconcile as reconciling
from migrations_app.models import Migration

# A migration that was handed to the queue is not handed out again for this long, unless its look sets a nearer time.
HANDED_OUT = timedelta(seconds=20)


@shared_task
def reconcile(migration_id: str) -> None:
    """One look at one migration."""
    if reconciling.reconcile(uuid.UUID(migration_id)):
        reconcile.delay(migration_id)


@shared_task
def sweep() -> None:
    """Hand every migration that is due to the queue."""
    for migration_id in leases.due():
        Migration.objects.filter(pk=migration_id).update(next_look_at=timezone.now() + HANDED_OUT)
        reconcile.delay(str(migration_id))
