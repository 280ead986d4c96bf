"""HTTP/1.1 over asyncio streams with h11: whole answers, streamed ones, and connections that become something else.

h11 rather than a web framework, because exec and port-forward take the connection over (WebSocket, and SPDY for older
kubectl), and because authentication needs the peer's certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import h11

MOST_BODY = 8 * 1024 * 1024
READ_BYTES = 256 * 1024
CLOSE_SECONDS = 1.0


class Exchange:
    """One request and the means to answer it."""

    def __init__(self, connection: Connection, request: h11.Request, body: bytes) -> None:
        self._connection = connection
        parts = urlsplit(request.target.decode("latin-1"))
        self.method = request.method.decode()
        self.path = unquote(parts.path)
        self.query: dict[str, list[str]] = parse_qs(parts.query, keep_blank_values=True)
        self.headers: dict[str, str] = {}
        for raw_name, raw_value in request.headers:
            name, value = raw_name.decode().lower(), raw_value.decode("latin-1")
            # Repeated headers are one list.
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
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
        every = [*headers.items(), ("Content-Length", str(len(body)))]
        data = self._connection.h11.send(h11.Response(status_code=status, headers=every, reason=b"")) or b""
        if body and self.method != "HEAD" and status not in (204, 304):
            data += self._connection.h11.send(h11.Data(data=body)) or b""
        data += self._connection.h11.send(h11.EndOfMessage()) or b""
        await self._connection.send(data)

    async def start_stream(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer whose parts follow with `write`."""
        self.answered = True
        self._connection.watch_for_close()
        await self._connection.send(
            self._connection.h11.send(h11.Response(status_code=status, headers=list(headers.items()), reason=b""))
            or b""
        )

    async def write(self, data: bytes) -> None:
        """The next part of a streamed answer. Raises ConnectionError where the client has left."""
        await self._connection.send(self._connection.h11.send(h11.Data(data=data)) or b"")

    async def finish(self) -> None:
        """End a streamed answer."""
        if self._connection.h11.our_state is h11.SEND_BODY:
            with contextlib.suppress(ConnectionError):
                await self._connection.send(self._connection.h11.send(h11.EndOfMessage()) or b"")

    async def upgrade(self, headers: Mapping[str, str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Answer 101; from then on the connection belongs to the caller."""
        self.answered = True
        answer = h11.InformationalResponse(
            status_code=101, headers=list(headers.items()), reason=b"Switching Protocols"
        )
        await self._connection.send(self._connection.h11.send(answer) or b"")
        return self._connection.take_over()


StreamRequest = Exchange
Handler = Callable[[Exchange], Awaitable[None]]


class Connection:
    """One client's connection; requests on it are answered one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=256 * 1024)
        tls = writer.get_extra_info("ssl_object")
        self.peer_certificate: Any = tls.getpeercert() if tls is not None else None
        self.closed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._taken = False

    async def serve(self, handler: Handler) -> None:
        """Answer requests until either side has had enough."""
        try:
            while not self._taken:
                request = await self._next_event()
                if not isinstance(request, h11.Request):
                    return
                body = await self._body(request)
                exchange = Exchange(self, request, body)
                await handler(exchange)
                if self._taken:
                    return
                await exchange.finish()
                await self._stop_watching()
                if self.h11.our_state is not h11.DONE or self.h11.their_state is not h11.DONE:
                    return
                self.h11.start_next_cycle()
        except (ConnectionError, h11.ProtocolError, asyncio.IncompleteReadError, TimeoutError):
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

    async def _next_event(self) -> Any:
        while True:
            event = self.h11.next_event()
            if event is h11.NEED_DATA:
                if self.h11.they_are_waiting_for_100_continue:
                    await self.send(self.h11.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                data = await self.reader.read(READ_BYTES)
                self.h11.receive_data(data)
                continue
            return event

    async def _body(self, request: h11.Request) -> bytes:
        if self._wants_upgrade(request):
            # Whatever follows the head already belongs to the other protocol.
            return b""
        chunks: list[bytes] = []
        size = 0
        while True:
            event = await self._next_event()
            if isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                return b"".join(chunks)
            if isinstance(event, h11.Data):
                size += len(event.data)
                if size > MOST_BODY:
                    raise ConnectionError("the body is too large")
                chunks.append(bytes(event.data))
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("the client left")

    @staticmethod
    def _wants_upgrade(request: h11.Request) -> bool:
        return any(name.lower() == b"upgrade" for name, _value in request.headers)

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
            self.h11.receive_data(data)

    async def _stop_watching(self) -> None:
        if self._watching is not None and not self._watching.done():
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._watching = None

    def take_over(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._taken = True
        rest, _closed = self.h11.trailing_data
        if rest:
            # Put back what h11 has read ahead; the other protocol's first bytes may be among it.
            self.reader._buffer[:0] = rest  # type: ignore[attr-defined]
        return self.reader, self.writer
