"""The garbage collector: what belongs to an owner goes with it, in the background, before it, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import RETRY_SECONDS, Object, drop_finalizer, find, key_of

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

log = logging.getLogger(__name__)
FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
Place = tuple[str, str | None, str]  # resource, namespace, name


class _Graph:
    """Who exists and who belongs to whom, by uid."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.owners: dict[str, list[Object]] = {}
        self.dependents: dict[str, set[str]] = {}

    def put(self, resource: str, obj: Object) -> None:
        uid = obj["metadata"]["uid"]
        self.places[uid] = (resource, *key_of(obj))
        new = obj["metadata"].get("ownerReferences", [])
        for owner in self.owners.get(uid, ()):
            self.dependents.get(owner["uid"], set()).discard(uid)
        for owner in new:
            self.dependents.setdefault(owner["uid"], set()).add(uid)
        self.owners[uid] = new

    def drop(self, uid: str) -> set[str]:
        """Forget the object; who depended on it, and whom it belonged to."""
        self.places.pop(uid, None)
        concerned = self.dependents.pop(uid, set())
        for owner in self.owners.pop(uid, ()):
            self.dependents.get(owner["uid"], set()).discard(uid)
            concerned = concerned | {owner["uid"]}
        return concerned


async def run(api: ClusterAPI) -> None:
    """Collect for ever."""
    graph = _Graph()
    changes = api.subscribe()
    again: set[str] = set()
    while True:
        todo, again = again, set()
        # The first look waits until all that exists is known, or owners would seem to be missing.
        with contextlib.suppress(TimeoutError):
            change = await asyncio.wait_for(changes.get(), RETRY_SECONDS if todo else None)
            while True:
                kind, resource, obj = change
                uid = obj["metadata"].get("uid", "")
                if kind == "DELETED":
                    todo |= graph.drop(uid)
                else:
                    graph.put(resource, obj)
                    if _needs_look(obj):
                        todo.add(uid)
                if changes.empty():
                    break
                change = changes.get_nowait()
        for uid in todo:
            try:
                _collect(api, graph, uid)
            except APIError as refusal:
                log.debug("%s: collecting %s: %s", api.name, graph.places.get(uid), refusal)
                again.add(uid)
        await asyncio.sleep(0)


def _needs_look(obj: Object) -> bool:
    return bool(obj["metadata"].get("ownerReferences")) or "deletionTimestamp" in obj["metadata"]


def _collect(api: ClusterAPI, graph: _Graph, uid: str) -> None:
    place = graph.places.get(uid)
    obj = find(api, *place) if place else None
    if place is None or obj is None or obj["metadata"]["uid"] != uid:
        return
    metadata = obj["metadata"]
    if "deletionTimestamp" in metadata:
        finalizers = metadata.get("finalizers", ())
        if ORPHAN in finalizers:
            _orphan_dependents(api, graph, uid)
            drop_finalizer(api, place[0], obj, ORPHAN)
        elif FOREGROUND in finalizers:
            _delete_dependents_first(api, graph, uid, place[0], obj)
        return
    owners = metadata.get("ownerReferences")
    if owners and not any(_exists(api, graph, owner, metadata.get("namespace")) for owner in owners):
        api.delete(*place, propagation="Foreground" if FOREGROUND in metadata.get("finalizers", ()) else "Background")


def _exists(api: ClusterAPI, graph: _Graph, owner: Object, namespace: str | None) -> bool:
    place = graph.places.get(owner["uid"])
    if place is None:
        return False
    found = find(api, *place)
    if found is None or found["metadata"]["uid"] != owner["uid"]:
        return False
    # An owner in another namespace is no owner.
    return found["metadata"].get("namespace") in (None, namespace)


def _orphan_dependents(api: ClusterAPI, graph: _Graph, uid: str) -> None:
    for dependent in list(graph.dependents.get(uid, ())):
        place = graph.places.get(dependent)
        obj = find(api, *place) if place else None
        if place is None or obj is None:
            continue
        left = [owner for owner in obj["metadata"]["ownerReferences"] if owner["uid"] != uid]
        metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
        if left:
            metadata["ownerReferences"] = left
        api.update(place[0], {**obj, "metadata": metadata})


def _delete_dependents_first(api: ClusterAPI, graph: _Graph, uid: str, resource: str, obj: Object) -> None:
    blocked = False
    for dependent in list(graph.dependents.get(uid, ())):
        place = graph.places.get(dependent)
        found = find(api, *place) if place else None
        if place is None or found is None:
            continue
        owners = found["metadata"].get("ownerReferences", ())
        if any(owner["uid"] != uid and _exists(api, graph, owner, place[1]) for owner in owners):
            continue
        blocked = blocked or any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)
        if "deletionTimestamp" not in found["metadata"]:
            has_own = bool(graph.dependents.get(dependent))
            api.delete(*place, propagation="Foreground" if has_own else None)
    if not blocked:
        drop_finalizer(api, resource, obj, FOREGROUND)
