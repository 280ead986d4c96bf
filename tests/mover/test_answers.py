"""What a store's answer means: asked again, or given up with the remedy."""

from __future__ import annotations

import http.client
import ssl

import pytest

from mover.answers import Transient, transient
from mover.connections import NotConnected
from mover.errors import StoreRefused
from mover.s3 import SKEWED, Broken, S3Error

WHERE = "bucket b, volume cms/data"


def asked(error: S3Error | http.client.HTTPException | OSError, *, renewed: bool = False) -> Transient:
    return transient("store an object", WHERE, error, keys_are_renewed=renewed)


def unconnected(cause: OSError) -> NotConnected:
    error = NotConnected()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (S3Error(503, "SlowDown"), "SlowDown (HTTP 503)"),
        (S3Error(500, "InternalError"), "InternalError (HTTP 500)"),
        # A success that turned out to be none.
        (S3Error(200, "InternalError"), "InternalError (HTTP 200)"),
        (S3Error(400, "RequestTimeout"), "RequestTimeout (HTTP 400)"),
        (S3Error(403, "SlowDown"), "SlowDown (HTTP 403)"),
        (S3Error(408, ""), " (HTTP 408)"),
        (S3Error(429, "TooManyRequests"), "TooManyRequests (HTTP 429)"),
        (S3Error(502, ""), " (HTTP 502)"),
        (unconnected(ConnectionRefusedError()), "nothing answers at that address"),
        (unconnected(TimeoutError()), "nothing answers at that address in time"),
        (unconnected(ssl.SSLError()), "it does not speak TLS at that address"),
        (TimeoutError(), "the answer takes too long"),
        (ConnectionResetError(), "the connection was closed before an answer came"),
        (http.client.RemoteDisconnected(), "the connection was closed before an answer came"),
        (Broken(), "the connection broke in the middle of an answer"),
    ],
)
def test_what_may_pass_is_asked_again(error: S3Error | http.client.HTTPException | OSError, reason: str) -> None:
    why = asked(error)
    assert (why.reason, why.code) == (reason, None)
    assert why.advice


@pytest.mark.parametrize("code", ["BadDigest", "XAmzContentChecksumMismatch", "IncompleteBody"])
def test_what_was_altered_on_the_way_is_sent_again_and_called_so(code: str) -> None:
    why = asked(S3Error(400, code))
    assert why.code == "altered-on-the-way"
    assert code in why.reason
    assert "https" in why.advice


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (403, "InvalidAccessKeyId", "check the object store's key pair"),
        (403, "SignatureDoesNotMatch", "check the object store's key pair"),
        (403, "AccessDenied", "grant list, get, put and delete below the prefix"),
        # Whatever else a store calls it.
        (403, "Forbidden", "grant list, get, put and delete below the prefix"),
        (401, "", "grant list, get, put and delete below the prefix"),
        (404, "NoSuchBucket", "create it or correct its name"),
        (400, "ExpiredToken", "start again with a fresh one"),
        (301, "PermanentRedirect", "correct the region"),
        (507, "XMinioStorageFull", "make room"),
        (400, "EntityTooLarge", "EntityTooLarge (HTTP 400)"),
        (302, "", "(HTTP 302)"),
    ],
)
def test_what_will_not_pass_is_given_up_with_the_remedy(status: int, code: str, remedy: str) -> None:
    with pytest.raises(StoreRefused) as caught:
        asked(S3Error(status, code))
    assert remedy in caught.value.message
    assert WHERE in caught.value.message
    assert not caught.value.retriable


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (501, ""), (400, "MissingContentMD5")])
def test_what_a_store_cannot_do_is_said_so(status: int, code: str) -> None:
    with pytest.raises(StoreRefused, match="cannot store an object") as caught:
        asked(S3Error(status, code))
    assert caught.value.code == "store-lacks"


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId"])
def test_keys_that_are_renewed_are_waited_for(code: str) -> None:
    assert "no renewed ones have come" in asked(S3Error(403, code), renewed=True).reason
    with pytest.raises(StoreRefused):
        asked(S3Error(403, code))


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0.0, "its clock and that of this pod's node differ too much"),
        (1800.0, "the clock of this pod's node is 30 minutes behind the object store's"),
        (-1800.0, "the clock of this pod's node is 30 minutes ahead of the object store's"),
        (-36_000.0, "the clock of this pod's node is 10 hours ahead of the object store's"),
    ],
)
def test_clocks_that_differ_are_told_by_how_much(ahead: float, said: str) -> None:
    with pytest.raises(StoreRefused) as caught:
        asked(S3Error(403, SKEWED, clock_ahead=ahead))
    assert said in caught.value.message
