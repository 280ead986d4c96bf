"""The demo as its command runs it: real processes that can be killed one by one."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from demo import check
from demo.run import Demo

DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/5")


def answers(url: str, default_port: int) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or default_port), timeout=2).close()
    except OSError:
        return False
    return True


@dataclass
class Running:
    """A demo under way, and the API that a person would use."""

    demo: Demo
    api: check.Api

    def start_migration(self, **body: Any) -> dict[str, Any]:
        pair = next(row for row in self.api.every("/pairs/") if row["name"] == "dev-to-prod")
        wanted = {"pair": pair["id"], "name": "cmsmigration", "namespaces": [check.NAMESPACE], **body}
        return self.api.call("POST", "/migrations/", wanted)

    def migration(self, migration_id: str) -> dict[str, Any]:
        return self.api.call("GET", f"/migrations/{migration_id}/")

    def wait(
        self, migration_id: str, until: Callable[[dict[str, Any]], bool], *, seconds: float = 150
    ) -> dict[str, Any]:
        """The migration once `until` holds; requests that fail because a part is down are made again."""
        deadline = time.monotonic() + seconds
        last: Any = None
        while time.monotonic() < deadline:
            try:
                last = self.migration(migration_id)
            except (OSError, RuntimeError):
                time.sleep(0.05)
                continue
            if until(last):
                return last
            if last["status"] in check.FINISHED:
                break
            time.sleep(0.05)
        raise AssertionError(f"not reached: {last}")

    def kill(self, part: str) -> None:
        """SIGKILL to the part and all that it started; the demo starts it again."""
        process = next(each for each in self.demo.tree.parts if each.name == part).process
        assert process is not None
        os.killpg(process.pid, signal.SIGKILL)

    def outcome(self, migration_id: str) -> list[str]:
        """What is wrong with a finished migration, seen from outside."""
        return check.outcome(self.api, migration_id, self.demo.clusters, self.demo.state / "clusters")


def running(state: Path, megabytes: int) -> Iterator[Running]:
    demo = Demo(state, port=0, megabytes=megabytes, say=print)
    try:
        demo.start()
        demo.tree.keep_up()
        yield Running(demo, check.Api(demo.address, demo.token))
    finally:
        demo.stop()


@pytest.fixture(params=["embedded", pytest.param("services", marks=pytest.mark.services)])
def estate(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The demo on the embedded defaults, and on PostgreSQL and Redis where they answer."""
    if request.param == "services":
        if not (answers(DATABASE_URL, 5432) and answers(REDIS_URL, 6379)):
            pytest.skip("PostgreSQL and Redis do not answer (TEST_DATABASE_URL, TEST_REDIS_URL)")
        monkeypatch.setenv("DATABASE_URL", DATABASE_URL)
        monkeypatch.setenv("REDIS_URL", REDIS_URL)
    yield from running(tmp_path, megabytes=64)
