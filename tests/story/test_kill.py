"""Anything can be killed at any time: the migration completes by itself, with nothing lost and nothing twice."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from tests.story.conftest import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def moving(migration: dict[str, Any]) -> bool:
    """Bytes are on their way."""
    return migration["stage"] == "Volumes" and migration["summary"]["bytes_done"] > 0


def applying(migration: dict[str, Any]) -> bool:
    """Some objects are applied, others are not."""
    return migration["stage"] == "Applications"


def finished(migration: dict[str, Any]) -> bool:
    return migration["status"] == "Successful"


def parts(estate: Running) -> list[str]:
    """What runs apart: with an in-process broker, all of the product is one process."""
    return [part.name for part in estate.demo.tree.parts if part.name in {"web", "worker", "watcher", "sweep"}]


def test_every_process_of_the_product_may_be_killed_while_volumes_move(estate: Running) -> None:
    migration = estate.start_migration()
    for part in parts(estate):
        estate.wait(migration["id"], lambda row: moving(row) or row["stage"] in {"Applications", "Final"})
        estate.kill(part)
    estate.wait(migration["id"], finished)
    assert estate.outcome(migration["id"]) == []


def test_the_worker_and_the_web_process_may_be_killed_while_objects_are_applied(estate: Running) -> None:
    migration = estate.start_migration()
    for part in parts(estate):
        if part in {"web", "worker"}:
            estate.wait(migration["id"], lambda row: applying(row) or row["stage"] == "Final")
            estate.kill(part)
    estate.wait(migration["id"], finished)
    assert estate.outcome(migration["id"]) == []


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_mover_may_be_killed_while_volumes_move(estate: Running, command: str) -> None:
    migration = estate.start_migration()
    deadline = time.monotonic() + 60
    while not kill_movers(command, str(estate.demo.state)):
        assert time.monotonic() < deadline, "no mover was seen running"
        time.sleep(0.02)
    estate.wait(migration["id"], finished)
    assert estate.outcome(migration["id"]) == []


def kill_movers(command: str, state: str) -> list[int]:
    """SIGKILL every mover process of this estate that does `command`."""
    killed = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                arguments = file.read().decode(errors="replace").split("\0")
            if "mover" in arguments and command in arguments and any(state in argument for argument in arguments):
                os.kill(int(entry), signal.SIGKILL)
                killed.append(int(entry))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return killed
