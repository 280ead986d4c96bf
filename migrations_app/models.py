"""Migration with its volumes, resources and events."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.models import ClusterPair
from clusters.translation import SentenceField
from migrations_app.leased import Leased
from migrations_app.pauses import times
from migrations_app.pauses.fields import Pausable
from migrations_app.resources import spec
from migrations_app.resources.spec import Spec
from teams.models import TeamOwned

DNS_LABEL = RegexValidator(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
    _("Use at most 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit."),
)


class Stage(models.TextChoices):
    """Where a migration is. The order is the order of the work; the names are Stork's."""

    INITIAL = "Initial", _("Initial")
    PRE_EXEC_RULE = "PreExecRule", _("Pre-exec rule")
    VOLUMES = "Volumes", _("Volumes")
    POST_EXEC_RULE = "PostExecRule", _("Post-exec rule")
    APPLICATIONS = "Applications", _("Applications")
    FINAL = "Final", _("Final")


class Status(models.TextChoices):
    """How a migration, a volume or a resource stands. The names are Stork's; Cancelled is ours."""

    PENDING = "Pending", _("Pending")
    IN_PROGRESS = "InProgress", _("In progress")
    SUCCESSFUL = "Successful", _("Successful")
    PARTIAL_SUCCESS = "PartialSuccess", _("Partial success")
    FAILED = "Failed", _("Failed")
    CANCELLED = "Cancelled", _("Cancelled")


class ConflictPolicy(models.TextChoices):
    """`resources.spec.ConflictPolicy` in words for people."""

    REFUSE = spec.ConflictPolicy.REFUSE.value, _("Refuse the object")
    SKIP = spec.ConflictPolicy.SKIP.value, _("Leave the destination's as it is")
    TAKE_OVER = spec.ConflictPolicy.TAKE_OVER.value, _("Take it over")


class VolumeSnapshots(models.TextChoices):
    """`resources.spec.VolumeSnapshots` in words for people."""

    NEVER = spec.VolumeSnapshots.NEVER.value, _("Never")
    WHEN_NEEDED = spec.VolumeSnapshots.WHEN_NEEDED.value, _("When needed: where a pod holds a volume alone")
    WHENEVER_POSSIBLE = spec.VolumeSnapshots.WHENEVER_POSSIBLE.value, _("Whenever possible")


FINISHED = frozenset({Status.SUCCESSFUL, Status.PARTIAL_SUCCESS, Status.FAILED, Status.CANCELLED})


