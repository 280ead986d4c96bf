"""What can go wrong between us and a cluster, as a small family with messages for people.

No message holds credentials: it is made from the server's `Status` and from what we asked for.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from typing import Any

import urllib3
from urllib3.util.ssl_match_hostname import CertificateError

from clusters.texts import Text, said


class KubeError(Exception):
    """A request to a cluster failed. `code` is the HTTP status (None when there was no answer), `reason` the API's."""

    def __init__(
        self,
        message: Text,
        *,
        code: int | None = None,
        reason: str = "",
        causes: list[dict[str, Any]] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.causes = causes or []
        self.retry_after = retry_after


class Unreachable(KubeError):
    """No connection, or it broke: name not resolved, refused, timed out, reset."""


class Untrusted(KubeError):
    """TLS failed: the certificate is not signed by the kubeconfig's CA, has expired, or is for another host."""


class Unauthorized(KubeError):
    """401: the token or certificate is not accepted."""


class Forbidden(KubeError):
    """403: authenticated, but RBAC does not allow it."""


class NotFound(KubeError):
    """404."""


class AlreadyExists(KubeError):
    """409 AlreadyExists."""


class Conflict(KubeError):
    """409 Conflict: a stale resourceVersion, or fields of another manager (`causes` names them)."""


class Invalid(KubeError):
    """400, 405, 406, 413, 415, 422: the request itself is refused."""


class Expired(KubeError):
    """410: a continue token or resourceVersion is too old."""


class Throttled(KubeError):
    """429: ask later."""


class Unavailable(KubeError):
    """5xx: the server cannot answer now."""


class WebhookFailed(KubeError):
    """An admission webhook that is asked about the object does not answer, and must (500, failurePolicy Fail)."""


RETRIABLE = (Unreachable, Throttled, Unavailable)
# The server says this with 500 of an intent that its types do not allow, which it will say for ever.
MISTYPED = "failed to create typed patch object"
# And this where it is well itself (k8s.io/apiserver/pkg/admission/plugin/webhook, ErrCallingWebhook).
WEBHOOK_FAILED = "failed calling webhook"


def from_response(status: int, body: bytes, what: str, retry_after: str | None = None) -> KubeError:
    """The error for an answer with a failing status; `what` says what was asked, such as `list pods in cms`."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        answer = {"message": body.decode(errors="replace").strip()[:300]}
    reason = str(answer.get("reason") or "")
    details = answer.get("details")
    details = details if isinstance(details, dict) else {}
    causes = details.get("causes")
    words = str(answer.get("message") or reason or status)
    after = retry_after or details.get("retryAfterSeconds")
    kind = _class_for(status, reason)
    if status == 500 and MISTYPED in words:
        kind = Invalid
    elif status == 500 and WEBHOOK_FAILED in words:
        kind = WebhookFailed
    return kind(
        _message(status, words, what),
        code=status,
        reason=reason,
        causes=[each for each in causes if isinstance(each, dict)] if isinstance(causes, list) else [],
        retry_after=float(str(after)) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", str(after)) else None,
    )


def _class_for(status: int, reason: str) -> type[KubeError]:
    if status == 409:
        return AlreadyExists if reason == "AlreadyExists" else Conflict
    known: dict[int, type[KubeError]] = {
        401: Unauthorized,
        403: Forbidden,
        404: NotFound,
        410: Expired,
        429: Throttled,
    }
    if status in known:
        return known[status]
    return Unavailable if status >= 500 else Invalid


def _message(status: int, words: str, what: str) -> Text:
    if status == 401:
        return said(
            "The cluster does not accept the credentials ({what}): the token or client certificate is wrong "
            "or has expired. Put a kubeconfig with valid credentials in its place.",
            what=what,
        )
    if status == 403:
        return said("Not allowed to {what}: {words}", what=what, words=words)
    return said("Could not {what}: {words}", what=what, words=words)


def from_exception(error: Exception, server: str) -> KubeError:
    """The error for a failure below HTTP. `server` is the API server's address."""
    cause: BaseException | None = error
    chain: list[BaseException] = []
    while cause is not None and cause not in chain:
        chain.append(cause)
        inner = getattr(cause, "reason", None)
        cause = inner if isinstance(inner, BaseException) else (cause.__cause__ or cause.__context__)
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            return Untrusted(_untrusted(each, server))
        # Where the kubeconfig says tls-server-name, urllib3 compares the names itself, and raises its own.
        if isinstance(each, CertificateError):
            return Untrusted(_for_another_host(server))
    for each in chain:
        if isinstance(each, ssl.SSLError):
            return Untrusted(
                said(
                    "TLS with {server} failed: {reason}. Is it an HTTPS API server's address?",
                    server=server,
                    reason=each.reason or each,
                )
            )
    # By cause, not by place in the chain: urllib3's error of a refused connection is one of its timeouts as well.
    if any(isinstance(each, socket.gaierror | urllib3.exceptions.NameResolutionError) for each in chain):
        return Unreachable(
            said("The host of {server} cannot be resolved. Check the server address in the kubeconfig.", server=server)
        )
    if any(isinstance(each, ConnectionRefusedError) for each in chain):
        return Unreachable(
            said("{server} refuses connections. Is the API server running, and the port right?", server=server)
        )
    if any(isinstance(each, TimeoutError | urllib3.exceptions.TimeoutError) for each in chain):
        return Unreachable(
            said("{server} did not answer in time. Check the address, the network and its firewalls.", server=server)
        )
    return Unreachable(
        said(
            "The connection to {server} broke ({kind}). It is worth trying again.",
            server=server,
            kind=type(chain[-1]).__name__,
        )
    )


def _for_another_host(server: str) -> Text:
    return said(
        "The certificate of {server} is for another host. Use the name that it was made for, or tls-server-name.",
        server=server,
    )


def _untrusted(error: ssl.SSLCertVerificationError, server: str) -> Text:
    # Numbers of X509_verify_cert_error_string, OpenSSL.
    if error.verify_code == 10:
        return said(
            "The certificate of {server} has expired. The cluster's certificates have to be renewed.", server=server
        )
    if error.verify_code in {62, 64}:
        return _for_another_host(server)
    return said(
        "The certificate of {server} is signed by an authority that the kubeconfig does not name. Put "
        "the cluster's CA into certificate-authority-data.",
        server=server,
    )
