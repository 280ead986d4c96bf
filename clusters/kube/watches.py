"""Watching: list, then every change from there on, whatever breaks in between."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import urllib3

from clusters.kube import errors
from clusters.kube.discovery import Resource

if TYPE_CHECKING:
    from clusters.kube.requests import ApiConnection

# The server ends a watch after this; a connection that died silently is noticed some seconds later.
WATCH_SECONDS = 60
LONGEST_PAUSE = 30.0
MOST_DOUBLINGS = 8


class WatchEvent(NamedTuple):
    """`type` is ADDED, MODIFIED, DELETED, or SYNCED (with an empty object) once all that existed has been given."""

    type: str
    object: dict[str, Any]


def watch(
    connection: ApiConnection,
    resource: Resource | str,
    namespace: str | None = None,
    *,
    label_selector: str = "",
    field_selector: str = "",
    stop: threading.Event | None = None,
) -> Iterator[WatchEvent]:
    """Yield ADDED for what there is, SYNCED, then changes until `stop` is set.

    Broken connections are opened again from the last resourceVersion seen. Where that has become too old (410), the
    list is read anew and what differs is given as changes: what vanished meanwhile as DELETED. Errors that
    repeating cannot mend (401, 403, 404) are raised.
    """
    found = connection.resource(resource)
    stop = stop or threading.Event()
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    query = {name: value for name, value in selectors.items() if value}
    known: dict[str, dict[str, Any]] = {}
    version, synced, failures = "", False, 0
    while not stop.is_set():
        try:
            if not version:
                version, items = _listed(connection, found, namespace, query, stop)
                for change in _changes(known, items):
                    yield change
                    if stop.is_set():
                        return
                known = items
                if not synced:
                    synced = True
                    yield WatchEvent("SYNCED", {})
            for event in _stream(connection, found, namespace, query, version, stop):
                version = event.object["metadata"].get("resourceVersion") or version
                failures = 0
                if event.type == "BOOKMARK":
                    continue
                uid = event.object["metadata"].get("uid", "")
                if event.type == "DELETED":
                    known.pop(uid, None)
                else:
                    known[uid] = event.object
                yield event
        except (errors.Expired, *errors.RETRIABLE) as error:
            if isinstance(error, errors.Expired):
                version = ""
            failures += 1
            stop.wait(min(LONGEST_PAUSE, 0.2 * 2 ** min(failures, MOST_DOUBLINGS)))


def _listed(
    connection: ApiConnection, found: Resource, namespace: str | None, query: dict[str, str], stop: threading.Event
) -> tuple[str, dict[str, dict[str, Any]]]:
    """The collection's resourceVersion and its objects by uid; one consistent list, so without paging."""
    what = f"list {found.plural}{f' in {namespace}' if namespace else ''}"
    answer = connection.json("GET", found.path(namespace), query=query, repeatable=True, what=what, stop=stop)
    items = {
        item["metadata"]["uid"]: {"apiVersion": found.api_version, "kind": found.kind, **item}
        for item in answer.get("items") or []
    }
    return answer["metadata"]["resourceVersion"], items


def _changes(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Iterator[WatchEvent]:
    for uid in before.keys() - after.keys():
        yield WatchEvent("DELETED", before[uid])
    for uid, item in after.items():
        if uid not in before:
            yield WatchEvent("ADDED", item)
        elif before[uid]["metadata"].get("resourceVersion") != item["metadata"].get("resourceVersion"):
            yield WatchEvent("MODIFIED", item)


def _stream(
    connection: ApiConnection,
    found: Resource,
    namespace: str | None,
    query: dict[str, str],
    version: str,
    stop: threading.Event,
) -> Iterator[WatchEvent]:
    what = f"watch {found.plural}{f' in {namespace}' if namespace else ''}"
    response = connection.request(
        "GET",
        found.path(namespace),
        query={
            **query,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": WATCH_SECONDS,
        },
        what=what,
        stream=True,
        timeout=(5, WATCH_SECONDS + 10),
        stop=stop,
    )
    began = time.monotonic()
    try:
        for line in lines(response, stop):
            if not line.strip():
                continue
            event = json.loads(line)
            if event["type"] == "ERROR":
                status = event["object"]
                raise errors.from_response(status.get("code", 500), json.dumps(status).encode(), what)
            yield WatchEvent(event["type"], event["object"])
    except (urllib3.exceptions.HTTPError, OSError, ValueError, LookupError, TypeError) as error:
        # Among them lines that were cut off, and answers of something else than a Kubernetes API.
        raise errors.from_exception(error, connection.server) from None
    finally:
        response.close()
    if time.monotonic() - began < 1:
        # A server that ends watches at once must not be asked in a tight loop.
        stop.wait(1)


def lines(response: urllib3.BaseHTTPResponse, stop: threading.Event) -> Iterator[bytes]:
    """The lines of a streamed answer, until it ends or `stop`."""
    rest = b""
    while not stop.is_set():
        try:
            chunk = response.read1(65536)
        except (urllib3.exceptions.HTTPError, OSError):
            if stop.is_set():
                return
            raise
        if stop.is_set():
            return
        if not chunk:
            if rest:
                yield rest
            return
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
            if stop.is_set():
                return
