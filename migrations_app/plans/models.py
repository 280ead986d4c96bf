"""A plan and its objects. The rows hold what was found out, never an object's content."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from clusters.models import ClusterPair
from clusters.translation import SentenceField, TextsField
from migrations_app.leased import Leased
from migrations_app.resources.selection import BY_NAME
from migrations_app.resources.spec import Spec
from migrations_app.resources.suggestions import rule_for
from teams.models import TeamOwned


class PlanStatus(models.TextChoices):
    """How far a plan is."""

    PENDING = "Pending", _("Pending")
    IN_PROGRESS = "InProgress", _("In progress")
    READY = "Ready", _("Ready")
    FAILED = "Failed", _("Failed")


class PlanStep(models.TextChoices):
    """What is being done for a plan that is in progress."""

    CHECKS = "checks", _("Checking both clusters")
    OBJECTS = "objects", _("Trying every object on the destination")


class PlannedAction(models.TextChoices):
    """What would become of an object. All but the last two are what the destination said to a dry run."""

    CREATE = "create", _("create")
    UPDATE = "update", _("update")
    UNCHANGED = "unchanged", _("unchanged")
    SKIP = "skip", _("skip")
    CONFLICT = "conflict", _("conflict")
    REFUSED = "refused", _("refused")
    # The source has it no longer: it is deleted on the destination.
    PURGE = "purge", _("purge")
    LEFT_OUT = "left-out", _("left out")


class MigrationPlan(TeamOwned, Leased):
    """What a migration with this spec would do. Made by somebody, computed by workers, kept for a day unless used."""

    pair = models.ForeignKey(ClusterPair, on_delete=models.CASCADE, related_name="plans", verbose_name=_("pair"))
    # For the migration that is started from it; empty means that one is made up then.
    name = models.CharField(_("name"), max_length=63, blank=True)
    # `resources.spec.Spec` as a dict, the pair's mapping of storage classes included.
    spec = models.JSONField(_("what moves and how"))
    idempotency_key = models.CharField(max_length=100, null=True, blank=True, editable=False)

    status = models.CharField(_("status"), max_length=20, choices=PlanStatus.choices, default=PlanStatus.PENDING)
    step = models.CharField(_("step"), max_length=20, choices=PlanStep.choices, default=PlanStep.CHECKS)
    reason = SentenceField(_("reason"), blank=True)
    objects_total = models.PositiveIntegerField(_("objects in all"), default=0)
    objects_done = models.PositiveIntegerField(_("objects looked at"), default=0)
    # As in `engines.Plan`.
    claims = models.JSONField(_("claims"), default=list, blank=True)
    checks = TextsField(_("checks"), default=list, blank=True)
    # Kind to count: all that is known of objects where another applies them (Stork).
    kinds = models.JSONField(_("objects by kind"), default=dict, blank=True)
    computed_at = models.DateTimeField(_("computed"), null=True, blank=True)
    # The migration that was started from it; it takes the plan along when it goes.
    migration = models.OneToOneField(
        "migrations_app.Migration",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="plan",
        verbose_name=_("migration"),
    )

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["team", "idempotency_key"], name="plan_idempotency_key_in_team"),
        ]
        verbose_name = _("plan")
        verbose_name_plural = _("plans")

    def __str__(self) -> str:
        return self.name or ", ".join(self.spec["namespaces"])

    def get_absolute_url(self) -> str:
        return reverse("plan-detail", args=[self.pk])

    @property
    def is_settled(self) -> bool:
        return self.status in (PlanStatus.READY, PlanStatus.FAILED)

    def asked(self) -> Spec:
        """What moves and how."""
        return Spec.from_dict(self.spec)

    def failing_checks(self) -> list[dict[str, Any]]:
        return [each for each in self.checks if each["status"] == "failure"]

    def to_audit(self) -> dict[str, Any]:
        return {"name": self.name, "pair": str(self.pair), **self.spec}


class PlannedObject(models.Model):
    """One object of the source, and what would become of it. `namespace` is the destination's."""

    plan = models.ForeignKey(MigrationPlan, on_delete=models.CASCADE, related_name="objects_planned")
    order = models.PositiveIntegerField(default=0)
    # As a Selection names kinds: `deployments.apps`, `secrets`.
    resource = models.CharField(_("resource"), max_length=253)
    group = models.CharField(_("group"), max_length=253, blank=True)
    version = models.CharField(_("version"), max_length=63)
    kind = models.CharField(_("kind"), max_length=63)
    source_namespace = models.CharField(_("source namespace"), max_length=63, blank=True)
    namespace = models.CharField(_("namespace"), max_length=63, blank=True)
    name = models.CharField(_("name"), max_length=253)
    # Whether it goes along, by the plan's selection.
    included = models.BooleanField(_("included"), default=True)
    # Empty until the destination was asked.
    action = models.CharField(_("action"), max_length=20, choices=PlannedAction.choices, blank=True)
    reason = SentenceField(_("reason"), blank=True)
    # [{"path", "before", "after"}]; of a Secret's values never more than that they change.
    diff = models.JSONField(_("differences"), default=list, blank=True)
    warnings = TextsField(_("warnings"), default=list, blank=True)
    # What is worth knowing about it, each continuing its name.
    notes = TextsField(_("notes"), default=list, blank=True)
    # [group, kind, namespace, name, optional] of each object of the source that it refers to.
    needs = models.JSONField(default=list, blank=True)
    # [{"key", "needed", "reason", "optional"}] of those that did not go along when the source was read.
    missing = TextsField(_("missing"), default=list, blank=True)

    class Meta:
        ordering = ["order", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "resource", "source_namespace", "name"], name="object_once_per_plan"
            )
        ]
        indexes = [models.Index(fields=["plan", "resource", "action"], name="planned_by_kind_and_action")]
        verbose_name = _("planned object")
        verbose_name_plural = _("planned objects")

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"

    def get_absolute_url(self) -> str:
        return reverse("plan-object", args=[self.plan_id, self.pk])

    @property
    def key(self) -> str:
        """As a Selection names single objects: `plural.group/namespace/name`, of the source."""
        return f"{self.resource}/{self.source_namespace}/{self.name}"

    @property
    def shown_action(self) -> str:
        """What becomes of it as the selection is now; empty where the destination was not asked yet."""
        return self.action if self.included else PlannedAction.LEFT_OUT

    @property
    def shown_reason(self) -> str:
        """Why that becomes of it."""
        return self.reason if self.included or self.action == PlannedAction.LEFT_OUT else BY_NAME

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class SuggestionState(models.TextChoices):
    """What somebody said to a suggestion."""

    OPEN = "open", _("open")
    TAKEN = "taken", _("taken over")
    DISMISSED = "dismissed", _("dismissed")


