"""Pages of plans: list, one plan with its tree of kinds, one object, and what is done with them."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.actor import Actor
from migrations_app import asked
from migrations_app.engines import ForeseesObjects, engine_for
from migrations_app.plans import contents, export, reading, services, standing_out, suggesting
from migrations_app.plans.models import MigrationPlan, PlannedObject, SuggestionState
from migrations_app.plans.reading import Filters
from teams import access
from teams.access import Action
from teams.refusals import Refusal

PLANS_PER_PAGE = 50
# Of what would be missing, and of the objects that refer to one thing; the API has them all.
LACKS_SHOWN = 20
# The others are on their own page.
SUGGESTIONS_SHOWN = 5


def _plans() -> Any:
    """Plans with what pages show of them, and without what would be decrypted for nothing."""
    return MigrationPlan.objects.select_related(
        "team", "pair__source", "pair__destination", "created_by", "migration"
    ).defer("pair__source__kubeconfig", "pair__destination__kubeconfig", "migration__data_key")


@require_GET
def plan_list(request: HttpRequest) -> HttpResponse:
    plans = access.visible(_plans(), request.user).defer("claims", "checks")
    page = Paginator(plans, PLANS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "migrations_app/plans/plan_list.html", {"page": page})


@require_GET
def plan_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The plan; `?resource=` shows the rows of one kind as well, for whoever has no scripts or comes back."""
    plan = access.get(_plans(), request.user, pk)
    filters = Filters.of(request.GET)
    context = {
        **_head(request, plan),
        "filters": filters,
        "actions": [(each.value, each.label) for each in reading.SHOWN_FIRST],
        "foresees": isinstance(engine_for(plan.pair), ForeseesObjects),
        "kinds": reading.kinds(plan, filters),
        "caveats": reading.caveats(plan),
        "namespaces": reading.namespaces(plan),
        "verdicts": {"pass": 0, "warning": 0, "failure": 0} | Counter(each["status"] for each in plan.checks),
        "groups": standing_out.groups(plan.checks, request.GET.get("checks", "")),
        "passes": [each for each in plan.checks if each["status"] == "pass"],
        "bytes": sum(each["capacity_bytes"] for each in plan.claims),
        "chosen": asked.in_words(plan.pair, plan.asked()),
    }
    if plan.spec["namespace_mapping"]:
        context["suggested"] = suggesting.counts(plan)
        context["suggestions"] = suggesting.shown(plan, SuggestionState.OPEN)[:SUGGESTIONS_SHOWN]
    if resource := request.GET.get("resource", ""):
        context |= {"open": resource, "rows": _rows(request, plan, filters, resource)}
    return render(request, "migrations_app/plans/plan_detail.html", context)


def _head(request: HttpRequest, plan: MigrationPlan) -> dict[str, Any]:
    """What changes when somebody chooses: counts, what would be missing, whether it can be migrated."""
    lacks = reading.lacking(plan)
    return {
        "plan": plan,
        "counts": reading.counts(plan),
        "lacks": lacks[:LACKS_SHOWN],
        "more_lacks": max(0, len(lacks) - LACKS_SHOWN),
        "obstacles": services.obstacles(plan),
        "may_operate_here": access.may(request.user, Action.OPERATE, plan.team),
        "may_administer_here": access.may(request.user, Action.ADMINISTER, plan.team),
    }


def _rows(request: HttpRequest, plan: MigrationPlan, filters: Filters, resource: str) -> Any:
    given = request.POST if request.method == "POST" else request.GET
    return Paginator(reading.rows(plan, filters, resource), reading.ROWS_PER_PAGE).get_page(given.get("page"))


