"""SPDY/3.1 as far as `exec`, `attach` and `port-forward` of older clients use it: streams over one connection.

A stream begins with headers, carries data in both directions and ends in each on its own. Header blocks are compressed
with one zlib stream per direction and SPDY's dictionary.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN = 0x01
VERSION = 3
MAX_DATA = 32 * 1024
MAX_FRAME = 1 << 20

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_MORE_WORDS = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.encode() for word in [*_WORDS.split(), *_MORE_WORDS]) + _TAIL.encode()
)


class Transport(ABC):
    """Bytes in both directions: a socket, or a WebSocket that carries them."""

    @abstractmethod
    async def read(self) -> bytes:
        """What has come; nothing at the end."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send."""

    @abstractmethod
    async def close(self) -> None:
        """Nothing more will be sent."""


class SocketTransport(Transport):
    """The connection itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        return await self._reader.read(65536)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class SpdyStream:
    """One stream of a session, as the other side opened it."""

    def __init__(self, session: SpdySession, number: int, headers: dict[str, str]) -> None:
        self._session, self.number, self.headers = session, number, headers
        self.reader = asyncio.StreamReader()
        self._ended = False

    async def write(self, data: bytes) -> None:
        """Send data on this stream."""
        for start in range(0, len(data), MAX_DATA):
            await self._session.send_data(self.number, data[start : start + MAX_DATA])

    async def end(self) -> None:
        """Nothing more will be sent on this stream."""
        if not self._ended:
            self._ended = True
            await self._session.send_data(self.number, b"", flags=FLAG_FIN)


class SpdySession:
    """The server's side of a connection."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._streams: dict[int, SpdyStream] = {}
        self._sending = asyncio.Lock()

    async def accept(self) -> AsyncIterator[SpdyStream]:
        """Yield the streams that the client opens, and serve them all meanwhile; ends with the connection."""
        buffer = bytearray()
        try:
            while data := await self._transport.read():
                buffer += data
                while len(buffer) >= 8:
                    size = int.from_bytes(buffer[5:8])
                    if size > MAX_FRAME:
                        return
                    if len(buffer) < 8 + size:
                        break
                    head, payload = bytes(buffer[:8]), bytes(buffer[8 : 8 + size])
                    del buffer[: 8 + size]
                    opened = await self._handle(head, payload)
                    if opened is not None:
                        yield opened
        finally:
            for stream in self._streams.values():
                stream.reader.feed_eof()

    async def _handle(self, head: bytes, payload: bytes) -> SpdyStream | None:
        flags = head[4]
        if not head[0] & 0x80:
            stream = self._streams.get(int.from_bytes(head[:4]))
            if stream is not None:
                stream.reader.feed_data(payload)
                if flags & FLAG_FIN:
                    stream.reader.feed_eof()
            return None
        kind = int.from_bytes(head[2:4])
        if kind == SYN_STREAM:
            number = int.from_bytes(payload[:4]) & 0x7FFFFFFF
            stream = SpdyStream(self, number, self._headers(payload[10:]))
            self._streams[number] = stream
            if flags & FLAG_FIN:
                stream.reader.feed_eof()
            block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._send_control(SYN_REPLY, struct.pack(">I", number) + block)
            return stream
        if kind == PING:
            await self._send_control(PING, payload)
        elif kind == RST_STREAM:
            stream = self._streams.pop(int.from_bytes(payload[:4]), None)
            if stream is not None:
                stream.reader.feed_eof()
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        data = self._inflate.decompress(block)
        position = 4
        headers = {}
        for _ in range(int.from_bytes(data[:4])):
            pair = []
            for _ in range(2):
                size = int.from_bytes(data[position : position + 4])
                pair.append(data[position + 4 : position + 4 + size].decode("latin-1"))
                position += 4 + size
            headers[pair[0].lower()] = pair[1]
        return headers

    async def send_data(self, number: int, data: bytes, *, flags: int = 0) -> None:
        """One data frame."""
        async with self._sending:
            await self._transport.write(struct.pack(">IB", number, flags) + len(data).to_bytes(3) + data)

    async def _send_control(self, kind: int, payload: bytes) -> None:
        head = struct.pack(">HHB", 0x8000 | VERSION, kind, 0) + len(payload).to_bytes(3)
        async with self._sending:
            await self._transport.write(head + payload)

    async def close(self) -> None:
        """End the session."""
        with contextlib.suppress(OSError):
            await self._send_control(GOAWAY, struct.pack(">II", max(self._streams, default=0), 0))
        await self._transport.close()
