"""Pages of migrations: dashboard, list, new, live page, events, cancel and remove."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, Count, Q, When
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.actor import Actor
from audit.reading import readable
from clusters import services as cluster_services
from clusters.models import Checked, Cluster, ClusterPair, Health, ObjectStore
from migrations_app import asked, by_hand, events, live, resource_list, services, way_back
from migrations_app.engines import Plan
from migrations_app.forms import MigrationFilter, MigrationForm
from migrations_app.models import FINISHED, Migration, Status
from migrations_app.plans import services as plans
from migrations_app.plans.models import MigrationPlan
from migrations_app.summary import summary_of
from migrations_app.verifications import services as verifications
from teams import access
from teams.access import Action
from teams.forms import add_refusal
from teams.refusals import Refusal

ROWS_PER_PAGE = 50
# Events that the live page shows at once; earlier ones are on their own page.
EVENTS_ON_PAGE = 200
EVENTS_PER_PAGE = 1000


def _migrations() -> Any:
    """Migrations with what pages show of them, and without what would be decrypted for nothing."""
    return Migration.objects.select_related(
        "team",
        "pair__source",
        "pair__destination",
        "pair__object_store",
        "pair__portworx",
        "created_by",
        "verification",
    ).defer(
        "data_key",
        "verification__key",
        "pair__source__kubeconfig",
        "pair__destination__kubeconfig",
        "pair__object_store__access_key_id",
        "pair__object_store__secret_access_key",
    )


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    """What is running, how clusters and stores are, what was done last, and the first steps where nothing is yet."""
    migrations = access.visible(_migrations(), request.user)
    clusters = access.visible(Cluster.objects.defer("kubeconfig"), request.user)
    stores = access.visible(ObjectStore.objects.defer("access_key_id", "secret_access_key"), request.user)
    pairs = access.visible(ClusterPair.objects.all(), request.user)
    counts = migrations.aggregate(
        running=Count("pk", filter=~Q(status__in=FINISHED)),
        successful=Count("pk", filter=Q(status=Status.SUCCESSFUL)),
        failed=Count("pk", filter=Q(status__in=[Status.FAILED, Status.PARTIAL_SUCCESS])),
        total=Count("pk"),
    )
    checked: list[Checked] = [*clusters, *stores]
    has_pair = pairs.exists()
    context = {
        "migrations": migrations.order_by(Case(When(status__in=FINISHED, then=1), default=0), "-created_at")[:10],
        "counts": counts,
        "latest_entries": readable(request.user)[:6],
        "checked": checked,
        "troubled": sum(each.health in {Health.WARNING, Health.FAILING} for each in checked),
        "steps": {
            "cluster": len(clusters) >= 2,
            "store": bool(stores),
            "pair": has_pair,
            "migration": bool(counts["total"]),
        },
    }
    return render(request, "migrations_app/dashboard.html", context)


@require_GET
def migration_list(request: HttpRequest) -> HttpResponse:
    migrations = access.visible(_migrations(), request.user)
    found = MigrationFilter(
        request.GET, queryset=migrations, pairs=access.visible(ClusterPair.objects.all(), request.user)
    )
    page = Paginator(found.qs, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "migrations_app/migration_list.html", {"filter": found, "page": page})


@require_GET
def migration_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    migration = access.get(_migrations(), request.user, pk)
    shown = list(migration.events.order_by("-seq")[:EVENTS_ON_PAGE])[::-1]
    totals = summary_of(migration)
    context = {
        "migration": migration,
        "totals": totals,
        "verification": live.last_verification(migration),
        "volumes": migration.volumes.all(),
        **_resources(request, migration, totals["resources_total"]),
        "events": shown,
        "has_earlier": bool(shown) and shown[0].seq > 1,
        "chosen": asked.in_words(migration.pair, migration.spec()),
        "commands": by_hand.commands(migration),
        "plan": MigrationPlan.objects.filter(migration=migration).only("pk", "spec", "name").first(),
        "may_operate_here": access.may(request.user, Action.OPERATE, migration.team),
    }
    return render(request, "migrations_app/migration_detail.html", context)


def _resources(request: HttpRequest, migration: Migration, total: int) -> dict[str, Any]:
    """All objects of a migration that has few, else its kinds; `?resource=` opens one of them."""
    context: dict[str, Any] = {"statuses": Status.choices, "is_whole": resource_list.is_whole(total)}
    context["most_whole"] = resource_list.WHOLE
    if context["is_whole"]:
        return {**context, "resources": migration.resources.all()}
    filters = resource_list.Filters.of(request.GET)
    context |= {"filters": filters, "kinds": resource_list.kinds(migration, filters)}
    if resource := request.GET.get("resource", ""):
        rows = resource_list.page(migration, filters, resource, request.GET.get("page"))
        context |= {"open": resource, "rows": rows}
    return context


@require_GET
def migration_resources(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The fragment with the objects of a migration; `?resource=` the rows of one kind, `?moved=1` the kinds' counts."""
    migration = access.get(_migrations(), request.user, pk)
    if not request.headers.get("HX-Request"):
        return redirect(f"{migration.get_absolute_url()}?{request.GET.urlencode()}#resources")
    filters = resource_list.Filters.of(request.GET)
    context: dict[str, Any] = {"migration": migration, "filters": filters}
    if resource := request.GET.get("resource", ""):
        context["kind"] = next(iter(resource_list.kinds(migration, filters, resource)), None)
        context["rows"] = resource_list.page(migration, filters, resource, request.GET.get("page"))
        return render(request, "migrations_app/resources/rows.html", context)
    if "moved" in request.GET:
        context["kinds"] = resource_list.kinds(migration, filters)
        return render(request, "migrations_app/resources/moved.html", context)
    context |= _resources(request, migration, migration.resources.count())
    return render(request, "migrations_app/resources/card.html", context)


@require_GET
def migration_events(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """All events; `?fold=1` counts equal ones together, as `kubectl describe` does."""
    migration = access.get(_migrations(), request.user, pk)
    if fold := request.GET.get("fold") == "1":
        rows: Any = events.folded(events.since(migration, 0))
    else:
        rows = events.since(migration, 0)
    page = Paginator(rows, EVENTS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "migrations_app/migration_events.html", {"migration": migration, "page": page, "fold": fold})


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
    migration = access.visible(_migrations(), request.user).filter(pk=wanted).first()
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
        "standing_out": [check for check in plan.checks if check["status"] != "pass"],
        "passes": [check for check in plan.checks if check["status"] == "pass"],
        "blocked": any(check["status"] == "failure" for check in plan.checks),
    }


@require_http_methods(["GET", "POST"])
def migration_cancel(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Say what cancelling will do, then do it."""
    migration = access.get(_migrations(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        return _confirm(request, "migrations_app/migration_cancel.html", {"migration": migration})
    try:
        services.cancel(migration, remove=request.POST.get("remove") == "on", by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(migration)


@require_http_methods(["GET", "POST"])
def migration_roll_back(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Say exactly what a roll-back will do, then do it."""
    migration = access.get(_migrations(), request.user, pk, Action.OPERATE)
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
    migration = access.get(_migrations(), request.user, pk, Action.OPERATE)
    if request.method == "GET":
        return _confirm(request, "migrations_app/migration_verify.html", {"migration": migration})
    ask = verifications.stop if request.POST.get("action") == "stop" else verifications.verify
    try:
        ask(migration, by=Actor.of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect(migration)


@require_http_methods(["GET", "POST"])
def migration_remove(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    migration = access.get(_migrations(), request.user, pk, Action.OPERATE)
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
