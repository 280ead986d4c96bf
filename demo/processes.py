"""The demo's process tree: parts say when they are ready, are started again when they die, and stop together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

READY_SECONDS = 60.0
STOP_SECONDS = 15.0
# A part that dies more often than this within a minute is broken, and starting it again would only hide that.
MOST_RESTARTS_A_MINUTE = 10


class PartFailedError(RuntimeError):
    """A part of the demo did not start or would not stay up. The message names it and ends with its last lines."""


@dataclass
class Part:
    """One child process. `ready` is asked until it says True; a part with `ready_line` prints a JSON line instead."""

    name: str
    arguments: list[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    ready_line: bool = False
    process: subprocess.Popen[bytes] | None = None
    announced: dict[str, Any] = field(default_factory=dict)
    restarts: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start the process; its output goes to its log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.announced = {}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdout=subprocess.PIPE if self.ready_line else log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        if self.ready_line and self.process.stdout is not None:
            threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, lines: IO[bytes]) -> None:
        with self.log.open("ab") as log:
            for line in lines:
                log.write(line)
                log.flush()
                if not self.announced:
                    try:
                        said = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(said, dict) and said.get("ready"):
                        self.announced = said

    def wait_until_ready(self) -> None:
        """Return once the part serves. Raises PartFailedError."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise PartFailedError(f"{self.name} ended at its start:\n{self.last_lines()}")
            if self.announced if self.ready_line else self.ready is None or self.ready():
                return
            time.sleep(0.05)
        raise PartFailedError(f"{self.name} was not ready after {READY_SECONDS:.0f} s:\n{self.last_lines()}")

    def stop(self) -> None:
        """Ask the process to end, and end it after a while."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_lines(self, count: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ""


class Tree:
    """Parts in the order of their starting; they stop in the reverse order."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        self.failure: PartFailedError | None = None

    def start(self, part: Part) -> Part:
        """Start the part and wait until it serves. Raises PartFailedError."""
        self.parts.append(part)
        part.start()
        part.wait_until_ready()
        return part

    def keep_up(self) -> None:
        """From now on start parts that die again, in a thread."""
        self._keeper = threading.Thread(target=self._keep_up, name="keeper", daemon=True)
        self._keeper.start()

    def _keep_up(self) -> None:
        while not self.stopping.wait(0.2):
            for part in self.parts:
                if part.process is None or part.process.poll() is None or self.stopping.is_set():
                    continue
                now = time.monotonic()
                part.restarts = [moment for moment in part.restarts if now - moment < 60] + [now]
                if len(part.restarts) > MOST_RESTARTS_A_MINUTE:
                    self.failure = PartFailedError(f"{part.name} keeps ending:\n{part.last_lines()}")
                    self.stopping.set()
                    return
                part.start()

    def stop(self) -> None:
        self.stopping.set()
        if self._keeper is not None:
            self._keeper.join()
        for part in reversed(self.parts):
            part.stop()
