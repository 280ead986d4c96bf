"""HTTP/1.1 over asyncio streams: whole answers, streamed ones, and connections that become something else.

No web framework, because exec and port-forward take the connection over (WebSocket, and SPDY for older kubectl), and
because authentication needs the peer's certificate. Heads are read here and not by a library: what Python's libraries
do to each of them costs as much as the whole of an API server's dry run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

MOST_BODY = 8 * 1024 * 1024
READ_BYTES = 256 * 1024
CLOSE_SECONDS = 1.0
WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
PHRASES = {each.value: each.phrase for each in HTTPStatus}


class NotHTTP(Exception):
    """What the client sent is no request, or too large a one; the connection cannot be used any more."""


@dataclass(frozen=True)
class Head:
    """The first line of a request, and its headers by lower-case names; repeated ones are one list."""

    method: str
    target: str
    headers: dict[str, str]
    stays: bool

    @classmethod
    def of(cls, data: bytes) -> Head:
        """Raises NotHTTP."""
        first, *lines = data.decode("latin-1").split("\r\n")
        method, _space, rest = first.partition(" ")
        target, _space, version = rest.rpartition(" ")
        if not method.isalpha() or not target.startswith("/") or version not in ("HTTP/1.1", "HTTP/1.0"):
            raise NotHTTP(first[:100])
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise NotHTTP(line[:100])
            name, value = name.lower(), value.strip(" \t")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        stays = version == "HTTP/1.1" and "close" not in headers.get("connection", "").lower()
        return cls(method, target, headers, stays)


class Exchange:
    """One request and the means to answer it."""

    def __init__(self, connection: Connection, head: Head, body: bytes) -> None:
        self._connection = connection
        self._is_streaming = False
        self._stays = head.stays
        path, _mark, query = head.target.partition("?")
        self.method = head.method
        self.path = unquote(path)
        self.query: dict[str, list[str]] = parse_qs(query, keep_blank_values=True) if query else {}
        self.headers = head.headers
        self.body = body
        self.peer_certificate = connection.peer_certificate
        self.closed = connection.closed
        self.answered = False
        # Set by whoever routes a request to a pod's subresource.
        self.subresource = ""
        self.namespace = ""
        self.name = ""

    def first(self, name: str, otherwise: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [otherwise])[0]

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Answer at once."""
        self.answered = True
        data = self._head(status, {**headers, "Content-Length": str(len(body))})
        shown = self.method != "HEAD" and status not in WITHOUT_BODY
        await self._connection.send(data + body if shown else data)

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        closing = "" if self._stays or status == HTTPStatus.SWITCHING_PROTOCOLS else "Connection: close\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {status} {PHRASES.get(status, '')}\r\n{lines}{closing}\r\n".encode("latin-1")

    async def start_stream(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer whose parts follow with `write`."""
        self.answered = self._is_streaming = True
        self._connection.watch_for_close()
        await self._connection.send(self._head(status, {**headers, "Transfer-Encoding": "chunked"}))

    async def write(self, data: bytes) -> None:
        """The next part of a streamed answer. Raises ConnectionError where the client has left."""
        if data:
            await self._connection.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def finish(self) -> bool:
        """End a streamed answer; whether another request may follow on the connection."""
        if self._is_streaming:
            self._is_streaming = False
            with contextlib.suppress(ConnectionError):
                await self._connection.send(b"0\r\n\r\n")
        return self.answered and self._stays

    async def upgrade(self, headers: Mapping[str, str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Answer 101; from then on the connection belongs to the caller."""
        self.answered = True
        await self._connection.send(self._head(HTTPStatus.SWITCHING_PROTOCOLS, headers))
        return self._connection.take_over()


StreamRequest = Exchange
Handler = Callable[[Exchange], Awaitable[None]]


class Connection:
    """One client's connection; requests on it are answered one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        tls = writer.get_extra_info("ssl_object")
        self.peer_certificate: Any = tls.getpeercert() if tls is not None else None
        self.closed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._taken = False

    async def serve(self, handler: Handler) -> None:
        """Answer requests until either side has had enough."""
        try:
            while True:
                head = Head.of((await self.reader.readuntil(b"\r\n\r\n"))[:-4])
                exchange = Exchange(self, head, await self._body(head))
                await handler(exchange)
                if self._taken or not await exchange.finish():
                    return
                await self._stop_watching()
        except (ConnectionError, NotHTTP, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            return
        finally:
            self.closed.set()
            await self._stop_watching()
            self.writer.close()
            try:
                # A client that does not answer the end of TLS must not hold up whoever stops the server.
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.writer.wait_closed()
            except (OSError, TimeoutError):
                self.writer.transport.abort()

    async def _body(self, head: Head) -> bytes:
        if "upgrade" in head.headers:
            # Whatever follows the head already belongs to the other protocol.
            return b""
        length, encoding = head.headers.get("content-length", ""), head.headers.get("transfer-encoding", "")
        if not length and not encoding:
            return b""
        if head.headers.get("expect", "").lower() == "100-continue":
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if encoding:
            return await self._chunks(encoding)
        if not length.isdecimal() or int(length) > MOST_BODY:
            raise NotHTTP(f"a body of {length[:20]} bytes")
        return await self.reader.readexactly(int(length))

    async def _chunks(self, encoding: str) -> bytes:
        if encoding.lower() != "chunked":
            raise NotHTTP(encoding)
        body = b""
        while True:
            try:
                size = int((await self.reader.readuntil(b"\r\n")).partition(b";")[0].strip(), 16)
            except ValueError:
                raise NotHTTP("the size of a chunk") from None
            if size < 0 or len(body) + size > MOST_BODY:
                raise NotHTTP("a body that is too large")
            if size == 0:
                # Trailers, of which nothing is used.
                while await self.reader.readuntil(b"\r\n") != b"\r\n":
                    pass
                return body
            body += (await self.reader.readexactly(size + 2))[:-2]

    async def send(self, data: bytes) -> None:
        if data:
            self.writer.write(data)
            await self.writer.drain()

    def watch_for_close(self) -> None:
        """Notice when the client leaves while an answer is being streamed."""
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        data = await self.reader.read(READ_BYTES)
        if not data:
            self.closed.set()
        else:
            # The next request: put back what is not ours to read.
            self.reader._buffer[:0] = data  # type: ignore[attr-defined]

    async def _stop_watching(self) -> None:
        if self._watching is not None and not self._watching.done():
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._watching = None

    def take_over(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._taken = True
        return self.reader, self.writer
