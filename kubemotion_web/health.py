"""Health for load balancers: `/livez` says that the process answers, `/readyz` that what it needs answers too."""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _schema() -> str:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return "ok" if not missing else f"{len(missing)} database migrations are not applied; run manage.py migrate"


def _broker() -> str:
    if settings.EMBEDDED:
        return "ok"
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()
    return "ok"


READINESS: dict[str, Callable[[], str]] = {"database": _database, "schema": _schema, "broker": _broker}


@login_not_required
def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    answers: dict[str, str] = {}
    for name, check in READINESS.items():
        try:
            answers[name] = check()
        except Exception as error:  # whatever a broken dependency raises is the answer; its text may hold its address
            answers[name] = f"failing ({type(error).__name__})"
    ready = all(answer == "ok" for answer in answers.values())
    return JsonResponse({"status": "ok" if ready else "failing", "checks": answers}, status=200 if ready else 503)
