"""Two clusters and the object store between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from clusters.models.checked import Checked
from clusters.models.cluster import Cluster
from clusters.models.object_store import ObjectStore
from clusters.portworx.migration import ADMIN_NAMESPACE
from teams.models import TeamOwned

if TYPE_CHECKING:
    from clusters.models.pairing import PortworxPairing


class Engine(models.TextChoices):
    """What moves the data and the objects."""

    NATIVE = "native", _("Native")
    PORTWORX = "portworx", _("Portworx")


class ClusterPair(TeamOwned, Checked):
    """A source and a destination cluster, the object store between them, and how storage classes translate."""

    name = models.CharField(_("name"), max_length=63)
    source = models.ForeignKey(
        Cluster, on_delete=models.PROTECT, related_name="pairs_as_source", verbose_name=_("source")
    )
    destination = models.ForeignKey(
        Cluster, on_delete=models.PROTECT, related_name="pairs_as_destination", verbose_name=_("destination")
    )
    object_store = models.ForeignKey(
        ObjectStore, on_delete=models.PROTECT, related_name="pairs", verbose_name=_("object store")
    )
    engine = models.CharField(_("engine"), max_length=10, choices=Engine.choices, default=Engine.NATIVE)
    storage_class_mapping = models.JSONField(
        _("storage class mapping"),
        default=dict,
        blank=True,
        help_text=_("Source class to destination class. A class that is not named keeps its name."),
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="pair_name_in_team"),
            models.CheckConstraint(
                condition=~models.Q(source=models.F("destination")), name="pair_of_two_different_clusters"
            ),
        ]
        verbose_name = _("cluster pair")
        verbose_name_plural = _("cluster pairs")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("pair-detail", args=[self.pk])

    def to_audit(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "source": str(self.source),
            "destination": str(self.destination),
            "object_store": str(self.object_store),
            "engine": self.engine,
            "storage_class_mapping": self.storage_class_mapping,
        }

    @property
    def stork_name(self) -> str:
        """The name of Stork's ClusterPair on the source; empty for other engines."""
        found: PortworxPairing | None = getattr(self, "portworx", None)
        return found.object_name if found is not None else ""

    @property
    def stork_namespace(self) -> str:
        """The namespace of Stork's ClusterPair on the source; empty for other engines."""
        found: PortworxPairing | None = getattr(self, "portworx", None)
        return found.namespace if found is not None else ""

    @property
    def stork_admin_namespace(self) -> str:
        """The namespace on the source whose Migrations may move every other namespace."""
        return str(self.source.portworx.get("stork", {}).get("admin_namespace") or ADMIN_NAMESPACE)
