"""Filters of the history; page, export and API share them."""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.utils.translation import gettext_lazy as _

from audit.models import Entry


class EntryFilter(django_filters.FilterSet):
    """By person, action, object, team and time."""

    actor = django_filters.CharFilter(label=_("Who"), field_name="actor_name", lookup_expr="icontains")
    action = django_filters.CharFilter(label=_("Action"), lookup_expr="istartswith")
    object = django_filters.CharFilter(label=_("Object"), field_name="object_name", lookup_expr="icontains")
    team = django_filters.CharFilter(label=_("Team"), field_name="team_name", lookup_expr="icontains")
    since = django_filters.DateFilter(
        label=_("From day"), field_name="at", lookup_expr="date__gte", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = django_filters.DateFilter(
        label=_("To day"), field_name="at", lookup_expr="date__lte", widget=forms.DateInput(attrs={"type": "date"})
    )

    class Meta:
        model = Entry
        fields: list[Any] = []
