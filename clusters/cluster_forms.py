"""The form of a cluster."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clusters.form_parts import UNCHANGED, NameAndTeam, SecretTextarea, begin_with
from clusters.models import Cluster

MOST_KUBECONFIG_BYTES = 256 * 1024


class ClusterForm(NameAndTeam):
    description = forms.CharField(label=_("Description"), max_length=200, required=False)
    kubeconfig = forms.CharField(
        label=_("Kubeconfig"),
        required=False,
        strip=False,
        widget=SecretTextarea(attrs={"rows": 10, "spellcheck": "false", "autocomplete": "off", "class": "kmw-mono"}),
        help_text=_("Its current context is used. Token or client certificate; nothing that runs a program."),
    )
    kubeconfig_file = forms.FileField(
        label=_("or a kubeconfig file"),
        required=False,
        widget=forms.ClearableFileInput(attrs={"data-fills": "id_kubeconfig"}),
    )

    def __init__(self, *args: Any, instance: Cluster | None = None, **kwargs: Any) -> None:
        begin_with(kwargs, instance, ("name", "description"))
        super().__init__(*args, instance=instance, **kwargs)
        if instance is not None:
            self.fields["kubeconfig"].help_text = UNCHANGED

    def clean_kubeconfig_file(self) -> Any:
        file = self.cleaned_data["kubeconfig_file"]
        if file and file.size > MOST_KUBECONFIG_BYTES:
            raise forms.ValidationError(_("This file is larger than 256 KiB; a kubeconfig is not."))
        return file

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        file = cleaned.pop("kubeconfig_file", None)
        if file and not cleaned.get("kubeconfig", "").strip():
            try:
                cleaned["kubeconfig"] = file.read().decode()
            except UnicodeDecodeError:
                self.add_error("kubeconfig_file", _("This file is not text."))
        if self.instance is None and not cleaned.get("kubeconfig", "").strip() and not self.errors:
            self.add_error("kubeconfig", _("Paste a kubeconfig, or choose a file."))
        return cleaned

    def values(self) -> dict[str, Any]:
        given = super().values()
        if self.instance is not None and not given["kubeconfig"].strip():
            del given["kubeconfig"]
        return given
