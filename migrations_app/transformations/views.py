"""Pages of transformations: list, one with its rules, the editor with what the rules do to a real object."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.actor import Actor
from clusters.models import Cluster
from migrations_app.transformations import services
from migrations_app.transformations.forms import TransformationFilter, TransformationForm
from migrations_app.transformations.models import ResourceTransformation
from migrations_app.transformations.preview import choices, preview
from teams import access
from teams.access import Action
from teams.forms import add_refusal
from teams.refusals import Refusal

ROWS_PER_PAGE = 50


def _rows() -> Any:
    return ResourceTransformation.objects.select_related("team", "created_by")


def _clusters(request: HttpRequest) -> Any:
    """The clusters whose objects may be looked at to try rules on."""
    operable = access.teams_for(request.user, Action.OPERATE)
    return Cluster.objects.filter(team__in=operable).select_related("team").order_by("name")


@require_GET
def transformation_list(request: HttpRequest) -> HttpResponse:
    found = TransformationFilter(request.GET, queryset=access.visible(_rows(), request.user))
    page = Paginator(found.qs, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "migrations_app/transformations/transformation_list.html", {"filter": found, "page": page})


@require_GET
def transformation_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    row = access.get(_rows(), request.user, pk)
    context = {"object": row, "may_change": access.may(request.user, Action.OPERATE, row.team)}
    return render(request, "migrations_app/transformations/transformation_detail.html", context)


@require_http_methods(["GET", "POST"])
def transformation_add(request: HttpRequest) -> HttpResponse:
    access.require_somewhere(request.user, Action.OPERATE)
    teams = access.teams_for(request.user, Action.OPERATE)
    if request.method == "GET":
        return _form(request, TransformationForm(teams=teams, initial=request.GET.dict()))
    form = TransformationForm(request.POST, teams=teams)
    if form.is_valid():
        try:
            made = services.add(form.cleaned_data["team"], **form.values(), by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, _("%(name)s is added.") % {"name": made})
            return redirect(made)
    return _form(request, form)


@require_http_methods(["GET", "POST"])
def transformation_edit(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    row = access.get(_rows(), request.user, pk, Action.OPERATE)
    teams = access.teams_for(request.user, Action.OPERATE)
    if request.method == "GET":
        return _form(request, TransformationForm(teams=teams, instance=row))
    form = TransformationForm(request.POST, teams=teams, instance=row)
    if form.is_valid():
        try:
            services.update(row, **form.values(), by=Actor.of(request))
        except Refusal as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, _("%(name)s is changed.") % {"name": row})
            return redirect(row)
    return _form(request, form)


def _form(request: HttpRequest, form: TransformationForm) -> HttpResponse:
    context = {"form": form, "object": form.instance, "clusters": _clusters(request)}
    return render(
        request, "migrations_app/transformations/transformation_form.html", context, status=422 if form.errors else 200
    )


@require_POST
def transformation_preview(request: HttpRequest) -> HttpResponse:
    """The fragment to pick an object of a cluster by, with what the rules in the form do to it."""
    access.require_somewhere(request.user, Action.OPERATE)
    given = {name: request.POST.get(name, "") for name in ("cluster", "namespace", "resource", "object")}
    context: dict[str, Any] = {"clusters": _clusters(request), "picked": given}
    try:
        if given["cluster"]:
            cluster = access.get(Cluster.objects.select_related("team"), request.user, given["cluster"], Action.OPERATE)
            found = context["choices"] = choices(cluster, given["namespace"], given["resource"])
            if given["object"] in found.names:
                context["preview"] = preview(
                    cluster,
                    request.POST.get("source", ""),
                    resource=given["resource"],
                    namespace=given["namespace"],
                    name=given["object"],
                )
    except Refusal as refusal:
        context["refusal"] = str(refusal)
    return render(request, "migrations_app/transformations/preview.html", context)


@require_http_methods(["GET", "POST"])
def transformation_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    row = access.get(_rows(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        frame = "ui/dialog.html" if request.headers.get("HX-Request") else "ui/question.html"
        return render(
            request, "migrations_app/transformations/transformation_remove.html", {"object": row, "frame": frame}
        )
    name = str(row)
    services.remove(row, by=Actor.of(request))
    messages.success(request, _("%(name)s is removed.") % {"name": name})
    return redirect("transformation-list")
