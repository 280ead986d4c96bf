"""Object stores: a client for one, and what is fine about it and what is not."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError
from cryptography import x509
from django.conf import settings
from django.utils.translation import gettext as _

from clusters.addresses import AddressRefusedError, require_allowed
from clusters.kube.checks import Check
from clusters.models import ObjectStore
from clusters.texts import Text, as_it_is, said

CODES = ("reachable", "tls", "credentials", "bucket", "list", "put", "get", "multipart", "delete")
CONTENT = b"Written by a check of Kubemotion Web; it may be deleted."


class CaBundleError(ValueError):
    """The CA bundle holds no certificates."""


class _UnlikeError(Exception):
    """The store did something else than it said. The message says what."""

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.message = message


def require_certificates(pem: str) -> None:
    """Raise CaBundleError unless the text is certificates in PEM."""
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise CaBundleError(_("The CA bundle is not a certificate in PEM.")) from None


def client(
    store: ObjectStore,
    service: Literal["s3", "sts"] = "s3",
    endpoint: str | None = None,
    *,
    keys: tuple[str, str, str] | None = None,
) -> Any:
    """A boto3 client for the store or what belongs to it, with time limits; nothing is sent yet.

    `endpoint` is the store's unless given; `keys` (id, secret, token) stand in for the store's own. Raises
    AddressRefusedError and CaBundleError.
    """
    endpoint = store.endpoint if endpoint is None else endpoint
    if endpoint:
        require_allowed(endpoint)
    access_key_id, secret_access_key, token = keys or (store.access_key_id, store.secret_access_key, "")
    # A session of its own: boto3's default one is not made for several threads, and reads this server's credentials.
    session = boto3.session.Session(
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        aws_session_token=token or None,
        region_name=store.region,
    )
    return session.client(
        service,
        endpoint_url=endpoint or None,
        verify=_ca_file(store.ca_bundle) if store.ca_bundle.strip() else None,
        config=Config(
            signature_version="s3v4" if service == "s3" else None,
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 3},
            s3={"addressing_style": "path" if store.path_style else "virtual"},
            # Stores other than Amazon's often do not know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def delete_quietly(s3: Any, bucket: str, key: str) -> None:
    """Delete what a check wrote; where that fails it stays, and says itself that it may go."""
    with contextlib.suppress(exceptions.ClientError, exceptions.BotoCoreError, ResponseParserError):
        s3.delete_object(Bucket=bucket, Key=key)


def _ca_file(pem: str) -> str:
    """The CA bundle as a file, which is the only form that botocore takes."""
    folder = Path(settings.STATE_DIR) / "ca"
    require_certificates(pem)
    path = folder / f"{hashlib.sha256(pem.encode()).hexdigest()}.pem"
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = folder / f".{secrets.token_hex(8)}"
        mine.write_text(pem)
        mine.replace(path)
    return str(path)


def check_object_store(store: ObjectStore) -> list[Check]:
    """Try everything that a migration does with the store, below its prefix, and clean up. Takes some seconds."""
    done = {check.code: check for check in _checks(store)}
    message = said("Not checked, because an earlier check failed.")
    return [done.get(code) or Check(code, "skipped", message) for code in CODES]


def _checks(store: ObjectStore) -> Iterator[Check]:
    """Yields until something fails on which the rest depends."""
    try:
        s3 = client(store)
        listed = s3.list_objects_v2(Bucket=store.bucket, Prefix=_below(store), MaxKeys=1)
    except CaBundleError as error:
        yield Check("tls", "failure", as_it_is(error), said("Paste the certificate of the authority, in PEM."))
        return
    except (AddressRefusedError, ValueError, exceptions.ParamValidationError) as error:
        yield Check("reachable", "failure", as_it_is(error), said("Correct the endpoint or the bucket's name."))
        return
    except exceptions.SSLError:
        yield _ok("reachable", said("Something listens at {endpoint}.", endpoint=_name(store)))
        yield Check(
            "tls",
            "failure",
            said("The certificate of {endpoint} is not trusted.", endpoint=_name(store)),
            said("Put the certificate of its authority into the CA bundle, and check the name in the endpoint."),
        )
        return
    except ResponseParserError:
        yield _not_s3(store)
        return
    except exceptions.ClientError as error:
        failed = _refused(error, store)
        yield from _before(failed.code, store)
        yield failed
        return
    except exceptions.BotoCoreError:
        yield Check(
            "reachable",
            "failure",
            said("{endpoint} does not answer.", endpoint=_name(store)),
            said("Check the endpoint, and the network and firewalls between this server and it."),
        )
        return
    # Any web page reads as an empty listing, but for the name that a store always repeats.
    if not listed.get("Name"):
        yield _not_s3(store)
        return
    yield from _before("put", store)
    yield from _writing(s3, store)


def _writing(s3: Any, store: ObjectStore) -> Iterator[Check]:
    single = f"{_below(store)}kubemotion-check-{secrets.token_hex(8)}"
    in_parts = f"{single}-parts"
    where = {"Bucket": store.bucket}

    def put() -> None:
        s3.put_object(**where, Key=single, Body=CONTENT)

    def get() -> None:
        if s3.get_object(**where, Key=single)["Body"].read() != CONTENT:
            raise _UnlikeError(said("What was read is not what was written."))

    def multipart() -> None:
        upload = {**where, "Key": in_parts, "UploadId": s3.create_multipart_upload(**where, Key=in_parts)["UploadId"]}
        try:
            part = s3.upload_part(**upload, PartNumber=1, Body=CONTENT)
            parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except BaseException:
            with contextlib.suppress(exceptions.ClientError, exceptions.BotoCoreError):
                s3.abort_multipart_upload(**upload)
            raise

    def delete() -> None:
        for key in (single, in_parts):
            s3.delete_object(**where, Key=key)
        left = s3.list_objects_v2(**where, Prefix=single, MaxKeys=2).get("Contents", [])
        if left:
            raise _UnlikeError(said("What was deleted is still listed."))

    steps: tuple[tuple[str, Callable[[], None], Text, Text], ...] = (
        ("put", put, said("Objects can be written."), said("Allow the key pair s3:PutObject below the prefix.")),
        ("get", get, said("Objects can be read."), said("Allow the key pair s3:GetObject below the prefix.")),
        (
            "multipart",
            multipart,
            said("Objects can be uploaded in parts."),
            said("Allow the key pair s3:PutObject and s3:AbortMultipartUpload below the prefix."),
        ),
        (
            "delete",
            delete,
            said("Objects can be deleted."),
            said("Allow the key pair s3:DeleteObject below the prefix."),
        ),
    )
    for code, step, fine, remedy in steps:
        try:
            step()
        except exceptions.ClientError as error:
            yield Check(code, "failure", _denied(code, error), remedy)
        except _UnlikeError as error:
            yield Check(code, "failure", error.message, said("Try again; if it stays, ask who runs the store."))
        except (ValueError, ResponseParserError, exceptions.BotoCoreError) as error:
            words = as_it_is(error) if isinstance(error, ValueError) else said("The store stopped answering.")
            yield Check(code, "failure", words, said("Try again; if it stays, ask who runs the store."))
        else:
            yield _ok(code, fine)
            continue
        if code == "put":
            return


def _denied(code: str, error: exceptions.ClientError) -> Text:
    answer = _code(error)
    if answer in {"AccessDenied", "403", "AllAccessDisabled"}:
        if code == "put":
            return said("The key pair may only read: writing is refused.")
        return said("The key pair may not do this ({code}).", code=code)
    return said("The store refuses {code}: {said}.", code=code, said=answer)


def _before(code: str, store: ObjectStore) -> Iterator[Check]:
    """The checks that lie before `code`, which have passed when it is what failed."""
    secure = not store.endpoint or urlsplit(store.endpoint).scheme == "https"
    local = urlsplit(store.endpoint).hostname in {"localhost", "127.0.0.1", "::1"}
    named = {"endpoint": _name(store), "bucket": store.bucket}
    fine = {
        "reachable": _ok("reachable", said("{endpoint} answers.", **named)),
        "tls": _ok("tls", said("Its certificate is trusted.") if secure else said("It is on this machine."))
        if secure or local
        else Check(
            "tls",
            "warning",
            said("The connection to {endpoint} is not encrypted.", **named),
            said("The data of volumes is encrypted all the same. Use https:// where the store offers it."),
        ),
        "credentials": _ok("credentials", said("The key pair is accepted.")),
        "bucket": _ok("bucket", said("There is a bucket {bucket}.", **named)),
        "list": _ok("list", said("The bucket can be listed.")),
    }
    for each in CODES[: CODES.index(code)]:
        yield fine[each]


def _refused(error: exceptions.ClientError, store: ObjectStore) -> Check:
    """The check that the answer to the first request makes fail."""
    named = {"endpoint": _name(store), "bucket": store.bucket, "region": store.region, "code": _code(error)}
    match _code(error):
        case "InvalidAccessKeyId" | "InvalidClientTokenId":
            message = said("{endpoint} does not know this access key id.", **named)
            return Check("credentials", "failure", message, said("Check the access key id, and that it is active."))
        case "SignatureDoesNotMatch":
            message = said("The secret access key does not belong to this access key id.")
            return Check("credentials", "failure", message, said("Enter the secret access key again."))
        case "RequestTimeTooSkewed":
            message = said("This server's clock and the store's differ by more than 15 minutes.")
            return Check("credentials", "failure", message, said("Set the clocks; NTP keeps them right."))
        case "NoSuchBucket":
            message = said("There is no bucket {bucket}.", **named)
            return Check("bucket", "failure", message, said("Create the bucket, or correct its name."))
        case "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "301":
            message = said("The bucket {bucket} is not in region {region}.", **named)
            actual = error.response.get("Error", {}).get("Region") or _header(error, "x-amz-bucket-region")
            right = said("Set the region to {region}.", region=actual) if actual else said("Set the bucket's region.")
            return Check("bucket", "failure", message, right)
        case "AccessDenied" | "AllAccessDisabled":
            message = said("The key pair may not list the bucket {bucket}.", **named)
            remedy = said("Allow it s3:ListBucket on the bucket; check too that the bucket is yours.")
            return Check("list", "failure", message, remedy)
        case "SlowDown" | "ServiceUnavailable" | "InternalError" | "500" | "502" | "503" | "504":
            message = said("{endpoint} answers, but cannot serve now ({code}).", **named)
            return Check("reachable", "failure", message, said("Try again in a while."))
        case code if code.isdigit():
            return _not_s3(store)
    message = said("{endpoint} refuses to list {bucket}: {code}.", **named)
    return Check("list", "failure", message, said("Check endpoint, bucket and key pair."))


def _not_s3(store: ObjectStore) -> Check:
    message = said("{endpoint} answers, but not as an S3 object store does.", endpoint=_name(store))
    return Check("reachable", "failure", message, said("Use the S3 endpoint; a web console often has another port."))


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "") or "")


def _header(error: exceptions.ClientError, name: str) -> str:
    return str(error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name, ""))


def _ok(code: str, message: Text) -> Check:
    return Check(code, "ok", message)


def _name(store: ObjectStore) -> str:
    return store.endpoint or "Amazon S3"


def _below(store: ObjectStore) -> str:
    prefix = store.prefix.strip("/")
    return f"{prefix}/" if prefix else ""
