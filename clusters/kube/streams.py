"""Logs over HTTP; exec and port-forward over WebSocket, with the channels of `v5.channel.k8s.io`."""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SHUT_RDWR, create_connection
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

import urllib3
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from clusters.kube import errors, watches
from clusters.kube.sockets import TlsSocket
from clusters.texts import said

if TYPE_CHECKING:
    from clusters.kube.requests import ApiConnection

STDIN, STDOUT, STDERR, STATUS = range(4)
# Only version 5 can say that standard input has ended.
CLOSE = 255
# Small enough to fit into a socket that can be written to at all.
STDIN_BYTES = 16 * 1024
LOG_SILENCE_SECONDS = 300
OPEN_SECONDS = 15


@dataclass(frozen=True)
class ExecResult:
    """What a program in a container printed, and its exit code."""

    stdout: bytes
    stderr: bytes
    exit_code: int


def _log_path(connection: ApiConnection, pod: str, namespace: str) -> str:
    return connection.resource("pods").path(namespace, pod, "log")


def logs(
    connection: ApiConnection,
    pod: str,
    namespace: str,
    *,
    container: str | None = None,
    tail_lines: int | None = None,
    previous: bool = False,
) -> str:
    """The container's log so far, or its last lines."""
    wanted = {"container": container, "tailLines": tail_lines, "previous": "true" if previous else None}
    query = {name: value for name, value in wanted.items() if value is not None}
    answer = connection.request(
        "GET",
        _log_path(connection, pod, namespace),
        query=query,
        accept="*/*",
        repeatable=True,
        what=f"read the log of pod {namespace}/{pod}",
    )
    return answer.data.decode(errors="replace")


def follow_logs(
    connection: ApiConnection,
    pod: str,
    namespace: str,
    *,
    container: str | None = None,
    since_time: str | None = None,
    stop: threading.Event | None = None,
) -> Iterator[str]:
    """The log's lines as they are written, until the container ends or `stop`. Raises KubeError when it breaks."""
    wanted = {"follow": "true", "container": container, "sinceTime": since_time}
    query = {name: value for name, value in wanted.items() if value is not None}
    stop = stop or threading.Event()
    try:
        response = connection.request(
            "GET",
            _log_path(connection, pod, namespace),
            query=query,
            accept="*/*",
            stream=True,
            timeout=(5, LOG_SILENCE_SECONDS),
            what=f"follow the log of pod {namespace}/{pod}",
            stop=stop,
        )
    except errors.RETRIABLE:
        # A container that has written nothing lets us wait for the answer's head already.
        if stop.is_set():
            return
        raise
    try:
        for line in watches.lines(response, stop):
            yield line.decode(errors="replace")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise errors.from_exception(error, connection.server) from None
    finally:
        response.close()


def _open(
    connection: ApiConnection,
    path: str,
    query: list[tuple[str, str]],
    protocols: list[str],
    what: str,
    max_queue: int | None = 16,
) -> ClientConnection:
    headers = {name: value for name, value in connection.headers.items() if name == "Authorization"}
    parts = urlsplit(connection.server)
    host = parts.hostname or ""
    try:
        plain = create_connection((host, parts.port or 443), timeout=OPEN_SECONDS)
    except OSError as error:
        raise errors.from_exception(error, connection.server) from None
    try:
        encrypted = TlsSocket(plain, connection.tls, connection.kubeconfig.tls_server_name or host)
        return connect(
            # Encrypted already; without the port that is left out, as in every other request.
            f"ws://{parts.netloc}{parts.path}{path}?{urlencode(query)}",
            sock=cast(Any, encrypted),
            subprotocols=[Subprotocol(protocol) for protocol in protocols],
            additional_headers=headers,
            user_agent_header="kubemotion-web",
            open_timeout=OPEN_SECONDS,
            close_timeout=2,
            max_size=2**24,
            max_queue=max_queue,
            compression=None,
            proxy=None,
            # Closed by whoever asked for it.
            legacy=True,
        )
    except InvalidStatus as error:
        plain.close()
        raise errors.from_response(error.response.status_code, bytes(error.response.body or b""), what) from None
    except (WebSocketException, OSError) as error:
        plain.close()
        raise errors.from_exception(error, connection.server) from None


