"""The object store as the mover needs it: put, get a range, list, delete.

Transient failures are retried; refusals say what to do.
"""

from __future__ import annotations

import functools
import http.client
import random
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from mover.connections import NotConnected
from mover.credentials import OUTDATED, key_source
from mover.errors import StoreRefused, StoreUnavailable, UsageError
from mover.s3 import Body, Client, Page, S3Error
from mover.settings import Settings
from mover.signing import Signer

if TYPE_CHECKING:
    from mover.removing import Remover

T = TypeVar("T")

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 8.0
_LONGEST_SILENCE = 60.0
_SHORTEST_SILENCE = 0.5

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


class ObjectStore:
    """One bucket and prefix. Thread-safe. Names given and returned are below the prefix."""

    def __init__(self, settings: Settings) -> None:
        self.where = f"{settings.endpoint or 'AWS S3'}, bucket {settings.bucket}, volume {settings.volume}"
        self._settings = settings
        self._keys = key_source(settings)
        self._prefix = settings.prefix + "/"
        self._retry_seconds = settings.retry_seconds
        # Whoever waits for one answer longer than half of that time has no time left to ask again.
        self._silence = max(_SHORTEST_SILENCE, min(_LONGEST_SILENCE, settings.retry_seconds / 2))
        try:
            self._client = Client(
                endpoint=settings.endpoint,
                region=settings.region,
                bucket=settings.bucket,
                path_style=settings.path_style,
                ca_pem=settings.ca_bundle_pem,
                signer=Signer(self._keys, settings.region),
                connect_timeout=min(10.0, self._silence),
                silence=self._silence,
            )
        except ssl.SSLError as error:
            raise UsageError("MOVER_S3_CA_BUNDLE_PEM holds no certificates in PEM format.") from error
        except ValueError as error:
            raise UsageError(f"MOVER_S3_ENDPOINT is not a valid address: {error}.") from error

    def put(self, name: str, *parts: bytes | memoryview) -> None:
        """Store an object whole, given in parts."""
        self._attempt(f"put {name}", lambda: self._client.put(self._prefix + name, parts))

    def get(self, name: str) -> bytes | None:
        """An object's bytes; None when there is no such object."""
        return self._attempt(f"get {name}", lambda: self._client.get(self._prefix + name, Body.read))

    def read(self, name: str, span: Callable[[], tuple[int, int]], take: Callable[[Body], T]) -> T | None:
        """What `take` makes of a part of an object; None when there is no such object.

        `span` says where the part begins and how long it is. It is asked anew for every attempt, so that what `take`
        got through before a connection broke is not carried again.
        """

        def fetch() -> T | None:
            start, length = span()
            return self._client.get(self._prefix + name, take, start, length)

        return self._attempt(f"get {name}", fetch, progress=span)

    def sizes(self, below: str = "") -> Iterator[tuple[str, int]]:
        """The names of all objects that begin with `below`, in order, each with its size."""
        for page in self._pages(below):
            for key, size in page.objects:
                yield key.removeprefix(self._prefix), size

    def list(self, below: str = "", *, folders: bool = False) -> Iterator[str]:
        """The names of all objects that begin with `below`, in order; with `folders`, the next path parts instead."""
        for page in self._pages(below, delimiter="/" if folders else ""):
            found = [each.rstrip("/") for each in page.folders] if folders else [key for key, _ in page.objects]
            for key in found:
                yield key.removeprefix(self._prefix)

    def _pages(self, below: str, delimiter: str = "") -> Iterator[Page]:
        following = ""
        while True:
            list_page = functools.partial(
                self._client.list, self._prefix + below, delimiter=delimiter, following=following
            )
            page = self._attempt(f"list {below or 'the prefix'}", list_page)
            yield page
            following = page.following
            if not following:
                return

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, a thousand per request where the store can; absent ones are fine."""
        remover = self._remover
        for begin in range(0, len(names), 1000):
            some = [self._prefix + name for name in names[begin : begin + 1000]]
            try:
                failed = self._attempt("delete objects", functools.partial(remover.delete, some))
            except StoreRefused as refused:
                if refused.code != "store-lacks":
                    raise
                for key in some:
                    name = key.removeprefix(self._prefix)
                    self._attempt(f"delete {name}", functools.partial(remover.delete_one, key))
                continue
            for key, code in failed:
                raise StoreRefused(
                    f"The object store ({self.where}) refused to delete {key}: {code}. "
                    "Grant delete below the prefix, or remove the objects by hand."
                )

    def abort_uploads(self) -> int:
        """How many unfinished multipart uploads below the prefix were given up."""
        remover = self._remover
        count = 0
        marker: dict[str, str] = {}
        while True:
            found, marker = self._attempt(
                "list multipart uploads", functools.partial(remover.uploads, self._prefix, marker)
            )
            for key, upload in found:
                self._attempt(
                    f"abort the multipart upload of {key}", functools.partial(remover.abort_upload, key, upload)
                )
                count += 1
            if not marker:
                return count

    @functools.cached_property
    def _remover(self) -> Remover:
        # Only who removes something waits for boto3, which takes longer to be imported than a small volume to move.
        from mover.removing import Remover

        return Remover(self._settings, self._keys, silence=self._silence)

    def close(self) -> None:
        """Close connections."""
        self._client.close()
        if "_remover" in self.__dict__:
            self._remover.close()

    def _attempt(self, what: str, call: Callable[[], T], progress: Callable[[], object] = lambda: None) -> T:
        """Run `call`; transient failures are repeated, with growing pauses, for `retry_seconds` without progress."""
        deadline = time.monotonic() + self._retry_seconds
        delay = _FIRST_DELAY
        reached = progress()
        while True:
            try:
                return call()
            except (S3Error, http.client.HTTPException, OSError) as error:
                reason = self._transient_reason(what, error)
                asked = error.retry_after if isinstance(error, S3Error) else 0.0
            if progress() != reached:
                reached, deadline, delay = progress(), time.monotonic() + self._retry_seconds, _FIRST_DELAY
            left = deadline - time.monotonic()
            if delay > left:
                raise StoreUnavailable(
                    f"The object store ({self.where}) could not {what}: {reason}. "
                    f"Tried for {self._retry_seconds:.0f} seconds. Check that it is up and reachable from this "
                    "cluster, then start again: what was transferred stays."
                )
            # Who asks for more time than there is gets a last try at the end of it.
            time.sleep(max(delay * random.uniform(0.5, 1.0), min(asked, left)))
            delay = min(delay * 2, _LONGEST_DELAY)

    def _transient_reason(self, what: str, error: S3Error | http.client.HTTPException | OSError) -> str:
        """Why a repeat may help; raises StoreRefused when it will not."""
        if isinstance(error, S3Error):
            return self._transient_answer(what, error)
        if isinstance(error, ssl.SSLCertVerificationError):
            raise StoreRefused(
                f"The certificate of the object store ({self.where}) is not trusted. Give its CA certificate.",
                code="store-untrusted",
            ) from None
        if isinstance(error, NotConnected):
            return "nothing answers at that address" + (" in time" if isinstance(error.__cause__, TimeoutError) else "")
        if isinstance(error, TimeoutError):
            return "the answer takes too long"
        if isinstance(error, ConnectionError | http.client.BadStatusLine):
            return "the connection was closed before an answer came"
        return "the connection broke in the middle of an answer"

    def _transient_answer(self, what: str, error: S3Error) -> str:
        code, status = error.code, error.status
        if code == "NotImplemented" or status == 501 or code in ("MissingContentMD5", "InvalidRequest"):
            raise StoreRefused(f"The object store ({self.where}) cannot {what}: {code}.", code="store-lacks") from None
        if self._settings.credentials_file and code in OUTDATED:
            return f"the temporary keys are no longer accepted ({code}), and no renewed ones have come"
        if code in _REFUSALS or (status in (401, 403) and code not in _TRANSIENT_CODES):
            advice = _REFUSALS.get(code) or _REFUSALS["AccessDenied"]
            raise StoreRefused(f"The object store ({self.where}) refused to {what}: {advice} ({code}).") from None
        if status < 500 and status != 429 and code not in _TRANSIENT_CODES:
            raise StoreRefused(f"The object store ({self.where}) refused to {what}: {code} (HTTP {status}).") from None
        return f"{code} (HTTP {status})"
