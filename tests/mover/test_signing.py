"""Requests are signed as AWS says: its published examples, and botocore beside it."""

from __future__ import annotations

import calendar
import time
from collections.abc import Sequence

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from mover import signing
from mover.credentials import Keys
from mover.signing import Signer, quoted_path, quoted_query

# From "Signature Calculations for the Authorization Header" in the API reference of Amazon S3.
KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "")
HOST = "examplebucket.s3.amazonaws.com"
MOMENT = calendar.timegm((2013, 5, 24, 0, 0, 0))
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "payload", "signed_names", "signature"),
    [
        (
            "GET",
            "/test.txt",
            [],
            {"range": "bytes=0-9"},
            EMPTY,
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            [],
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            [("lifecycle", "")],
            {},
            EMPTY,
            "host;x-amz-content-sha256;x-amz-date",
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            [("prefix", "J"), ("max-keys", "2")],
            {},
            EMPTY,
            "host;x-amz-content-sha256;x-amz-date",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["get object", "put object", "get bucket lifecycle", "list objects"],
)
def test_the_published_examples(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: dict[str, str],
    payload: str,
    signed_names: str,
    signature: str,
) -> None:
    # The examples sign their content, where the mover says that it does not.
    monkeypatch.setattr(signing, "_PAYLOAD", payload)
    signer = Signer(lambda: KEYS, "us-east-1")
    signed = signer.signed(method, HOST, quoted_path(path), quoted_query(query), headers, MOMENT)
    assert signed["x-amz-date"] == "20130524T000000Z"
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders={signed_names}, Signature={signature}"
    )


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/bucket/kubemotion/one two/ä+~*()'!$&,;=:@", []),
        ("/bucket/a//b/../c%20d", []),
        ("/bucket", [("prefix", "a b/ü&="), ("list-type", "2"), ("delimiter", "/"), ("continuation-token", "x+y/z==")]),
    ],
)
def test_what_botocore_signs(path: str, query: Sequence[tuple[str, str]], token: str) -> None:
    keys = Keys("access", "secret/+", token)
    target, arguments = quoted_path(path), quoted_query(query)
    request = AWSRequest("PUT", f"https://store.example:9000{target}" + (f"?{arguments}" if arguments else ""))
    request.headers["Content-Length"] = "12"
    request.context["client_config"] = Config(s3={"payload_signing_enabled": False})
    S3SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key, token or None), "s3", "eu-1").add_auth(request)
    moment = calendar.timegm(time.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
    signed = Signer(lambda: keys, "eu-1").signed(
        "PUT", "store.example:9000", target, arguments, {"content-length": "12"}, moment
    )
    assert signed["authorization"] == request.headers["Authorization"]
    assert signed.get("x-amz-security-token", "") == token


def test_the_key_of_a_day_is_made_anew_for_another_day_and_for_renewed_keys() -> None:
    keys = [Keys("access", "first", "")]
    signer = Signer(lambda: keys[0], "us-east-1")

    def signature(moment: float) -> str:
        return signer.signed("GET", HOST, "/", "", {}, moment)["authorization"]

    def fresh(moment: float) -> str:
        return Signer(lambda: keys[0], "us-east-1").signed("GET", HOST, "/", "", {}, moment)["authorization"]

    first = signature(MOMENT)
    assert signature(MOMENT) == first
    assert signature(MOMENT + 86_400) == fresh(MOMENT + 86_400) != first
    keys[0] = Keys("access", "renewed", "")
    assert signature(MOMENT + 86_400) == fresh(MOMENT + 86_400)
    assert signature(MOMENT) == fresh(MOMENT) != first