class Migration(TeamOwned, Leased, Pausable):
    """One move of some namespaces over a pair. The row is the truth: stage, status, and when to look next."""

    name = models.CharField(_("name"), max_length=63, validators=[DNS_LABEL])
    pair = models.ForeignKey(ClusterPair, on_delete=models.PROTECT, related_name="migrations", verbose_name=_("pair"))
    namespaces = models.JSONField(_("namespaces"), default=list)
    include_volumes = models.BooleanField(_("include volumes"), default=True)
    include_resources = models.BooleanField(_("include resources"), default=True)
    start_applications = models.BooleanField(
        _("start applications"), default=True, help_text=_("Otherwise workloads arrive with zero replicas.")
    )
    storage_class_mapping = models.JSONField(
        _("storage class mapping"),
        default=dict,
        blank=True,
        help_text=_("Adds to, and wins over, the pair's mapping."),
    )
    namespace_mapping = models.JSONField(
        _("namespace mapping"),
        default=dict,
        blank=True,
        help_text=_("Source namespace to destination namespace. One that is not named keeps its name."),
    )
    access_mode_mapping = models.JSONField(_("access mode mapping"), default=dict, blank=True)
    image_mapping = models.JSONField(
        _("image mapping"), default=dict, blank=True, help_text=_("Registry or repository prefix to prefix.")
    )
    host_mapping = models.JSONField(
        _("host mapping"), default=dict, blank=True, help_text=_("Suffix of Route and Ingress hosts to suffix.")
    )
    # What `resources.spec.Selection` holds; empty means everything.
    selection = models.JSONField(_("selection"), default=dict, blank=True)
    # The user rules as they were when the migration was made: [{"name", "rules"}].
    transformations = models.JSONField(_("transformations"), default=list, blank=True)
    conflict_policy = models.CharField(
        _("conflict policy"),
        max_length=10,
        choices=ConflictPolicy.choices,
        default=ConflictPolicy.REFUSE,
        help_text=_("What is done with a different object of the same name on the destination."),
    )
    volume_snapshots = models.CharField(
        _("volume snapshots"),
        max_length=20,
        choices=VolumeSnapshots.choices,
        default=VolumeSnapshots.WHEN_NEEDED,
        help_text=_("Which volumes are read from a snapshot, which is of one moment, instead of as they are used."),
    )
    purge_deleted_resources = models.BooleanField(
        _("purge deleted resources"),
        default=False,
        help_text=_("Delete on the destination what an earlier migration brought and the source has no longer."),
    )
    stork_options = models.JSONField(
        _("Stork options"),
        default=dict,
        blank=True,
        help_text=_("Fields of Stork's Migration that only it knows, spelled as there."),
    )
    idempotency_key = models.CharField(max_length=100, null=True, blank=True, editable=False)

    stage = models.CharField(_("stage"), max_length=20, choices=Stage.choices, default=Stage.INITIAL)
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.PENDING)
    reason = SentenceField(_("reason"), blank=True)
    # When each stage was entered, by its name, in ISO 8601: the timeline.
    stage_times = models.JSONField(default=dict, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True, blank=True)
    remove_when_cancelled = models.BooleanField(
        _("remove what was created"),
        default=True,
        help_text=_("On the destination, exactly what this migration created."),
    )
    # Stork's Migration on the source cluster that this row follows: namespace, name and uid, and how it last changed.
    stork_object = models.JSONField(default=dict, blank=True, editable=False)
    # Made by others with kubectl or storkctl: this row only follows it.
    imported = models.BooleanField(_("imported"), default=False, editable=False)
    # Asked for by somebody once it is finished; its status stays what it was.
    rollback_requested_at = models.DateTimeField(_("roll-back requested"), null=True, blank=True, editable=False)
    rolled_back_at = models.DateTimeField(_("rolled back"), null=True, blank=True, editable=False)
    # The 32-byte AES key (base64) of this migration's data; emptied at clean-up, which makes leftovers unreadable.
    data_key = EncryptedTextField(editable=False, blank=True, default="")
    cleaned_up = models.BooleanField(default=False, editable=False)
    # When it was last seen to that its movers' temporary keys are good for a while.
    keys_looked_at = models.DateTimeField(null=True, blank=True, editable=False)

    last_event_seq = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="migration_name_in_team"),
            models.UniqueConstraint(fields=["team", "idempotency_key"], name="migration_idempotency_key_in_team"),
        ]
        verbose_name = _("migration")
        verbose_name_plural = _("migrations")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("migration-detail", args=[self.pk])

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def is_cancelling(self) -> bool:
        return self.cancel_requested_at is not None and not self.is_finished

    @property
    def is_rolling_back(self) -> bool:
        return self.rollback_requested_at is not None and self.rolled_back_at is None

    @property
    def is_verifying(self) -> bool:
        last = getattr(self, "verification", None)
        return last is not None and bool(last.is_under_way)

    def elapsed(self) -> timedelta | None:
        """Time since the start, up to the end or to now, without pauses; None before the start."""
        if self.started_at is None:
            return None
        now = timezone.now()
        paused = timedelta(seconds=times.paused_seconds(self, now))
        return (self.finished_at or now) - self.started_at - paused

    @property
    def paused_seconds(self) -> float:
        """For how long it has been paused since it began."""
        return times.paused_seconds(self, timezone.now())

    def classes(self) -> dict[str, str]:
        """Source storage class to destination storage class, as this migration sees it."""
        return {**self.pair.storage_class_mapping, **self.storage_class_mapping}

    def spec(self) -> Spec:
        """What moves and how, the pair's mapping of storage classes included."""
        own = {each.name: getattr(self, each.name) for each in dataclasses.fields(Spec)}
        return Spec.from_dict({**own, "storage_class_mapping": self.classes()})

    def to_audit(self) -> dict[str, Any]:
        asked = {each.name: getattr(self, each.name) for each in dataclasses.fields(Spec)}
        return {
            "name": self.name,
            "pair": str(self.pair),
            **asked,
            "stage": self.stage,
            "status": self.status,
        }


