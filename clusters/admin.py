"""Clusters, object stores and pairs in the administration: to look, not to change. Secrets are not even fields."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from clusters.models import Cluster, ClusterPair, ObjectStore


class ReadOnlyAdmin(admin.ModelAdmin):
    """Changes go through the pages and the API, where services check them and write them into the history."""

    secrets: tuple[str, ...] = ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [each.name for each in self.model._meta.fields if each.name not in self.secrets]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer(*self.secrets)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Cluster)
class ClusterAdmin(ReadOnlyAdmin):
    secrets = ("kubeconfig",)
    list_display = ("name", "team", "server", "version", "distribution", "health", "checked_at")
    list_filter = ("health", "distribution", "team")
    search_fields = ("name", "server", "description")
    list_select_related = ("team",)


@admin.register(ObjectStore)
class ObjectStoreAdmin(ReadOnlyAdmin):
    secrets = ("access_key_id", "secret_access_key")
    list_display = ("name", "team", "endpoint", "bucket", "prefix", "health", "checked_at")
    list_filter = ("health", "team")
    search_fields = ("name", "endpoint", "bucket")
    list_select_related = ("team",)


@admin.register(ClusterPair)
class ClusterPairAdmin(ReadOnlyAdmin):
    list_display = ("name", "team", "source", "destination", "object_store", "engine", "health")
    list_filter = ("health", "engine", "team")
    search_fields = ("name", "source__name", "destination__name")
    list_select_related = ("team", "source", "destination", "object_store")
