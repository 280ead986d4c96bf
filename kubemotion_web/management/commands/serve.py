"""`manage.py serve`: run the product, as one process or as the named parts."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kubemotion_web import processes
from migrations_app import watcher


class Command(BaseCommand):
    """Runs web, worker, sweep and watcher together, or one of them alone (that needs REDIS_URL)."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("roles", nargs="*", choices=["web", "worker", "sweep", "watcher", []], metavar="ROLE")
        parser.add_argument("--host", default="127.0.0.1", help="address that the web server listens on")
        parser.add_argument("--port", type=int, default=8000, help="port that the web server listens on")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            roles = processes.roles_for(options["roles"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        if len(roles) > 1:
            if "web" not in roles or len(roles) != 4:
                raise CommandError("Name one role, or none for all four together.")
            stop = processes.run_beside_web()
            try:
                processes.run_web(options["host"], options["port"])
            finally:
                stop()
        elif roles == ["web"]:
            processes.run_web(options["host"], options["port"])
        else:
            self._run_alone(roles[0])

    @staticmethod
    def _run_alone(role: str) -> None:
        stopping = threading.Event()
        if role == "worker":
            part = processes.worker()
            run, stop = part.start, part.stop
        elif role == "sweep":
            part = processes.sweeper()
            run, stop = part.start, part.stop
        else:
            run, stop = (lambda: watcher.run(stopping)), stopping.set

        def on_signal(signum: int, frame: Any) -> None:
            threading.Thread(target=stop, daemon=True).start()

        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, on_signal)
        run()
