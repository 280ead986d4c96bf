"""What is asked of uploads in parts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from demo.s3.errors import S3Error
from demo.s3.operations.objects import copied_piece, copy_source, kept_headers, range_of, receive
from demo.s3.store import Piece, etag_of_parts
from demo.s3.xml import parse, timestamp

if TYPE_CHECKING:
    from demo.s3.server import Handler

MIN_PART_BYTES = 5 << 20


def start_upload(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    handler.body.read_all()
    upload = handler.server.store.start_upload(bucket, key, kept_headers(handler.names))
    handler.send_xml("InitiateMultipartUploadResult", {"Bucket": bucket, "Key": key, "UploadId": upload})


def put_part(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    number, upload = _part_number(handler), handler.query["uploadId"]
    handler.server.store.upload_headers(bucket, key, upload)
    piece = receive(handler)
    handler.server.store.put_part(upload, number, piece)
    handler.send(200, headers={"ETag": f'"{piece.etag}"', **handler.body.checksums})


def copy_part(handler: Handler, bucket: str, key: str) -> None:
    number, upload = _part_number(handler), handler.query["uploadId"]
    handler.server.store.upload_headers(bucket, key, upload)
    source = copy_source(handler)
    start, size = 0, source.size
    if "x-amz-copy-source-range" in handler.names:
        start, size = range_of(handler.names["x-amz-copy-source-range"], source.size)
    piece = copied_piece(handler, source, start, size)
    handler.server.store.put_part(upload, number, piece)
    handler.send_xml("CopyPartResult", {"LastModified": timestamp(time.time()), "ETag": f'"{piece.etag}"'})


def _part_number(handler: Handler) -> int:
    try:
        number = int(handler.query["partNumber"])
    except (KeyError, ValueError):
        number = 0
    if not 1 <= number <= 10_000:
        raise S3Error("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    return number


def complete_upload(handler: Handler, bucket: str, key: str) -> None:
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


def abort_upload(handler: Handler, bucket: str, key: str) -> None:
    upload = handler.query["uploadId"]
    handler.server.store.upload_headers(bucket, key, upload)
    handler.server.store.abort_upload(upload)
    handler.send(204)


def list_parts(handler: Handler, bucket: str, key: str) -> None:
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


def list_uploads(handler: Handler, bucket: str, key: str) -> None:
    prefix = handler.query.get("prefix", "")
    found = handler.server.store.uploads(bucket, prefix)
    uploads = [
        {"Key": name, "UploadId": upload, "StorageClass": "STANDARD", "Initiated": timestamp(started)}
        for name, upload, started in found
    ]
    head = {"Bucket": bucket, "KeyMarker": "", "UploadIdMarker": "", "Prefix": prefix, "MaxUploads": 1000}
    handler.send_xml("ListMultipartUploadsResult", {**head, "IsTruncated": False, "Upload": uploads})
