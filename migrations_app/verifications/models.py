"""The last verification of a migration, and of each of its volumes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from migrations_app.models import Migration, MigrationVolume

SIDES = ("source", "destination")


class Verdict(models.TextChoices):
    """How a verification stands, of one volume or of all."""

    PENDING = "Pending", _("Pending")
    IN_PROGRESS = "InProgress", _("In progress")
    SAME = "Same", _("Same")
    DIFFERENT = "Different", _("Different")
    UNREADABLE = "Unreadable", _("Could not be read")
    CANCELLED = "Cancelled", _("Cancelled")


OPEN = (Verdict.PENDING, Verdict.IN_PROGRESS)


class Verification(models.Model):
    """The last time that somebody asked for a migration's volumes to be read anew and compared."""

    migration = models.OneToOneField(Migration, on_delete=models.CASCADE, related_name="verification")
    status = models.CharField(_("status"), max_length=20, choices=Verdict.choices, default=Verdict.PENDING)
    reason = models.TextField(_("reason"), blank=True)
    requested_at = models.DateTimeField(_("asked for"), default=timezone.now)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    # 32 bytes (base64) under which both sides digest: without it nobody can try what a file may have held.
    key = EncryptedTextField(editable=False, blank=True, default="")

    class Meta:
        verbose_name = _("verification")
        verbose_name_plural = _("verifications")

    def __str__(self) -> str:
        return f"{self.migration}"

    @property
    def is_under_way(self) -> bool:
        return self.finished_at is None

    @property
    def is_cancelling(self) -> bool:
        return self.is_under_way and self.cancel_requested_at is not None


class VolumeVerification(models.Model):
    """One volume of a verification."""

    verification = models.ForeignKey(Verification, on_delete=models.CASCADE, related_name="volumes")
    volume = models.ForeignKey(MigrationVolume, on_delete=models.CASCADE, related_name="+")
    status = models.CharField(_("status"), max_length=20, choices=Verdict.choices, default=Verdict.PENDING)
    reason = models.TextField(_("reason"), blank=True)
    # 1: everything is read; 2: what differs is listed.
    look = models.PositiveSmallIntegerField(default=1)
    # Of each side: digest, files, bytes, newest (nanoseconds), changed, bytes_done, bytes_total, used_by (pods),
    # snapshot_class (of the snapshot that is read in the place of the claim).
    source = models.JSONField(default=dict)
    destination = models.JSONField(default=dict)
    # Which buckets of entries the second look lists.
    buckets = models.JSONField(default=list, editable=False)
    # What could not be kept when the volume was restored, and is not compared.
    left_out = models.JSONField(default=list)
    # The first paths that differ: [{"path", "what": [...], "newer": "source", "destination" or ""}], of contents that
    # have parts also "ranges": [{"offset", "length"}] in bytes, and "more_ranges" where those are not all.
    differences = models.JSONField(default=list)
    # How many paths differ: at least so many where not all buckets were listed.
    differing = models.PositiveIntegerField(null=True, blank=True)
    differing_at_least = models.BooleanField(default=False)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        ordering = ["volume__namespace", "volume__claim"]
        constraints = [models.UniqueConstraint(fields=["verification", "volume"], name="volume_once_per_verification")]
        verbose_name = _("verified volume")
        verbose_name_plural = _("verified volumes")

    def __str__(self) -> str:
        return str(self.volume)

    def of(self, side: str) -> dict[str, Any]:
        """What is known of the side, to be changed in place."""
        known: dict[str, Any] = getattr(self, side)
        return known

    def newest(self, side: str) -> datetime | None:
        """When the newest file of the side was last written."""
        nanoseconds = self.of(side).get("newest") or 0
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC) if 0 < nanoseconds < 10**19 else None

    @property
    def newer(self) -> str:
        """The side on which more of the named paths were written later; empty where neither was."""
        counts = {side: sum(each["newer"] == side for each in self.differences) for side in SIDES}
        if counts["source"] == counts["destination"]:
            return ""
        return max(SIDES, key=lambda side: counts[side])

    @property
    def used_by(self) -> list[tuple[str, str]]:
        """The pods that use the claim now, as (side, pod)."""
        return [(side, pod) for side in SIDES for pod in self.of(side).get("used_by") or ()]

    @property
    def percent(self) -> int:
        """How much of both sides is read, 0 to 100."""
        if self.status not in OPEN:
            return 100
        done = sum(self.of(side).get("bytes_done") or 0 for side in SIDES)
        total = sum(self.of(side).get("bytes_total") or self.volume.bytes_total or 0 for side in SIDES)
        return min(99, int(done * 100 / total)) if total else 0
