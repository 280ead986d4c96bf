"""Pages where a migration is chosen, seen beforehand and started."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audit.actor import Actor
from clusters import cluster_services
from clusters.models import ClusterPair
from migrations_app import services
from migrations_app.engines import Plan
from migrations_app.forms import MigrationForm
from migrations_app.plans import services as plans
from migrations_app.plans import standing_out
from migrations_app.plans.models import MigrationPlan
from migrations_app.shown import shown_migrations
from teams import access
from teams.access import Action
from teams.forms import add_refusal
from teams.refusals import Refusal


def _pairs_to_migrate_over(request: HttpRequest) -> Any:
    access.require_somewhere(request.user, Action.OPERATE)
    return ClusterPair.objects.filter(team__in=access.teams_for(request.user, Action.OPERATE)).select_related(
        "team", "source", "destination", "object_store"
    )


def _chosen_pair(request: HttpRequest, pairs: Any, given: str | None) -> ClusterPair | None:
    try:
        wanted = uuid.UUID(given or "")
    except ValueError:
        return pairs.first()
    return get_object_or_404(pairs, pk=wanted)


def _namespaces(pair: ClusterPair) -> tuple[list[str] | None, str]:
    """The namespaces of the pair's source; None and the reason where it cannot be asked now."""
    try:
        return cluster_services.namespaces_of(pair.source), ""
    except Refusal as error:
        return None, str(error)


def _like(request: HttpRequest) -> tuple[str | None, dict[str, Any]]:
    """The pair and the initial values of a form that begins with what an earlier migration or plan was asked for."""
    try:
        wanted = uuid.UUID(request.GET.get("like", ""))
    except ValueError:
        return None, {}
    migration = access.visible(shown_migrations(), request.user).filter(pk=wanted).first()
    if migration is not None:
        return str(migration.pair_id), MigrationForm.initial_of(migration.spec())
    plan = get_object_or_404(access.visible(MigrationPlan.objects.select_related("pair"), request.user), pk=wanted)
    return str(plan.pair_id), {**MigrationForm.initial_of(plan.asked()), "name": plan.name}


@require_http_methods(["GET", "POST"])
def migration_new(request: HttpRequest) -> HttpResponse:
    """Choose what moves, see what would happen, start it.

    `?like=` begins with what an earlier migration or plan was asked for. Posting with `action=plan` only shows (without
    scripts), with `action=plan-objects` it makes a plan.
    """
    pairs = _pairs_to_migrate_over(request)
    pair_given, initial = _like(request)
    pair = _chosen_pair(request, pairs, (request.POST or request.GET).get("pair") or pair_given)
    if pair is None:
        return render(request, "migrations_app/migration_new.html", {"pairs": []})
    namespaces, trouble = _namespaces(pair)
    context: dict[str, Any] = {"pairs": pairs, "pair": pair, "trouble": trouble}
    if request.method == "GET":
        if given := request.GET.getlist("namespaces"):
            initial["namespaces"] = given
        context["form"] = MigrationForm(pair=pair, namespaces=namespaces, initial=initial)
        return render(request, "migrations_app/migration_new.html", context)
    form = MigrationForm(request.POST, pair=pair, namespaces=namespaces)
    context["form"] = form
    if form.is_valid():
        if request.POST.get("action") == "plan":
            context.update(_plan(pair, form))
            return render(request, "migrations_app/migration_new.html", context)
        begin: Any = plans.make if request.POST.get("action") == "plan-objects" else services.start
        try:
            return redirect(begin(pair.team, pair=pair, **form.cleaned_data_for_start(), by=Actor.of(request)))
        except Refusal as refusal:
            add_refusal(form, refusal)
            form.renew_key()
    return render(request, "migrations_app/migration_new.html", context, status=422)


@require_POST
def migration_plan(request: HttpRequest) -> HttpResponse:
    """The fragment of the form that shows what would move."""
    pair = _chosen_pair(request, _pairs_to_migrate_over(request), request.POST.get("pair"))
    if pair is None:
        return redirect("migration-new")
    namespaces, _trouble = _namespaces(pair)
    form = MigrationForm(request.POST, pair=pair, namespaces=namespaces)
    context = _plan(pair, form) if form.is_valid() else {"plan_trouble": _first_error(form)}
    return render(request, "migrations_app/plan.html", context)


@require_POST
def migration_checks(request: HttpRequest) -> HttpResponse:
    """The preflight of what the form says, as a JSON file."""
    pair = _chosen_pair(request, _pairs_to_migrate_over(request), request.POST.get("pair"))
    if pair is None:
        return redirect("migration-new")
    namespaces, trouble = _namespaces(pair)
    form = MigrationForm(request.POST, pair=pair, namespaces=namespaces)
    context: dict[str, Any] = _plan(pair, form) if form.is_valid() else {"plan_trouble": _first_error(form)}
    plan = context.get("plan")
    if not isinstance(plan, Plan):
        context |= {"pairs": _pairs_to_migrate_over(request), "pair": pair, "trouble": trouble, "form": form}
        return render(request, "migrations_app/migration_new.html", context, status=422)
    response = JsonResponse(services.checks_document(pair, plan), json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="preflight-{pair.name}.json"'
    return response


def _first_error(form: MigrationForm) -> str:
    return next(str(message) for messages_ in form.errors.values() for message in messages_)


def _plan(pair: ClusterPair, form: MigrationForm) -> dict[str, Any]:
    given = form.cleaned_data
    try:
        plan: Plan = services.plan(pair, **form.choices())
    except Refusal as error:
        return {"plan_trouble": str(error)}
    claims = plan.claims if given["include_volumes"] else []
    return {
        "plan": plan,
        "claims": claims,
        "objects": sorted(plan.objects.items()) if given["include_resources"] else [],
        "object_count": sum(plan.objects.values()),
        "bytes": sum(claim["capacity_bytes"] for claim in claims),
        "verdicts": {"pass": 0, "warning": 0, "failure": 0} | Counter(check["status"] for check in plan.checks),
        "groups": standing_out.groups(plan.checks),
        "passes": [check for check in plan.checks if check["status"] == "pass"],
        "blocked": any(check["status"] == "failure" for check in plan.checks),
    }
