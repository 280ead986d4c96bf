"""The embedded object store, asked by boto3."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from demo.s3 import RunningS3, running_s3

MEBIBYTE = 1 << 20


def client_of(s3: RunningS3, *, retries: int = 0, **overrides: Any) -> Any:
    values = {
        "endpoint_url": s3.endpoint,
        "region_name": s3.region,
        "aws_access_key_id": s3.keys.access_key_id,
        "aws_secret_access_key": s3.keys.secret_access_key,
        **overrides,
    }
    config = Config(
        signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": retries + 1}
    )
    return boto3.client("s3", config=config, **values)


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[RunningS3]:
    with running_s3(tmp_path / "s3") as running:
        yield running


@pytest.fixture
def client(s3: RunningS3) -> Any:
    return client_of(s3)


def code_of(refusal: pytest.ExceptionInfo[ClientError]) -> str:
    return refusal.value.response["Error"]["Code"]


def test_an_object_comes_back_as_it_was_put(s3: RunningS3, client: Any) -> None:
    content = os.urandom(3 * MEBIBYTE + 17)
    put = client.put_object(
        Bucket=s3.bucket, Key="a/ü b+c.bin", Body=content, ContentType="x/y", Metadata={"volume": "cms"}
    )
    got = client.get_object(Bucket=s3.bucket, Key="a/ü b+c.bin")
    assert got["Body"].read() == content
    assert got["ETag"] == put["ETag"]
    assert (got["ContentType"], got["Metadata"], got["ContentLength"]) == ("x/y", {"volume": "cms"}, len(content))
    head = client.head_object(Bucket=s3.bucket, Key="a/ü b+c.bin")
    assert head["ContentLength"] == len(content)


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_checked_and_kept(s3: RunningS3, client: Any, algorithm: str) -> None:
    put = client.put_object(Bucket=s3.bucket, Key="k", Body=b"x" * 70_000, ChecksumAlgorithm=algorithm)
    got = client.get_object(Bucket=s3.bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"x" * 70_000
    assert got[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    with pytest.raises(ClientError) as refusal:
        client.put_object(Bucket=s3.bucket, Key="k", Body=b"y", **{f"Checksum{algorithm}": put[f"Checksum{algorithm}"]})
    assert code_of(refusal) == "BadDigest"


def test_an_unsigned_chunked_body_with_a_trailer_is_checked(s3: RunningS3, client: Any) -> None:
    url = client.generate_presigned_url("put_object", Params={"Bucket": s3.bucket, "Key": "chunked"})
    for checksum, status in ((_crc32(b"hello world"), 200), ("AAAAAA==", 400)):
        body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:" + checksum.encode() + b"\r\n\r\n"
        connection = http.client.HTTPConnection(s3.endpoint.removeprefix("http://"))
        connection.request(
            "PUT",
            url.removeprefix(s3.endpoint),
            body,
            {
                "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                "x-amz-trailer": "x-amz-checksum-crc32",
                "x-amz-decoded-content-length": "11",
                "content-encoding": "aws-chunked",
            },
        )
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        connection.close()
    assert client.get_object(Bucket=s3.bucket, Key="chunked")["Body"].read() == b"hello world"


def _crc32(content: bytes) -> str:
    return base64.b64encode(zlib.crc32(content).to_bytes(4)).decode()


def test_ranges_are_answered_in_part(s3: RunningS3, client: Any) -> None:
    client.put_object(Bucket=s3.bucket, Key="k", Body=b"0123456789")
    for asked, expected in (("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")):
        answer = client.get_object(Bucket=s3.bucket, Key="k", Range=asked)
        assert answer["Body"].read() == expected
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    with pytest.raises(ClientError) as refusal:
        client.get_object(Bucket=s3.bucket, Key="k", Range="bytes=10-")
    assert code_of(refusal) == "InvalidRange"


def test_conditions_protect_what_is_there(s3: RunningS3, client: Any) -> None:
    first = client.put_object(Bucket=s3.bucket, Key="k", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as refusal:
        client.put_object(Bucket=s3.bucket, Key="k", Body=b"2", IfNoneMatch="*")
    assert code_of(refusal) == "PreconditionFailed"
    client.put_object(Bucket=s3.bucket, Key="k", Body=b"2", IfMatch=first["ETag"])
    with pytest.raises(ClientError) as refusal:
        client.put_object(Bucket=s3.bucket, Key="k", Body=b"3", IfMatch=first["ETag"])
    assert code_of(refusal) == "PreconditionFailed"
    assert client.get_object(Bucket=s3.bucket, Key="k")["Body"].read() == b"2"


def test_listing_pages_through_prefixes_and_delimiters(s3: RunningS3, client: Any) -> None:
    names = [f"v/{folder}/{number:03}" for folder in ("a", "b", "é") for number in range(25)] + ["v/top", "w"]
    for name in names:
        client.put_object(Bucket=s3.bucket, Key=name, Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=s3.bucket, Prefix="v/", PaginationConfig={"PageSize": 7}
    )
    assert [each["Key"] for page in pages for each in page["Contents"]] == sorted(
        (name for name in names if name.startswith("v/")), key=str.encode
    )
    folders, objects = [], []
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=s3.bucket, Prefix="v/", Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    for page in pages:
        folders += [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        objects += [each["Key"] for each in page.get("Contents", [])]
    assert sorted(folders) == ["v/a/", "v/b/", "v/é/"]
    assert objects == ["v/top"]


def test_uploads_in_parts_become_one_object(s3: RunningS3, client: Any) -> None:
    upload = client.create_multipart_upload(Bucket=s3.bucket, Key="big")["UploadId"]
    content = [os.urandom(5 * MEBIBYTE), os.urandom(5 * MEBIBYTE), os.urandom(100)]
    parts = []
    for number, part in enumerate(content, 1):
        answer = client.upload_part(Bucket=s3.bucket, Key="big", UploadId=upload, PartNumber=number, Body=part)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    listed = client.list_parts(Bucket=s3.bucket, Key="big", UploadId=upload)["Parts"]
    assert [each["Size"] for each in listed] == [len(part) for part in content]
    assert client.list_multipart_uploads(Bucket=s3.bucket)["Uploads"][0]["UploadId"] == upload
    client.complete_multipart_upload(Bucket=s3.bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    got = client.get_object(Bucket=s3.bucket, Key="big", Range=f"bytes={5 * MEBIBYTE - 3}-{10 * MEBIBYTE + 9}")
    assert got["Body"].read() == b"".join(content)[5 * MEBIBYTE - 3 : 10 * MEBIBYTE + 10]
    assert "Uploads" not in client.list_multipart_uploads(Bucket=s3.bucket)


def test_an_aborted_upload_leaves_nothing(s3: RunningS3, client: Any, tmp_path: Path) -> None:
    upload = client.create_multipart_upload(Bucket=s3.bucket, Key="big")["UploadId"]
    client.upload_part(Bucket=s3.bucket, Key="big", UploadId=upload, PartNumber=1, Body=b"x")
    client.abort_multipart_upload(Bucket=s3.bucket, Key="big", UploadId=upload)
    assert not [path for path in (tmp_path / "s3/blobs").rglob("*") if path.is_file()]
    with pytest.raises(ClientError) as refusal:
        client.upload_part(Bucket=s3.bucket, Key="big", UploadId=upload, PartNumber=1, Body=b"x")
    assert code_of(refusal) == "NoSuchUpload"


def test_copies_and_deletions(s3: RunningS3, client: Any, tmp_path: Path) -> None:
    client.put_object(Bucket=s3.bucket, Key="a", Body=b"content", Metadata={"m": "1"})
    client.copy_object(Bucket=s3.bucket, Key="b", CopySource={"Bucket": s3.bucket, "Key": "a"})
    client.delete_object(Bucket=s3.bucket, Key="a")
    got = client.get_object(Bucket=s3.bucket, Key="b")
    assert (got["Body"].read(), got["Metadata"]) == (b"content", {"m": "1"})
    answer = client.delete_objects(Bucket=s3.bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "never"}]})
    assert [each["Key"] for each in answer["Deleted"]] == ["b", "never"]
    assert client.list_objects_v2(Bucket=s3.bucket)["KeyCount"] == 0
    assert not [path for path in (tmp_path / "s3/blobs").rglob("*") if path.is_file()]


def test_buckets_are_made_found_and_removed(s3: RunningS3, client: Any) -> None:
    client.create_bucket(Bucket="another")
    assert {each["Name"] for each in client.list_buckets()["Buckets"]} == {"another", s3.bucket}
    assert client.get_bucket_location(Bucket="another")["LocationConstraint"] is None
    client.put_object(Bucket="another", Key="k", Body=b"")
    with pytest.raises(ClientError) as refusal:
        client.delete_bucket(Bucket="another")
    assert code_of(refusal) == "BucketNotEmpty"
    client.delete_object(Bucket="another", Key="k")
    client.delete_bucket(Bucket="another")
    with pytest.raises(ClientError) as refusal:
        client.head_bucket(Bucket="another")
    assert code_of(refusal) == "404"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"aws_access_key_id": "AKIAUNKNOWN"}, "InvalidAccessKeyId"),
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_keys_are_refused(s3: RunningS3, overrides: dict[str, str], expected: str) -> None:
    with pytest.raises(ClientError) as refusal:
        client_of(s3, **overrides).list_objects_v2(Bucket=s3.bucket)
    assert code_of(refusal) == expected


def test_nobody_gets_in_without_a_signature(s3: RunningS3) -> None:
    connection = http.client.HTTPConnection(s3.endpoint.removeprefix("http://"))
    connection.request("GET", f"/{s3.bucket}")
    answer = connection.getresponse()
    assert answer.status == 403
    assert b"<Code>AccessDenied</Code>" in answer.read()
    connection.close()


def test_read_only_keys_read_and_nothing_else(s3: RunningS3, client: Any) -> None:
    client.put_object(Bucket=s3.bucket, Key="k", Body=b"1")
    reader = client_of(
        s3,
        aws_access_key_id=s3.read_only_keys.access_key_id,
        aws_secret_access_key=s3.read_only_keys.secret_access_key,
    )
    assert reader.get_object(Bucket=s3.bucket, Key="k")["Body"].read() == b"1"
    for refused in (
        lambda: reader.put_object(Bucket=s3.bucket, Key="k", Body=b"x" * 3 * MEBIBYTE),
        lambda: reader.delete_object(Bucket=s3.bucket, Key="k"),
        lambda: reader.create_multipart_upload(Bucket=s3.bucket, Key="k"),
    ):
        with pytest.raises(ClientError) as refusal:
            refused()
        assert code_of(refusal) == "AccessDenied"


def test_what_is_missing_is_named(s3: RunningS3, client: Any) -> None:
    with pytest.raises(ClientError) as refusal:
        client.get_object(Bucket=s3.bucket, Key="none")
    assert code_of(refusal) == "NoSuchKey"
    with pytest.raises(ClientError) as refusal:
        client.put_object(Bucket="no-such-bucket", Key="k", Body=b"x")
    assert code_of(refusal) == "NoSuchBucket"


def test_a_presigned_address_works_until_it_expires(s3: RunningS3, client: Any) -> None:
    client.put_object(Bucket=s3.bucket, Key="k", Body=b"1")
    for seconds, status in ((60, 200), (-60, 403)):
        url = client.generate_presigned_url("get_object", {"Bucket": s3.bucket, "Key": "k"}, ExpiresIn=seconds)
        connection = http.client.HTTPConnection(s3.endpoint.removeprefix("http://"))
        connection.request("GET", url.removeprefix(s3.endpoint))
        assert connection.getresponse().status == status
        connection.close()


def test_faults_strike_as_often_as_ordered(s3: RunningS3) -> None:
    s3.faults.fail("/flaky", method="PUT", status=503, code="SlowDown", times=2)
    with pytest.raises(ClientError) as refusal:
        client_of(s3).put_object(Bucket=s3.bucket, Key="flaky", Body=b"x")
    assert code_of(refusal) == "SlowDown"
    client_of(s3, retries=2).put_object(Bucket=s3.bucket, Key="flaky", Body=b"x")


def test_a_body_may_break_off_in_either_direction(s3: RunningS3, client: Any) -> None:
    content = os.urandom(2 * MEBIBYTE)
    s3.faults.drop("/half", method="PUT", after_bytes=MEBIBYTE)
    with pytest.raises(BotoCoreError):
        client.put_object(Bucket=s3.bucket, Key="half", Body=content)
    assert client.list_objects_v2(Bucket=s3.bucket)["KeyCount"] == 0
    client.put_object(Bucket=s3.bucket, Key="half", Body=content)
    s3.faults.drop("/half", method="GET", after_bytes=MEBIBYTE)
    with pytest.raises((BotoCoreError, http.client.IncompleteRead)):
        client.get_object(Bucket=s3.bucket, Key="half")["Body"].read()
    assert client.get_object(Bucket=s3.bucket, Key="half")["Body"].read() == content


def test_objects_survive_a_restart_and_rubbish_does_not(tmp_path: Path) -> None:
    with running_s3(tmp_path) as s3:
        client_of(s3).put_object(Bucket=s3.bucket, Key="kept", Body=b"content")
    (tmp_path / "blobs/00").mkdir(exist_ok=True)
    (tmp_path / "blobs/00/00rubbish").write_bytes(b"a put that was never finished")
    with running_s3(tmp_path) as s3:
        assert client_of(s3).get_object(Bucket=s3.bucket, Key="kept")["Body"].read() == b"content"
    assert not (tmp_path / "blobs/00/00rubbish").exists()


def test_many_write_and_read_at_once(s3: RunningS3) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        own = client_of(s3)
        try:
            for turn in range(10):
                content = hashlib.sha256(f"{number}/{turn}".encode()).digest() * 10_000
                own.put_object(Bucket=s3.bucket, Key=f"{number}", Body=content)
                assert own.get_object(Bucket=s3.bucket, Key=f"{number}")["Body"].read() == content
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_over_https_bodies_come_in_chunks_with_trailing_checksums(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with running_s3(tmp_path / "s3", tls=context) as s3:
        client = client_of(s3, verify=str(certificate))
        sent: list[str] = []
        client.meta.events.register(
            "before-send.s3.PutObject", lambda request, **_: sent.append(request.headers["x-amz-content-sha256"])
        )
        client.put_object(Bucket=s3.bucket, Key="k", Body=b"x" * 3_000_000)
        assert client.get_object(Bucket=s3.bucket, Key="k")["Body"].read() == b"x" * 3_000_000
        assert [str(each) for each in sent] == ["b'STREAMING-UNSIGNED-PAYLOAD-TRAILER'"]


def self_signed(folder: Path) -> tuple[Path, Path]:
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    start = datetime.now(UTC) - timedelta(minutes=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(*form))
    return paths


def test_the_command_says_when_it_is_ready_and_keeps_its_keys(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        command = [sys.executable, "-m", "demo.s3", "--state", str(tmp_path), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            client = boto3.client(
                "s3",
                endpoint_url=ready["endpoint"],
                region_name=ready["region"],
                aws_access_key_id=ready["access_key_id"],
                aws_secret_access_key=ready["secret_access_key"],
            )
            client.put_object(Bucket=ready["bucket"], Key="k", Body=b"1")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        seen.append(ready["secret_access_key"])
    assert seen[0] == seen[1]


def test_memory_does_not_grow_with_objects(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo.s3", "--state", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        client = boto3.client(
            "s3",
            endpoint_url=ready["endpoint"],
            region_name=ready["region"],
            aws_access_key_id=ready["access_key_id"],
            aws_secret_access_key=ready["secret_access_key"],
        )
        content = bytes(64 * MEBIBYTE)
        before = resident_kibibytes(process.pid)
        for number in range(4):
            client.put_object(Bucket=ready["bucket"], Key=str(number), Body=content)
            client.get_object(Bucket=ready["bucket"], Key=str(number))["Body"].read()
        assert resident_kibibytes(process.pid) - before < 32 * 1024
        process.terminate()


def resident_kibibytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no resident size")