def earlier_over(pair: ClusterPair) -> frozenset[str]:
    """The ids of the migrations over the pair that are finished: a later one may update what they brought."""
    return frozenset(str(pk) for pk in pair.migrations.filter(status__in=FINISHED).values_list("pk", flat=True))


def purgeable(pair: ClusterPair, spec: Spec) -> frozenset[tuple[str, str, str]]:
    """The kinds that finished migrations over the pair brought into the spec's namespaces on the destination.

    Each as API version, kind and namespace.
    """
    rows = MigrationResource.objects.filter(
        migration__pair=pair, migration__status__in=FINISHED, namespace__in=spec.destination_namespaces()
    ).exclude(created_uid="")
    found = rows.exclude(kind="PersistentVolumeClaim").values_list("group", "version", "kind", "namespace").distinct()
    return frozenset(
        (f"{group}/{version}" if group else version, kind, namespace) for group, version, kind, namespace in found
    )


class MigrationVolume(models.Model):
    """One claim of the migration, and how far its data has come. Byte counts are of file content, in bytes."""

    migration = models.ForeignKey(Migration, on_delete=models.CASCADE, related_name="volumes")
    namespace = models.CharField(_("namespace"), max_length=63)
    claim = models.CharField(_("claim"), max_length=253)
    volume = models.CharField(_("volume"), max_length=253, blank=True)
    volume_mode = models.CharField(_("volume mode"), max_length=20, default="Filesystem")
    access_modes = models.JSONField(_("access modes"), default=list)
    capacity_bytes = models.PositiveBigIntegerField(_("capacity"), default=0)
    source_class = models.CharField(_("source storage class"), max_length=253, blank=True)
    destination_class = models.CharField(_("destination storage class"), max_length=253, blank=True)
    # Metadata and spec of the source claim as first seen: what the destination claim is made from.
    source_claim = models.JSONField(default=dict, editable=False)

    # By the engine portworx: what `pxctl volume inspect` said when the migration began.
    portworx = models.JSONField(default=dict, blank=True, editable=False)
    # The VolumeSnapshotClass of the snapshot that it is read from; empty where the claim itself is read.
    snapshot_class = models.CharField(_("snapshot class"), max_length=253, blank=True)
    # The Jobs that carry it, which small volumes share; empty until there is room for them.
    push_job = models.CharField(max_length=63, blank=True, editable=False)
    pull_job = models.CharField(max_length=63, blank=True, editable=False)

    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.PENDING)
    reason = SentenceField(_("reason"), blank=True)
    bytes_total = models.PositiveBigIntegerField(_("bytes in all"), null=True, blank=True)
    bytes_pushed = models.PositiveBigIntegerField(_("bytes read and sent"), default=0)
    bytes_pulled = models.PositiveBigIntegerField(_("bytes restored"), default=0)
    bytes_sent = models.PositiveBigIntegerField(_("bytes on the wire"), default=0)
    files_total = models.PositiveBigIntegerField(_("files in all"), null=True, blank=True)
    files_pulled = models.PositiveBigIntegerField(_("files restored"), default=0)
    rate = models.FloatField(_("rate, bytes per second"), null=True, blank=True)
    eta_seconds = models.FloatField(_("seconds to go"), null=True, blank=True)
    # Moment and bytes_pulled of the last look: what the rate is computed from.
    measured_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The run that the push's result is of, as the mover names it; later runs have greater names.
    source_run = models.CharField(max_length=32, blank=True, editable=False)
    source_digest = models.CharField(_("digest of the source"), max_length=128, blank=True)
    destination_digest = models.CharField(_("digest of the destination"), max_length=128, blank=True)
    # What the mover could not keep, as it reports it: [{"what", "count", "example"}].
    unkept = models.JSONField(_("not kept"), default=list, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    paused_seconds = models.FloatField(_("seconds that it was paused"), default=0.0, editable=False)

    class Meta:
        ordering = ["namespace", "claim"]
        constraints = [
            models.UniqueConstraint(fields=["migration", "namespace", "claim"], name="volume_once_per_migration")
        ]
        verbose_name = _("volume")
        verbose_name_plural = _("volumes")

    def __str__(self) -> str:
        return f"{self.namespace}/{self.claim}"

    @property
    def destination_namespace(self) -> str:
        """Where the claim is on the destination."""
        return str(self.migration.namespace_mapping.get(self.namespace, self.namespace))

    def namespace_of(self, direction: str) -> str:
        """The namespace in which the claim is read (`push`) or written (`pull`)."""
        return self.namespace if direction == "push" else self.destination_namespace

    def job_of(self, direction: str) -> str:
        """The name of the Job that reads (`push`) or writes (`pull`) it."""
        return self.push_job if direction == "push" else self.pull_job

    @property
    def percent(self) -> int:
        """How much of the data is restored, 0 to 100; 100 only for a volume that is done."""
        if self.status == Status.SUCCESSFUL:
            return 100
        if not self.bytes_total:
            return 0
        return min(99, int(self.bytes_pulled * 100 / self.bytes_total))


class ResourceManager(models.Manager["MigrationResource"]):
    """Leaves encrypted what objects were before, until a row is asked for it."""

    def get_queryset(self) -> models.QuerySet[MigrationResource]:
        return super().get_queryset().defer("former")


class MigrationResource(models.Model):
    """One Kubernetes object of the migration, and what became of it on the destination."""

    objects = ResourceManager()

    migration = models.ForeignKey(Migration, on_delete=models.CASCADE, related_name="resources")
    order = models.PositiveIntegerField(default=0)
    group = models.CharField(_("group"), max_length=253, blank=True)
    version = models.CharField(_("version"), max_length=63)
    kind = models.CharField(_("kind"), max_length=63)
    namespace = models.CharField(_("namespace"), max_length=63, blank=True)
    name = models.CharField(_("name"), max_length=253)
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.PENDING)
    # created, updated, unchanged, skipped, refused, provisioned or purged; removed or restored after a roll-back;
    # changing or purging while that is being done; empty before the object was looked at.
    action = models.CharField(_("action"), max_length=20, blank=True)
    # The uid that the destination gave to an object which this migration created: what roll-back may remove.
    created_uid = models.CharField(max_length=64, blank=True, editable=False)
    # What was there before it was changed or purged, as `restoring.Former` in JSON: written down before that is done.
    former = EncryptedTextField(blank=True, default="", editable=False)
    reason = SentenceField(_("reason"), blank=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        ordering = ["order", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["migration", "group", "kind", "namespace", "name"], name="resource_once_per_migration"
            )
        ]
        verbose_name = _("resource")
        verbose_name_plural = _("resources")

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


