"""The processes of an installation, and how they share one process in the embedded layout.

    web       pages, API and WebSockets (Daphne)
    worker    takes the steps of migrations (Celery)
    sweep     finds the migrations that are due (Celery beat)
    watcher   follows pods and Jobs, so that steps come at once and progress is live

With Redis each runs on its own and can be killed on its own. Without it the in-process broker and channel layer
bind them together: one process, the web server in the main thread and the others beside it.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from daphne.server import Server
from django.conf import settings

from kubemotion_web.celery import app
from migrations_app import watcher

logger = logging.getLogger(__name__)

WORKER_THREADS = 4


def run_web(host: str, port: int, *, on_ready: Callable[[], None] | None = None) -> None:
    """Serve pages, API and WebSockets until SIGINT or SIGTERM. Must run in the main thread."""
    from kubemotion_web.asgi import application

    Server(
        application=application,
        endpoints=build_endpoint_description_strings(host=host, port=port),
        server_name="kubemotion-web",
        http_timeout=120,
        websocket_timeout=-1,
        ping_interval=20,
        ping_timeout=30,
        ready_callable=on_ready,
        verbosity=0,
    ).run()


def worker() -> Any:
    """A Celery worker with a thread pool: looks wait for networks, they do not compute."""
    return app.WorkController(
        pool_cls="threads",
        concurrency=WORKER_THREADS,
        hostname=f"kubemotion@{socket.gethostname()}",
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )


def sweeper() -> Any:
    """Celery beat with its schedule in memory: all of its entries are due every second."""
    from celery.beat import Service

    return Service(app, scheduler_cls="celery.beat:Scheduler", max_interval=1)


def run_beside_web() -> Callable[[], None]:
    """Start worker, sweep and watcher in threads of this process; what comes back stops them."""
    stopping = threading.Event()
    working, sweeping = worker(), sweeper()
    for name, target in (
        ("worker", working.start),
        ("sweep", lambda: sweeping.start(embedded_process=False)),
        ("watcher", lambda: watcher.run(stopping)),
    ):
        threading.Thread(target=_logging_failure(name, target), name=name, daemon=True).start()

    def stop() -> None:
        stopping.set()
        sweeping.stop(wait=False)
        working.stop()

    return stop


def _logging_failure(name: str, target: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        try:
            target()
        except Exception:
            logger.exception("the %s ended unexpectedly", name)

    return run


def roles_for(asked: list[str]) -> list[str]:
    """The roles that one process takes; the embedded layout knows only all of them together."""
    every = ["web", "worker", "sweep", "watcher"]
    if settings.EMBEDDED and asked and set(asked) != set(every):
        raise ValueError(
            "Without REDIS_URL the broker lives inside the process, so web, worker, sweep and watcher cannot "
            "run apart. Set REDIS_URL, or run `manage.py serve` without roles."
        )
    return asked or every
