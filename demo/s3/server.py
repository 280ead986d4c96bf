"""The HTTP side: path-style requests in, what S3 would answer out.

One thread per connection; bodies go to and come from files in large pieces (sendfile where the connection is plain), so
that memory does not grow with objects.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote

from demo.s3 import direct, sts
from demo.s3.bodies import STREAMING, Body, BrokenOff
from demo.s3.errors import S3Error
from demo.s3.faults import Faults
from demo.s3.operations import ACTIONS, buckets, operation_of
from demo.s3.signatures import KeyPair, verify
from demo.s3.store import Store, StoredObject
from demo.s3.sts import Sessions
from demo.s3.xml import document

log = logging.getLogger(__name__)
MAX_KEY_BYTES = 1024
MAX_STS_BYTES = 16 << 10
IDLE_SECONDS = 120
_LARGE_BYTES = 256 << 10


class S3Server(ThreadingHTTPServer):
    """The server; `keys` are the pairs it knows."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        store: Store,
        keys: Mapping[str, KeyPair],
        *,
        region: str = "us-east-1",
        faults: Faults | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.store, self.keys, self.region = store, keys, region
        self.sessions = Sessions(keys)
        self.faults = faults or Faults()
        self._tls = tls
        self._connections: set[socket.socket] = set()
        super().__init__(address, Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection; its TLS handshake is left to its own thread."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: object) -> None:
        """The connection is over."""
        self._connections.discard(request)
        super().shutdown_request(request)  # type: ignore[arg-type]

    def connections(self) -> int:
        """How many are open; one whose client died is, until what it had asked for is done."""
        return len(self._connections)

    def close_connections(self) -> None:
        """Break all connections off, as when the server goes away."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is no event; anything else is logged."""
        del request, client_address
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("unexpected error in a connection")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "KubemotionS3"
    sys_version = ""
    rbufsize = 1 << 18
    timeout = IDLE_SECONDS
    server: S3Server

    def log_message(self, format: str, *args: object) -> None:
        """Requests are only logged for debugging."""
        log.debug(format, *args)

    def _dispatch(self) -> None:
        self.raw_path, _, self.raw_query = self.path.partition("?")
        self.query = dict(parse_qsl(self.raw_query, keep_blank_values=True))
        self.names = {name.lower(): value for name, value in self.headers.items()}
        self.body: Body | None = None
        fault = self.server.faults.take(self.command, self.raw_path)
        if self.server.faults.latency:
            time.sleep(self.server.faults.latency)
        if self.server.faults.stopped:
            self.server.faults.turned_away.append((self.command, self.raw_path))
            self.close_connection = True
            return
        self._break_after = fault.after_bytes if fault else None
        try:
            if fault and fault.status:
                raise S3Error(fault.code, status=fault.status)
            self._answer()
        except BrokenOff:
            self.close_connection = True
        except S3Error as error:
            self._send_error(error)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _dispatch

    def _answer(self) -> None:
        if self.command == "POST" and self.raw_path == "/" and not self.server.faults.without_sts:
            self._answer_sts()
            return
        signed = verify(
            self.server.keys,
            self.command,
            self.raw_path,
            self.raw_query,
            self.names,
            find_session=self.server.sessions.find,
        )
        self.key_pair = signed.key_pair
        changes = self.command in ("PUT", "DELETE") or (self.command == "POST")
        if changes and signed.key_pair.read_only:
            raise S3Error("AccessDenied")
        in_chunks = "transfer-encoding" in self.names
        if in_chunks and not self.names.get("x-amz-content-sha256", "").startswith(STREAMING):
            raise S3Error("MissingContentLength")
        self.body = Body(
            self.rfile,  # type: ignore[arg-type]
            self.names,
            signed,
            invite=self._invite_body,
            break_after=self._break_after,
        )
        bucket, _, key = unquote(self.raw_path).lstrip("/").partition("/")
        if len(key.encode()) > MAX_KEY_BYTES:
            raise S3Error("KeyTooLongError")
        operation = operation_of(self.command, bucket, key, self.query, self.names)
        if operation is None:
            raise S3Error("NotImplemented" if bucket else "MethodNotAllowed")
        if bucket and operation is not buckets.create_bucket:
            self.server.store.require_bucket(bucket)
        if operation is not buckets.delete_objects:
            self.require(ACTIONS[operation], bucket, key)
        operation(self, bucket, key)

    def _answer_sts(self) -> None:
        length = int(self.names.get("content-length", "0"))
        if length > MAX_STS_BYTES:
            self.close_connection = True
            raise S3Error("EntityTooLarge")
        body = self.rfile.read(length)
        digest = hashlib.sha256(body).hexdigest()
        # Nothing is left to read before an answer.
        self.names.pop("content-length", None)
        try:
            signed = verify(
                self.server.keys,
                self.command,
                self.raw_path,
                self.raw_query,
                {**self.names, "content-length": str(length)},
                find_session=self.server.sessions.find,
                payload_digest=digest,
            )
            result = self.server.sessions.assume_role(signed.key_pair, dict(parse_qsl(body.decode())))
        except S3Error as error:
            self.send(error.status, sts.refusal(error), {"Content-Type": "text/xml"})
        else:
            self.send(200, sts.answer(result), {"Content-Type": "text/xml"})

    def require(self, action: str, bucket: str, key: str) -> None:
        """Raise AccessDenied unless the pair that signed may do this; only temporary ones have a policy."""
        policy = self.key_pair.session_policy
        if policy is None or self.server.faults.ignores_policies:
            return
        resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
        if not policy.allows(action, resource, {"s3:prefix": self.query.get("prefix", "")}):
            raise S3Error("AccessDenied")

    # -- what operations use

    def send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        self._read_rest()
        self.send_head(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD" and body:
            self.wfile.write(body)

    def send_xml(self, name: str, content: object) -> None:
        """An answer of XML."""
        self.send(200, document(name, content), {"Content-Type": "application/xml"})

    def send_pieces(self, stored: StoredObject, start: int, size: int, headers: Mapping[str, str]) -> None:
        """An answer of `size` bytes of an object's content from `start` on."""
        self.send_head(206 if "Content-Range" in headers else 200, {"Content-Length": str(size), **headers})
        if self.command == "HEAD":
            return
        if self._break_after is not None:
            size, self.close_connection = min(size, self._break_after), True
        for piece in stored.pieces:
            if start >= piece.size:
                start -= piece.size
                continue
            if size <= 0:
                break
            count = min(piece.size - start, size)
            path = self.server.store.blob_path(piece.blob)
            if count >= _LARGE_BYTES:
                for data in direct.pieces(path, start, count):
                    self.connection.sendall(data)
            else:
                with path.open("rb") as file:
                    self.connection.sendfile(file, start, count)
            start, size = 0, size - count

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """The status line and all headers of an answer."""
        self.send_response(status)
        self.send_header("x-amz-request-id", uuid.uuid4().hex[:16].upper())
        self.send_header("x-amz-id-2", "embedded")
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()

    def _read_rest(self) -> None:
        """A connection goes on only when the whole body was read; a refused large one is not worth that."""
        length = int(self.names.get("content-length", "0"))
        if self.body is None and "transfer-encoding" in self.names:
            self.close_connection = True
        elif self.body is None or (self.body.received == 0 and length):
            if length > 1 << 20 or self.names.get("expect"):
                self.close_connection = True
            elif length:
                self.rfile.read(length)

    def _send_error(self, error: S3Error) -> None:
        if self.body is not None and self.body.received:
            self.close_connection = True
        content = {
            "Code": error.code,
            "Message": error.message,
            **error.details,
            "Resource": unquote(self.raw_path),
            "RequestId": uuid.uuid4().hex[:16].upper(),
            "HostId": "embedded",
        }
        headers = {"Content-Type": "application/xml"}
        if error.status == 503:
            headers["Retry-After"] = "1"
        self.send(error.status, document("Error", content, namespace=""), headers)

    def handle_expect_100(self) -> bool:
        """Invite the body only once the request has been found good, when the body is wanted."""
        return True

    def _invite_body(self) -> None:
        if self.names.get("expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()
