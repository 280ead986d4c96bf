"""Pages of a Migration as text, and of Migrations that can be imported."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods

from audit.actor import Actor
from clusters.models import ClusterPair
from migrations_app.models import Migration
from migrations_app.stork import importing
from migrations_app.stork.texts import texts_of
from teams import access
from teams.access import Action
from teams.refusals import Refusal


@require_GET
def texts(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Both texts as a page, or as a fragment where scripts ask for one."""
    rows = Migration.objects.select_related("team", "pair__source", "pair__destination", "pair__portworx")
    migration = access.get(rows, request.user, pk)
    context: dict[str, Any] = {"migration": migration}
    try:
        context["texts"] = texts_of(migration)
    except Refusal as refusal:
        context["trouble"] = str(refusal)
    in_page = bool(request.headers.get("HX-Request"))
    return render(request, f"migrations_app/stork/{'texts' if in_page else 'texts_page'}.html", context)


@require_http_methods(["GET", "POST"])
def import_(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Choose among the pair's Migrations that others made; they are followed from then on."""
    pairs = ClusterPair.objects.select_related("team", "source", "destination", "portworx")
    pair = access.get(pairs, request.user, pk, Action.OPERATE)
    try:
        if request.method == "POST":
            made = importing.import_(pair, request.POST.getlist("uid"), by=Actor.of(request))
            if len(made) == 1:
                return redirect(made[0])
            text = ngettext("%(count)s migration is followed now.", "%(count)s migrations are followed now.", len(made))
            messages.success(request, text % {"count": len(made)})
            return redirect("migration-list")
        context: dict[str, Any] = {"pair": pair, "found": importing.found(pair)}
    except Refusal as refusal:
        if request.method == "POST":
            messages.error(request, str(refusal))
            return redirect(pair)
        context = {"pair": pair, "found": [], "trouble": str(refusal) or _("The source could not be asked.")}
    return render(request, "migrations_app/stork/import.html", context)
