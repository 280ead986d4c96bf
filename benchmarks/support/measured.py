"""Running programs, and what they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PAGE_CACHE = Path("/proc/sys/vm/drop_caches")
LOOPBACK = Path("/sys/class/net/lo/statistics/rx_bytes")


@dataclass
class Usage:
    """Seconds on the wall and on the processors, and the largest resident memory of one process, in MiB."""

    seconds: float
    cpu_seconds: float
    peak_mib: float

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


class Failed(Exception):
    """A program ended with an error; its last words."""


class GivenUp(Exception):
    """A program took longer than it was given; so many seconds."""


@dataclass
class Running:
    """A program on its way."""

    process: subprocess.Popen[bytes]
    name: str
    log: Path

    def wait(self, timeout: float | None = None) -> Usage:
        """Wait for its end; raises Failed, and after `timeout` seconds ends it and raises GivenUp."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            # The launcher is the leader of a session of its own, so that this reaches all that it started.
            os.killpg(self.process.pid, 9)
            self.process.wait()
            raise GivenUp(timeout) from None
        if status:
            raise Failed(f"{self.name} ended with {status}: {self.log.read_text()[-1500:]}")
        return Usage(**json.loads(self.log.with_suffix(".json").read_text()))


def start(command: Sequence[str], log: Path, environment: Mapping[str, str], **options: Any) -> Running:
    """Start a program whose output goes to `log`."""
    launch = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(log.with_suffix(".json"))]
    # Settings of a developer's own store must not reach the clients.
    base = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*launch, *command],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**base, **environment},
            start_new_session=True,
            **options,
        )
    return Running(process, " ".join(command[:4]), log)


def run(
    command: Sequence[str], log: Path, environment: Mapping[str, str], timeout: float | None = None, **options: Any
) -> Usage:
    """Run a program to its end."""
    return start(command, log, environment, **options).wait(timeout)


def settle() -> bool:
    """Write everything out and, where that is allowed, forget what was read; whether it was."""
    os.sync()
    try:
        PAGE_CACHE.write_text("3")
    except OSError:
        return False
    return True


def written_out() -> float:
    """Write everything out; the seconds that this took."""
    began = time.monotonic()
    os.sync()
    return time.monotonic() - began


def over_the_wire() -> int:
    """Bytes that went over the loopback interface until now, between a contestant and the object store."""
    return int(LOOPBACK.read_text())
