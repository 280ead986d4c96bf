"""Teams and tokens in Django's admin, for platform staff."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from audit.actor import Actor
from audit.record import record
from teams.models import ApiToken, Membership, Team

admin.site.site_header = admin.site.site_title = "Kubemotion"


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ("user",)


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ("name", "created_at")
    search_fields = ("name",)
    inlines = (MembershipInline,)

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        before = Team.objects.get(pk=obj.pk).to_audit() if change else None
        super().save_model(request, obj, form, change)
        if before is None or before != obj.to_audit():
            action = "team.add" if before is None else "team.rename"
            record(Actor.of(request), action, obj, team=obj, before=before, after=obj.to_audit())

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        # Read again: the forms have already written into the formset's own instances.
        memberships = Membership.objects.filter(team=form.instance).select_related("user", "team")
        before = {each.pk: each.to_audit() for each in memberships}
        by = Actor.of(request)
        for gone in formset.deleted_forms:
            if gone.instance.pk in before:
                record(by, "member.remove", gone.instance, before=before[gone.instance.pk])
        super().save_formset(request, form, formset, change)
        for made in formset.new_objects:
            record(by, "member.add", made, after=made.to_audit())
        for changed, _fields in formset.changed_objects:
            record(by, "member.change", changed, before=before.get(changed.pk), after=changed.to_audit())

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        record(Actor.of(request), "team.remove", obj, team=obj, before=obj.to_audit())
        super().delete_model(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One by one only, so that each removal stands in the history."""
        return obj is not None and super().has_delete_permission(request, obj)


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """To see who has tokens, and to revoke them. They are made on the account page, by their owner."""

    list_display = ("name", "user", "hint", "created_at", "last_used_at", "expires_at")
    list_filter = ("created_at", "last_used_at")
    search_fields = ("name", "user__username", "hint")
    list_select_related = ("user",)
    fields = ("name", "user", "hint", "created_at", "last_used_at", "expires_at")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: ApiToken) -> None:
        record(Actor.of(request), "token.revoke", obj, before=obj.to_audit())
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for token in queryset.select_related("user"):
            self.delete_model(request, token)
