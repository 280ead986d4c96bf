"""What is asked of a bucket, and of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from demo.s3.errors import S3Error
from demo.s3.xml import parse, timestamp

if TYPE_CHECKING:
    from demo.s3.server import Handler

MAX_LISTED = 1000


def list_buckets(handler: Handler, bucket: str, key: str) -> None:
    buckets = [{"Name": name, "CreationDate": timestamp(made)} for name, made in handler.server.store.buckets()]
    owner = {"ID": "embedded", "DisplayName": "embedded"}
    handler.send_xml("ListAllMyBucketsResult", {"Owner": owner, "Buckets": {"Bucket": buckets}})


def create_bucket(handler: Handler, bucket: str, key: str) -> None:
    assert handler.body is not None
    handler.body.read_all()
    if not 3 <= len(bucket) <= 63 or bucket != bucket.lower() or not bucket.replace("-", "").replace(".", "").isalnum():
        raise S3Error("InvalidBucketName", BucketName=bucket)
    if not handler.server.store.create_bucket(bucket):
        raise S3Error("BucketAlreadyOwnedByYou", BucketName=bucket)
    handler.send(200, headers={"Location": f"/{bucket}"})


def head_bucket(handler: Handler, bucket: str, key: str) -> None:
    handler.send(200, headers={"x-amz-bucket-region": handler.server.region})


def delete_bucket(handler: Handler, bucket: str, key: str) -> None:
    handler.server.store.delete_bucket(bucket)
    handler.send(204)


def location(handler: Handler, bucket: str, key: str) -> None:
    region = handler.server.region
    handler.send_xml("LocationConstraint", "" if region == "us-east-1" else region)


def versioning(handler: Handler, bucket: str, key: str) -> None:
    handler.send_xml("VersioningConfiguration", "")


def list_objects(handler: Handler, bucket: str, key: str) -> None:
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


def delete_objects(handler: Handler, bucket: str, key: str) -> None:
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
