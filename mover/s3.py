"""The requests of S3 that a transfer consists of: put an object, get a range of one, list names."""

from __future__ import annotations

import http.client
import ipaddress
import re
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from zlib_ng.zlib_ng import crc32

from mover.connections import Connections
from mover.signing import Signer, quoted_path, quoted_query

T = TypeVar("T")

_ERROR = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Error\b.{0,1000}?<Code>([^<]+)</Code>", re.DOTALL)
# The code of a refusal because the clocks differ.
SKEWED = "RequestTimeTooSkewed"
_LONGEST_ERROR = 64 << 10
_SKIPPED_AT_ONCE = 64 << 10
_HOST_LABEL = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")


class S3Error(Exception):
    """What the store answered instead.

    `retry_after` is for how many seconds it wants to be left alone; `clock_ahead` is, with SKEWED, by how many its
    clock is ahead of ours, 0 where it does not say.
    """

    def __init__(self, status: int, code: str, retry_after: float = 0.0, clock_ahead: float = 0.0) -> None:
        super().__init__(f"{code} (HTTP {status})")
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.clock_ahead = clock_ahead


class Broken(http.client.HTTPException):
    """An answer ended before its announced end."""


@dataclass(frozen=True)
class Page:
    """A page of a listing: objects with their sizes, common prefixes, and where to go on."""

    objects: list[tuple[str, int]]
    folders: list[str]
    following: str


class Body:
    """The bytes of an answer, to be read in order; `left` says how many there still are."""

    def __init__(self, answer: http.client.HTTPResponse | None) -> None:
        self._answer = answer
        # What was read ahead.
        self._ahead = b""
        self.left = 0
        if answer is not None and answer.length is not None:
            self.left = answer.length
        elif answer is not None:
            self._ahead = answer.read()
            self.left = len(self._ahead)

    def readinto(self, view: memoryview) -> int:
        """Fill `view`, or as much of it as there is; Broken when the connection ends before the body does."""
        wanted = min(len(view), self.left)
        got = min(len(self._ahead), wanted)
        view[:got], self._ahead = self._ahead[:got], self._ahead[got:]
        while got < wanted:
            count = self._answer.readinto(view[got:wanted]) if self._answer is not None else 0
            if not count:
                raise Broken
            got += count
        self.left -= got
        return got

    def read(self) -> bytes:
        """All that is left."""
        data = bytearray(self.left)
        self.readinto(memoryview(data))
        return bytes(data)

    def cut(self, start: int, length: int) -> None:
        """Go on as if these were `length` bytes from `start` on."""
        skipped = memoryview(bytearray(min(start, _SKIPPED_AT_ONCE)))
        while start and (got := self.readinto(skipped[:start])):
            start -= got
        self.left = min(self.left, length)

    def require_object(self) -> None:
        """S3Error where the store began to answer with a success, could not go on, and says so instead."""
        if len(self._ahead) < self.left <= _LONGEST_ERROR:
            self._ahead = self.read()
            self.left = len(self._ahead)
        _require_no_error(self._ahead)


