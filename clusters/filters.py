"""How lists of clusters, object stores and pairs are narrowed down and ordered."""

from __future__ import annotations

import django_filters
from django.utils.translation import gettext_lazy as _

from clusters.models import Cluster, ClusterPair, Health, ObjectStore


def _health() -> django_filters.ChoiceFilter:
    return django_filters.ChoiceFilter(label=_("Health"), choices=Health.choices, empty_label=_("any"))


def _name() -> django_filters.CharFilter:
    return django_filters.CharFilter(label=_("Name"), lookup_expr="icontains")


class ClusterFilter(django_filters.FilterSet):
    name = _name()
    health = _health()
    ordering = django_filters.OrderingFilter(fields=("name", "health", "version", "team__name", "checked_at"))

    class Meta:
        model = Cluster
        fields = ["name", "health"]


class ObjectStoreFilter(django_filters.FilterSet):
    name = _name()
    health = _health()
    ordering = django_filters.OrderingFilter(fields=("name", "health", "bucket", "team__name", "checked_at"))

    class Meta:
        model = ObjectStore
        fields = ["name", "health"]


class PairFilter(django_filters.FilterSet):
    name = _name()
    health = _health()
    ordering = django_filters.OrderingFilter(
        fields=("name", "health", "source__name", "destination__name", "team__name", "checked_at")
    )

    class Meta:
        model = ClusterPair
        fields = ["name", "health"]
