"""The command line: `python -m mover push|pull|verify|clean|gc`.

Exit statuses are those of `mover.errors`, and 143 after SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import traceback
from types import FrameType
from typing import Any

from mover import settings as mover_settings
from mover.clean import clean
from mover.errors import MoverError, Stopped, UsageError
from mover.gc import collect_garbage
from mover.objectstore import ObjectStore
from mover.pull import pull
from mover.push import push
from mover.report import Counters, Reporter
from mover.verify import verify

_STOPPED = 143


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="mover", description="Carry a volume through an object store.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in (
        ("push", "bring the tree at PATH into the object store"),
        ("pull", "restore it below PATH, following a push that may still be under way"),
        ("verify", "read the tree at PATH again and compare it with what was pushed"),
    ):
        commands.add_parser(name, help=what).add_argument("--path", required=True, metavar="PATH")
    commands.add_parser("clean", help="remove everything of this volume from the object store")
    commands.add_parser("gc", help="remove from the object store what killed pushes left and nobody needs")
    given = parser.parse_args(arguments)

    counters = Counters()
    reporter = Reporter(counters, os.environ.get("MOVER_TERMINATION_LOG", ""))
    try:
        settings = mover_settings.from_environment(os.environ)
    except UsageError as error:
        reporter.error(error.code, error.message, retriable=False)
        return error.exit_status
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    _raise_file_limit()
    try:
        with reporter:
            store = ObjectStore(settings)
            try:
                result = _run(given, settings, store, reporter)
            finally:
                store.close()
    except Stopped:
        reporter.error("stopped", "Stopped as asked. Start again to go on: what was transferred stays.", retriable=True)
        return _STOPPED
    except MoverError as error:
        reporter.error(error.code, error.message, retriable=error.retriable)
        return error.exit_status
    except Exception as error:
        traceback.print_exc()
        reporter.error("unexpected", f"The mover failed unexpectedly: {type(error).__name__}.", retriable=True)
        return 1
    reporter.result(result)
    return 0


def _run(
    given: argparse.Namespace, settings: mover_settings.Settings, store: ObjectStore, reporter: Reporter
) -> dict[str, Any]:
    if given.command == "push":
        return push(settings, given.path, store, reporter)
    if given.command == "pull":
        return pull(settings, given.path, store, reporter)
    if given.command == "verify":
        return verify(settings, given.path, store, reporter)
    if given.command == "gc":
        return collect_garbage(settings, store, reporter)
    return clean(store, reporter)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    # One is enough; a second must not interrupt the way out.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for the object store must not hold the process.
    os._exit(status)
