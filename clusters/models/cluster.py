"""What a migration goes from and to."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.models.checked import Checked
from clusters.translation import TextsField
from teams.models import TeamOwned


class Cluster(TeamOwned, Checked):
    """A Kubernetes or OpenShift cluster, reached with one context of a kubeconfig."""

    name = models.CharField(_("name"), max_length=63)
    description = models.CharField(_("description"), max_length=200, blank=True)
    kubeconfig = EncryptedTextField(_("kubeconfig"))
    server = models.CharField(_("API server"), max_length=500, editable=False)
    version = models.CharField(_("version"), max_length=60, blank=True, editable=False)
    distribution = models.CharField(_("distribution"), max_length=40, blank=True, editable=False)
    storage_classes = models.JSONField(_("storage classes"), default=list, blank=True, editable=False)
    # What `clusters.portworx.discovery` found; empty where there is neither Portworx nor Stork.
    portworx = TextsField(_("Portworx"), default=dict, blank=True, editable=False)
    # The uid of its namespace kube-system: what tells two ways to one cluster from two clusters.
    identity = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="cluster_name_in_team")]
        verbose_name = _("cluster")
        verbose_name_plural = _("clusters")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("cluster-detail", args=[self.pk])

    def to_audit(self) -> dict[str, Any]:
        return {"name": self.name, "description": self.description, "server": self.server}

    @property
    def has_stork(self) -> bool:
        """Whether the last checks found a Stork."""
        return bool(self.portworx.get("stork", {}).get("is_present"))

    @property
    def can_migrate_with_portworx(self) -> bool:
        """Whether the last checks found Portworx and Stork, and both able to migrate."""
        return bool(self.portworx.get("can_migrate"))
