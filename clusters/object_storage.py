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

CODES = ("reachable", "tls", "credentials", "bucket", "list", "put", "get", "multipart", "delete")
CONTENT = b"Written by a check of Kubemotion Web; it may be deleted."


class CaBundleError(ValueError):
    """The CA bundle holds no certificates."""


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
    message = _("Not checked, because an earlier check failed.")
    return [done.get(code) or Check(code, "skipped", message) for code in CODES]


def _checks(store: ObjectStore) -> Iterator[Check]:
    """Yields until something fails on which the rest depends."""
    try:
        s3 = client(store)
        listed = s3.list_objects_v2(Bucket=store.bucket, Prefix=_below(store), MaxKeys=1)
    except CaBundleError as error:
        yield Check("tls", "failure", str(error), _("Paste the certificate of the authority, in PEM."))
        return
    except (AddressRefusedError, ValueError, exceptions.ParamValidationError) as error:
        yield Check("reachable", "failure", str(error), _("Correct the endpoint or the bucket's name."))
        return
    except exceptions.SSLError:
        yield _ok("reachable", _("Something listens at %(endpoint)s.") % {"endpoint": _name(store)})
        yield Check(
            "tls",
            "failure",
            _("The certificate of %(endpoint)s is not trusted.") % {"endpoint": _name(store)},
            _("Put the certificate of its authority into the CA bundle, and check the name in the endpoint."),
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
            _("%(endpoint)s does not answer.") % {"endpoint": _name(store)},
            _("Check the endpoint, and the network and firewalls between this server and it."),
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
            raise ValueError(_("What was read is not what was written."))

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
            raise ValueError(_("What was deleted is still listed."))

    steps: tuple[tuple[str, Callable[[], None], str, str], ...] = (
        ("put", put, _("Objects can be written."), _("Allow the key pair s3:PutObject below the prefix.")),
        ("get", get, _("Objects can be read."), _("Allow the key pair s3:GetObject below the prefix.")),
        (
            "multipart",
            multipart,
            _("Objects can be uploaded in parts."),
            _("Allow the key pair s3:PutObject and s3:AbortMultipartUpload below the prefix."),
        ),
        ("delete", delete, _("Objects can be deleted."), _("Allow the key pair s3:DeleteObject below the prefix.")),
    )
    for code, step, fine, remedy in steps:
        try:
            step()
        except exceptions.ClientError as error:
            yield Check(code, "failure", _denied(code, error), remedy)
        except (ValueError, ResponseParserError, exceptions.BotoCoreError) as error:
            said = str(error) if isinstance(error, ValueError) else _("The store stopped answering.")
            yield Check(code, "failure", said, _("Try again; if it stays, ask who runs the store."))
        else:
            yield _ok(code, fine)
            continue
        if code == "put":
            return


def _denied(code: str, error: exceptions.ClientError) -> str:
    said = _code(error)
    if said in {"AccessDenied", "403", "AllAccessDisabled"}:
        if code == "put":
            return _("The key pair may only read: writing is refused.")
        return _("The key pair may not do this (%(code)s).") % {"code": code}
    return _("The store refuses %(code)s: %(said)s.") % {"code": code, "said": said}


def _before(code: str, store: ObjectStore) -> Iterator[Check]:
    """The checks that lie before `code`, which have passed when it is what failed."""
    secure = not store.endpoint or urlsplit(store.endpoint).scheme == "https"
    local = urlsplit(store.endpoint).hostname in {"localhost", "127.0.0.1", "::1"}
    named = {"endpoint": _name(store), "bucket": store.bucket}
    fine = {
        "reachable": _ok("reachable", _("%(endpoint)s answers.") % named),
        "tls": _ok("tls", _("Its certificate is trusted.") if secure else _("It is on this machine."))
        if secure or local
        else Check(
            "tls",
            "warning",
            _("The connection to %(endpoint)s is not encrypted.") % named,
            _("The data of volumes is encrypted all the same. Use https:// where the store offers it."),
        ),
        "credentials": _ok("credentials", _("The key pair is accepted.")),
        "bucket": _ok("bucket", _("There is a bucket %(bucket)s.") % named),
        "list": _ok("list", _("The bucket can be listed.")),
    }
    for each in CODES[: CODES.index(code)]:
        yield fine[each]


def _refused(error: exceptions.ClientError, store: ObjectStore) -> Check:
    """The check that the answer to the first request makes fail."""
    named = {"endpoint": _name(store), "bucket": store.bucket, "region": store.region, "code": _code(error)}
    match _code(error):
        case "InvalidAccessKeyId" | "InvalidClientTokenId":
            message = _("%(endpoint)s does not know this access key id.") % named
            return Check("credentials", "failure", message, _("Check the access key id, and that it is active."))
        case "SignatureDoesNotMatch":
            message = _("The secret access key does not belong to this access key id.")
            return Check("credentials", "failure", message, _("Enter the secret access key again."))
        case "RequestTimeTooSkewed":
            message = _("This server's clock and the store's differ by more than 15 minutes.")
            return Check("credentials", "failure", message, _("Set the clocks; NTP keeps them right."))
        case "NoSuchBucket":
            message = _("There is no bucket %(bucket)s.") % named
            return Check("bucket", "failure", message, _("Create the bucket, or correct its name."))
        case "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "301":
            message = _("The bucket %(bucket)s is not in region %(region)s.") % named
            actual = error.response.get("Error", {}).get("Region") or _header(error, "x-amz-bucket-region")
            right = _("Set the region to %(region)s.") % {"region": actual} if actual else _("Set the bucket's region.")
            return Check("bucket", "failure", message, right)
        case "AccessDenied" | "AllAccessDisabled":
            message = _("The key pair may not list the bucket %(bucket)s.") % named
            remedy = _("Allow it s3:ListBucket on the bucket; check too that the bucket is yours.")
            return Check("list", "failure", message, remedy)
        case "SlowDown" | "ServiceUnavailable" | "InternalError" | "500" | "502" | "503" | "504":
            message = _("%(endpoint)s answers, but cannot serve now (%(code)s).") % named
            return Check("reachable", "failure", message, _("Try again in a while."))
        case code if code.isdigit():
            return _not_s3(store)
    message = _("%(endpoint)s refuses to list %(bucket)s: %(code)s.") % named
    return Check("list", "failure", message, _("Check endpoint, bucket and key pair."))


def _not_s3(store: ObjectStore) -> Check:
    message = _("%(endpoint)s answers, but not as an S3 object store does.") % {"endpoint": _name(store)}
    return Check("reachable", "failure", message, _("Use the S3 endpoint; a web console often has another port."))


def _code(error: exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "") or "")


def _header(error: exceptions.ClientError, name: str) -> str:
    return str(error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(name, ""))


def _ok(code: str, message: str) -> Check:
    return Check(code, "ok", message)


def _name(store: ObjectStore) -> str:
    return store.endpoint or "Amazon S3"


def _below(store: ObjectStore) -> str:
    prefix = store.prefix.strip("/")
    return f"{prefix}/" if prefix else ""
