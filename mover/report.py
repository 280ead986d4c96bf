"""What the mover says: one JSON object per line on stdout, and the last one into the termination log as well."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

TERMINATION_LOG_BYTES = 4096
WARNINGS_PER_CODE = 100
UNKEPT_PER_KIND = 200


class Counters:
    """Numbers that several threads add to and the reporter reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.phase = "wait"
        self.bytes_done = 0
        self.bytes_total: int | None = None
        self.files_done = 0
        self.files_total: int | None = None
        self.bytes_sent = 0
        self._bytes_shown = 0
        self._files_shown = 0

    def add(self, *, bytes_done: int = 0, files_done: int = 0, bytes_sent: int = 0) -> None:
        """Add to the running totals."""
        with self._lock:
            self.bytes_done += bytes_done
            self.files_done += files_done
            self.bytes_sent += bytes_sent

    def restart(self) -> None:
        """Begin to count anew; what went over the wire stays counted."""
        with self._lock:
            self.bytes_done = self.files_done = 0

    def snapshot(self) -> dict[str, Any]:
        """The fields of a progress line, taken at one instant.

        What is counted anew, because a file is read again or a puller turns to a newer run, does not show: nobody
        should see a bar run backwards.
        """
        with self._lock:
            self._bytes_shown = max(self._bytes_shown, self.bytes_done)
            self._files_shown = max(self._files_shown, self.files_done)
            return {
                "phase": self.phase,
                "bytes_done": self._bytes_shown,
                "bytes_total": self.bytes_total,
                "files_done": self._files_shown,
                "files_total": self.files_total,
                "bytes_sent": self.bytes_sent,
            }


class Reporter:
    """Writes lines; while entered, also a progress line every second."""

    def __init__(self, counters: Counters, termination_log: str = "", stream: TextIO | None = None) -> None:
        self.counters = counters
        self._stream = stream or sys.stdout
        self._termination_log = termination_log
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._warned: dict[str, int] = {}
        self._unkept: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.progress()

    def _run(self) -> None:
        self.progress()
        while not self._stop.wait(1.0):
            self.progress()

    def progress(self) -> None:
        """Write one progress line now."""
        self._write({"type": "progress", **self.counters.snapshot(), "time": round(time.time(), 3)})

    def warning(self, code: str, path: str, message: str) -> None:
        """Write a warning; beyond a hundred of one kind they are only counted, in the result."""
        with self._lock:
            count = self._warned[code] = self._warned.get(code, 0) + 1
        if count <= WARNINGS_PER_CODE:
            self._write({"type": "warning", "code": code, "path": path, "message": message})

    def line(self, kind: str, fields: dict[str, Any]) -> None:
        """Write a line of a kind of its own."""
        self._write({"type": kind, **fields})

    def unkept(self, what: str, path: str) -> None:
        """Name one thing that could not be kept; beyond 200 of a kind they are only counted, in the result."""
        with self._lock:
            count = self._unkept[what] = self._unkept.get(what, 0) + 1
        if count <= UNKEPT_PER_KIND:
            self.line("unkept", {"what": what, "path": path})

    def result(self, fields: dict[str, Any]) -> None:
        """Write the final line of a success."""
        self._final({"type": "result", "ok": True, **fields}, shrink=_without_examples)

    def error(self, code: str, message: str, *, retriable: bool) -> None:
        """Write the final line of a failure."""
        self._final(
            {"type": "error", "code": code, "message": message, "retriable": retriable}, shrink=_with_short_message
        )

    def _final(self, line: dict[str, Any], *, shrink: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._write(line)
        if not self._termination_log:
            return
        text = json.dumps(line)
        if len(text) >= TERMINATION_LOG_BYTES:
            text = json.dumps(shrink(line))
        try:
            with open(self._termination_log, "w", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError as error:
            sys.stderr.write(f"The termination log {self._termination_log} cannot be written: {error.strerror}.\n")

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line)
        with self._lock:
            try:
                self._stream.write(text + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                # Nobody reads the log any more; the transfer itself is what matters.
                return


def _without_examples(line: dict[str, Any]) -> dict[str, Any]:
    return {
        key: [{"what": each["what"], "count": each["count"]} for each in value] if isinstance(value, list) else value
        for key, value in line.items()
    }


def _with_short_message(line: dict[str, Any]) -> dict[str, Any]:
    # A character takes up to twelve bytes in ASCII-only JSON.
    return {**line, "message": line["message"][:300] + "…"}