class MigrationEvent(models.Model):
    """One line of the migration's log. `seq` counts from 1 without gaps within the migration."""

    class Type(models.TextChoices):
        NORMAL = "Normal", _("Normal")
        WARNING = "Warning", _("Warning")

    migration = models.ForeignKey(Migration, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField(_("number"))
    at = models.DateTimeField(_("when"), default=timezone.now)
    type = models.CharField(_("type"), max_length=10, choices=Type.choices, default=Type.NORMAL)
    reason = models.CharField(_("reason"), max_length=60)
    source = models.CharField(_("from"), max_length=60, default="kubemotion")
    regarding = models.CharField(_("object"), max_length=350, blank=True)
    message = models.TextField(_("message"))
    # The uid of the Kubernetes event that this line tells of, and how many of its occurrences.
    origin = models.CharField(max_length=64, blank=True, editable=False)
    count = models.PositiveIntegerField(_("count"), default=1)

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["migration", "seq"], name="event_seq_in_migration")]
        indexes = [models.Index(fields=["migration", "origin"], name="event_origin")]
        verbose_name = _("event")
        verbose_name_plural = _("events")

    def __str__(self) -> str:
        return f"{self.seq} {self.type} {self.reason}"


# The models of plans, transformations and verifications are found here, as all models of the app are.
from migrations_app.plans.models import MigrationPlan, PlannedObject, PlanSuggestion  # noqa: E402, F401
from migrations_app.transformations.models import ResourceTransformation  # noqa: E402, F401
from migrations_app.verifications.models import Verification, VolumeVerification  # noqa: E402, F401
