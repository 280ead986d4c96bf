"""Addresses of clusters, object stores and pairs."""

from __future__ import annotations

from django.urls import URLPattern

from clusters import pairing_views, storage_views
from clusters.views import CLUSTER, OBJECT_STORE, PAIR, addresses

urlpatterns: list[URLPattern] = [
    *addresses(CLUSTER, "clusters/"),
    *addresses(OBJECT_STORE, "object-stores/"),
    *addresses(PAIR, "pairs/"),
    *pairing_views.urlpatterns,
    *storage_views.urlpatterns,
]
