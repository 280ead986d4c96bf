"""The command line: `python -m mover push|pull|verify|digest|clean|gc`.

Exit statuses are those of `mover.errors`, and 143 after SIGTERM.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from mover import settings as mover_settings
from mover.buffers import keep_freed_memory
from mover.errors import MoverError, Stopped, UsageError
from mover.objectstore import ObjectStore
from mover.report import Counters, Reporter

_STOPPED = 143
_ALLOCATIONS_PER_SEARCH = 50_000


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
    anew = commands.add_parser("digest", help="read the tree at PATH and say its digest, without any object store")
    anew.add_argument("--path", required=True, metavar="PATH")
    anew.add_argument(
        "--buckets", type=_numbers, default=(), metavar="N,N,…", help="list the entries of these buckets instead"
    )
    commands.add_parser("clean", help="remove everything of this volume from the object store")
    commands.add_parser("gc", help="remove from the object store what killed pushes left and nobody needs")
    given = parser.parse_args(arguments)

    counters = Counters()
    reporter = Reporter(counters, os.environ.get("MOVER_TERMINATION_LOG", ""))
    work: Callable[[], dict[str, Any]]
    try:
        if given.command == "digest":
            alone = mover_settings.for_digest(os.environ)
            work = functools.partial(_digest, given, alone, reporter)
        else:
            work = functools.partial(_with_store, given, mover_settings.from_environment(os.environ), reporter)
    except UsageError as error:
        reporter.error(error.code, error.message, retriable=False)
        return error.exit_status
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    _raise_file_limit()
    try:
        with reporter:
            result = work()
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


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def _with_store(given: argparse.Namespace, settings: mover_settings.Settings, reporter: Reporter) -> dict[str, Any]:
    store = ObjectStore(settings)
    try:
        return _run(given, settings, store, reporter)
    finally:
        store.close()


# Each command loads its own modules alone: a small volume takes less time to move than all of them to load.


def _digest(given: argparse.Namespace, settings: mover_settings.DigestSettings, reporter: Reporter) -> dict[str, Any]:
    from mover.inspection import digest

    return digest(settings, given.path, reporter, given.buckets)


def _run(
    given: argparse.Namespace, settings: mover_settings.Settings, store: ObjectStore, reporter: Reporter
) -> dict[str, Any]:
    if given.command == "push":
        from mover.push import push

        return push(settings, given.path, store, reporter)
    if given.command == "pull":
        from mover.pull import pull

        return pull(settings, given.path, store, reporter)
    if given.command == "verify":
        from mover.verify import verify

        return verify(settings, given.path, store, reporter)
    if given.command == "gc":
        from mover.gc import collect_garbage

        return collect_garbage(settings, store, reporter)
    from mover.clean import clean

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
    # What was loaded stays, and what is made is rarely part of a cycle: the search costs more than it finds.
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_SEARCH)
    keep_freed_memory()
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for the object store must not hold the process.
    os._exit(status)
