"""Pages that show migrations: dashboard, list, live page, its objects and events."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Case, Count, Q, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from audit.reading import readable
from clusters.models import Checked, Cluster, ClusterPair, Health, ObjectStore
from migrations_app import asked, by_hand, events, live, resource_list
from migrations_app.forms import MigrationFilter
from migrations_app.models import FINISHED, Migration, Status
from migrations_app.plans.models import MigrationPlan
from migrations_app.shown import shown_migrations
from migrations_app.summary import summary_of
from teams import access
from teams.access import Action

ROWS_PER_PAGE = 50
# Events that the live page shows at once; earlier ones are on their own page.
EVENTS_ON_PAGE = 200
EVENTS_PER_PAGE = 200


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    """What is running, how clusters and stores are, what was done last, and the first steps where nothing is yet."""
    migrations = access.visible(shown_migrations(), request.user)
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
    migrations = access.visible(shown_migrations(), request.user)
    found = MigrationFilter(
        request.GET, queryset=migrations, pairs=access.visible(ClusterPair.objects.all(), request.user)
    )
    page = Paginator(found.qs, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "migrations_app/migration_list.html", {"filter": found, "page": page})


@require_GET
def migration_detail(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    migration = access.get(shown_migrations(), request.user, pk)
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
    migration = access.get(shown_migrations(), request.user, pk)
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
    migration = access.get(shown_migrations(), request.user, pk)
    if fold := request.GET.get("fold") == "1":
        rows: Any = events.folded(events.since(migration, 0))
    else:
        rows = events.since(migration, 0)
    page = Paginator(rows, EVENTS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "migrations_app/migration_events.html", {"migration": migration, "page": page, "fold": fold})
