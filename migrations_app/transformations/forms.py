"""Forms and filters of transformations."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.utils.translation import gettext_lazy as _

from migrations_app.models import DNS_LABEL
from migrations_app.transformations.models import ResourceTransformation
from teams.forms import TeamChoice


class TransformationForm(forms.Form):
    """Name, description and rules. `instance` is what is edited; the team is chosen once."""

    name = forms.CharField(label=_("Name"), max_length=63, validators=[DNS_LABEL])
    description = forms.CharField(label=_("Description"), max_length=200, required=False)
    source = forms.CharField(
        label=_("Rules"),
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": 18, "wrap": "off", "spellcheck": "false", "autocomplete": "off", "class": "kmw-mono"}
        ),
        help_text=_(
            "YAML or JSON: a list of rules, Velero's resource modifiers (the ConfigMap or what is in it), or Stork's "
            "ResourceTransformation. Do not write passwords here: rules are kept as text."
        ),
    )

    def __init__(self, *args: Any, teams: Any, instance: ResourceTransformation | None = None, **kwargs: Any) -> None:
        if instance is not None:
            kept = {name: getattr(instance, name) for name in ("name", "description", "source")}
            kwargs["initial"] = {**kept, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        self.instance = instance
        if instance is None:
            self.fields["team"] = TeamChoice(teams)
            self.order_fields(["team"])

    def values(self) -> dict[str, Any]:
        """The arguments for the service, without the team."""
        return {key: value for key, value in self.cleaned_data.items() if key != "team"}


class TransformationFilter(django_filters.FilterSet):
    """Filters of the list."""

    name = django_filters.CharFilter(label=_("Name"), lookup_expr="icontains")
    ordering = django_filters.OrderingFilter(fields=("name", "changed_at", "team__name"))

    class Meta:
        model = ResourceTransformation
        fields = ["name"]
