"""The object store as the mover needs it: put, get a range, list, delete.

Transient failures are retried; refusals say what to do.
"""

from __future__ import annotations

import functools
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    IncompleteReadError,
    ResponseStreamingError,
    SSLError,
)
from urllib3.exceptions import HTTPError

from mover.credentials import OUTDATED, session_renewed_in
from mover.errors import StoreRefused, StoreUnavailable, UsageError
from mover.settings import Settings

T = TypeVar("T")

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 8.0
_LONGEST_SILENCE = 60.0
_SHORTEST_SILENCE = 0.5
_NO_OBJECT = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<Error>.{0,1000}?<Code>(\w+)</Code>", re.DOTALL)

_REFUSALS = {
    "InvalidAccessKeyId": "it does not know the access key; check the object store's key pair",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; check the object store's key pair",
    "AccessDenied": "the key pair may not do this; grant list, get, put and delete below the prefix",
    "AllAccessDisabled": "all access to the bucket is disabled",
    "AccountProblem": "there is a problem with the account",
    "NoSuchBucket": "the bucket does not exist; create it or correct its name",
    "ExpiredToken": "the session token has expired; start again with a fresh one",
    "InvalidToken": "the session token is not valid",
    "RequestTimeTooSkewed": "this node's clock differs too much from the store's; set the clock",
    "PermanentRedirect": "the bucket is in another region; correct the region",
    "AuthorizationHeaderMalformed": "the region is not the bucket's; correct the region",
    "InvalidBucketName": "the bucket's name is not valid",
    "QuotaExceeded": "the bucket's quota is reached; make room or raise it",
    "XMinioStorageFull": "the store is full; make room",
    "MethodNotAllowed": "the bucket does not allow this; it may be read-only",
}
_TRANSIENT_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "BadDigest", "Throttling"}

_REASONS = {
    "EndpointConnectionError": "nothing answers at that address",
    "ConnectTimeoutError": "nothing answers at that address in time",
    "ReadTimeoutError": "the answer takes too long",
    "ConnectionClosedError": "the connection was closed before an answer came",
    "ProxyConnectionError": "the proxy does not answer",
}


