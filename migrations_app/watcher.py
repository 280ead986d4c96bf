"""Makes progress live: follows the logs of mover pods, and lets reconcile look at once when a mover has ended.

It only makes things faster. With it down, the looks of reconcile find the same out every second or so.

    every second: for each volume under way, one thread per side that follows its mover's log
    each line of progress: the row is brought up to date and pushed, at most once a second
    a log that ended: the migration is due now
    and for each volume that is read anew: the same for its readers, see `verifications.following`
    and for each namespace in which Stork works: two threads that watch what it says, see `engines.portworx.watching`
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import close_old_connections
from django.utils import timezone

from clusters.kube.errors import KubeError, NotFound
from clusters.models import Engine
from migrations_app import live
from migrations_app.engines.native import manifests, measuring, movers
from migrations_app.engines.native.privileges import Direction
from migrations_app.engines.portworx import watching
from migrations_app.engines.sides import connection_to
from migrations_app.models import Migration, MigrationVolume, Stage, Status
from migrations_app.verifications import following

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
PUSH_SECONDS = 1.0
# More volumes than this are followed by the looks of reconcile alone.
MOST_FOLLOWERS = 200
Key = tuple[int, Direction]


def run(stopping: threading.Event) -> None:
    """Follow until `stopping` is set."""
    followers: dict[tuple[Any, ...], tuple[threading.Thread, threading.Event]] = {}
    while not stopping.is_set():
        try:
            for key in [key for key, (thread, _stop) in followers.items() if not thread.is_alive()]:
                del followers[key]
            wanted = _wanted()
            for key, (_thread, stop) in followers.items():
                if key not in wanted:
                    stop.set()
            for key in wanted.keys() - followers.keys():
                if len(followers) >= MOST_FOLLOWERS:
                    break
                stop = threading.Event()
                name = "follow-" + "-".join(str(part) for part in key)
                thread = threading.Thread(target=wanted[key], args=(*key, stop), name=name, daemon=True)
                followers[key] = thread, stop
                thread.start()
        except Exception:
            logger.exception("the watcher could not look; it tries again")
        finally:
            close_old_connections()
        stopping.wait(LOOK_SECONDS)
    for _thread, stop in followers.values():
        stop.set()
    for thread, _stop in followers.values():
        thread.join(timeout=5)


def _wanted() -> dict[tuple[Any, ...], Callable[..., None]]:
    """What is to be followed now, and who follows it."""
    return {
        **dict.fromkeys(_movers(), _follow),
        **dict.fromkeys(following.wanted(), following.follow),
        **dict.fromkeys(watching.wanted(), watching.follow),
    }


def _movers() -> set[Key]:
    rows = MigrationVolume.objects.filter(
        status=Status.IN_PROGRESS,
        migration__stage=Stage.VOLUMES,
        migration__status=Status.IN_PROGRESS,
        migration__paused_at=None,
        migration__pair__engine=Engine.NATIVE,
    ).values_list("pk", flat=True)
    directions: tuple[Direction, Direction] = ("push", "pull")
    return {(pk, direction) for pk in rows for direction in directions}


def _follow(volume_pk: int, direction: Direction, stopping: threading.Event) -> None:
    try:
        volume = MigrationVolume.objects.select_related(
            "migration__pair__source", "migration__pair__destination", "migration__team"
        ).get(pk=volume_pk)
        pair = volume.migration.pair
        connection = connection_to(pair.source if direction == "push" else pair.destination)
        name = manifests.job_name(direction, volume)
        namespace = volume.namespace_of(direction)
        pods = connection.list("pods", namespace, label_selector=f"batch.kubernetes.io/job-name={name}")
        pod = max(pods, key=lambda each: each["metadata"]["creationTimestamp"], default=None)
        container = manifests.container_name(volume)
        if pod is None or not movers.is_running(pod, container):
            stopping.wait(LOOK_SECONDS)
            return
        pushed_at = 0.0
        for line in connection.follow_logs(pod["metadata"]["name"], namespace, container=container, stop=stopping):
            progress = movers.parse(line).get("progress")
            if progress and time.monotonic() - pushed_at >= PUSH_SECONDS:
                pushed_at = time.monotonic()
                if not _bring_up_to_date(volume_pk, direction, progress):
                    return
        Migration.objects.filter(pk=volume.migration_id, lease_token=None).update(next_look_at=timezone.now())
    except (KubeError, NotFound, MigrationVolume.DoesNotExist) as error:
        logger.info("following a mover ended: %s", error)
        stopping.wait(LOOK_SECONDS)
    except Exception:
        logger.exception("following a mover failed")
        stopping.wait(LOOK_SECONDS)
    finally:
        close_old_connections()


def _bring_up_to_date(volume_pk: int, direction: Direction, progress: dict[str, object]) -> bool:
    """Write and push the progress; whether the volume is still under way."""
    volume = MigrationVolume.objects.select_related("migration__pair__source", "migration__pair__destination").get(
        pk=volume_pk
    )
    if volume.status != Status.IN_PROGRESS or volume.migration.is_paused:
        return False
    measuring.note(volume, direction, progress, timezone.now())
    values = {field: getattr(volume, field) for field in measuring.FIELDS[direction]}
    # Only while it is under way: the verdict's own numbers must not be overwritten by a late line, and while it is
    # paused nothing moves on the page.
    under_way = MigrationVolume.objects.filter(pk=volume_pk, status=Status.IN_PROGRESS, migration__paused_at=None)
    if under_way.update(**values):
        live.state_changed(volume.migration, volumes=[volume])
    return True
