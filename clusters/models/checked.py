"""What the three have in common: they are tested when they are added, and again on request."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.translation import TextsField


class Health(models.TextChoices):
    """What the last checks of a cluster, store or pair came to."""

    UNKNOWN = "unknown", _("Not checked")
    HEALTHY = "healthy", _("Healthy")
    WARNING = "warning", _("Warning")
    FAILING = "failing", _("Failing")


class Checked(models.Model):
    """Base of what is tested when it is added, and again on request.

    `checks` is a list of {"code", "status" (ok, warning, failure, skipped), "message", "remedy"}.
    """

    health = models.CharField(_("health"), max_length=10, choices=Health.choices, default=Health.UNKNOWN)
    checks = TextsField(_("checks"), default=list, blank=True)
    checked_at = models.DateTimeField(_("checked"), null=True, blank=True)

    class Meta:
        abstract = True
