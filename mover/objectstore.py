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

from mover.answers import transient
from mover.credentials import key_source
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
_KEPT_BYTES = 8 << 20


class ObjectStore:
    """One bucket and prefix. Thread-safe. Names given and returned are below the prefix."""

    def __init__(self, settings: Settings) -> None:
        self.where = f"{settings.endpoint or 'AWS S3'}, bucket {settings.bucket}, volume {settings.volume}"
        self._settings = settings
        self._keys = key_source(settings)
        self._prefix = settings.prefix + "/"
        self._retry_seconds = settings.retry_seconds
        self._kept: dict[str, bytes] = {}
        self._kept_bytes = 0
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
        kept = self._kept.get(name)
        if kept is not None:
            return kept
        return self._attempt(f"get {name}", lambda: self._client.get(self._prefix + name, Body.read))

    def keep(self, name: str, body: bytes) -> None:
        """Have `get` give this without asking again, if there is room: what never changes and is read twice. For one
        thread."""
        if name not in self._kept and self._kept_bytes + len(body) <= _KEPT_BYTES:
            self._kept[name] = body
            self._kept_bytes += len(body)

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
                trouble = transient(what, self.where, error, keys_are_renewed=bool(self._settings.credentials_file))
                asked = error.retry_after if isinstance(error, S3Error) else 0.0
            if progress() != reached:
                reached, deadline, delay = progress(), time.monotonic() + self._retry_seconds, _FIRST_DELAY
            left = deadline - time.monotonic()
            if delay > left:
                raise StoreUnavailable(
                    f"The object store ({self.where}) could not {what}: {trouble.reason}. "
                    f"Tried for {self._retry_seconds:.0f} seconds. {trouble.advice}, then start again: "
                    "what was transferred stays.",
                    code=trouble.code,
                )
            # Who asks for more time than there is gets a last try at the end of it.
            time.sleep(max(delay * random.uniform(0.5, 1.0), min(asked, left)))
            delay = min(delay * 2, _LONGEST_DELAY)
