"""The Portworx part of a pair."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from clusters.models.pair import ClusterPair
from clusters.portworx.migration import ADMIN_NAMESPACE
from clusters.translation import SentenceField, TextsField


class EndpointKind(models.TextChoices):
    """How the source's Portworx reaches the destination's."""

    BEST = "", _("Whatever is there, a load balancer first")
    LOAD_BALANCER = "load-balancer", _("Load balancer of portworx-service")
    NODE_PORT = "node-port", _("Node port of portworx-service")
    ROUTE = "route", _("Route")


class PairMode(models.TextChoices):
    """The option `mode` of a ClusterPair."""

    DEFAULT = "", _("Default: incremental, every seventh migration full")
    DISASTER_RECOVERY = "DisasterRecovery", _("Disaster recovery: always incremental")
    ONE_TIME = "OneTimeMigration", _("One-time migration")


class PairingJob(models.TextChoices):
    """What is being done with a pair on the clusters."""

    NONE = "", _("Nothing")
    SET_UP = "set-up", _("Set up")
    VALIDATE = "validate", _("Validate")
    TEAR_DOWN = "tear-down", _("Remove from the clusters")


class PortworxPairing(models.Model):
    """The Portworx part of a pair: which ClusterPair, how it is made, and what has become of it.

    The destination's token is nowhere here: it is read from the destination whenever it is needed. `steps` is a list
    of {"code", "state", "message", "remedy", "said", "at"}, see `clusters.pairing.steps`.
    """

    pair = models.OneToOneField(ClusterPair, on_delete=models.CASCADE, related_name="portworx")
    namespace = models.CharField(_("namespace of the ClusterPair"), max_length=63, default=ADMIN_NAMESPACE)
    object_name = models.CharField(_("name of the ClusterPair"), max_length=253)
    mode = models.CharField(_("mode"), max_length=20, choices=PairMode.choices, default=PairMode.DEFAULT, blank=True)
    endpoint_kind = models.CharField(
        _("endpoint"), max_length=20, choices=EndpointKind.choices, default=EndpointKind.BEST, blank=True
    )
    endpoint_host = models.CharField(_("endpoint by hand"), max_length=260, blank=True)
    endpoint_port = models.PositiveIntegerField(_("port"), null=True, blank=True)
    with_backup_location = models.BooleanField(_("keys in a BackupLocation"), default=False)
    both_directions = models.BooleanField(_("both directions"), default=False)

    # As the last look found them. Blank is a status of Stork's own.
    storage_status = models.CharField(max_length=20, blank=True, editable=False)
    scheduler_status = models.CharField(max_length=20, blank=True, editable=False)
    remote_storage_id = models.CharField(max_length=64, blank=True, editable=False)
    back_storage_status = models.CharField(max_length=20, blank=True, editable=False)
    back_scheduler_status = models.CharField(max_length=20, blank=True, editable=False)
    endpoint = models.CharField(max_length=270, blank=True, editable=False)
    endpoint_reason = SentenceField(blank=True, editable=False)
    # Every way that the destination's objects show: [{"kind", "host", "port"}], the best first.
    endpoints = models.JSONField(default=list, blank=True, editable=False)
    # The BackupLocation of an imported pair, where it is not named like the ClusterPair.
    backup_location = models.CharField(max_length=253, blank=True, editable=False)
    # Whether the ClusterPair on the source lacks our mark: made by hand or by storkctl.
    made_by_others = models.BooleanField(default=False, editable=False)
    looked_at = models.DateTimeField(null=True, blank=True, editable=False)

    job = models.CharField(max_length=10, choices=PairingJob.choices, default=PairingJob.NONE, editable=False)
    job_options = models.JSONField(default=dict, blank=True, editable=False)
    steps = TextsField(default=list, blank=True, editable=False)
    failures = models.PositiveSmallIntegerField(default=0, editable=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_look_at = models.DateTimeField(null=True, blank=True, db_index=True, editable=False)
    lease_token = models.UUIDField(null=True, blank=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.object_name}"

    @property
    def is_ready(self) -> bool:
        """Whether both statuses were Ready when somebody last looked."""
        return self.storage_status == self.scheduler_status == "Ready"

    @property
    def location_name(self) -> str:
        """The BackupLocation whose keys the pair uses; empty where Portworx' own credentials are used."""
        return (self.backup_location or self.object_name) if self.with_backup_location else ""

    @property
    def is_on_clusters(self) -> bool:
        """Whether the ClusterPair was there when somebody last looked: Stork had said something of it."""
        return bool(self.storage_status or self.scheduler_status)

    @property
    def is_working(self) -> bool:
        """Whether a job is under way."""
        return bool(self.job) and self.finished_at is None

    def to_audit(self) -> dict[str, Any]:
        fields = ("namespace", "object_name", "mode", "endpoint_kind", "endpoint_host", "endpoint_port")
        return {field: getattr(self, field) for field in (*fields, "with_backup_location", "both_directions")}