@require_GET
def plan_progress(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The fragment that shows how far the plan is; the whole page again once it is made."""
    plan = access.get(_plans(), request.user, pk)
    response = render(request, "migrations_app/plans/progress.html", {"plan": plan})
    if plan.is_settled:
        response["HX-Refresh"] = "true"
    return response


@require_GET
def plan_kind(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The fragment with the rows of one kind."""
    plan = access.get(_plans(), request.user, pk)
    filters = Filters.of(request.GET)
    resource = request.GET.get("resource", "")
    if not request.headers.get("HX-Request"):
        return redirect(f"{plan.get_absolute_url()}?{request.GET.urlencode()}")
    context = {
        "plan": plan,
        "filters": filters,
        "kind": next(iter(reading.kinds(plan, filters, resource)), None),
        "rows": _rows(request, plan, filters, resource),
        "may_operate_here": access.may(request.user, Action.OPERATE, plan.team),
    }
    return render(request, "migrations_app/plans/rows.html", context)


@require_POST
def plan_choose(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Let a kind as a `whole` go along or not; or of the rows that were `shown` those that are `included`."""
    plan = access.get(_plans(), request.user, pk, Action.OPERATE)
    given = request.POST
    resource = given.get("resource", "")
    by = Actor.of(request)
    try:
        if "whole" in given:
            plan = services.choose(plan, kinds=[resource], included=given["whole"] == "1", by=by)
        else:
            plan = _choose_rows(plan, given, by)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return _back(request, plan, given)
    if not request.headers.get("HX-Request") or not plan.is_settled:
        return _back(request, plan, given)
    plan = access.get(_plans(), request.user, pk)
    filters = Filters.of(given)
    context = {
        **_head(request, plan),
        "filters": filters,
        "kind": next(iter(reading.kinds(plan, filters, resource)), None),
        "oob": True,
    }
    if "shown" in given:
        context |= {"open": resource, "rows": _rows(request, plan, filters, resource)}
    return render(request, "migrations_app/plans/chosen.html", context)


def _choose_rows(plan: MigrationPlan, given: QueryDict, by: Actor) -> MigrationPlan:
    shown = {int(each) for each in given.getlist("shown") if each.isascii() and each.isdigit()}
    wanted = {int(each) for each in given.getlist("included") if each.isascii() and each.isdigit()} & shown
    present = dict(plan.objects_planned.filter(pk__in=shown).values_list("pk", "included"))
    for included in (False, True):
        changed = [pk for pk, was in present.items() if was is not included and (pk in wanted) is included]
        if changed:
            plan = services.choose(plan, objects=changed, included=included, by=by)
    return plan


def _back(request: HttpRequest, plan: MigrationPlan, given: QueryDict) -> HttpResponse:
    """The page again, with the same filter and the same kind open."""
    kept = {name: given.get(name, "") for name in ("q", "action", "namespace", "resource", "page")}
    to = f"{plan.get_absolute_url()}?{urlencode({name: value for name, value in kept.items() if value})}"
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": to})
    return HttpResponseRedirect(to)


def _object(request: HttpRequest, pk: uuid.UUID, row: int, action: Action) -> PlannedObject:
    plan = access.get(_plans(), request.user, pk, action)
    found = get_object_or_404(plan.objects_planned, pk=row)
    found.plan = plan
    return found


@require_GET
def plan_object(request: HttpRequest, pk: uuid.UUID, row: int) -> HttpResponse:
    """What would become of one object, field by field."""
    found = _object(request, pk, row, Action.VIEW)
    context = {
        "row": found,
        "plan": found.plan,
        "lacks": reading.lacking(found.plan, of=[found.pk]) if found.included else [],
        "may_operate_here": access.may(request.user, Action.OPERATE, found.plan.team),
    }
    return _framed(request, "migrations_app/plans/object.html", context)


@require_GET
def plan_object_yaml(request: HttpRequest, pk: uuid.UUID, row: int) -> HttpResponse:
    """The object itself, asked of both clusters now."""
    found = _object(request, pk, row, Action.OPERATE)
    context: dict[str, Any] = {"row": found, "plan": found.plan}
    try:
        context["texts"] = contents.texts(found)
    except Refusal as refusal:
        context["trouble"] = str(refusal)
    return _framed(request, "migrations_app/plans/object_yaml.html", context)


def _framed(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    in_dialog = bool(request.headers.get("HX-Request"))
    context["frame"] = "ui/dialog.html" if in_dialog else "migrations_app/plans/object_page.html"
    return render(request, template, context)


@require_GET
def plan_check_rest(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The fragment with what the plan's page shows of one check only when asked: `?code=` and `?status=`."""
    plan = access.get(_plans(), request.user, pk)
    code, status = request.GET.get("code", ""), request.GET.get("status", "")
    if not request.headers.get("HX-Request"):
        return redirect(f"{plan.get_absolute_url()}?{urlencode({'checks': code})}#checks")
    return render(
        request, "migrations_app/plans/check_rest.html", {"rest": standing_out.rest_of(plan.checks, code, status)}
    )


@require_GET
def plan_checks(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The preflight as a JSON file."""
    plan = access.get(_plans(), request.user, pk)
    response = JsonResponse(services.checks_document(plan), json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="preflight-{plan.pk}.json"'
    return response


@require_GET
def plan_export(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The plan as a folder of YAML files; `?secrets=1` with Secrets, for admins of the team."""
    secrets = request.GET.get("secrets") == "1"
    plan = access.get(_plans(), request.user, pk, Action.ADMINISTER if secrets else Action.OPERATE)
    try:
        file = export.archive(plan, secrets=secrets, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(plan)
    return FileResponse(
        file, as_attachment=True, filename=f"{export.folder_name(plan)}.tar.gz", content_type="application/gzip"
    )


@require_POST
def plan_look_again(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    plan = access.get(_plans(), request.user, pk, Action.OPERATE)
    try:
        services.look_again(plan, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(plan)


@require_POST
def plan_migrate(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    plan = access.get(_plans(), request.user, pk, Action.OPERATE)
    try:
        return redirect(services.migrate(plan, name=request.POST.get("name", "").strip(), by=Actor.of(request)))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(plan)


@require_http_methods(["GET", "POST"])
def plan_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    plan = access.get(_plans(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        frame = "ui/dialog.html" if request.headers.get("HX-Request") else "ui/question.html"
        return render(request, "migrations_app/plans/plan_remove.html", {"plan": plan, "frame": frame})
    try:
        services.remove(plan, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect(plan)
    messages.success(request, _("The plan %(name)s is removed.") % {"name": plan})
    return redirect(reverse("plan-list"))
