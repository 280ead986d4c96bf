"""Reading a request's body into a file: plain or in AWS's chunks, checked against every digest that came with it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3
from zlib_ng.zlib_ng import crc32

from demo.s3 import direct
from demo.s3.errors import S3Error
from demo.s3.signatures import Signed, chunk_signature

READ_BYTES = 1 << 20
MAX_CHUNK_HEADER = 1024
STREAMING = "STREAMING-"


class BrokenOff(Exception):
    """The connection is to be closed in the middle of a body."""


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: memoryview | bytes) -> None:
        self._value = crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4)


_CHECKSUMS: dict[str, Any] = {"crc32": _Crc32, "sha1": hashlib.sha1, "sha256": hashlib.sha256}


class TransferChunks:
    """The content of a body sent with `Transfer-Encoding: chunked`, as a stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = 0
        self._ended = False

    def _next_chunk(self) -> bool:
        """Whether there is anything to read."""
        if self._left or self._ended:
            return not self._ended
        line = self._stream.readline(MAX_CHUNK_HEADER).strip() or self._stream.readline(MAX_CHUNK_HEADER).strip()
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            raise S3Error("IncompleteBody") from None
        if not self._left:
            self._ended = True
            while self._stream.readline(MAX_CHUNK_HEADER).strip():
                pass
        return not self._ended

    def finish(self) -> None:
        """Read what is left, the end included: the next request follows on the same connection."""
        rest = memoryview(bytearray(MAX_CHUNK_HEADER))
        while self.readinto(rest):
            pass

    def readinto(self, view: memoryview) -> int:
        """Fill the view as far as the chunk at hand goes; 0 at the end."""
        if not self._next_chunk():
            return 0
        count = self._stream.readinto(view[: self._left])  # type: ignore[attr-defined]
        self._left -= count
        return int(count)

    def readline(self, limit: int) -> bytes:
        """A line, from however many chunks."""
        line = b""
        while len(line) < limit and not line.endswith(b"\n") and self._next_chunk():
            part = self._stream.readline(min(self._left, limit - len(line)))
            self._left -= len(part)
            line += part
        return line


class Body:
    """The body of one request. `received` counts its decoded bytes; `etag` and checksums are known after reading."""

    def __init__(
        self,
        stream: BinaryIO,
        headers: Mapping[str, str],
        signed: Signed,
        *,
        invite: Callable[[], None],
        break_after: int | None,
    ) -> None:
        in_chunks = headers.get("transfer-encoding", "").lower() == "chunked"
        self._stream: Any = TransferChunks(stream) if in_chunks else stream
        self._headers, self._signed = headers, signed
        self._invite, self._break_after = invite, break_after
        self._payload = headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        self._chunked = self._payload.startswith(STREAMING)
        self._left = int(headers.get("content-length", "0"))
        self._trailers: dict[str, str] = {}
        self.received = 0
        self.etag = ""
        self.checksums: dict[str, str] = {}

    def read_all(self, limit: int = 8 << 20) -> bytes:
        """The whole body of a small request."""
        parts = []
        for data in self._checked():
            parts.append(bytes(data))
            if self.received > limit:
                raise S3Error("EntityTooLarge")
        return b"".join(parts)

    def write_to(self, path: Path) -> None:
        """Write the body to a new file; on any failure nothing stays."""
        try:
            with contextlib.closing(direct.Writer(path)) as file:
                for data in self._checked():
                    file.write(data)
                file.finish()
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _checked(self) -> Iterator[memoryview]:
        """Yield the content; raises S3Error at its end if it is not what was announced."""
        self._invite()
        content = blake3()
        sha256 = hashlib.sha256() if len(self._payload) == 64 else None
        md5 = hashlib.md5(usedforsecurity=False) if "content-md5" in self._headers else None
        sums = {name: _CHECKSUMS[name]() for name in self._checksum_names()}
        for data in self._chunks() if self._chunked else self._plain(self._left):
            self.received += len(data)
            content.update(data)
            if sha256 is not None:
                sha256.update(data)
            if md5 is not None:
                md5.update(data)
            for each in sums.values():
                each.update(data)
            yield data
            if self._break_after is not None and self.received >= self._break_after:
                raise BrokenOff
        if isinstance(self._stream, TransferChunks):
            self._stream.finish()
        announced = self._headers.get("x-amz-decoded-content-length")
        if self._chunked and announced is not None and int(announced) != self.received:
            raise S3Error("IncompleteBody")
        if sha256 is not None and sha256.hexdigest() != self._payload:
            raise S3Error("XAmzContentSHA256Mismatch")
        if md5 is not None and base64.b64encode(md5.digest()).decode() != self._headers["content-md5"]:
            raise S3Error("BadDigest")
        self._compare_checksums(sums)
        # An entity tag names the content; like that of S3's encrypted objects it is not the content's MD5.
        self.etag = content.hexdigest()[:32]

    def _checksum_names(self) -> list[str]:
        announced = [
            name.removeprefix("x-amz-checksum-") for name in self._headers if name.startswith("x-amz-checksum-")
        ]
        announced += [
            name.removeprefix("x-amz-checksum-") for name in self._headers.get("x-amz-trailer", "").lower().split(",")
        ]
        return [name for name in announced if name in _CHECKSUMS]

    def _compare_checksums(self, sums: Mapping[str, Any]) -> None:
        for name, each in sums.items():
            value = base64.b64encode(each.digest()).decode()
            header = f"x-amz-checksum-{name}"
            claimed = self._headers.get(header) or self._trailers.get(header)
            if claimed is not None and claimed != value:
                raise S3Error("BadDigest", f"The {name.upper()} you specified did not match the calculated checksum.")
            self.checksums[header] = value

    def _plain(self, size: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(size, READ_BYTES)))
        while size:
            count = self._stream.readinto(buffer[: min(size, len(buffer))])
            if not count:
                raise S3Error("IncompleteBody")
            size -= count
            yield buffer[:count]

    def _chunks(self) -> Iterator[memoryview]:
        """The content of an aws-chunked body; signatures of signed chunks are checked."""
        signed = "HMAC-SHA256" in self._payload
        previous = self._signed.signature
        while True:
            line = self._stream.readline(MAX_CHUNK_HEADER).rstrip(b"\r\n")
            size_text, _, extension = line.partition(b";")
            try:
                size = int(size_text, 16)
            except ValueError:
                raise S3Error("IncompleteBody") from None
            digest = hashlib.sha256()
            for data in self._plain(size):
                if signed:
                    digest.update(data)
                yield data
            if signed:
                claimed = extension.decode().partition("chunk-signature=")[2]
                previous_is = chunk_signature(self._signed, previous, digest.hexdigest())
                if claimed != previous_is:
                    raise S3Error("SignatureDoesNotMatch")
                previous = previous_is
            if size == 0:
                self._read_trailers()
                return
            self._stream.readline(MAX_CHUNK_HEADER)

    def _read_trailers(self) -> None:
        while line := self._stream.readline(MAX_CHUNK_HEADER).strip():
            name, _, value = line.decode("latin-1").partition(":")
            self._trailers[name.strip().lower()] = value.strip()
