"""Thin Celery tasks: one look at one migration or plan, and the sweep that finds those that are due."""

from __future__ import annotations

import uuid
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from migrations_app import lease as leases
from migrations_app import reconcile as reconciling
from migrations_app.models import Migration
from migrations_app.plans import compute
from migrations_app.plans import services as plans
from migrations_app.plans.models import MigrationPlan

# A migration that was handed to the queue is not handed out again for this long, unless its look sets a nearer time.
HANDED_OUT = timedelta(seconds=20)


@shared_task
def reconcile(migration_id: str) -> None:
    """One look at one migration."""
    if reconciling.reconcile(uuid.UUID(migration_id)):
        reconcile.delay(migration_id)


@shared_task
def compute_plan(plan_id: str) -> None:
    """One look at one plan."""
    if compute.look(uuid.UUID(plan_id)):
        compute_plan.delay(plan_id)


@shared_task
def sweep() -> None:
    """Hand every migration and plan that is due to the queue, and forget old plans."""
    for migration_id in leases.due():
        Migration.objects.filter(pk=migration_id).update(next_look_at=timezone.now() + HANDED_OUT)
        reconcile.delay(str(migration_id))
    for plan_id in leases.due(MigrationPlan):
        MigrationPlan.objects.filter(pk=plan_id).update(next_look_at=timezone.now() + HANDED_OUT)
        compute_plan.delay(str(plan_id))
    plans.remove_old()