class ObjectStore:
    """One bucket and prefix. Thread-safe. Names given and returned are below the prefix."""

    def __init__(self, settings: Settings, *, connections: int = 16) -> None:
        self.where = f"{settings.endpoint or 'AWS S3'}, bucket {settings.bucket}, volume {settings.volume}"
        self._bucket = settings.bucket
        self._prefix = settings.prefix + "/"
        self._retry_seconds = settings.retry_seconds
        self._renewed = bool(settings.credentials_file)
        self._stopping = threading.Event()
        # Whoever waits for one answer longer than half of that time has no time left to ask again.
        silence = max(_SHORTEST_SILENCE, min(_LONGEST_SILENCE, settings.retry_seconds / 2))
        self._ca_file = _ca_file(settings.ca_bundle_pem)
        try:
            session = (
                boto3.session.Session(botocore_session=session_renewed_in(settings.credentials_file))
                if settings.credentials_file
                else boto3.session.Session()
            )
            self._client = session.client(
                "s3",
                endpoint_url=settings.endpoint or None,
                region_name=settings.region,
                aws_access_key_id=settings.access_key_id or None,
                aws_secret_access_key=settings.secret_access_key or None,
                aws_session_token=settings.session_token or None,
                verify=self._ca_file,
                config=Config(
                    # Content is encrypted and authenticated before it comes here; hashing it once more for the
                    # signature costs more than everything else on the way.
                    s3={
                        "addressing_style": "path" if settings.path_style else "auto",
                        "payload_signing_enabled": False,
                    },
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    connect_timeout=min(10.0, silence),
                    read_timeout=silence,
                    retries={"total_max_attempts": 1},
                    max_pool_connections=connections,
                    user_agent_extra="kubemotion-mover",
                ),
            )
        except ValueError as error:
            raise UsageError(f"MOVER_S3_ENDPOINT is not a valid address: {error}.") from error

    def put(self, name: str, body: bytes) -> None:
        """Store an object whole."""
        self._attempt(
            f"put {name}", lambda: self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body)
        )

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes | None:
        """An object's bytes, or up to `length` of them from `start`; None when there is no such object."""
        ranged: dict[str, str] = {}
        if length is not None:
            ranged["Range"] = f"bytes={start}-{start + length - 1}"

        def fetch() -> bytes | None:
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name, **ranged)
            except ClientError as error:
                if _code(error) in ("NoSuchKey", "404"):
                    return None
                if _code(error) == "InvalidRange":
                    return b""
                raise
            with answer["Body"] as body:
                data: bytes = body.read()
            _require_object(data)
            if length is not None and answer["ResponseMetadata"]["HTTPStatusCode"] == 200:
                # The store does not know ranges and sent everything.
                return data[start : start + length]
            return data

        return self._attempt(f"get {name}", fetch)

    def sizes(self, below: str = "") -> Iterator[tuple[str, int]]:
        """The names of all objects that begin with `below`, in order, each with its size."""
        for page in self._pages(below):
            for each in page.get("Contents", []):
                yield each["Key"].removeprefix(self._prefix), each["Size"]

    def list(self, below: str = "", *, folders: bool = False) -> Iterator[str]:
        """The names of all objects that begin with `below`, in order; with `folders`, the next path parts instead."""
        for page in self._pages(below, folders=folders):
            if folders:
                found = [each["Prefix"].rstrip("/") for each in page.get("CommonPrefixes", [])]
            else:
                found = [each["Key"] for each in page.get("Contents", [])]
            for key in found:
                yield key.removeprefix(self._prefix)

    def _pages(self, below: str, *, folders: bool = False) -> Iterator[Any]:
        token: dict[str, str] = {}
        while True:
            arguments = {"Bucket": self._bucket, "Prefix": self._prefix + below, **token}
            if folders:
                arguments["Delimiter"] = "/"
            page = self._attempt(
                f"list {below or 'the prefix'}", functools.partial(self._client.list_objects_v2, **arguments)
            )
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, a thousand per request where the store can; absent ones are fine."""
        for begin in range(0, len(names), 1000):
            some = names[begin : begin + 1000]
            batch = {"Objects": [{"Key": self._prefix + name} for name in some], "Quiet": True}
            try:
                answer = self._attempt(
                    "delete objects",
                    functools.partial(self._client.delete_objects, Bucket=self._bucket, Delete=batch),
                )
            except StoreRefused as refused:
                if refused.code != "store-lacks":
                    raise
                for name in some:
                    self._attempt(
                        f"delete {name}",
                        functools.partial(self._client.delete_object, Bucket=self._bucket, Key=self._prefix + name),
                    )
                continue
            for failed in answer.get("Errors", []):
                raise StoreRefused(
                    f"The object store ({self.where}) refused to delete {failed.get('Key')}: "
                    f"{failed.get('Code')}. Grant delete below the prefix, or remove the objects by hand."
                )

    def abort_uploads(self) -> int:
        """How many unfinished multipart uploads below the prefix were given up."""
        count = 0
        marker: dict[str, str] = {}
        while True:
            page = self._attempt(
                "list multipart uploads",
                functools.partial(
                    self._client.list_multipart_uploads, Bucket=self._bucket, Prefix=self._prefix, **marker
                ),
            )
            for upload in page.get("Uploads", []):
                self._attempt(
                    f"abort the multipart upload of {upload['Key']}", functools.partial(self._abort_upload, upload)
                )
                count += 1
            if not page.get("IsTruncated"):
                return count
            marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def _abort_upload(self, upload: dict[str, Any]) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        except ClientError as error:
            # An attempt whose answer got lost may have done it.
            if _code(error) != "NoSuchUpload":
                raise

    def stop(self) -> None:
        """Let waiting retries give up at once."""
        self._stopping.set()

    def close(self) -> None:
        """Close connections and remove the CA file."""
        self._client.close()
        if self._ca_file:
            os.unlink(self._ca_file)

    def _attempt(self, what: str, call: Callable[[], T]) -> T:
        """Run `call`; transient failures are repeated, with growing pauses, for `retry_seconds`."""
        deadline = time.monotonic() + self._retry_seconds
        delay = _FIRST_DELAY
        while True:
            try:
                return call()
            except (ClientError, BotoCoreError, HTTPError, OSError) as error:
                reason = self._transient_reason(what, error)
                asked = _retry_after(error)
            left = deadline - time.monotonic()
            if delay > left or self._stopping.is_set():
                raise StoreUnavailable(
                    f"The object store ({self.where}) could not {what}: {reason}. "
                    f"Tried for {self._retry_seconds:.0f} seconds. Check that it is up and reachable from this "
                    "cluster, then start again: what was transferred stays."
                )
            # Who asks for more time than there is gets a last try at the end of it.
            self._stopping.wait(max(delay * random.uniform(0.5, 1.0), min(asked, left)))
            delay = min(delay * 2, _LONGEST_DELAY)

    def _transient_reason(self, what: str, error: Exception) -> str:
        """Why a repeat may help; raises StoreRefused when it will not."""
        if isinstance(error, ClientError):
            code = _code(error)
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "NotImplemented" or status == 501 or code in ("MissingContentMD5", "InvalidRequest"):
                raise StoreRefused(
                    f"The object store ({self.where}) cannot {what}: {code}.", code="store-lacks"
                ) from None
            if self._renewed and code in OUTDATED:
                return f"the temporary keys are no longer accepted ({code}), and no renewed ones have come"
            if code in _REFUSALS or (status in (401, 403) and code not in _TRANSIENT_CODES):
                advice = _REFUSALS.get(code) or _REFUSALS["AccessDenied"]
                raise StoreRefused(f"The object store ({self.where}) refused to {what}: {advice} ({code}).") from None
            if status < 500 and status != 429 and code not in _TRANSIENT_CODES:
                raise StoreRefused(
                    f"The object store ({self.where}) refused to {what}: {code} (HTTP {status})."
                ) from None
            return f"{code} (HTTP {status})"
        if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise StoreRefused(
                f"The certificate of the object store ({self.where}) is not trusted. Give its CA certificate.",
                code="store-untrusted",
            ) from None
        if isinstance(error, IncompleteReadError | ResponseStreamingError | HTTPError):
            return "the connection broke in the middle of an answer"
        return _REASONS.get(type(error).__name__, type(error).__name__)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _retry_after(error: Exception) -> float:
    """For how many seconds the store wants to be left alone."""
    if not isinstance(error, ClientError):
        return 0.0
    said = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
    return float(said) if said.isdecimal() else 0.0


def _require_object(data: bytes) -> None:
    """Some stores begin to answer with a success and then cannot go on; what they say instead is no object's bytes."""
    found = _NO_OBJECT.match(data)
    if found:
        said: Any = {"Error": {"Code": found.group(2).decode()}, "ResponseMetadata": {"HTTPStatusCode": 500}}
        raise ClientError(said, "GetObject")


def _ca_file(pem: str) -> str | None:
    if not pem:
        return None
    handle, path = tempfile.mkstemp(prefix="mover-ca-", suffix=".pem")
    with open(handle, "w", encoding="ascii") as file:
        file.write(pem)
    return path
