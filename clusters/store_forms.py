"""The form of an object store: each provider has fields of its own."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clusters.form_parts import REDRAWS, UNCHANGED, NameAndTeam, SecretText, SecretTextarea, begin_with
from clusters.models import ObjectStore, Provider

# Each provider has fields of its own, fetched as for a pair. Keys stay in the browser: an address is written into logs.
REDRAWS_PROVIDER = {
    **{key: value for key, value in REDRAWS.items() if key != "hx-select-oob"},
    "hx-params": "not csrfmiddlewaretoken,access_key_id,secret_access_key,ca_bundle",
    "hx-target": "#store-fields",
    "hx-select": "#store-fields",
}
SECRETS = ("access_key_id", "secret_access_key")
# What only some providers have, and how the others call what all have.
ONLY_S3 = ("endpoint", "region", "prefix", "path_style", "access_key_id", "ca_bundle", "sts_role_arn", "sts_endpoint")
LABELS: dict[str, dict[str, Any]] = {
    Provider.AZURE: {
        "account": _("Storage account"),
        "bucket": _("Container"),
        "secret_access_key": _("Account key"),
    },
    Provider.GOOGLE: {"account": _("Project id"), "secret_access_key": _("JSON key of a service account")},
}


class ObjectStoreForm(NameAndTeam):
    provider = forms.ChoiceField(
        label=_("Provider"),
        choices=Provider.choices,
        initial=Provider.S3,
        required=False,
        help_text=_("The native engine needs S3. Portworx takes all three."),
    )
    account = forms.CharField(label=_("Account"), max_length=200)
    endpoint = forms.CharField(
        label=_("Endpoint"),
        max_length=300,
        required=False,
        help_text=_("For example https://s3.example.com; empty for Amazon S3."),
    )
    region = forms.CharField(label=_("Region"), max_length=60, initial="us-east-1")
    bucket = forms.CharField(label=_("Bucket"), max_length=63)
    prefix = forms.CharField(  # type: ignore[assignment]  # fields are taken out of the class before it is made
        label=_("Prefix"),
        max_length=200,
        required=False,
        initial="kubemotion",
        help_text=_("All objects are kept below it."),
    )
    path_style = forms.BooleanField(
        label=_("Path-style addressing"),
        required=False,
        initial=True,
        help_text=_("Most stores other than Amazon S3 need it."),
    )
    access_key_id = forms.CharField(
        label=_("Access key id"), required=False, widget=SecretText(attrs={"autocomplete": "off"})
    )
    secret_access_key = forms.CharField(
        label=_("Secret access key"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    ca_bundle = forms.CharField(
        label=_("CA bundle"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "kmw-mono"}),
        help_text=_("PEM, where the certificate is not publicly trusted."),
    )
    sts_role_arn = forms.CharField(
        label=_("Role for movers"),
        max_length=300,
        required=False,
        help_text=_(
            "ARN of a role that the key pair may assume, so that movers get temporary keys. Amazon S3 needs it."
        ),
    )
    sts_endpoint = forms.CharField(
        label=_("STS endpoint"),
        max_length=300,
        required=False,
        help_text=_("Where temporary keys are asked for; empty for the endpoint itself, and for Amazon's own."),
    )

    def __init__(self, *args: Any, instance: ObjectStore | None = None, **kwargs: Any) -> None:
        shown = (
            "name",
            "provider",
            "account",
            "endpoint",
            "region",
            "bucket",
            "prefix",
            "path_style",
            "ca_bundle",
            "sts_role_arn",
            "sts_endpoint",
        )
        begin_with(kwargs, instance, shown)
        super().__init__(*args, instance=instance, **kwargs)
        for secret in SECRETS:
            self.fields[secret].required = instance is None
            if instance is not None:
                self.fields[secret].help_text = UNCHANGED
        self._suit_provider()

    def _suit_provider(self) -> None:
        """Each provider has fields of its own; a store stays with the one that it was added with."""
        given = self.data.get("provider") or self.initial.get("provider")
        provider = self.instance.provider if self.instance is not None else given
        if self.instance is not None:
            del self.fields["provider"]
        else:
            self.fields["provider"].widget.attrs.update(REDRAWS_PROVIDER)
        if provider not in LABELS:
            del self.fields["account"]
            return
        for name in ONLY_S3:
            del self.fields[name]
        for name, label in LABELS[provider].items():
            self.fields[name].label = label
        self.order_fields(["team", "name", "provider", "account"])
        if provider == Provider.GOOGLE:
            self.fields["secret_access_key"].widget = SecretTextarea(
                attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off", "class": "kmw-mono"}
            )

    def values(self) -> dict[str, Any]:
        """On editing, a secret that was left empty stays as it is."""
        kept = SECRETS if self.instance is not None else ()
        given = {key: value for key, value in super().values().items() if not (key in kept and not value)}
        return {key: value for key, value in given.items() if key != "provider" or value}
