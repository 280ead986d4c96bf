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
from collections.abc import Callable, Mapping
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote

from demo.s3 import direct, sts
from demo.s3.bodies import STREAMING, Body, BrokenOff
from demo.s3.errors import S3Error
from demo.s3.faults import Faults
from demo.s3.signatures import KeyPair, Signed, verify
from demo.s3.store import Piece, Store, StoredObject, etag_of_parts
from demo.s3.sts import Sessions
from demo.s3.xml import document, parse, timestamp

log = logging.getLogger(__name__)
MAX_KEY_BYTES = 1024
MIN_PART_BYTES = 5 << 20
MAX_LISTED = 1000
MAX_STS_BYTES = 16 << 10
# Request headers that are kept with an object and given back with it.
KEPT_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)
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
        operation = _operation(self.command, bucket, key, self.query, self.names)
        if operation is None:
            raise S3Error("NotImplemented" if bucket else "MethodNotAllowed")
        if bucket and operation is not _create_bucket:
            self.server.store.require_bucket(bucket)
        if operation is not _delete_objects:
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

    # -- what operations use ---------------------------------------------------------------------------------------

    def send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        self._read_rest()
        self._send_head(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD" and body:
            self.wfile.write(body)

    def send_xml(self, name: str, content: object) -> None:
        """An answer of XML."""
        self.send(200, document(name, content), {"Content-Type": "application/xml"})

    def send_pieces(self, stored: StoredObject, start: int, size: int, headers: Mapping[str, str]) -> None:
        """An answer of `size` bytes of an object's content from `start` on."""
        self._send_head(206 if "Content-Range" in headers else 200, {"Content-Length": str(size), **headers})
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

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
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


Operation = Callable[[Handler, str, str], None]


def _operation(
    method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation | None:
    if not bucket:
        return _list_buckets if method == "GET" else None
    if not key:
        return {
            "PUT": None if query else _create_bucket,
            "HEAD": _head_bucket,
            "DELETE": _delete_bucket,
            "POST": _delete_objects if "delete" in query else None,
            "GET": _bucket_reading(query),
        }[method]
    if "uploadId" in query:
        if method == "PUT":
            return _copy_part if "x-amz-copy-source" in headers else _put_part
        return {"POST": _complete_upload, "DELETE": _abort_upload, "GET": _list_parts}.get(method)
    if method == "POST":
        return _start_upload if "uploads" in query else None
    if method == "PUT":
        return _copy_object if "x-amz-copy-source" in headers else _put_object
    return {"GET": _get_object, "HEAD": _get_object, "DELETE": _delete_object}[method]


def _bucket_reading(query: Mapping[str, str]) -> Operation | None:
    if "location" in query:
        return _location
    if "uploads" in query:
        return _list_uploads
    if "versioning" in query:
        return _versioning
    if query.keys() & {"acl", "policy", "lifecycle", "tagging", "encryption", "cors", "object-lock"}:
        return None
    return _list_objects


def _versioning(handler: Handler, bucket: str, key: str) -> None:
    handler.send_xml("VersioningConfiguration", "")


def _list_buckets(handler: Handler, bucket: str, key: str) -> None:
    buckets = [{"Name": name, "CreationDate": timestamp(made)} for name, made in handler.server.store.buckets()]
    owner = {"ID": "embedded", "DisplayName": "embedded"}
    handler.send_xml("ListAllMyBucketsResult", {"Owner": owner, "Buckets": {"Bucket": buckets}})


def _create_bucket(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    handler.body.read_all()
    if not 3 <= len(bucket) <= 63 or bucket != bucket.lower() or not bucket.replace("-", "").replace(".", "").isalnum():
        raise S3Error("InvalidBucketName", BucketName=bucket)
    if not handler.server.store.create_bucket(bucket):
        raise S3Error("BucketAlreadyOwnedByYou", BucketName=bucket)
    handler.send(200, headers={"Location": f"/{bucket}"})


def _head_bucket(handler: Handler, bucket: str, key: str) -> None:
    handler.send(200, headers={"x-amz-bucket-region": handler.server.region})


def _delete_bucket(handler: Handler, bucket: str, key: str) -> None:
    handler.server.store.delete_bucket(bucket)
    handler.send(204)


def _location(handler: Handler, bucket: str, key: str) -> None:
    region = handler.server.region
    handler.send_xml("LocationConstraint", "" if region == "us-east-1" else region)


def _list_objects(handler: Handler, bucket: str, key: str) -> None:
    query = handler.query
    second = query.get("list-type") == "2"
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    try:
        limit = min(int(query.get("max-keys", MAX_LISTED)), MAX_LISTED)
    except ValueError:
        raise S3Error("InvalidArgument", "Provided max-keys not an integer or within integer range") from None
    after = query.get("start-after" if second else "marker", "").encode()
    if "continuation-token" in query:
        try:
            after = bytes.fromhex(query["continuation-token"])
        except ValueError:
            raise S3Error("InvalidArgument", "The continuation token provided is incorrect") from None
    elif not second and delimiter and after.endswith(delimiter.encode()):
        after += b"\xff"
    objects, prefixes, position = handler.server.store.list_objects(
        bucket, prefix=prefix, after=after, delimiter=delimiter, limit=limit
    )

    def name(text: str) -> str:
        return quote(text, safe="/-_.~") if query.get("encoding-type") == "url" else text

    content: dict[str, object] = {
        "Name": bucket,
        "Prefix": name(prefix),
        "MaxKeys": limit,
        "IsTruncated": position is not None,
        **({"Delimiter": name(delimiter)} if delimiter else {}),
        **({"EncodingType": "url"} if query.get("encoding-type") == "url" else {}),
    }
    if second:
        content["KeyCount"] = len(objects) + len(prefixes)
        content["ContinuationToken"] = query.get("continuation-token")
        content["NextContinuationToken"] = position.hex() if position is not None else None
        content["StartAfter"] = query.get("start-after")
    else:
        content["Marker"] = query.get("marker", "")
        last = max([each.key for each in objects[-1:]] + prefixes[-1:], default="")
        content["NextMarker"] = name(last) if position is not None else None
    content["Contents"] = [
        {
            "Key": name(each.key),
            "LastModified": timestamp(each.modified),
            "ETag": f'"{each.etag}"',
            "Size": each.size,
            "StorageClass": "STANDARD",
        }
        for each in objects
    ]
    content["CommonPrefixes"] = [{"Prefix": name(each)} for each in prefixes]
    handler.send_xml("ListBucketResult", content)


def _list_uploads(handler: Handler, bucket: str, key: str) -> None:
    prefix = handler.query.get("prefix", "")
    found = handler.server.store.uploads(bucket, prefix)
    uploads = [
        {"Key": name, "UploadId": upload, "StorageClass": "STANDARD", "Initiated": timestamp(started)}
        for name, upload, started in found
    ]
    head = {"Bucket": bucket, "KeyMarker": "", "UploadIdMarker": "", "Prefix": prefix, "MaxUploads": 1000}
    handler.send_xml("ListMultipartUploadsResult", {**head, "IsTruncated": False, "Upload": uploads})


def _delete_objects(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    root = parse(handler.body.read_all())
    names = [element.findtext("Key") or "" for element in root.findall("Object")]
    if not names or len(names) > 1000:
        raise S3Error("MalformedXML")
    refused = []
    for name in names:
        try:
            handler.require("s3:DeleteObject", bucket, name)
        except S3Error as error:
            refused.append({"Key": name, "Code": error.code, "Message": error.message})
        else:
            handler.server.store.delete(bucket, name)
    quiet = root.findtext("Quiet") == "true"
    gone = [] if quiet else [{"Key": name} for name in names if name not in {each["Key"] for each in refused}]
    handler.send_xml("DeleteResult", {"Deleted": gone, "Error": refused})


def _object_headers(stored: StoredObject, query: Mapping[str, str]) -> dict[str, str]:
    headers = {
        "ETag": f'"{stored.etag}"',
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "binary/octet-stream",
    }
    headers |= {name.title() if not name.startswith("x-amz") else name: value for name, value in stored.headers.items()}
    for name, value in query.items():
        if name.startswith("response-"):
            headers[name.removeprefix("response-").title()] = value
    return headers


def _get_object(handler: Handler, bucket: str, key: str) -> None:
    stored = handler.server.store.get(bucket, key)
    headers = _object_headers(stored, handler.query)
    tag = f'"{stored.etag}"'
    if handler.names.get("if-match", tag) not in (tag, "*", stored.etag):
        raise S3Error("PreconditionFailed", Condition="If-Match")
    if handler.names.get("if-none-match") in (tag, "*", stored.etag):
        handler._send_head(304, headers)
        return
    since = handler.names.get("if-modified-since")
    if since and int(stored.modified) <= parsedate_to_datetime(since).timestamp():
        handler._send_head(304, headers)
        return
    start, size = 0, stored.size
    if "range" in handler.names:
        start, size = _range(handler.names["range"], stored.size)
        headers["Content-Range"] = f"bytes {start}-{start + size - 1}/{stored.size}"
        # The checksum is that of the whole.
        headers = {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")}
    elif handler.names.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        headers = {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")}
    handler.send_pieces(stored, start, size, headers)


def _range(text: str, size: int) -> tuple[int, int]:
    """Start and length of one range of bytes; the whole for what cannot be read."""
    unit, _, span = text.partition("=")
    first, dash, last = span.partition("-")
    if unit != "bytes" or not dash or "," in span or not (first or last):
        return 0, size
    try:
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last), size - 1) if first and last else size - 1
    except ValueError:
        return 0, size
    if start > end:
        raise S3Error("InvalidRange", ActualObjectSize=str(size), RangeRequested=text)
    return start, end - start + 1


def _kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name in KEPT_HEADERS or name.startswith("x-amz-meta-")}
    # "aws-chunked" says how the body came, not what it is.
    encoding = [part.strip() for part in kept.get("content-encoding", "").split(",")]
    encoding = [part for part in encoding if part not in ("", "aws-chunked")]
    kept.pop("content-encoding", None)
    return kept | ({"content-encoding": ",".join(encoding)} if encoding else {})


def _receive(handler: Handler) -> Piece:
    """Write the request's body to a file of its own."""
    assert handler.body is not None
    blob, path = handler.server.store.new_blob()
    handler.body.write_to(path)
    return Piece(blob, handler.body.received, handler.body.etag)


def _put_object(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    piece = _receive(handler)
    headers = _kept_headers(handler.names) | handler.body.checksums
    try:
        stored = handler.server.store.put(
            bucket,
            key,
            [piece],
            piece.etag,
            headers,
            if_match=handler.names.get("if-match"),
            if_none_match=handler.names.get("if-none-match"),
        )
    except S3Error:
        handler.server.store.discard([piece.blob])
        raise
    handler.send(200, headers={"ETag": f'"{stored.etag}"', **handler.body.checksums})


def _copy_source(handler: Handler) -> StoredObject:
    source = unquote(handler.names["x-amz-copy-source"]).lstrip("/").partition("?versionId=")[0]
    bucket, _, key = source.partition("/")
    handler.server.store.require_bucket(bucket)
    handler.require("s3:GetObject", bucket, key)
    return handler.server.store.get(bucket, key)


def _copied_pieces(handler: Handler, stored: StoredObject, start: int, size: int) -> Piece:
    """A new file with a part of an object's content."""
    blob, path = handler.server.store.new_blob()
    with path.open("wb") as out:
        for piece in stored.pieces:
            if start >= piece.size:
                start -= piece.size
                continue
            with handler.server.store.blob_path(piece.blob).open("rb") as file:
                file.seek(start)
                left = min(piece.size - start, size)
                start, size = 0, size - left
                while left and (data := file.read(min(left, 1 << 20))):
                    out.write(data)
                    left -= len(data)
        return Piece(blob, out.tell(), stored.etag.partition("-")[0])


def _copy_object(handler: Handler, bucket: str, key: str) -> None:
    source = _copy_source(handler)
    piece = _copied_pieces(handler, source, 0, source.size)
    replace = handler.names.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    headers = _kept_headers(handler.names) if replace else source.headers
    stored = handler.server.store.put(bucket, key, [piece], source.etag, headers)
    handler.send_xml("CopyObjectResult", {"LastModified": timestamp(stored.modified), "ETag": f'"{stored.etag}"'})


def _delete_object(handler: Handler, bucket: str, key: str) -> None:
    handler.server.store.delete(bucket, key)
    handler.send(204)


def _start_upload(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    handler.body.read_all()
    upload = handler.server.store.start_upload(bucket, key, _kept_headers(handler.names))
    handler.send_xml("InitiateMultipartUploadResult", {"Bucket": bucket, "Key": key, "UploadId": upload})


def _part_number(handler: Handler) -> int:
    try:
        number = int(handler.query["partNumber"])
    except (KeyError, ValueError):
        number = 0
    if not 1 <= number <= 10_000:
        raise S3Error("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    return number


def _put_part(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    number, upload = _part_number(handler), handler.query["uploadId"]
    handler.server.store.upload_headers(bucket, key, upload)
    piece = _receive(handler)
    handler.server.store.put_part(upload, number, piece)
    handler.send(200, headers={"ETag": f'"{piece.etag}"', **handler.body.checksums})


def _copy_part(handler: Handler, bucket: str, key: str) -> None:
    number, upload = _part_number(handler), handler.query["uploadId"]
    handler.server.store.upload_headers(bucket, key, upload)
    source = _copy_source(handler)
    start, size = 0, source.size
    if "x-amz-copy-source-range" in handler.names:
        start, size = _range(handler.names["x-amz-copy-source-range"], source.size)
    piece = _copied_pieces(handler, source, start, size)
    handler.server.store.put_part(upload, number, piece)
    handler.send_xml("CopyPartResult", {"LastModified": timestamp(time.time()), "ETag": f'"{piece.etag}"'})


def _complete_upload(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    upload = handler.query["uploadId"]
    headers = handler.server.store.upload_headers(bucket, key, upload)
    known = {number: piece for number, piece, _ in handler.server.store.parts(upload)}
    pieces: list[Piece] = []
    last = 0
    for element in parse(handler.body.read_all()).findall("Part"):
        number = int(element.findtext("PartNumber") or 0)
        if number <= last:
            raise S3Error("InvalidPartOrder")
        piece = known.get(number)
        if piece is None or (element.findtext("ETag") or "").strip('"') != piece.etag:
            raise S3Error("InvalidPart", PartNumber=str(number))
        pieces.append(piece)
        last = number
    if not pieces:
        raise S3Error("MalformedXML")
    if any(piece.size < MIN_PART_BYTES for piece in pieces[:-1]):
        raise S3Error("EntityTooSmall")
    stored = handler.server.store.put(
        bucket,
        key,
        pieces,
        etag_of_parts(pieces),
        headers,
        if_match=handler.names.get("if-match"),
        if_none_match=handler.names.get("if-none-match"),
        upload=upload,
    )
    result = {"Location": f"/{bucket}/{key}", "Bucket": bucket, "Key": key, "ETag": f'"{stored.etag}"'}
    handler.send_xml("CompleteMultipartUploadResult", result)


def _abort_upload(handler: Handler, bucket: str, key: str) -> None:
    upload = handler.query["uploadId"]
    handler.server.store.upload_headers(bucket, key, upload)
    handler.server.store.abort_upload(upload)
    handler.send(204)


def _list_parts(handler: Handler, bucket: str, key: str) -> None:
    upload = handler.query["uploadId"]
    handler.server.store.upload_headers(bucket, key, upload)
    marker = int(handler.query.get("part-number-marker", "0"))
    limit = min(int(handler.query.get("max-parts", "1000")), 1000)
    parts = [each for each in handler.server.store.parts(upload) if each[0] > marker]
    listed = parts[:limit]
    content = {
        "Bucket": bucket,
        "Key": key,
        "UploadId": upload,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": listed[-1][0] if listed else 0,
        "MaxParts": limit,
        "IsTruncated": len(parts) > limit,
        "Part": [
            {"PartNumber": number, "LastModified": timestamp(made), "ETag": f'"{piece.etag}"', "Size": piece.size}
            for number, piece, made in listed
        ],
    }
    handler.send_xml("ListPartsResult", content)


# What each operation is called in policies. Deleting many asks for each, and copying for its source too.
ACTIONS: dict[Operation, str] = {
    _list_buckets: "s3:ListAllMyBuckets",
    _create_bucket: "s3:CreateBucket",
    _head_bucket: "s3:ListBucket",
    _delete_bucket: "s3:DeleteBucket",
    _location: "s3:GetBucketLocation",
    _versioning: "s3:GetBucketVersioning",
    _list_objects: "s3:ListBucket",
    _list_uploads: "s3:ListBucketMultipartUploads",
    _get_object: "s3:GetObject",
    _put_object: "s3:PutObject",
    _copy_object: "s3:PutObject",
    _delete_object: "s3:DeleteObject",
    _start_upload: "s3:PutObject",
    _put_part: "s3:PutObject",
    _copy_part: "s3:PutObject",
    _complete_upload: "s3:PutObject",
    _abort_upload: "s3:AbortMultipartUpload",
    _list_parts: "s3:ListMultipartUploadParts",
}

__all__ = ["Handler", "S3Server", "Signed"]
