"""What a migration goes through."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from clusters.encryption import EncryptedTextField
from clusters.models.checked import Checked
from teams.models import TeamOwned


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
