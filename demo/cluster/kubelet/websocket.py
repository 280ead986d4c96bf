"""WebSockets over an upgraded connection: numbered channels, and SPDY inside of one."""

from __future__ import annotations

import asyncio
import contextlib

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from demo.cluster.kubelet.spdy import Transport


class WebSocket:
    """The server's side of a WebSocket whose handshake is over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = Connection(ConnectionType.SERVER)
        self._message = bytearray()
        self._ready: list[bytes] = []
        self._closed = False
        self._sending = asyncio.Lock()

    async def receive(self) -> bytes | None:
        """The next whole message; None at the end."""
        while not self._ready:
            if self._closed:
                return None
            data = await self._reader.read(65536)
            if not data:
                self._closed = True
                return None
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if isinstance(event, BytesMessage | TextMessage):
                    part = event.data
                    self._message += part.encode() if isinstance(part, str) else part
                    if event.message_finished:
                        self._ready.append(bytes(self._message))
                        self._message.clear()
                elif isinstance(event, Ping):
                    await self._send(self._protocol.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self._closed = True
                    with contextlib.suppress(OSError):
                        await self._send(self._protocol.send(event.response()))
        return self._ready.pop(0)

    async def send(self, message: bytes) -> None:
        """Send one binary message."""
        if not self._closed:
            await self._send(self._protocol.send(BytesMessage(data=message)))

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            self._writer.write(data)
            await self._writer.drain()

    async def close(self, code: int = 1000) -> None:
        """Say goodbye and close."""
        with contextlib.suppress(OSError):
            if not self._closed:
                self._closed = True
                await self._send(self._protocol.send(CloseConnection(code=code)))
            self._writer.close()
            await self._writer.wait_closed()


class WebSocketTransport(Transport):
    """Bytes inside binary messages, as clients tunnel SPDY."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def read(self) -> bytes:
        while (message := await self._websocket.receive()) is not None:
            if message:
                return message
        return b""

    async def write(self, data: bytes) -> None:
        await self._websocket.send(data)

    async def close(self) -> None:
        await self._websocket.close()
