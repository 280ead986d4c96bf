"""A web server with the company of `tests.factories`, which does on stdin what workers do: events, progress.

Runs as a process of its own: `python -m tests.browser.server PORT`, with KUBEMOTION_STATE_DIR set. Each line on stdin
is a JSON object with a key `do`; each is answered by one JSON line on stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kubemotion_web.settings")
django.setup()

from daphne.endpoints import build_endpoint_description_strings  # noqa: E402
from daphne.server import Server  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from clusters.models import ClusterPair  # noqa: E402
from kubemotion_web.asgi import application  # noqa: E402
from migrations_app import events, live, progress  # noqa: E402
from migrations_app.models import Migration, MigrationResource, Stage, Status  # noqa: E402
from migrations_app.plans.models import MigrationPlan, PlanStep  # noqa: E402
from tests import factories  # noqa: E402


def migration() -> Migration:
    return Migration.objects.select_related("team", "pair__source", "pair__destination").get(name="cmsmigration")


def emit(message: str) -> dict[str, Any]:
    return {"seq": events.emit(migration(), "Noted", message, regarding="Service/cms/wordpress").seq}


def lose(message: str) -> dict[str, Any]:
    """Store an event as if its message had been lost on the way."""
    return {"seq": factories.event(migration(), "Noted", message).seq}


def pull(claim: str, bytes_pulled: int) -> dict[str, Any]:
    volume = migration().volumes.get(claim=claim)
    volume.bytes_pulled = bytes_pulled
    volume.save()
    live.state_changed(migration(), volumes=[volume])
    return {"percent": volume.percent}


def resource(kind: str, name: str, order: int) -> dict[str, Any]:
    made = MigrationResource.objects.create(
        migration=migration(),
        order=order,
        version="v1",
        kind=kind,
        namespace="cms",
        name=name,
        status=Status.SUCCESSFUL,
        action="created",
    )
    live.state_changed(migration(), resources=[made])
    return {"id": made.pk}


def flood(kind: str, count: int) -> dict[str, Any]:
    """So many objects of a kind are made, with their events, as one batch of the engine."""
    at = migration()
    made = MigrationResource.objects.bulk_create(
        MigrationResource(
            migration=at, order=100, version="v1", kind=kind, namespace="cms", name=f"{kind.lower()}-{number}",
            status=Status.SUCCESSFUL, action="created",
        )
        for number in range(count)
    )  # fmt: skip
    events.emit_all(at, [events.Said("Successful", f"made {each}") for each in made])
    live.state_changed(migration(), resources=made)
    return {"seq": at.last_event_seq}


def enter(stage: str) -> dict[str, Any]:
    progress.enter(migration(), Stage(stage))
    return {}


def finish(status: str, reason: str) -> dict[str, Any]:
    progress.finish(migration(), Status(status), reason)
    return {}


def stand_still() -> dict[str, Any]:
    """Nothing of a paused migration runs any more."""
    Migration.objects.filter(paused_at__isnull=False).update(stands_still_at=timezone.now(), next_look_at=None)
    live.state_changed(migration(), volumes=migration().volumes.all())
    return {}


def engine(name: str) -> dict[str, Any]:
    """The pair is of another engine."""
    ClusterPair.objects.update(engine=name)
    return {}


def plan(status: str, done: int) -> dict[str, Any]:
    """Set how far the plan is, as a worker would."""
    MigrationPlan.objects.update(status=status, step=PlanStep.OBJECTS, objects_done=done)
    return {}


DOINGS = {each.__name__: each for each in (emit, lose, pull, resource, flood, enter, finish, stand_still, engine, plan)}


def serve_requests() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(DOINGS[asked.pop("do")](**asked)), flush=True)
    os._exit(0)


def main() -> None:
    # Nobody attacks these passwords, and hashing seven of them well takes longer than the rest of the start.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    call_command("migrate", verbosity=0)
    company = factories.company()

    def ready() -> None:
        told = {"migration": str(company.migration.pk), "pair": str(company.pair.pk), "team": str(company.team.pk)}
        told["plan"] = str(company.plan.pk)
        print(json.dumps(told | {"cluster": str(company.source.pk), "store": str(company.store.pk)}), flush=True)
        threading.Thread(target=serve_requests, daemon=True).start()

    endpoints = build_endpoint_description_strings(host="127.0.0.1", port=int(sys.argv[1]))
    Server(application=application, endpoints=endpoints, ready_callable=ready, verbosity=0).run()


if __name__ == "__main__":
    main()
