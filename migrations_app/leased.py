"""What a row has that workers look at again and again, one of them at a time (see `lease.py`)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Leased(models.Model):
    """Base of such rows: when to look next, and who is looking."""

    next_look_at = models.DateTimeField(null=True, blank=True, db_index=True, default=timezone.now, editable=False)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Consecutive steps that failed on something that may pass; reset by each that worked.
    failed_looks = models.PositiveIntegerField(default=0, editable=False)
    # When a look last went well: until then is known how things stood.
    looked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True
