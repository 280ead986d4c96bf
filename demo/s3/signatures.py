"""AWS Signature Version 4: who asks, and whether the request is what they signed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from demo.s3.errors import S3Error
from demo.s3.policies import Policy

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=15)


@dataclass(frozen=True)
class KeyPair:
    """An access key and what it may do."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    read_only: bool = False
    # What is left to a temporary pair of what its parent may; None leaves all of it.
    session_policy: Policy | None = None


@dataclass(frozen=True)
class Signed:
    """A request whose signature holds: by whom, and what signing its chunks goes on from."""

    key_pair: KeyPair
    scope: str = ""
    time: str = ""
    signature: str = field(default="", repr=False)
    signing_key: bytes = field(default=b"", repr=False)


def verify(
    keys: Mapping[str, KeyPair],
    method: str,
    raw_path: str,
    raw_query: str,
    headers: Mapping[str, str],
    *,
    find_session: Callable[[str, str], KeyPair] | None = None,
    payload_digest: str = "UNSIGNED-PAYLOAD",
) -> Signed:
    """Check the signature of a request (`headers` by lower-case name); raises S3Error.

    `find_session` gives the temporary pair for an access key and its token; `payload_digest` is what was signed where
    no header says it.
    """
    query = parse_qsl(raw_query, keep_blank_values=True)
    presigned = dict(query)
    if "authorization" in headers:
        algorithm, _, rest = headers["authorization"].partition(" ")
        fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if algorithm != ALGORITHM or not {"Credential", "SignedHeaders", "Signature"} <= fields.keys():
            raise S3Error("AuthorizationHeaderMalformed")
        time = headers.get("x-amz-date", "")
        payload = headers.get("x-amz-content-sha256", payload_digest)
        credential, names, signature = fields["Credential"], fields["SignedHeaders"], fields["Signature"]
        moment = _moment(time)
        if abs(datetime.now(UTC) - moment) > MAX_SKEW:
            raise S3Error("RequestTimeTooSkewed")
    elif presigned.get("X-Amz-Algorithm") == ALGORITHM:
        time, payload = presigned.get("X-Amz-Date", ""), presigned.get("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
        credential = presigned.get("X-Amz-Credential", "")
        names, signature = presigned.get("X-Amz-SignedHeaders", ""), presigned.get("X-Amz-Signature", "")
        query = [(name, value) for name, value in query if name != "X-Amz-Signature"]
        if datetime.now(UTC) > _moment(time) + timedelta(seconds=int(presigned.get("X-Amz-Expires", "0"))):
            raise S3Error("AccessDenied", "Request has expired")
    else:
        raise S3Error("AccessDenied")
    access_key_id, _, scope = credential.partition("/")
    token = headers.get("x-amz-security-token") or presigned.get("X-Amz-Security-Token", "")
    pair = find_session(access_key_id, token) if token and find_session else keys.get(access_key_id)
    if pair is None:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=access_key_id)
    if scope.count("/") != 3:
        raise S3Error("AuthorizationHeaderMalformed")
    signing_key = _signing_key(pair.secret_access_key, scope)
    canonical = _canonical_request(method, raw_path, query, headers, names, payload)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join([ALGORITHM, time, scope, digest])
    expected = hmac.new(signing_key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise S3Error("SignatureDoesNotMatch", AWSAccessKeyId=access_key_id)
    return Signed(pair, scope, time, signature, signing_key)


def chunk_signature(signed: Signed, previous: str, data_digest: str) -> str:
    """What the signature of the next chunk of a signed stream has to be."""
    empty = hashlib.sha256(b"").hexdigest()
    to_sign = "\n".join([f"{ALGORITHM}-PAYLOAD", signed.time, signed.scope, previous, empty, data_digest])
    return hmac.new(signed.signing_key, to_sign.encode(), hashlib.sha256).hexdigest()


def _moment(time: str) -> datetime:
    try:
        return datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header") from None


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_request(
    method: str, raw_path: str, query: list[tuple[str, str]], headers: Mapping[str, str], names: str, payload: str
) -> str:
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names.split(";")]
    return "\n".join(
        [method, raw_path, "&".join(f"{name}={value}" for name, value in pairs), "".join(lines), names, payload]
    )