class PlanSuggestion(models.Model):
    """A text of an object that names a Service of a renamed namespace, and what it would become.

    Of a Secret's values neither is held (see `resources.suggestions`). What was dismissed or taken over stays so when
    the plan is computed again, unless the text has changed on the source.
    """

    plan = models.ForeignKey(MigrationPlan, on_delete=models.CASCADE, related_name="suggestions")
    order = models.PositiveIntegerField(default=0)
    resource = models.CharField(_("resource"), max_length=253)
    group = models.CharField(_("group"), max_length=253, blank=True)
    kind = models.CharField(_("kind"), max_length=63)
    source_namespace = models.CharField(_("source namespace"), max_length=63, blank=True)
    name = models.CharField(_("name"), max_length=253)
    # A JSON pointer.
    path = models.TextField(_("path"))
    # What the path points to, where its numbers alone would say little.
    about = models.TextField(_("what it is"), blank=True)
    before = models.TextField(_("text now"))
    after = models.TextField(_("text proposed"))
    # No rule may touch it: a person has to.
    by_hand = models.BooleanField(_("to be changed by hand"), default=False)
    state = models.CharField(_("state"), max_length=20, choices=SuggestionState.choices, default=SuggestionState.OPEN)

    class Meta:
        ordering = ["order", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "resource", "source_namespace", "name", "path"], name="suggestion_once_per_plan"
            )
        ]
        indexes = [models.Index(fields=["plan", "state", "order"], name="suggestions_by_state")]
        verbose_name = _("suggestion")
        verbose_name_plural = _("suggestions")

    def __str__(self) -> str:
        return f"{self.kind} {self.source_namespace + '/' if self.source_namespace else ''}{self.name}: {self.path}"

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Which text of the plan it is about."""
        return self.resource, self.source_namespace, self.name, self.path

    @property
    def rule(self) -> dict[str, Any]:
        """The user rule that changes the text."""
        return rule_for((self.group, self.kind, self.source_namespace, self.name), self.path, self.before, self.after)

    def to_audit(self) -> dict[str, Any]:
        return {"object": str(self), "before": self.before, "after": self.after}
