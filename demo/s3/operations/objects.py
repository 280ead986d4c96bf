"""What is asked of one object."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from demo.s3.errors import S3Error
from demo.s3.store import Piece, StoredObject
from demo.s3.xml import timestamp

if TYPE_CHECKING:
    from demo.s3.server import Handler

# Request headers that are kept with an object and given back with it.
KEPT_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
)


def get_object(handler: Handler, bucket: str, key: str) -> None:
    stored = handler.server.store.get(bucket, key)
    headers = _object_headers(stored, handler.query)
    tag = f'"{stored.etag}"'
    if handler.names.get("if-match", tag) not in (tag, "*", stored.etag):
        raise S3Error("PreconditionFailed", Condition="If-Match")
    if handler.names.get("if-none-match") in (tag, "*", stored.etag):
        handler.send_head(304, headers)
        return
    since = handler.names.get("if-modified-since")
    if since and int(stored.modified) <= parsedate_to_datetime(since).timestamp():
        handler.send_head(304, headers)
        return
    start, size = 0, stored.size
    if "range" in handler.names:
        start, size = range_of(handler.names["range"], stored.size)
        headers["Content-Range"] = f"bytes {start}-{start + size - 1}/{stored.size}"
        # The checksum is that of the whole.
        headers = {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")}
    elif handler.names.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        headers = {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum-")}
    handler.send_pieces(stored, start, size, headers)


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


def range_of(text: str, size: int) -> tuple[int, int]:
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


def put_object(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    piece = receive(handler)
    headers = kept_headers(handler.names) | handler.body.checksums
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


def receive(handler: Handler) -> Piece:
    """Write the request's body to a file of its own."""
    assert handler.body is not None
    blob, path = handler.server.store.new_blob()
    handler.body.write_to(path)
    return Piece(blob, handler.body.received, handler.body.etag)


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in headers.items() if name in KEPT_HEADERS or name.startswith("x-amz-meta-")}
    # "aws-chunked" says how the body came, not what it is.
    encoding = [part.strip() for part in kept.get("content-encoding", "").split(",")]
    encoding = [part for part in encoding if part not in ("", "aws-chunked")]
    kept.pop("content-encoding", None)
    return kept | ({"content-encoding": ",".join(encoding)} if encoding else {})


def copy_object(handler: Handler, bucket: str, key: str) -> None:
    source = copy_source(handler)
    piece = copied_piece(handler, source, 0, source.size)
    replace = handler.names.get("x-amz-metadata-directive", "COPY").upper() == "REPLACE"
    headers = kept_headers(handler.names) if replace else source.headers
    stored = handler.server.store.put(bucket, key, [piece], source.etag, headers)
    handler.send_xml("CopyObjectResult", {"LastModified": timestamp(stored.modified), "ETag": f'"{stored.etag}"'})


def copy_source(handler: Handler) -> StoredObject:
    source = unquote(handler.names["x-amz-copy-source"]).lstrip("/").partition("?versionId=")[0]
    bucket, _, key = source.partition("/")
    handler.server.store.require_bucket(bucket)
    handler.require("s3:GetObject", bucket, key)
    return handler.server.store.get(bucket, key)


def copied_piece(handler: Handler, stored: StoredObject, start: int, size: int) -> Piece:
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


def delete_object(handler: Handler, bucket: str, key: str) -> None:
    handler.server.store.delete(bucket, key)
    handler.send(204)
