"""A worker, a web server and nothing else in one process: plans, migrates, answers, and says what each took.

`python -m benchmarks.support.working JSON`, with KUBEMOTION_STATE_DIR set. The last line printed is the result.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kubemotion_web.settings")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from audit.actor import Actor  # noqa: E402
from clusters import cluster_services, pair_services, store_services  # noqa: E402
from clusters.models import ClusterPair  # noqa: E402
from migrations_app import live, reconcile  # noqa: E402
from migrations_app.models import Migration  # noqa: E402
from migrations_app.plans import compute  # noqa: E402
from migrations_app.plans import services as plans  # noqa: E402
from migrations_app.plans.models import MigrationPlan  # noqa: E402
from teams.models import Membership, Role, Team  # noqa: E402

Result = dict[str, Any]
PERSON, PASSWORD = "bench", "a-password-for-one-run"
TIMES = 5
# Two Ingresses of one cluster do not share a host.
HOSTS = {"example.com": "example.org"}


@contextmanager
def questions() -> Iterator[Counter[str]]:
    """How many questions the database is asked meanwhile."""
    asked: Counter[str] = Counter()

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        asked["queries"] += 1
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        yield asked


@contextmanager
def pushes() -> Iterator[list[tuple[float, int]]]:
    """Moment and size of every message that goes to the channel layer meanwhile."""
    sent: list[tuple[float, int]] = []
    send = live._send

    def noting(group: str, message: Any) -> None:
        sent.append((time.monotonic(), len(message["html"])))
        send(group, message)

    live._send = noting
    try:
        yield sent
    finally:
        live._send = send


def made(given: Result) -> tuple[ClusterPair, Actor]:
    """A person, a team, both clusters, the store and the pair, as somebody would enter them."""
    user = get_user_model().objects.create_user(PERSON, password=PASSWORD)
    team = Team.objects.create(name="Benchmark")
    Membership.objects.create(team=team, user=user, role=Role.ADMIN)
    by = Actor(user=user, address="127.0.0.1")
    ends: Result = {
        side: cluster_services.add(team, name=name, kubeconfig=Path(given["kubeconfigs"][name]).read_text(), by=by)
        for side, name in (("source", "dev"), ("destination", "prod"))
    }
    store = store_services.add(team, name="store", path_style=True, by=by, **given["store"])
    return pair_services.add(team, name="dev-to-prod", object_store=store, by=by, **ends), by


def planned(pair: ClusterPair, by: Actor, namespace: str) -> tuple[MigrationPlan, Result]:
    began = time.monotonic()
    with questions() as asked:
        plan = plans.make(pair.team, pair=pair, namespaces=[namespace], by=by)
        looks = 0
        while not plan.is_settled:
            compute.look(plan.pk)
            looks += 1
            plan.refresh_from_db()
    seconds = time.monotonic() - began
    told = {"seconds": round(seconds, 2), "objects": plan.objects_done, "looks": looks, **asked}
    return plan, {**told, "objects_per_s": round(plan.objects_done / seconds, 1)}


def migrated(plan: MigrationPlan, by: Actor) -> tuple[Migration, Result]:
    began = time.monotonic()
    with questions() as asked, pushes() as sent:
        migration = plans.migrate(plan, by=by)
        looks = 0
        while not (migration.is_finished and migration.cleaned_up):
            if migration.next_look_at and migration.next_look_at <= timezone.now():
                reconcile.reconcile(migration.pk)
                looks += 1
            else:
                time.sleep(0.02)
            migration.refresh_from_db()
    seconds = time.monotonic() - began
    in_a_second = Counter(int(at - began) for at, _size in sent)
    objects = migration.resources.count()
    return migration, {
        "status": migration.status,
        "seconds": round(seconds, 2),
        "objects": objects,
        "objects_per_s": round(objects / seconds, 1),
        "looks": looks,
        "events": migration.last_event_seq,
        **asked,
        "pushes": len(sent),
        "pushes_in_busiest_second": max(in_a_second.values(), default=0),
        "pushed_kib": round(sum(size for _at, size in sent) / 1024, 1),
        "largest_push_kib": round(max((size for _at, size in sent), default=0) / 1024, 1),
    }


def answered(plan: MigrationPlan, migration: Migration) -> dict[str, Result]:
    """What pages and API lists take: the median of some, without what only the first one pays."""
    client = Client(HTTP_HOST="localhost")
    client.force_login(get_user_model().objects.get(username=PERSON))
    at, to, api = f"/plans/{plan.pk}/", f"/migrations/{migration.pk}/", "/api/v1"
    htmx = {"HTTP_HX_REQUEST": "true"}
    asked: dict[str, tuple[str, Result]] = {
        "plan": (at, {}),
        "plan, filtered": (f"{at}?q=config-3", {}),
        "plan, one kind": (f"{at}kind/?resource=configmaps", htmx),
        "plan, last page of a kind": (f"{at}kind/?resource=configmaps&page=14", htmx),
        "plan, one object": (plan.objects_planned.filter(resource="deployments.apps")[0].get_absolute_url(), {}),
        "migration": (to, {}),
        "migration, filtered": (f"{to}?q=config-3", {}),
        "migration, one kind": (f"{to}resources/?resource=ConfigMap", htmx),
        "migration, counts": (f"{to}resources/?moved=1", htmx),
        "events": (f"{to}events/", {}),
        "events, folded": (f"{to}events/?fold=1", {}),
        "migrations": ("/migrations/", {}),
        "dashboard": ("/", {}),
        "api: migration": (f"{api}/migrations/{migration.pk}/", {}),
        "api: resources": (f"{api}/migrations/{migration.pk}/resources/?page_size=500", {}),
        "api: events": (f"{api}/migrations/{migration.pk}/events/?page_size=500", {}),
        "api: plan": (f"{api}/plans/{plan.pk}/", {}),
        "api: objects of the plan": (f"{api}/plans/{plan.pk}/objects/?page_size=500", {}),
    }
    found = {}
    for name, (path, headers) in asked.items():
        times = []
        for _time in range(TIMES):
            began = time.monotonic()
            with questions() as queries:
                answer = client.get(path, **headers)
            times.append(time.monotonic() - began)
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code}")
        size = round(len(answer.content) / 1024, 1)
        found[name] = {"ms": round(sorted(times)[TIMES // 2] * 1000, 1), "kib": size, **queries}
    return found


def main() -> None:
    given = json.loads(sys.argv[1])
    call_command("migrate", verbosity=0)
    pair, by = made(given)
    plan, of_plan = planned(pair, by, given["namespace"])
    migration, of_migration = migrated(plan, by)
    pages = answered(plan, migration)
    # The same once more under another name, which nobody has worked at yet.
    mapping = {given["namespace"]: f"{given['namespace']}-b"}
    choices: Result = {"namespaces": [given["namespace"]], "namespace_mapping": mapping, "host_mapping": HOSTS}
    second = plans.make(pair.team, pair=pair, by=by, **choices)
    while not second.is_settled:
        compute.look(second.pk)
        second.refresh_from_db()
    ids = {"migration": str(migration.pk), "plan": str(second.pk)}
    print(json.dumps({"plan": of_plan, "migration": of_migration, "pages": pages, "ids": ids}))


if __name__ == "__main__":
    main()
