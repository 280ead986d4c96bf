"""Which operation a request asks for, and what it is called in policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from demo.s3.operations import buckets, objects, uploads

if TYPE_CHECKING:
    from demo.s3.server import Handler

type Operation = Callable[[Handler, str, str], None]

# What each operation is called in policies. Deleting many asks for each, and copying for its source too.
ACTIONS: dict[Operation, str] = {
    buckets.list_buckets: "s3:ListAllMyBuckets",
    buckets.create_bucket: "s3:CreateBucket",
    buckets.head_bucket: "s3:ListBucket",
    buckets.delete_bucket: "s3:DeleteBucket",
    buckets.location: "s3:GetBucketLocation",
    buckets.versioning: "s3:GetBucketVersioning",
    buckets.list_objects: "s3:ListBucket",
    uploads.list_uploads: "s3:ListBucketMultipartUploads",
    objects.get_object: "s3:GetObject",
    objects.put_object: "s3:PutObject",
    objects.copy_object: "s3:PutObject",
    objects.delete_object: "s3:DeleteObject",
    uploads.start_upload: "s3:PutObject",
    uploads.put_part: "s3:PutObject",
    uploads.copy_part: "s3:PutObject",
    uploads.complete_upload: "s3:PutObject",
    uploads.abort_upload: "s3:AbortMultipartUpload",
    uploads.list_parts: "s3:ListMultipartUploadParts",
}


def operation_of(
    method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation | None:
    """What is asked for; None where nothing of ours is."""
    if not bucket:
        return buckets.list_buckets if method == "GET" else None
    if not key:
        return {
            "PUT": None if query else buckets.create_bucket,
            "HEAD": buckets.head_bucket,
            "DELETE": buckets.delete_bucket,
            "POST": buckets.delete_objects if "delete" in query else None,
            "GET": _bucket_reading(query),
        }[method]
    if "uploadId" in query:
        if method == "PUT":
            return uploads.copy_part if "x-amz-copy-source" in headers else uploads.put_part
        return {"POST": uploads.complete_upload, "DELETE": uploads.abort_upload, "GET": uploads.list_parts}.get(method)
    if method == "POST":
        return uploads.start_upload if "uploads" in query else None
    if method == "PUT":
        return objects.copy_object if "x-amz-copy-source" in headers else objects.put_object
    return {"GET": objects.get_object, "HEAD": objects.get_object, "DELETE": objects.delete_object}[method]


def _bucket_reading(query: Mapping[str, str]) -> Operation | None:
    if "location" in query:
        return buckets.location
    if "uploads" in query:
        return uploads.list_uploads
    if "versioning" in query:
        return buckets.versioning
    if query.keys() & {"acl", "policy", "lifecycle", "tagging", "encryption", "cors", "object-lock"}:
        return None
    return buckets.list_objects
