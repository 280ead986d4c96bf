"""Migrations in Django's admin: to look, not to change."""

from __future__ import annotations

from django.contrib import admin

from clusters.admin import ReadOnlyAdmin
from migrations_app.models import Migration, MigrationEvent, MigrationResource, MigrationVolume


@admin.register(Migration)
class MigrationAdmin(ReadOnlyAdmin):
    secrets = ("data_key", "idempotency_key", "lease_token")
    list_display = ("name", "team", "pair", "stage", "status", "started_at", "finished_at", "next_look_at")
    list_filter = ("status", "stage", "team", "created_at")
    search_fields = ("name", "id", "pair__name", "reason")
    list_select_related = ("team", "pair")
    date_hierarchy = "created_at"


@admin.register(MigrationVolume)
class MigrationVolumeAdmin(ReadOnlyAdmin):
    list_display = ("claim", "namespace", "migration", "status", "bytes_total", "bytes_pulled")
    list_filter = ("status",)
    search_fields = ("claim", "namespace", "migration__name")
    list_select_related = ("migration",)


@admin.register(MigrationResource)
class MigrationResourceAdmin(ReadOnlyAdmin):
    list_display = ("kind", "namespace", "name", "migration", "status", "action")
    list_filter = ("status", "action", "kind")
    search_fields = ("name", "namespace", "kind", "migration__name")
    list_select_related = ("migration",)


@admin.register(MigrationEvent)
class MigrationEventAdmin(ReadOnlyAdmin):
    list_display = ("seq", "migration", "at", "type", "reason", "regarding", "message")
    list_filter = ("type", "reason", "at")
    search_fields = ("message", "regarding", "migration__name")
    list_select_related = ("migration",)
    show_full_result_count = False
