"""Ending a read that waits for a server: once its `stop` is set, the connection is shut down and the read returns.

One thread looks after all such connections, for as long as there are any.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import urllib3
from urllib3.connection import HTTPSConnection

LOOK_SECONDS = 0.2

_lock = threading.Lock()
_stops: WeakKeyDictionary[socket.socket, threading.Event] = WeakKeyDictionary()
_keeper: threading.Thread | None = None
_asking = threading.local()


@contextmanager
def ended_by(stop: threading.Event | None) -> Iterator[None]:
    """Answers that this thread asks for meanwhile end when `stop` is set, however long they are read afterwards."""
    _asking.stop = stop
    try:
        yield
    finally:
        _asking.stop = None


class _Connection(HTTPSConnection):
    def getresponse(self) -> Any:
        if self.sock is not None:
            _look_after(self.sock, getattr(_asking, "stop", None))
        return super().getresponse()


class Pool(urllib3.HTTPSConnectionPool):
    """A pool whose connections heed `ended_by`."""

    ConnectionCls = _Connection


def _look_after(connection: socket.socket, stop: threading.Event | None) -> None:
    global _keeper
    with _lock:
        if stop is None:
            # A pooled connection that is now used for something else.
            _stops.pop(connection, None)
            return
        _stops[connection] = stop
        if _keeper is None or not _keeper.is_alive():
            _keeper = threading.Thread(target=_keep, name="kube-stops", daemon=True)
            _keeper.start()


def _keep() -> None:
    global _keeper
    while True:
        time.sleep(LOOK_SECONDS)
        with _lock:
            watched = list(_stops.items())
            done = [each for each, stop in watched if stop.is_set() or each.fileno() < 0]
            for each in done:
                del _stops[each]
                with contextlib.suppress(OSError):
                    # Not SSLSocket's own, after which a reader would take what is still encrypted for the answer.
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
            if len(done) == len(watched):
                _keeper = None
                return
