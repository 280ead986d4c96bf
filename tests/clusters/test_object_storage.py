"""Checks of object stores, against a store that really answers."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path
from typing import Any

import pytest

from clusters import object_storage
from clusters.kube.checks import Check
from clusters.models import ObjectStore
from demo.s3 import RunningS3


def store(s3: RunningS3, **changed: Any) -> ObjectStore:
    fields = {
        "name": "moves",
        "endpoint": s3.endpoint,
        "bucket": s3.bucket,
        "access_key_id": s3.keys.access_key_id,
        "secret_access_key": s3.keys.secret_access_key,
    }
    return ObjectStore(**fields | changed)


def failure(checks: list[Check]) -> Check:
    """The only check that failed; those after it were skipped or made all the same."""
    assert [check.code for check in checks] == list(object_storage.CODES)
    failed = [check for check in checks if check.status == "failure"]
    assert len(failed) == 1, checks
    assert failed[0].message
    assert failed[0].remedy
    return failed[0]


def test_a_good_store_passes_every_check_and_nothing_is_left_in_it(s3: RunningS3) -> None:
    checks = object_storage.check_object_store(store(s3))
    assert [(check.code, check.status) for check in checks] == [(code, "ok") for code in object_storage.CODES]
    client = object_storage.client(store(s3))
    assert client.list_objects_v2(Bucket=s3.bucket).get("Contents", []) == []
    assert client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", []) == []


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"access_key_id": "AKIANOBODY"}, "credentials", "access key id"),
        ({"secret_access_key": "wrong"}, "credentials", "secret access key"),
        ({"bucket": "nowhere"}, "bucket", "no bucket nowhere"),
        ({"endpoint": "http://127.0.0.1:1"}, "reachable", "does not answer"),
        ({"endpoint": "http://169.254.169.254"}, "reachable", "metadata"),
        ({"bucket": "not a bucket"}, "reachable", "bucket"),
    ],
)
def test_each_mistake_has_its_own_message(s3: RunningS3, changed: dict[str, str], code: str, words: str) -> None:
    checks = object_storage.check_object_store(store(s3, **changed))
    failed = failure(checks)
    assert failed.code == code
    assert words in failed.message
    later = checks[[check.code for check in checks].index(code) + 1 :]
    assert {check.status for check in later} <= {"skipped"}


def test_a_key_pair_that_may_only_read_is_told_apart(s3: RunningS3) -> None:
    keys = s3.read_only_keys
    checks = object_storage.check_object_store(
        store(s3, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)
    )
    assert failure(checks).code == "put"
    assert "only read" in failure(checks).message


def test_a_store_that_refuses_parts_fails_in_multipart_and_is_left_clean(s3: RunningS3) -> None:
    s3.faults.fail("-parts", method="POST", status=403, code="AccessDenied")
    try:
        checks = object_storage.check_object_store(store(s3))
    finally:
        s3.faults.clear()
    assert failure(checks).code == "multipart"
    assert object_storage.client(store(s3)).list_objects_v2(Bucket=s3.bucket).get("Contents", []) == []


def test_a_web_page_is_not_an_object_store(s3: RunningS3) -> None:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>Console</html>")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_port}"
            checks = object_storage.check_object_store(store(s3, endpoint=endpoint))
        finally:
            server.shutdown()
    assert failure(checks).code == "reachable"
    assert "not as an S3" in failure(checks).message


def test_a_ca_bundle_that_is_none_is_said(s3: RunningS3, tmp_path: Path, settings: Any) -> None:
    settings.STATE_DIR = tmp_path
    failed = failure(object_storage.check_object_store(store(s3, ca_bundle="nonsense")))
    assert failed.code == "tls"


def test_no_check_tells_a_secret(s3: RunningS3) -> None:
    for changed in ({"secret_access_key": "sesame-secret"}, {"access_key_id": "sesame-secret"}):
        assert "sesame" not in repr(object_storage.check_object_store(store(s3, **changed)))
