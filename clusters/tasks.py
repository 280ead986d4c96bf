"""Thin Celery tasks: one look at one pair of the engine portworx, and the sweep that finds those that are due."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from clusters.models import PortworxPairing
from clusters.pairing import jobs

# A pair that was handed to the queue is not handed out again for this long, unless its look sets a nearer time.
HANDED_OUT = timedelta(seconds=20)


@shared_task
def look_at_pair(pairing_id: int) -> None:
    """One look at one pair."""
    jobs.look(pairing_id)


@shared_task
def sweep_pairs() -> None:
    """Hand every pair that is due to the queue."""
    for pairing_id in jobs.due():
        PortworxPairing.objects.filter(pk=pairing_id).update(next_look_at=timezone.now() + HANDED_OUT)
        look_at_pair.delay(pairing_id)
