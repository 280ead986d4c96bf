"""Pages that ask before something is done to a migration, and then do it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from audit.actor import Actor
from migrations_app import services, way_back
from migrations_app.pauses import services as pauses
from migrations_app.pauses.fields import MOST_REASON
from migrations_app.shown import shown_migrations
from migrations_app.verifications import services as verifications
from migrations_app.verifications.holding import foreseen
from teams import access
from teams.access import Action
from teams.refusals import Refusal


@require_http_methods(["GET", "POST"])
def migration_cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Say what cancelling will do, then do it."""
    migration = access.get(shown_migrations(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        return _confirm(request, "migrations_app/migration_cancel.html", {"migration": migration})
    try:
        services.cancel(migration, remove=request.POST.get("remove") == "on", by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(migration)


@require_http_methods(["GET", "POST"])
def migration_pause(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Say what stands still and what does not, then pause."""
    return _pause_or_resume(request, pk, pauses.pause, "migrations_app/migration_pause.html")


@require_http_methods(["GET", "POST"])
def migration_resume(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Say how it goes on, then resume."""
    return _pause_or_resume(request, pk, pauses.resume, "migrations_app/migration_resume.html")


def _pause_or_resume(request: HttpRequest, pk: uuid.UUID, ask: Callable[..., Any], template: str) -> HttpResponse:
    migration = access.get(shown_migrations(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        context = {"migration": migration, "trouble": pauses.why_never(migration.pair), "most": MOST_REASON}
        return _confirm(request, template, context)
    try:
        ask(migration, reason=request.POST.get("reason", ""), by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(migration)


@require_http_methods(["GET", "POST"])
def migration_roll_back(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Say exactly what a roll-back will do, then do it."""
    migration = access.get(shown_migrations(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        context: dict[str, Any] = {"migration": migration}
        try:
            context["foreseen"] = way_back.summed_up(services.foresee_roll_back(migration))
        except Refusal as refusal:
            context["trouble"] = str(refusal)
        return _confirm(request, "migrations_app/migration_roll_back.html", context)
    try:
        services.roll_back(migration, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(migration)


@require_http_methods(["GET", "POST"])
def migration_verify(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Say what a verification does, then ask for it; while one is under way, ask whether to stop it, then do that."""
    migration = access.get(shown_migrations(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        context = {"migration": migration, "foreseen": [] if migration.is_verifying else foreseen(migration)}
        return _confirm(request, "migrations_app/migration_verify.html", context)
    ask = verifications.stop if request.POST.get("action") == "stop" else verifications.verify
    try:
        ask(migration, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(migration)


@require_http_methods(["GET", "POST"])
def migration_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    migration = access.get(shown_migrations(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        return _confirm(request, "migrations_app/migration_remove.html", {"migration": migration})
    try:
        services.remove(migration, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(migration)
    messages.success(request, _("The migration %(name)s is removed from the list.") % {"name": migration.name})
    return redirect("migration-list")


def _confirm(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """A question as a page of its own, or as the content of a dialog where scripts ask for that."""
    in_dialog = bool(request.headers.get("HX-Request"))
    context["frame"] = "ui/dialog.html" if in_dialog else "ui/question.html"
    return render(request, template, context)
