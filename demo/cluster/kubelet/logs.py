"""Container logs on disk, in the form that container runtimes write, and reading them as `pods/log` asks.

A log is `pods/<uid>/<container>/<restart count>.log` in the cluster's state. Each line is a time, the stream, `F` for a
whole line or `P` for a part of one, and the text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

# How much of a line a container runtime puts into one record.
PART_BYTES = 16 * 1024


def log_path(api: ClusterAPI, uid: str, container: str, restart: int) -> Path:
    """Where the log of one run of a container is."""
    return api.state / "pods" / uid / container / f"{restart}.log"


def log_time() -> str:
    """The time to the nanosecond."""
    seconds, nanoseconds = divmod(time_ns(), 10**9)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds:09d}Z"


class LogWriter:
    """Appends what a container writes, record by record."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)

    def write(self, data: bytes, *, stream: str = "stdout") -> None:
        """Append one line (its newline included), or the part of one that there is."""
        for start in range(0, len(data), PART_BYTES):
            part = data[start : start + PART_BYTES]
            tag = b"F" if part.endswith(b"\n") else b"P"
            self._file.write(b"%s %s %s %s\n" % (log_time().encode(), stream.encode(), tag, part.removesuffix(b"\n")))

    def close(self) -> None:
        """Nothing more will come."""
        self._file.close()


@dataclass(frozen=True)
class LogOptions:
    """What a reader asks of a log."""

    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    follow: bool = False

    @classmethod
    def from_query(cls, query: dict[str, list[str]]) -> LogOptions:
        """The options that the query of a request asks for; raises ValueError for what cannot be read."""

        def first(name: str) -> str | None:
            values = query.get(name)
            return values[0] if values and values[0] != "" else None

        since = None
        if (time := first("sinceTime")) is not None:
            since = datetime.fromisoformat(time)
        elif (seconds := first("sinceSeconds")) is not None:
            since = datetime.now(UTC) - timedelta(seconds=int(seconds))
        tail, limit = first("tailLines"), first("limitBytes")
        return cls(
            timestamps=first("timestamps") in ("true", "1"),
            tail_lines=int(tail) if tail is not None else None,
            limit_bytes=int(limit) if limit is not None else None,
            since=since,
            follow=first("follow") in ("true", "1"),
        )


class LogReader:
    """Reads a growing log from its beginning; remembers how far it came."""

    def __init__(self, path: Path, options: LogOptions) -> None:
        self._path, self._options = path, options
        self._offset = 0
        self._left = options.limit_bytes
        self._tail = options.tail_lines

    def read(self) -> Iterator[bytes]:
        """Yield what has come since the last call, as the reader asked for it."""
        records: Iterator[bytes] | deque[bytes] = self._records()
        if self._tail is not None:
            records = deque(records, maxlen=self._tail)
            self._tail = None
        for record in records:
            if self._left is not None:
                record = record[: self._left]
                self._left -= len(record)
            if record:
                yield record

    @property
    def is_exhausted(self) -> bool:
        """Whether the limit of bytes is reached."""
        return self._left is not None and self._left <= 0

    def _records(self) -> Iterator[bytes]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                # A record that is being written at this moment is read the next time.
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                time, _, tag, text = line.split(b" ", 3)
                if self._options.since and _moment(time) < self._options.since:
                    continue
                text = text if tag == b"F" else text[:-1]
                yield time + b" " + text if self._options.timestamps else text


def _moment(time: bytes) -> datetime:
    """The time of a record to the microsecond, which is what a datetime holds."""
    return datetime.fromisoformat(time[:26].decode()).replace(tzinfo=UTC)


def last_lines(path: Path, *, lines: int = 80, limit: int = 2048) -> str:
    """The end of a log, as it becomes a termination message."""
    text = b"".join(LogReader(path, LogOptions(tail_lines=lines)).read())
    return text[-limit:].decode(errors="replace")
