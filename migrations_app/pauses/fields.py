"""What the row of a migration knows of its pauses."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

MOST_REASON = 500


class Pausable(models.Model):
    """Base of such rows: who paused it, when and why, whether it stands still by now, and for how long it did."""

    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    pause_reason = models.CharField(_("reason of the pause"), max_length=MOST_REASON, blank=True, editable=False)
    # Since when nothing of it runs in the clusters any more.
    stands_still_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Somebody resumed it, and what the pause had stopped in the clusters may not yet run again.
    to_be_resumed = models.BooleanField(default=False, editable=False)
    # Seconds of the pauses that are over, by the stage in which they were.
    pauses = models.JSONField(default=dict, blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def is_paused(self) -> bool:
        """Whether somebody wants it to stand still; it may take a moment until it does."""
        return self.paused_at is not None
