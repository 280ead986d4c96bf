"""The Portworx part of a pair's page: its steps, what is asked of it, and its ClusterPair."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.actor import Actor
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PairingJob
from clusters.pairing import documents, importing, jobs
from clusters.portworx.following import Cause
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
    others = any(step.get("cause") == Cause.OTHERS for step in pairing.steps)
    return {
        "pairing": pairing,
        "can_take_over": pairing.made_by_others or others,
        "steps": documents.steps_of(pairing),
        "by_hand": documents.by_hand_of(pairing),
        "removal": documents.removal_of(pairing),
    }


@require_GET
def progress(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = access.get(rows(), request.user, pk)
    context = {
        "object": pair,
        "may_check": access.may(request.user, Action.OPERATE, pair.team),
        "may_change": access.may(request.user, Action.ADMINISTER, pair.team),
        "is_fragment": True,
        **shown(pair),
    }
    return render(request, "clusters/pairing_progress.html", context)


@require_GET
def document(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = access.get(rows(), request.user, pk)
    try:
        text = documents.masked_document(jobs.pairing_of(pair))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(pair)
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_GET
def whole(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The ClusterPair with its secrets, as a file that nothing on the way keeps."""
    pair = access.get(rows(), request.user, pk, Action.ADMINISTER)
    try:
        text = documents.whole_document(jobs.pairing_of(pair), by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(pair)
    answer = HttpResponse(text, content_type="application/yaml; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="clusterpair-{pair.stork_name}.yaml"'
    answer["Cache-Control"] = "no-store"
    return answer


@require_http_methods(["GET", "POST"])
def import_(request: HttpRequest) -> HttpResponse:
    """ClusterPairs that others made: choose a cluster, then which of its ClusterPairs becomes a pair here."""
    access.require_somewhere(request.user, Action.ADMINISTER)
    teams = access.teams_for(request.user, Action.ADMINISTER)
    clusters = Cluster.objects.filter(team__in=teams).select_related("team")
    chosen = (request.POST or request.GET).get("cluster", "")
    context: dict[str, Any] = {"clusters": [each for each in clusters.defer("kubeconfig") if each.has_stork]}
    if not chosen:
        return render(request, "clusters/pair_import.html", context)
    cluster = access.get(clusters, request.user, _id(chosen), Action.ADMINISTER)
    others = clusters.filter(team=cluster.team).exclude(pk=cluster.pk).defer("kubeconfig")
    stores = ObjectStore.objects.filter(team=cluster.team).defer("access_key_id", "secret_access_key")
    context |= {"cluster": cluster, "others": others, "stores": stores}
    try:
        if request.method == "POST":
            return redirect(
                importing.import_(
                    cluster,
                    request.POST.get("uid", ""),
                    name=request.POST.get("name", ""),
                    destination=access.get(others, request.user, _id(request.POST.get("destination", ""))),
                    object_store=access.get(stores, request.user, _id(request.POST.get("object_store", ""))),
                    by=Actor.of(request),
                )
            )
    except Refusal as refusal:
        context["refused"] = (
            str(refusal) + " " + " ".join(str(said) for each in refusal.errors.values() for said in each)
        )
    try:
        context["found"] = [(each, importing.suggested_name(each)) for each in importing.found_on(cluster)]
    except Refusal as refusal:
        context["trouble"] = str(refusal)
    status = 422 if "refused" in context else 200
    return render(request, "clusters/pair_import.html", context, status=status)


def _id(text: str) -> uuid.UUID:
    """Raises Http404 for what is no id."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Http404 from None


@require_POST
def set_up(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    pair = access.get(rows(), request.user, pk, Action.ADMINISTER)
    chosen = {name: name in request.POST for name in ("replace_credentials", "take_over")}
    return _ask(request, pair, PairingJob.SET_UP, **chosen)


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
    return _ask(request, pair, PairingJob.TEAR_DOWN, named=request.POST.get("named", "").strip(), **chosen)


def _ask(request: HttpRequest, pair: ClusterPair, job: PairingJob, **chosen: bool | str) -> HttpResponse:
    try:
        jobs.request(pair, job, by=Actor.of(request), **chosen)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("It has begun. The steps show how far it is."))
    return redirect(pair)


urlpatterns: list[URLPattern] = [
    path("pairs/import/", import_, name="pair-import"),
    path("pairs/<uuid:pk>/document/whole/", whole, name="pair-document-whole"),
    path("pairs/<uuid:pk>/progress/", progress, name="pair-progress"),
    path("pairs/<uuid:pk>/document/", document, name="pair-document"),
    path("pairs/<uuid:pk>/set-up/", set_up, name="pair-set-up"),
    path("pairs/<uuid:pk>/validate/", validate, name="pair-validate"),
    path("pairs/<uuid:pk>/take-down/", take_down, name="pair-take-down"),
]
