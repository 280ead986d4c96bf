"""A TLS connection that one thread may read while another writes, as WebSockets need it.

`ssl.SSLSocket` is not such a one: where a reader is in the middle of a session ticket, a writer begins to read as well
(OpenSSL takes the handshake to be unfinished), and both wait for the other side for ever. Here the encrypted bytes
pass through memory, OpenSSL is called under a lock, and nobody waits inside of it.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import Any

RECEIVE_BYTES = 64 * 1024


class TlsSocket:
    """A connected socket with TLS, for one reader and any number of writers."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, server_hostname: str) -> None:
        """Do the handshake. Raises ssl.SSLError and OSError; the time limit is that of the plain socket."""
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        # OpenSSL's, never held while waiting; and that of whoever sends, which keeps the records in order.
        self._lock, self._sending = threading.Lock(), threading.Lock()
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            except ssl.SSLError:
                # The alert that says why is still to be sent.
                with suppress(OSError):
                    self._flush()
                raise
        self._flush()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the plain socket's: its address, its time limit, its number."""
        return getattr(self._plain, name)

    def _receive(self) -> bool:
        """Wait for encrypted bytes; False at their end."""
        data = self._plain.recv(RECEIVE_BYTES)
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
        return bool(data)

    def _flush(self) -> None:
        """Send what OpenSSL has made, unless somebody is sending: they take it along."""
        while self._outgoing.pending and self._sending.acquire(blocking=False):
            try:
                self._send()
            finally:
                self._sending.release()

    def _send(self) -> None:
        while True:
            with self._lock:
                pending = self._outgoing.read()
            if not pending:
                return
            self._plain.sendall(pending)

    def recv(self, _most: int = RECEIVE_BYTES, _flags: int = 0) -> bytes:
        """All that is there, waiting for the first of it; empty at the end.

        It may be more than was asked for: whoever polls the plain socket would not learn of what is kept here.
        """
        while True:
            with self._lock:
                found = self._decrypted()
            self._flush()
            if found is not None:
                return found
            if not self._receive():
                return b""

    def _decrypted(self) -> bytes | None:
        """What can be decrypted now; None where more is needed."""
        parts: list[bytes] = []
        try:
            while part := self._tls.read(RECEIVE_BYTES):
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts) if parts else None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        return b"".join(parts)

    def sendall(self, data: bytes | bytearray | memoryview, _flags: int = 0) -> None:
        """Send all of it. The reader goes on meanwhile: the other side may wait for it before it takes more."""
        with self._sending:
            with self._lock:
                self._tls.write(data)
            self._send()

    def shutdown(self, how: int) -> None:
        """Shut the connection down, which also wakes the reader."""
        self._plain.shutdown(how)

    def close(self) -> None:
        """Close the connection."""
        self._plain.close()
