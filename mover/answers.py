"""What the object store's answers mean, and what it means when there is none: whether to ask again, and what to do."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass

from mover.connections import OTHER_NAME, NotConnected
from mover.credentials import OUTDATED
from mover.errors import StoreRefused
from mover.s3 import SKEWED, S3Error

_REFUSALS = {
    "InvalidAccessKeyId": "it does not know the access key; check the object store's key pair",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; check the object store's key pair",
    "AccessDenied": "the key pair may not do this; grant list, get, put and delete below the prefix",
    "AllAccessDisabled": "all access to the bucket is disabled",
    "AccountProblem": "there is a problem with the account",
    "NoSuchBucket": "the bucket does not exist; create it or correct its name",
    "ExpiredToken": "the session token has expired; start again with a fresh one",
    "InvalidToken": "the session token is not valid",
    "PermanentRedirect": "the bucket is in another region; correct the region",
    "AuthorizationHeaderMalformed": "the region is not the bucket's; correct the region",
    "InvalidBucketName": "the bucket's name is not valid",
    "QuotaExceeded": "the bucket's quota is reached; make room or raise it",
    "XMinioStorageFull": "the store is full; make room",
    "MethodNotAllowed": "the bucket does not allow this; it may be read-only",
}
_TRANSIENT_CODES = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"}
_TRANSIENT_STATUSES = {http.client.REQUEST_TIMEOUT, http.client.TOO_MANY_REQUESTS}
# What arrived does not have the checksum that came with it (as AWS and Ceph say it, and as MinIO does), or not its
# length.
_ALTERED_CODES = {"BadDigest", "XAmzContentChecksumMismatch", "IncompleteBody"}

_REACHABLE = "Check that it is up and reachable from this cluster"

# OpenSSL's X509_V_ERR_… numbers.
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_ADDRESS = 64


@dataclass(frozen=True)
class Transient:
    """Why something did not work that may work when it is tried again, and what to do when it never does."""

    reason: str
    advice: str = _REACHABLE
    code: str | None = None


def transient(
    what: str, where: str, error: S3Error | http.client.HTTPException | OSError, *, keys_are_renewed: bool
) -> Transient:
    """Why a repeat of `what` may help; raises StoreRefused when it will not. `where` names the store and the volume."""
    if isinstance(error, S3Error):
        return _answer(what, where, error, keys_are_renewed=keys_are_renewed)
    if isinstance(error, ssl.SSLCertVerificationError):
        raise StoreRefused(_untrusted(where, error), code="store-untrusted") from None
    if isinstance(error, NotConnected):
        if isinstance(error.__cause__, ssl.SSLError):
            return Transient(
                "it does not speak TLS at that address", "Correct the endpoint: http or https, and its port"
            )
        late = isinstance(error.__cause__, TimeoutError)
        return Transient("nothing answers at that address" + (" in time" if late else ""))
    if isinstance(error, TimeoutError):
        return Transient("the answer takes too long")
    if isinstance(error, ConnectionError | http.client.BadStatusLine):
        return Transient("the connection was closed before an answer came")
    return Transient("the connection broke in the middle of an answer")


def _answer(what: str, where: str, error: S3Error, *, keys_are_renewed: bool) -> Transient:
    code, status = error.code, error.status
    if code == "NotImplemented" or status == 501 or code in ("MissingContentMD5", "InvalidRequest"):
        raise StoreRefused(f"The object store ({where}) cannot {what}: {code}.", code="store-lacks") from None
    if keys_are_renewed and code in OUTDATED:
        return Transient(
            f"the temporary keys are no longer accepted ({code}), and no renewed ones have come",
            "Check that Kubemotion runs and reaches this cluster: it renews them",
        )
    if code in _ALTERED_CODES:
        return Transient(
            f"what arrives there is not what was sent ({code})",
            "Something between this pod and the store alters or cuts what it carries: reach the store by https, or "
            "without the proxy in between",
            code="altered-on-the-way",
        )
    if code == SKEWED:
        raise StoreRefused(
            f"The object store ({where}) refused to {what}: {_clocks(error.clock_ahead)} ({code}). Set the clock (with "
            "chrony or another NTP client), and start again."
        ) from None
    if code in _REFUSALS or (status in (401, 403) and code not in _TRANSIENT_CODES):
        advice = _REFUSALS.get(code) or _REFUSALS["AccessDenied"]
        raise StoreRefused(f"The object store ({where}) refused to {what}: {advice} ({code}).") from None
    if status < 500 and status not in _TRANSIENT_STATUSES and code not in _TRANSIENT_CODES:
        raise StoreRefused(f"The object store ({where}) refused to {what}: {code} (HTTP {status}).") from None
    return Transient(f"{code} (HTTP {status})")


def _clocks(store_ahead: float) -> str:
    """By how many seconds the store's clock is ahead of this node's, for people."""
    minutes = round(abs(store_ahead) / 60)
    if not minutes:
        return "its clock and that of this pod's node differ too much"
    much = f"{minutes} minutes" if minutes < 100 else f"{round(minutes / 60)} hours"
    return f"the clock of this pod's node is {much} {'behind' if store_ahead > 0 else 'ahead of'} the object store's"


def _untrusted(where: str, error: ssl.SSLCertVerificationError) -> str:
    number = getattr(error, "verify_code", 0)
    said = f"The certificate of the object store ({where})"
    if number == _EXPIRED:
        return f"{said} has expired by the clock of this pod's node. Renew it, or set the clock."
    if number == _NOT_YET_VALID:
        return f"{said} is not valid yet by the clock of this pod's node. Set the clock."
    if number in (OTHER_NAME, _OTHER_ADDRESS):
        return f"{said} is for another name than that. Correct the endpoint, or have the name added to the certificate."
    why = getattr(error, "verify_message", "")
    return f"{said} is not trusted{f' ({why})' if why else ''}. Give the certificate of the CA that issued it."