class Client:
    """One bucket. Thread-safe. Keys are whole keys."""

    def __init__(
        self,
        *,
        endpoint: str,
        region: str,
        bucket: str,
        path_style: bool,
        ca_pem: str,
        signer: Signer,
        connect_timeout: float,
        silence: float,
    ) -> None:
        """ValueError when `endpoint` is no address."""
        address = urlsplit(endpoint or _aws_endpoint(region))
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("it begins with http:// or https://, then comes the host")
        secure, port = address.scheme == "https", address.port
        in_path = path_style or not _fits_host(bucket, address.hostname, secure=secure)
        host = address.hostname if in_path else f"{bucket}.{address.hostname}"
        self._base = address.path.rstrip("/") + (f"/{bucket}" if in_path else "")
        literal = f"[{host}]" if ":" in host else host
        self._host = f"{literal}:{port}" if port and port != (443 if secure else 80) else literal
        self._signer = signer
        self._connections = Connections(
            secure=secure, host=host, port=port, ca_pem=ca_pem, connect_timeout=connect_timeout, silence=silence
        )

    def put(self, key: str, parts: Sequence[bytes | memoryview]) -> None:
        """Store an object that consists of `parts`; the store compares a checksum of what arrives."""
        checksum = 0
        for part in parts:
            checksum = crc32(part, checksum)
        headers = {
            "content-length": str(sum(len(part) for part in parts)),
            "x-amz-checksum-crc32": b64encode(checksum.to_bytes(4)).decode(),
        }
        said = self._asked("PUT", f"/{key}", lambda answer: answer.read(), headers=headers, parts=parts)
        _require_no_error(said)

    def get(self, key: str, take: Callable[[Body], T], start: int = 0, length: int | None = None) -> T | None:
        """What `take` makes of an object, or of `length` bytes from `start` on; None when there is no such object.

        Beyond an object's end there is nothing to read.
        """

        def taken(answer: http.client.HTTPResponse) -> T:
            body = Body(answer)
            body.require_object()
            if length is not None and answer.status == http.client.OK:
                # The store does not know ranges and sends everything.
                body.cut(start, length)
            return take(body)

        headers = {} if length is None else {"range": f"bytes={start}-{start + length - 1}"}
        try:
            return self._asked("GET", f"/{key}", taken, headers=headers)
        except S3Error as error:
            if error.code == "NoSuchKey" or (error.status == http.client.NOT_FOUND and error.code == "unknown"):
                return None
            if error.code == "InvalidRange":
                return take(Body(None))
            raise

    def list(self, prefix: str, *, delimiter: str = "", following: str = "") -> Page:
        """The keys that begin with `prefix`, in order; `following` is where the page before ended."""
        from xml.etree import ElementTree

        query = [("list-type", "2"), ("prefix", prefix)]
        if delimiter:
            query.append(("delimiter", delimiter))
        if following:
            query.append(("continuation-token", following))
        said = self._asked("GET", "" if self._base else "/", lambda answer: answer.read(), query=query)
        _require_no_error(said)
        try:
            root = ElementTree.fromstring(said)
        except ElementTree.ParseError as error:
            raise Broken from error
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        return Page(
            [
                (each.findtext(f"{space}Key") or "", int(each.findtext(f"{space}Size") or 0))
                for each in root.iter(f"{space}Contents")
            ],
            [each.findtext(f"{space}Prefix") or "" for each in root.iter(f"{space}CommonPrefixes")],
            (root.findtext(f"{space}NextContinuationToken") or "")
            if root.findtext(f"{space}IsTruncated") == "true"
            else "",
        )

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()

    def _asked(
        self,
        method: str,
        path: str,
        take: Callable[[http.client.HTTPResponse], T],
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        parts: Sequence[bytes | memoryview] = (),
    ) -> T:
        """What `take` makes of the answer; S3Error when that is not a success."""
        target, arguments = quoted_path(self._base + path), quoted_query(query)
        signed = self._signer.signed(method, self._host, target, arguments, headers or {})
        connection = self._connections.take()
        try:
            first_line = self._connections.target_prefix + target + (f"?{arguments}" if arguments else "")
            # The store never sees the proxy's, so that they are not signed.
            answer = _answer(connection, method, first_line, {**signed, **self._connections.proxy_headers}, parts)
            if answer.status >= http.client.MULTIPLE_CHOICES:
                raise _error(answer)
            taken = take(answer)
        except S3Error:
            # An error that was read to its end leaves the connection as good as a success does.
            self._done_with(connection, answer)
            raise
        except BaseException:
            connection.close()
            raise
        self._done_with(connection, answer)
        return taken

    def _done_with(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        if answer.isclosed():
            self._connections.give(connection)
        else:
            connection.close()


def _answer(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    parts: Sequence[bytes | memoryview],
) -> http.client.HTTPResponse:
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.putheader("user-agent", "kubemotion-mover")
    try:
        connection.endheaders()
        for part in parts:
            connection.send(part)
    except (BrokenPipeError, ConnectionResetError):
        # Whoever refuses a long body answers before its end, and closes. The answer says more than the broken pipe.
        try:
            return connection.getresponse()
        except (http.client.HTTPException, OSError):
            pass
        raise
    return connection.getresponse()


def _error(answer: http.client.HTTPResponse) -> S3Error:
    said = answer.read(_LONGEST_ERROR)
    found = _ERROR.match(said)
    retry_after = answer.getheader("Retry-After", "")
    code = found.group(2).decode("ascii", "replace") if found else "unknown"
    asked = float(retry_after) if retry_after.isdecimal() else 0.0
    ahead = _clock_ahead(answer.getheader("Date", "")) if code == SKEWED else 0.0
    return S3Error(answer.status, code, asked, ahead)


def _clock_ahead(date: str) -> float:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return 0.0


def _require_no_error(said: bytes) -> None:
    found = _ERROR.match(said)
    if found:
        raise S3Error(http.client.INTERNAL_SERVER_ERROR, found.group(2).decode("ascii", "replace"))


def _aws_endpoint(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _fits_host(bucket: str, host: str, *, secure: bool) -> bool:
    """Whether the bucket can be part of the host's name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # A certificate for all buckets covers no name with a further dot.
        return bool(_HOST_LABEL.match(bucket)) and not (secure and "." in bucket)
    return False