def exec(
    connection: ApiConnection,
    pod: str,
    namespace: str,
    command: list[str],
    *,
    container: str | None = None,
    stdin: bytes | None = None,
    timeout: float = 60,
) -> ExecResult:
    """Run `command` in the container. Raises KubeError; a program that fails is a result with its exit code."""
    what = f"run {command[0]} in pod {namespace}/{pod}"
    query = [("command", word) for word in command] + [("stdout", "true"), ("stderr", "true")]
    query += [("container", container)] if container else []
    query += [("stdin", "true")] if stdin is not None else []
    path = connection.resource("pods").path(namespace, pod, "exec")
    # The output is kept whole anyway. Not to read it on would let the program wait for us while we wait for it.
    socket = _open(connection, path, query, ["v5.channel.k8s.io", "v4.channel.k8s.io"], what, max_queue=None)
    output: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()}
    deadline = time.monotonic() + timeout
    try:
        if stdin is not None:
            # A program may end without having read it all; what it printed is still to be read then.
            with suppress(ConnectionClosed):
                _give(socket, stdin, deadline)
        while True:
            frame = socket.recv(timeout=max(0.0, deadline - time.monotonic()))
            data = frame.encode() if isinstance(frame, str) else frame
            if data and data[0] in output:
                output[data[0]] += data[1:]
    except ConnectionClosed:
        pass
    except TimeoutError:
        raise errors.Unreachable(
            said("Could not {what}: it took longer than {seconds} s.", what=what, seconds=f"{timeout:.0f}")
        ) from None
    finally:
        _hang_up(socket)
    if not output[STATUS]:
        raise errors.Unreachable(said("Could not {what}: the connection broke before the program ended.", what=what))
    return ExecResult(bytes(output[STDOUT]), bytes(output[STDERR]), _exit_code(bytes(output[STATUS]), what))


def _hang_up(socket: ClientConnection) -> None:
    """Close, whatever the other side does.

    The library's reading thread may be waiting for the rest of a TLS record. Closing waits for that thread, and does
    not wake it; to shut the connection down does.
    """
    with suppress(OSError):
        socket.socket.shutdown(SHUT_RDWR)
    socket.close()


def _give(socket: ClientConnection, stdin: bytes, deadline: float) -> None:
    """Send standard input as fast as the program takes it, and its end. Raises TimeoutError.

    A write that had to wait would also keep what the program prints from being read, and for ever.
    """
    ready = select.poll()
    try:
        ready.register(socket.socket, select.POLLOUT)
    except ValueError:
        # The program has ended already, and its socket is closed.
        return
    for at in range(0, len(stdin), STDIN_BYTES):
        if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        socket.send(bytes([STDIN]) + stdin[at : at + STDIN_BYTES])
    if socket.subprotocol == "v5.channel.k8s.io":
        socket.send(bytes([CLOSE, STDIN]))


def _exit_code(outcome: bytes, what: str) -> int:
    """The exit code in the `Status` with which the server ends. Raises KubeError where the program did not run."""
    try:
        status = json.loads(outcome)
        if status.get("status") == "Success":
            return 0
        causes = (status.get("details") or {}).get("causes") or []
        for cause in causes:
            if cause.get("reason") == "ExitCode":
                return int(cause["message"])
        code = int(status.get("code") or 500)
    except (ValueError, TypeError, AttributeError, LookupError):
        raise errors.Unavailable(
            said("Could not {what}: the server does not say how the program ended.", what=what)
        ) from None
    raise errors.from_response(code, outcome, what)


class Forwarded:
    """A byte stream to a pod's port."""

    DATA, ERROR = 0, 1

    def __init__(self, socket: ClientConnection, what: str) -> None:
        self._socket = socket
        self._what = what
        # Each channel begins with a frame that repeats the port.
        self._greeted: set[int] = set()

    def sendall(self, data: bytes) -> None:
        try:
            self._socket.send(bytes([self.DATA]) + data)
        except ConnectionClosed:
            raise errors.Unreachable(said("Could not {what}: the connection is closed.", what=self._what)) from None

    def recv(self, timeout: float | None = 30) -> bytes:
        """The next bytes; empty at the end. Raises Unreachable with the server's words where nobody listens."""
        while True:
            try:
                frame = self._socket.recv(timeout=timeout)
            except ConnectionClosed:
                return b""
            except TimeoutError:
                raise errors.Unreachable(
                    said("Could not {what}: no answer within {seconds} s.", what=self._what, seconds=timeout)
                ) from None
            data = frame.encode() if isinstance(frame, str) else frame
            if not data:
                continue
            channel, content = data[0], data[1:]
            if channel not in self._greeted:
                self._greeted.add(channel)
                continue
            if channel == self.ERROR and content:
                raise errors.Unreachable(
                    said("Could not {what}: {words}", what=self._what, words=content.decode(errors="replace"))
                )
            if content:
                return content


@contextmanager
def port_forward(connection: ApiConnection, pod: str, namespace: str, port: int) -> Iterator[Forwarded]:
    """A byte stream to the pod's port, through the API server."""
    what = f"forward port {port} of pod {namespace}/{pod}"
    path = connection.resource("pods").path(namespace, pod, "portforward")
    socket = _open(connection, path, [("ports", str(port))], ["v4.channel.k8s.io"], what)
    try:
        yield Forwarded(socket, what)
    finally:
        _hang_up(socket)
