"""The form of a new migration, and the filters of the list."""

from __future__ import annotations

import uuid
from typing import Any

import django_filters
from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from clusters import class_mapping
from clusters.models import ClusterPair, Engine
from migrations_app.choices import belongs_to_the_cluster
from migrations_app.models import DNS_LABEL, Migration, Status
from migrations_app.spec_form import SpecForm


class MigrationForm(SpecForm):
    """What moves and how. `namespaces` are those of the pair's source; None when they could not be listed."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        required=False,
        validators=[DNS_LABEL],
        help_text=_("Empty: one is made from the first namespace."),
    )
    include_volumes = forms.BooleanField(label=_("Volumes with their data"), required=False, initial=True)
    include_resources = forms.BooleanField(label=_("Kubernetes objects"), required=False, initial=True)
    start_applications = forms.BooleanField(
        label=_("Start the applications"),
        required=False,
        initial=True,
        help_text=_("Otherwise workloads arrive with zero replicas, and the count is kept in an annotation."),
    )
    idempotency_key = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, pair: ClusterPair, namespaces: list[str] | None, **kwargs: Any) -> None:
        super().__init__(*args, pair=pair, **kwargs)
        self.pair = pair
        self.fields["idempotency_key"].initial = str(uuid.uuid4())
        if namespaces is None:
            self.fields["namespaces"] = forms.CharField(
                label=_("Namespaces"), help_text=_("Separated by spaces: the source could not be asked.")
            )
        else:
            choices = sorted(name for name in namespaces if not belongs_to_the_cluster(name))
            self.fields["namespaces"] = forms.MultipleChoiceField(
                label=_("Namespaces"),
                choices=[(name, name) for name in choices],
                widget=forms.CheckboxSelectMultiple,
                error_messages={"required": _("Choose at least one namespace.")},
            )
        mapping = {**pair.storage_class_mapping, **self.initial.get("storage_class_mapping", {})}
        # Stork takes classes along under their names.
        takes_classes = pair.engine != Engine.PORTWORX
        self.class_fields = class_mapping.fields(pair.source, pair.destination, mapping) if takes_classes else {}
        self.fields.update(self.class_fields)

    def class_mapping_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.class_fields]

    def clean_namespaces(self) -> list[str]:
        given = self.cleaned_data["namespaces"]
        return given if isinstance(given, list) else given.replace(",", " ").split()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not (cleaned.get("include_volumes") or cleaned.get("include_resources")):
            raise forms.ValidationError(_("Choose volumes, objects or both: otherwise nothing would move."))
        if not self.class_fields:
            return {**cleaned, "storage_class_mapping": {}}
        mapping = class_mapping.mapping_of(cleaned)
        # Only what differs from the pair: a later change of the pair's mapping should not be hidden by a copy of it.
        cleaned["storage_class_mapping"] = {
            name: mapping.get(name, name)
            for name in mapping.keys() | self.pair.storage_class_mapping.keys()
            if mapping.get(name, name) != self.pair.storage_class_mapping.get(name, name)
        }
        return cleaned

    def cleaned_data_for_start(self) -> dict[str, Any]:
        """The arguments that `services.start` and `plans.services.make` take, beside team, pair and actor."""
        names = ("name", "namespaces", "include_volumes", "include_resources", "start_applications")
        given = {name: self.cleaned_data[name] for name in (*names, "storage_class_mapping")}
        return {**self.options(), **given, "idempotency_key": self.cleaned_data["idempotency_key"] or None}

    def choices(self) -> dict[str, Any]:
        """The arguments that `services.plan` takes, beside the pair: the namespaces and further fields of a Spec."""
        given = self.cleaned_data_for_start()
        return {name: value for name, value in given.items() if name not in ("name", "idempotency_key")}

    def renew_key(self) -> None:
        """After a refusal: what is sent next is another request, not a repetition of this one."""
        assert isinstance(self.data, QueryDict)
        data = self.data.copy()
        data["idempotency_key"] = str(uuid.uuid4())
        self.data = data


class MigrationFilter(django_filters.FilterSet):
    """Filters of the list of migrations."""

    name = django_filters.CharFilter(label=_("Name"), lookup_expr="icontains")
    status = django_filters.ChoiceFilter(label=_("Status"), choices=Status.choices, empty_label=_("any"))
    pair = django_filters.ModelChoiceFilter(label=_("Pair"), queryset=ClusterPair.objects.none(), empty_label=_("any"))
    ordering = django_filters.OrderingFilter(
        fields=("name", "status", "stage", "created_at", "started_at", "team__name")
    )

    class Meta:
        model = Migration
        fields = ["name", "status", "pair"]

    def __init__(self, *args: Any, pairs: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters["pair"].queryset = pairs
