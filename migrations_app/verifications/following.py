"""Makes verifications live: follows the logs of readers, and lets reconcile look at once when one has ended.

It only makes things faster, as the watcher does for movers. It writes how far a reader is, and nothing else of the row.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from django.db import close_old_connections, transaction
from django.utils import timezone

from clusters.kube.errors import KubeError
from migrations_app import live
from migrations_app.engines.native import movers
from migrations_app.engines.sides import connection_to
from migrations_app.models import Migration
from migrations_app.verifications import jobs
from migrations_app.verifications.models import SIDES, Verdict, VolumeVerification

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
PUSH_SECONDS = 1.0
MEASURED = ("bytes_done", "bytes_total")
# The row, its look and the side: each look has readers of its own.
Key = tuple[int, int, str]


def wanted() -> set[Key]:
    """The readers that are to be followed now."""
    rows = VolumeVerification.objects.filter(status=Verdict.IN_PROGRESS, verification__finished_at=None)
    return {(pk, look, side) for pk, look in rows.values_list("pk", "look") for side in SIDES}


def follow(row_pk: int, look: int, side: str, stop: threading.Event) -> None:
    """Follow until `stop`, or until the reader has ended; what cannot be followed is left to the looks."""
    try:
        row = _row(row_pk)
        migration = row.volume.migration
        connection = connection_to(migration.pair.source if side == "source" else migration.pair.destination)
        name, namespace, container = jobs.name_of(row), jobs.namespace_of(row, side), jobs.container_of(row)
        pods = connection.list("pods", namespace, label_selector=f"batch.kubernetes.io/job-name={name}")
        pod = max(pods, key=lambda each: each["metadata"]["creationTimestamp"], default=None)
        if row.look != look or pod is None or not movers.is_running(pod, container):
            stop.wait(PAUSE_SECONDS)
            return
        pushed_at = 0.0
        for line in connection.follow_logs(pod["metadata"]["name"], namespace, container=container, stop=stop):
            progress = movers.parse(line).get("progress")
            if progress and time.monotonic() - pushed_at >= PUSH_SECONDS:
                pushed_at = time.monotonic()
                if not _bring_up_to_date(row_pk, look, side, progress):
                    return
        Migration.objects.filter(pk=migration.pk, lease_token=None).update(next_look_at=timezone.now())
    except (KubeError, VolumeVerification.DoesNotExist) as error:
        logger.info("following a reader ended: %s", error)
        stop.wait(PAUSE_SECONDS)
    except Exception:
        logger.exception("following a reader failed")
        stop.wait(PAUSE_SECONDS)
    finally:
        close_old_connections()


def _row(pk: int) -> VolumeVerification:
    return VolumeVerification.objects.select_related(
        "volume__migration__pair__source", "volume__migration__pair__destination", "volume__migration__team"
    ).get(pk=pk)


def _bring_up_to_date(row_pk: int, look: int, side: str, progress: dict[str, Any]) -> bool:
    """Write and push the progress; whether the reader is still under way."""
    with transaction.atomic():
        # The worker writes whole rows: what it has just written must not be taken back.
        row = VolumeVerification.objects.select_for_update().get(pk=row_pk)
        if row.status != Verdict.IN_PROGRESS or row.look != look:
            return False
        known = row.of(side)
        if look == 1:
            if known.get("digest"):
                return False
            known |= {name: progress[name] for name in MEASURED if progress.get(name) is not None}
            row.save(update_fields=[side])
    if look == 1:
        live.state_changed(_row(row_pk).volume.migration)
    return True
