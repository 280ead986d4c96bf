"""The Portworx part of a pair's page: its steps, what is asked of it, and its ClusterPair."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.actor import Actor
from clusters.models import ClusterPair, Engine, PairingJob
from clusters.pairing import documents, jobs
from teams import access
from teams.access import Action
from teams.refusals import Refusal


def rows() -> QuerySet[ClusterPair]:
    """All pairs with what belongs to them, without secrets."""
    return ClusterPair.objects.select_related("team", "source", "destination", "object_store", "portworx").defer(
        "source__kubeconfig",
        "destination__kubeconfig",
        "object_store__access_key_id",
        "object_store__secret_access_key",
    )


def shown(pair: ClusterPair) -> dict[str, Any]:
    """What the page of a pair says of its Portworx part; nothing for other engines."""
    pairing = getattr(pair, "portworx", None)
    if pairing is None or pair.engine != Engine.PORTWORX:
        return {}
    return {"pairing": pairing, "steps": documents.steps_of(pairing), "by_hand": documents.by_hand_of(pairing)}


@require_GET
def progress(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = access.get(rows(), request.user, pk)
    return render(request, "clusters/pairing_progress.html", {"object": pair, **shown(pair)})


@require_GET
def document(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = access.get(rows(), request.user, pk)
    try:
        text = documents.masked_document(jobs.pairing_of(pair))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(pair)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_POST
def set_up(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = access.get(rows(), request.user, pk, Action.ADMINISTER)
    return _ask(request, pair, PairingJob.SET_UP, replace_credentials="replace_credentials" in request.POST)


@require_POST
def validate(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    return _ask(request, access.get(rows(), request.user, pk, Action.OPERATE), PairingJob.VALIDATE)


@require_http_methods(["GET", "POST"])
def take_down(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = access.get(rows(), request.user, pk, Action.ADMINISTER)
    if request.method == "GET":
        frame = "ui/dialog.html" if request.headers.get("HX-Request") else "ui/question.html"
        return render(request, "clusters/pairing_take_down.html", {"object": pair, "frame": frame, **shown(pair)})
    chosen = {name: name in request.POST for name in ("credentials", "forget")}
    return _ask(request, pair, PairingJob.TEAR_DOWN, **chosen)


def _ask(request: HttpRequest, pair: ClusterPair, job: PairingJob, **chosen: bool) -> HttpResponse:
    try:
        jobs.request(pair, job, by=Actor.of(request), **chosen)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("It has begun. The steps show how far it is."))
    return redirect(pair)


urlpatterns: list[URLPattern] = [
    path("pairs/<uuid:pk>/progress/", progress, name="pair-progress"),
    path("pairs/<uuid:pk>/document/", document, name="pair-document"),
    path("pairs/<uuid:pk>/set-up/", set_up, name="pair-set-up"),
    path("pairs/<uuid:pk>/validate/", validate, name="pair-validate"),
    path("pairs/<uuid:pk>/take-down/", take_down, name="pair-take-down"),
]
