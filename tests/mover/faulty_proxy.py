"""A proxy in front of an S3 server that breaks requests and answers in the way a test asks for."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# Ways to answer without carrying the request out: status, code and further headers.
_REFUSALS: dict[str, tuple[int, str, dict[str, str]]] = {
    "internal error": (500, "InternalError", {}),
    "slow down": (503, "SlowDown", {"Retry-After": "0"}),
    "slow down for a second": (503, "SlowDown", {"Retry-After": "1"}),
    "slow down for an hour": (503, "SlowDown", {"Retry-After": "3600"}),
    "request timeout": (400, "RequestTimeout", {}),
    "clock skew": (403, "RequestTimeTooSkewed", {}),
    # What MinIO says where others say BadDigest.
    "checksum mismatch": (400, "XAmzContentChecksumMismatch", {}),
    "success that is an error": (200, "InternalError", {}),
}
WAYS = (
    *_REFUSALS,
    "reset before",
    "reset after",
    "silence before",
    "silence after",
    "cut body",
    "stalled body",
    "short body",
    "flipped bit",
    # Of the request; the server gets what is left of it.
    "flipped bit up",
    "cut body up",
)


@dataclass
class _Fault:
    way: str
    match: re.Pattern[str]
    method: str
    times: int
    struck: int = 0


@dataclass
class FaultyProxy:
    """Where it listens, what it breaks, and what came by."""

    endpoint: str
    upstream: tuple[str, int]
    released: threading.Event = field(default_factory=threading.Event)
    # Bytes of bodies by method and path, those of broken and of broken-off requests too.
    carried: list[tuple[str, str, int]] = field(default_factory=list)
    # What the answers that this proxy makes up say of the time, in seconds from now on.
    clock: float = 0.0
    _faults: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strike(self, way: str, match: str, *, method: str = "GET", times: int = 1) -> _Fault:
        """Break the next `times` answers to requests whose path matches; `struck` counts them."""
        assert way in WAYS
        fault = _Fault(way, re.compile(match), method, times)
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, method: str, path: str) -> str:
        """In which way this request fails; empty when it does not."""
        with self._lock:
            for fault in self._faults:
                if fault.struck < fault.times and fault.method == method and fault.match.search(path):
                    fault.struck += 1
                    return fault.way
        return ""

    def note(self, method: str, path: str, count: int) -> None:
        """Remember what a request carried."""
        with self._lock:
            self.carried.append((method, path, count))

    def bytes_of(self, method: str, match: str) -> int:
        """The bytes carried by such requests up to now."""
        with self._lock:
            return sum(count for each, path, count in self.carried if each == method and re.search(match, path))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _carry(self) -> None:
        proxy = self.server.proxy
        method, path = self.command, self.path
        body = self._body()
        way = proxy.take(method, path)
        if way in ("reset before", "silence before"):
            self._break_off(way)
            return
        if way in _REFUSALS:
            status, code, headers = _REFUSALS[way]
            said = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>no</Message></Error>"
            date = formatdate(time.time() + proxy.clock, usegmt=True)
            self._answer(status, {"Content-Type": "application/xml", "Date": date, **headers}, said.encode())
            return
        if way == "flipped bit up":
            body = _flipped(body)
        upstream = http.client.HTTPConnection(*proxy.upstream, timeout=60)
        try:
            if way == "cut body up":
                self._send_half(upstream, body)
            else:
                upstream.request(method, path, body=body or None, headers=dict(self.headers.items()))
            answer = upstream.getresponse()
            content = answer.read()
        except OSError:
            # The server was told to break off; so does this one.
            self._break_off("reset after")
            return
        finally:
            upstream.close()
        if way in ("reset after", "silence after"):
            self._break_off(way)
            return
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS}
        if way == "flipped bit" and content:
            content = _flipped(content)
        if way == "short body":
            content = content[: len(content) // 2]
        if method == "GET":
            proxy.note(method, path, len(content))
        if way in ("cut body", "stalled body"):
            self._answer(answer.status, headers, content[: len(content) // 2], length=len(content))
            self._break_off("reset after" if way == "cut body" else "silence after")
            return
        length = int(answer.getheader("Content-Length") or 0) if method == "HEAD" else None
        self._answer(answer.status, headers, content, length=length)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _carry

    def _send_half(self, upstream: http.client.HTTPConnection, body: bytes) -> None:
        """The request with half of its body, as when whoever is in between loses the connection and does not say so."""
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body[: len(body) // 2])
        upstream.sock.shutdown(socket.SHUT_WR)

    def _body(self) -> bytes:
        """The request's body; what arrived of it is noted even if its end never does."""
        wanted = int(self.headers.get("Content-Length") or 0)
        pieces: list[bytes] = []
        got = 0
        try:
            while got < wanted and (piece := self.rfile.read1(min(1 << 20, wanted - got))):
                pieces.append(piece)
                got += len(piece)
        finally:
            if wanted and self.command == "PUT":
                self.server.proxy.note(self.command, self.path, got)
        if got < wanted:
            raise ConnectionResetError
        return b"".join(pieces)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, length: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _break_off(self, way: str) -> None:
        if way.startswith("silence"):
            self.server.proxy.released.wait()
        # With this option a close is a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.server.shutdown_request(self.connection)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _flipped(content: bytes) -> bytes:
    """The same with one bit of its middle changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


_OWN_HEADERS = {"content-length", "connection", "transfer-encoding"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: FaultyProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what many tests are about."""


@contextmanager
def faulty_proxy(endpoint: str) -> Iterator[FaultyProxy]:
    """Serve a proxy to `endpoint` from threads of this process while the context lasts."""
    server = _Server(("127.0.0.1", 0), _Handler)
    address = urlsplit(endpoint)
    assert address.hostname
    assert address.port
    server.proxy = FaultyProxy(f"http://127.0.0.1:{server.server_port}", (address.hostname, address.port))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.proxy.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
