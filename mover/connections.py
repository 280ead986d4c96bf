"""HTTP connections to one server, kept between requests. Thread-safe: each connection is one request's at a time.

The standard library's client alone: what the usual ones add per process (start-up) and per byte (copies) costs a mover
more than everything else that it does.
"""

from __future__ import annotations

import http.client
import os
import select
import ssl
import threading
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

# OpenSSL's number for a certificate that is for another name than the one asked for.
OTHER_NAME = 62


class NotConnected(OSError):
    """No connection came about; the error that it is raised from says why."""


class Connections:
    """Connections to `host`, directly or through the proxy that the environment names."""

    def __init__(
        self, *, secure: bool, host: str, port: int | None, ca_pem: str, connect_timeout: float, silence: float
    ) -> None:
        """`silence` is for how many seconds a connection may neither take nor bring anything."""
        self._host, self._port, self._secure = host, port, secure
        self._connect_timeout, self._silence = connect_timeout, silence
        self._context = _tls(ca_pem) if secure else None
        self._proxy = _proxy(host, secure=secure)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    @property
    def target_prefix(self) -> str:
        """What stands before the path in a request's first line."""
        if self._proxy is None or self._secure:
            return ""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}" + (f":{self._port}" if self._port else "")

    @property
    def proxy_headers(self) -> dict[str, str]:
        """What a proxy that sees the requests wants to read in each; where there is a tunnel, only its begin has it."""
        return self._proxy[2] if self._proxy is not None and not self._secure else {}

    def take(self) -> http.client.HTTPConnection:
        """A connection that is open; it goes back with `give`, or is closed."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._made()
            if not _hung_up(connection):
                return connection
            connection.close()

    def give(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection whose answer was read to its end."""
        if connection.sock is None:
            return
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _made(self) -> http.client.HTTPConnection:
        host, port, headers = self._proxy or (self._host, self._port, {})
        timeout = self._connect_timeout
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        if self._proxy is not None and self._secure:
            connection.set_tunnel(self._host, self._port or 443, headers=headers)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            raise
        except OSError as error:
            raise NotConnected from error
        connection.sock.settimeout(self._silence)
        return connection


def _hung_up(connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection has something to say, which can only be that it is over."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _tls(ca_pem: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_pem or None)
    if not ca_pem:
        # A small image may have no certificates of its own; boto's are those that the other requests are checked with.
        found = find_spec("botocore")
        bundle = Path(found.origin).with_name("cacert.pem") if found and found.origin else None
        if bundle is not None and bundle.exists():
            context.load_verify_locations(bundle)
    return context


def _proxy(host: str, *, secure: bool) -> tuple[str, int | None, dict[str, str]] | None:
    """Host, port and headers of the proxy for requests to `host`."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies_environment, proxy_bypass

    address = getproxies_environment().get("https" if secure else "http")
    if not address or proxy_bypass(host):
        return None
    parts = urlsplit(address if "//" in address else f"//{address}")
    headers = {}
    if parts.username:
        import base64

        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return parts.hostname or "", parts.port, headers
