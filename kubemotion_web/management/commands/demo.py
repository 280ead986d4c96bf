"""`manage.py demo`: the whole product on one machine, with two simulated clusters and an object store."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Starts the embedded estate and the product, seeds them, and says where to look.

    With --check it does so in a temporary folder on free ports, performs the reference story through the public API,
    checks the outcome for itself, prints one JSON summary, and exits 0 only when everything is as it should be.
    """

    help = "Run the product with two simulated clusters and an embedded object store."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="port of the web pages (another one when it is taken)"
        )
        parser.add_argument("--state", type=Path, help="folder that keeps everything (default: .state/demo)")
        parser.add_argument("--megabytes", type=int, default=200, help="how much data the application on dev holds")
        parser.add_argument("--check", action="store_true", help="perform and check the story, without a person")
        parser.add_argument(
            "--engine", choices=["native", "portworx"], default="native", help="what does the story of --check"
        )
        parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="take pictures of every page and end")

    def handle(self, *args: Any, **options: Any) -> None:
        # The estate is imported here alone: production installs the product without it.
        from demo.processes import PartFailedError
        from demo.run import Demo

        signal.signal(signal.SIGTERM, signal.default_int_handler)
        alone = options["check"] or options["screenshots"]
        with tempfile.TemporaryDirectory(prefix="kubemotion-") as temporary:
            state = options["state"] or (Path(temporary) if alone else settings.BASE_DIR / ".state" / "demo")
            demo = Demo(state, port=0 if alone else options["port"], megabytes=options["megabytes"], say=self._say)
            try:
                demo.start()
                if options["check"]:
                    summary = demo.check(options["engine"])
                    self.stdout.write(json.dumps(summary, indent=2))
                    if not summary["verified"]:
                        raise SystemExit(1)
                elif options["screenshots"]:
                    demo.take_screenshots(options["screenshots"])
                else:
                    demo.run_until_interrupted()
            except PartFailedError as error:
                raise CommandError(str(error)) from error
            except KeyboardInterrupt:
                self._say("Stopping …")
            finally:
                demo.stop()

    def _say(self, text: str) -> None:
        self.stderr.write(text)
        self.stderr.flush()
