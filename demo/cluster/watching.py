"""Watches: replay from a version, then what happens, with bookmarks, selectors and time limits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from demo.cluster import conversions, selectors, statuses, tables
from demo.cluster.api import compact
from demo.cluster.registry import ResourceInfo
from demo.cluster.store import Change

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI
    from demo.cluster.http import Exchange

Object = dict[str, Any]
BOOKMARK_SECONDS = 30.0
HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-cache, private", "Transfer-Encoding": "chunked"}
INITIAL_END = "k8s.io/initial-events-end"


class _View:
    """What one watcher sees of the changes of a resource."""

    def __init__(self, exchange: Exchange, info: ResourceInfo, namespace: str) -> None:
        self.info = info
        self.resource = "events" if info.plural == "events" else info.name
        self.namespace = namespace if info.namespaced and namespace else None
        self._labels = selectors.labels(exchange.first("labelSelector"))
        self._fields = selectors.fields(exchange.first("fieldSelector"), self.resource)
        self.accept = exchange.headers.get("accept", "")

    def selects(self, obj: Object | None) -> bool:
        if obj is None:
            return False
        metadata = obj["metadata"]
        return (
            (self.namespace is None or metadata.get("namespace", "") == self.namespace)
            and (self._labels is None or self._labels(metadata.get("labels") or {}))
            and (self._fields is None or self._fields(obj))
        )

    def event(self, change: Change) -> bytes | None:
        """The line for a change; an object that enters or leaves the selection is ADDED or DELETED."""
        if change.resource != self.resource:
            return None
        was, now = self.selects(change.before), self.selects(change.object)
        if change.type == "DELETED":
            return self.line("DELETED", change.object) if was or now else None
        if now:
            return self.line("MODIFIED" if was else "ADDED", change.object)
        if was:
            assert change.before is not None
            gone = {**change.before, "metadata": {**change.before["metadata"], "resourceVersion": str(change.version)}}
            return self.line("DELETED", gone)
        return None

    def line(self, type: str, obj: Object) -> bytes:
        if "as=Table" in self.accept:
            shown = tables.table(self.info, [obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})
        elif "as=PartialObjectMetadata" in self.accept:
            shown = tables.partial(obj)
        else:
            shown = {"kind": self.info.kind, **conversions.served(self.info, obj)}
        return compact({"type": type, "object": shown}) + b"\n"

    def bookmark(self, version: int, *, initial: bool = False) -> bytes:
        metadata: Object = {"resourceVersion": str(version)}
        if initial:
            metadata["annotations"] = {INITIAL_END: "true"}
        obj: Object = {"kind": self.info.kind, "apiVersion": self.info.api_version, "metadata": metadata}
        if self.info.custom is None and self.info.kind in ("Pod", "Deployment", "Service"):
            obj |= {"spec": {}, "status": {}}
        return compact({"type": "BOOKMARK", "object": obj}) + b"\n"


async def watch(api: ClusterAPI, exchange: Exchange, info: ResourceInfo, namespace: str) -> None:
    """Answer a watch until its time is up or the client leaves."""
    view = _View(exchange, info, namespace)
    asked = exchange.first("resourceVersion")
    if asked and not asked.isdigit():
        message = f'resourceVersion: Invalid value: "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax'
        raise statuses.APIError(500, "", message)
    loop = asyncio.get_running_loop()
    seconds = float(exchange.first("timeoutSeconds") or 1800)
    deadline = loop.time() + seconds
    queue: asyncio.Queue[Change] = asyncio.Queue()
    # Subscribed before the replay is read: on one event loop nothing can slip in between.
    api.store.listeners.append(queue.put_nowait)
    bookmarks = exchange.first("allowWatchBookmarks") == "true"
    try:
        await exchange.start_stream(200, HEADERS)
        version = api.store.version
        initial = exchange.first("sendInitialEvents") == "true"
        if not asked or asked == "0" or initial:
            for obj in list(api.store.objects(view.resource, view.namespace)):
                if view.selects(obj):
                    await exchange.write(view.line("ADDED", obj))
            if initial and bookmarks:
                await exchange.write(view.bookmark(version, initial=True))
        else:
            if int(asked) < api.store.oldest and int(asked) != 1:
                expired = statuses.expired(f"too old resource version: {asked} ({api.store.oldest})")
                await exchange.write(compact({"type": "ERROR", "object": expired.status}) + b"\n")
                return
            for change in api.store.since(int(asked)):
                if line := view.event(change):
                    await exchange.write(line)
        await _follow(api, exchange, view, queue, deadline, bookmarks, version)
    except ConnectionError:
        return
    finally:
        api.store.listeners.remove(queue.put_nowait)


async def _follow(
    api: ClusterAPI,
    exchange: Exchange,
    view: _View,
    queue: asyncio.Queue[Change],
    deadline: float,
    bookmarks: bool,
    replayed: int,
) -> None:
    loop = asyncio.get_running_loop()
    closed = asyncio.create_task(exchange.closed.wait())
    getting: asyncio.Task[Change] | None = None
    next_bookmark = loop.time() + BOOKMARK_SECONDS
    try:
        while not closed.done() and not api.faults.stopped:
            left = min(deadline, next_bookmark) - loop.time()
            getting = asyncio.create_task(queue.get())
            await asyncio.wait({getting, closed}, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                lines = []
                change = getting.result()
                while True:
                    if change.version > replayed and (line := view.event(change)):
                        lines.append(line)
                    if queue.empty():
                        break
                    change = queue.get_nowait()
                if lines:
                    await exchange.write(b"".join(lines))
                continue
            getting.cancel()
            if loop.time() >= deadline:
                return
            if loop.time() >= next_bookmark:
                next_bookmark = loop.time() + BOOKMARK_SECONDS
                if bookmarks:
                    await exchange.write(view.bookmark(api.store.version))
    finally:
        closed.cancel()
        if getting is not None:
            getting.cancel()
