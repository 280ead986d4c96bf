"""A team's rules under a name."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from teams.models import TeamOwned


class ResourceTransformation(TeamOwned):
    """Rules that a migration can be given. `source` is what somebody wrote, `rules` what was read from it."""

    name = models.CharField(_("name"), max_length=63)
    description = models.CharField(_("description"), max_length=200, blank=True)
    source = models.TextField(_("rules as written"))
    rules = models.JSONField(_("rules"), default=list)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="transformation_name_in_team")]
        verbose_name = _("transformation")
        verbose_name_plural = _("transformations")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("transformation-detail", args=[self.pk])

    def to_audit(self) -> dict[str, Any]:
        """The rules are part of it: they decide what arrives."""
        return {"name": self.name, "description": self.description, "source": self.source}
