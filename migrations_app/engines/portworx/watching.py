"""Makes following Stork live: one watch per namespace for Migrations, one for their events; each change wakes a look.

It writes nothing but the time of the next look, so that there is one place where a status becomes rows.
"""

from __future__ import annotations

import logging
import threading
import uuid
from typing import Any

from django.db import close_old_connections
from django.utils import timezone

from clusters.kube.errors import KubeError
from clusters.models import Cluster, Engine
from clusters.portworx.migration import MIGRATIONS
from migrations_app.engines.sides import connection_to
from migrations_app.models import FINISHED, Migration

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
RESOURCES = (MIGRATIONS, "events")
Key = tuple[uuid.UUID, str, str]


def wanted() -> set[Key]:
    """What is to be watched now: source cluster, namespace and resource of every Migration under way."""
    rows = Migration.objects.filter(pair__engine=Engine.PORTWORX, stork_object__uid__isnull=False)
    places = rows.exclude(status__in=FINISHED).values_list("pair__source_id", "stork_object__namespace")
    return {(cluster, namespace, resource) for cluster, namespace in places.distinct() for resource in RESOURCES}


def follow(cluster_pk: uuid.UUID, namespace: str, resource: str, stop: threading.Event) -> None:
    """Watch until `stop`; what cannot be watched is left to the looks."""
    try:
        connection = connection_to(Cluster.objects.get(pk=cluster_pk))
        for event in connection.watch(resource, namespace, stop=stop):
            if uid := _about(event.object):
                wake(uid)
    except (KubeError, Cluster.DoesNotExist) as error:
        logger.info("watching %s in %s ended: %s", resource, namespace, error)
        stop.wait(PAUSE_SECONDS)
    except Exception:
        logger.exception("watching %s in %s failed", resource, namespace)
        stop.wait(PAUSE_SECONDS)
    finally:
        close_old_connections()


def _about(obj: dict[str, Any]) -> str:
    """The uid of the Migration that the object is, or tells of."""
    about = obj.get("involvedObject")
    if about is not None:
        return str(about.get("uid") or "") if about.get("kind") == "Migration" else ""
    return str((obj.get("metadata") or {}).get("uid") or "")


def wake(uid: str) -> None:
    """Let the migration that follows this Migration be looked at now."""
    rows = Migration.objects.filter(stork_object__uid=uid).exclude(status__in=FINISHED)
    rows.update(next_look_at=timezone.now())
