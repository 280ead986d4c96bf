"""Cluster, ObjectStore and ClusterPair: what a migration goes from, to and through."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.portworx.migration import ADMIN_NAMESPACE
from teams.models import TeamOwned


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
    checks = models.JSONField(_("checks"), default=list, blank=True)
    checked_at = models.DateTimeField(_("checked"), null=True, blank=True)

    class Meta:
        abstract = True


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
    portworx = models.JSONField(_("Portworx"), default=dict, blank=True, editable=False)
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


class Provider(models.TextChoices):
    """What an object store speaks. The native engine needs S3; Portworx takes all three."""

    S3 = "s3", _("Amazon S3 or compatible")
    AZURE = "azure", _("Azure Blob Storage")
    GOOGLE = "google", _("Google Cloud Storage")


class ObjectStore(TeamOwned, Checked):
    """A bucket (a container, in Azure) of an object store, and the keys for it.

    `account` is Azure's storage account or Google's project; their account key or JSON key is in `secret_access_key`,
    and `access_key_id` is empty.
    """

    name = models.CharField(_("name"), max_length=63)
    provider = models.CharField(_("provider"), max_length=10, choices=Provider.choices, default=Provider.S3)
    account = models.CharField(_("account"), max_length=200, blank=True)
    endpoint = models.CharField(
        _("endpoint"),
        max_length=300,
        blank=True,
        help_text=_("For example https://s3.example.com; empty for Amazon S3."),
    )
    region = models.CharField(_("region"), max_length=60, default="us-east-1")
    bucket = models.CharField(_("bucket"), max_length=63)
    prefix = models.CharField(
        _("prefix"),
        max_length=200,
        blank=True,
        default="kubemotion",
        help_text=_("All objects are kept below it."),
    )
    path_style = models.BooleanField(
        _("path-style addressing"), default=True, help_text=_("Most stores other than Amazon S3 need it.")
    )
    ca_bundle = models.TextField(
        _("CA bundle"), blank=True, help_text=_("PEM, where the certificate is not publicly trusted.")
    )
    access_key_id = EncryptedTextField(_("access key id"), blank=True)
    secret_access_key = EncryptedTextField(_("secret access key"))
    sts_role_arn = models.CharField(
        _("role for movers"),
        max_length=300,
        blank=True,
        help_text=_(
            "ARN of a role that the key pair may assume, so that movers get temporary keys. Amazon S3 needs it."
        ),
    )
    sts_endpoint = models.CharField(
        _("STS endpoint"),
        max_length=300,
        blank=True,
        help_text=_("Where temporary keys are asked for; empty for the endpoint itself, and for Amazon's own."),
    )
    # What the last check that came so far found: whether it gives temporary keys, and holds them to their prefix.
    has_session_policies = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="object_store_name_in_team")]
        verbose_name = _("object store")
        verbose_name_plural = _("object stores")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("object-store-detail", args=[self.pk])

    @property
    def is_s3(self) -> bool:
        """Whether this server and its movers can use it."""
        return self.provider == Provider.S3

    @property
    def wants_temporary_keys(self) -> bool:
        """Whether somebody said how to get them: then nothing else will do."""
        return bool(self.sts_role_arn or self.sts_endpoint)

    @property
    def gives_temporary_keys(self) -> bool:
        """Whether movers get temporary keys, and not the store's own pair."""
        return self.wants_temporary_keys or self.has_session_policies

    def to_audit(self) -> dict[str, Any]:
        fields: tuple[str, ...]
        fields = ("name", "endpoint", "region", "bucket", "prefix", "path_style", "sts_role_arn", "sts_endpoint")
        if not self.is_s3:
            fields = ("name", "provider", "account", "bucket")
        return {field: getattr(self, field) for field in fields}


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
    endpoint_reason = models.CharField(max_length=1000, blank=True, editable=False)
    # Every way that the destination's objects show: [{"kind", "host", "port"}], the best first.
    endpoints = models.JSONField(default=list, blank=True, editable=False)
    # The BackupLocation of an imported pair, where it is not named like the ClusterPair.
    backup_location = models.CharField(max_length=253, blank=True, editable=False)
    # Whether the ClusterPair on the source lacks our mark: made by hand or by storkctl.
    made_by_others = models.BooleanField(default=False, editable=False)
    looked_at = models.DateTimeField(null=True, blank=True, editable=False)

    job = models.CharField(max_length=10, choices=PairingJob.choices, default=PairingJob.NONE, editable=False)
    job_options = models.JSONField(default=dict, blank=True, editable=False)
    steps = models.JSONField(default=list, blank=True, editable=False)
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
