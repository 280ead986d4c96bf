"""Pages of clusters, object stores and pairs: the same six for each, described by a `Noun`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.actor import Actor
from clusters import cluster_services, pair_services, pairing_views, store_services
from clusters.cluster_forms import ClusterForm
from clusters.filters import ClusterFilter, ObjectStoreFilter, PairFilter
from clusters.models import Cluster, ClusterPair, ObjectStore
from clusters.pair_forms import PairForm
from clusters.store_forms import ObjectStoreForm
from teams import access
from teams.access import Action
from teams.forms import add_refusal
from teams.refusals import Refusal

ROWS_PER_PAGE = 50


@dataclass(frozen=True)
class Noun:
    """What is particular about one of the three: its rows (without secrets), form, filters and services."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    form: type[Any]
    filters: type[Any]
    template: str
    add: Callable[..., Any]
    update: Callable[..., Any]
    check: Callable[..., Any]
    remove: Callable[..., None]
    used_by: Callable[[Any], QuerySet[Any]]
    more: Callable[[Any], dict[str, Any]] = lambda _found: {}


CLUSTER = Noun(
    name="cluster",
    rows=lambda: Cluster.objects.select_related("team").defer("kubeconfig"),
    form=ClusterForm,
    filters=ClusterFilter,
    template="clusters/cluster",
    add=cluster_services.add,
    update=cluster_services.update,
    check=cluster_services.check,
    remove=cluster_services.remove,
    used_by=lambda cluster: ClusterPair.objects.filter(Q(source=cluster) | Q(destination=cluster)),
)
OBJECT_STORE = Noun(
    name="object-store",
    rows=lambda: ObjectStore.objects.select_related("team").defer("access_key_id", "secret_access_key"),
    form=ObjectStoreForm,
    filters=ObjectStoreFilter,
    template="clusters/object_store",
    add=store_services.add,
    update=store_services.update,
    check=store_services.check,
    remove=store_services.remove,
    used_by=lambda store: ClusterPair.objects.filter(object_store=store),
)
PAIR = Noun(
    name="pair",
    rows=pairing_views.rows,
    form=PairForm,
    filters=PairFilter,
    template="clusters/pair",
    add=pair_services.add,
    update=pair_services.update,
    check=pair_services.check,
    remove=pair_services.remove,
    used_by=lambda pair: ClusterPair.objects.none(),
    more=pairing_views.shown,
)


@require_GET
def listed(request: HttpRequest, noun: Noun) -> HttpResponse:
    found = noun.filters(request.GET, queryset=access.visible(noun.rows(), request.user))
    page = Paginator(found.qs, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, f"{noun.template}_list.html", {"filter": found, "page": page, "noun": noun})


@require_http_methods(["GET", "POST"])
def add(request: HttpRequest, noun: Noun) -> HttpResponse:
    access.require_somewhere(request.user, Action.ADMINISTER)
    teams = access.teams_for(request.user, Action.ADMINISTER)
    if request.method == "GET":
        return _form(request, noun, noun.form(teams=teams, initial=request.GET.dict()))
    form = noun.form(request.POST, request.FILES, teams=teams)
    if form.is_valid():
        try:
            made = noun.add(form.cleaned_data["team"], **form.values(), by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, _("%(name)s is added.") % {"name": made})
            return redirect(made)
    return _form(request, noun, form)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, noun: Noun, pk: uuid.UUID) -> HttpResponse:
    found = access.get(noun.rows(), request.user, pk, Action.ADMINISTER)
    teams = access.teams_for(request.user, Action.ADMINISTER)
    if request.method == "GET":
        return _form(request, noun, noun.form(teams=teams, instance=found, initial=request.GET.dict()))
    form = noun.form(request.POST, request.FILES, teams=teams, instance=found)
    if form.is_valid():
        try:
            noun.update(found, **form.values(), by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, _("%(name)s is changed.") % {"name": found})
            return redirect(found)
    return _form(request, noun, form)


def _form(request: HttpRequest, noun: Noun, form: Any) -> HttpResponse:
    context = {"form": form, "noun": noun, "object": form.instance}
    return render(request, f"{noun.template}_form.html", context, status=422 if form.errors else 200)


@require_GET
def detail(request: HttpRequest, noun: Noun, pk: uuid.UUID) -> HttpResponse:
    found = access.get(noun.rows(), request.user, pk)
    context = {
        "object": found,
        "noun": noun,
        "pairs": noun.used_by(found).select_related("source", "destination"),
        "may_check": access.may(request.user, Action.OPERATE, found.team),
        "may_change": access.may(request.user, Action.ADMINISTER, found.team),
        **noun.more(found),
    }
    return render(request, f"{noun.template}_detail.html", context)


@require_POST
def check(request: HttpRequest, noun: Noun, pk: uuid.UUID) -> HttpResponse:
    found = access.get(noun.rows(), request.user, pk, Action.OPERATE)
    try:
        noun.check(found, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(found)


@require_http_methods(["GET", "POST"])
def remove(request: HttpRequest, noun: Noun, pk: uuid.UUID) -> HttpResponse:
    found = access.get(noun.rows(), request.user, pk, Action.ADMINISTER)
    if request.method == "GET":
        frame = "ui/dialog.html" if request.headers.get("HX-Request") else "ui/question.html"
        context = {"object": found, "noun": noun, "frame": frame, "pairs": noun.used_by(found), **noun.more(found)}
        return render(request, "clusters/remove.html", context)
    name = str(found)
    try:
        noun.remove(found, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(found)
    messages.success(request, _("%(name)s is removed.") % {"name": name})
    return redirect(f"{noun.name}-list")


def addresses(noun: Noun, prefix: str) -> list[URLPattern]:
    """The six addresses of one noun, below `prefix`."""
    given = {"noun": noun}
    return [
        path(prefix, listed, given, name=f"{noun.name}-list"),
        path(f"{prefix}add/", add, given, name=f"{noun.name}-add"),
        path(f"{prefix}<uuid:pk>/", detail, given, name=f"{noun.name}-detail"),
        path(f"{prefix}<uuid:pk>/edit/", edit, given, name=f"{noun.name}-edit"),
        path(f"{prefix}<uuid:pk>/check/", check, given, name=f"{noun.name}-check"),
        path(f"{prefix}<uuid:pk>/remove/", remove, given, name=f"{noun.name}-remove"),
    ]
