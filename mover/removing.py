"""Removing objects and unfinished uploads, with boto3: nothing here is in a hurry."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, SSLError
from urllib3.util.ssl_match_hostname import CertificateError

from mover.connections import OTHER_NAME, NotConnected
from mover.credentials import KeySource
from mover.s3 import Broken, S3Error
from mover.settings import Settings


class Remover:
    """One bucket. Raises what `mover.s3.Client` raises. Keys are whole keys."""

    def __init__(self, settings: Settings, keys: KeySource, *, silence: float) -> None:
        self._bucket = settings.bucket
        self._ca_file = _ca_file(settings.ca_bundle_pem)
        self._client = boto3.session.Session(botocore_session=_session(keys)).client(
            "s3",
            endpoint_url=settings.endpoint or None,
            region_name=settings.region,
            verify=self._ca_file,
            config=Config(
                s3={"addressing_style": "path" if settings.path_style else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=min(10.0, silence),
                read_timeout=silence,
                retries={"total_max_attempts": 1},
                user_agent_extra="kubemotion-mover",
            ),
        )

    def delete(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Remove up to a thousand objects; those that stayed, each with the reason's code."""
        batch = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        answer = _translated(lambda: self._client.delete_objects(Bucket=self._bucket, Delete=batch))
        return [(str(failed.get("Key")), str(failed.get("Code"))) for failed in answer.get("Errors", [])]

    def delete_one(self, key: str) -> None:
        """Remove one object."""
        _translated(lambda: self._client.delete_object(Bucket=self._bucket, Key=key))

    def uploads(self, prefix: str, marker: Mapping[str, str]) -> tuple[list[tuple[str, str]], dict[str, str]]:
        """Key and id of unfinished multipart uploads, and the marker of the next page if there is one."""
        page = _translated(
            lambda: self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix, **dict(marker))
        )
        found = [(upload["Key"], upload["UploadId"]) for upload in page.get("Uploads", [])]
        if not page.get("IsTruncated"):
            return found, {}
        return found, {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def abort_upload(self, key: str, upload: str) -> None:
        """Give up an upload; one that is gone already is fine, an attempt whose answer got lost may have done it."""
        try:
            _translated(lambda: self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload))
        except S3Error as error:
            if error.code != "NoSuchUpload":
                raise

    def close(self) -> None:
        """Close connections and remove the CA file."""
        self._client.close()
        if self._ca_file:
            os.unlink(self._ca_file)


class _CurrentKeys(Credentials):
    """The keys of a source as botocore takes them."""

    def __init__(self, keys: KeySource) -> None:
        super().__init__("", "", None, method="mover")
        self._source = keys

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        keys = self._source()
        return ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)


class _Given(CredentialProvider):
    """Provides one set of keys."""

    METHOD = "given"

    def __init__(self, keys: Credentials) -> None:
        super().__init__()
        self._keys = keys

    def load(self) -> Credentials:
        return self._keys


def _session(keys: KeySource) -> botocore.session.Session:
    session = botocore.session.Session()
    session.register_component("credential_provider", CredentialResolver([_Given(_CurrentKeys(keys))]))
    return session


def _translated[T](call: Callable[[], T]) -> T:
    try:
        return call()
    except ClientError as error:
        said: Any = error.response
        about = said.get("ResponseMetadata", {})
        asked = str(about.get("HTTPHeaders", {}).get("retry-after", ""))
        raise S3Error(
            about.get("HTTPStatusCode", 0),
            str(said.get("Error", {}).get("Code", "unknown")),
            float(asked) if asked.isdecimal() else 0.0,
        ) from error
    except SSLError as error:
        raise (_refused_certificate(error) or NotConnected()) from error
    except BotoCoreError as error:
        name = type(error).__name__
        if name in ("EndpointConnectionError", "ProxyConnectionError", "ConnectTimeoutError"):
            raise NotConnected from error
        if name == "ReadTimeoutError":
            raise TimeoutError from error
        raise Broken from error


def _refused_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The refusal of a certificate that a failed connection was caused by, if it was."""
    pending = [error]
    while pending:
        each = pending.pop()
        if isinstance(each, ssl.SSLCertVerificationError):
            return each
        if isinstance(each, CertificateError):
            # urllib3 compares names itself.
            found = ssl.SSLCertVerificationError()
            found.verify_code = OTHER_NAME
            return found
        causes = (each.__cause__, each.__context__, *each.args)
        pending += [cause for cause in causes if isinstance(cause, BaseException)]
    return None


def _ca_file(pem: str) -> str | None:
    if not pem:
        return None
    handle, path = tempfile.mkstemp(prefix="mover-ca-", suffix=".pem")
    with open(handle, "w", encoding="ascii") as file:
        file.write(pem)
    return path
