"""One simulated cluster's API without HTTP: one defaulting, validation and bookkeeping for controllers and clients.

`writes.py` has the path that a write takes; this module is the face that controllers and the HTTP layer see.
"""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.cluster import definitions, deletion, patches, statuses, writes
from demo.cluster.authentication import Tokens
from demo.cluster.copies import copied
from demo.cluster.faults import Faults
from demo.cluster.registry import NOT_STORED, Registry, ResourceInfo
from demo.cluster.statuses import APIError
from demo.cluster.store import Change, Store

__all__ = ["APIError", "ClusterAPI"]

Object = dict[str, Any]
# `list` is a method of ClusterAPI.
Objects = list[Object]
CONTROLLER_USER = "system:serviceaccount:kube-system:controller"
CONTROLLER_MANAGER = "kcm"
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class ClusterAPI:
    """Synchronous; called only on the server's event loop. Objects are plain dicts, deep copies in and out."""

    def __init__(self, name: str, state: Path, *, faults: Faults | None = None, extra: bool = True) -> None:
        self.name = name
        self.state = state
        self.manager = CONTROLLER_MANAGER
        self.faults = faults or Faults()
        self.registry = Registry(extra=extra)
        self.store = Store(state / "store.sqlite3")
        self.tokens = Tokens(state)
        for crd in self.store.objects(definitions.CRDS):
            definitions.serve(self.registry, crd)
        if self.store.get("namespaces", "", "default") is None:
            for namespace in ("default", "kube-system", "kube-public", "kube-node-lease"):
                self.create("namespaces", {"metadata": {"name": namespace}})

    def acting_as(self, manager: str) -> ClusterAPI:
        """The same cluster for another program, whose name its writes carry."""
        view = copy.copy(self)
        view.manager = manager
        return view

    def info(self, resource: str) -> ResourceInfo:
        try:
            return self.registry.named(resource)
        except KeyError:
            raise statuses.unknown_path() from None

    def namespaced_resources(self) -> list[str]:
        """The names of all stored resources that live in namespaces."""
        return [
            info.name
            for info in self.registry.preferred()
            if info.namespaced and info.plural not in NOT_STORED and info.group != "events.k8s.io"
        ]

    def service_account_token(self, namespace: str, name: str) -> str:
        """A token that authenticates as the ServiceAccount."""
        return self.tokens.issue(f"system:serviceaccount:{namespace}:{name}")

    def get(self, resource: str, namespace: str | None, name: str) -> Object:
        info = self.info(resource)
        found = self.store.get(resource, namespace or "", name)
        if found is None:
            raise statuses.not_found(info, name)
        return copied(found)

    def list(
        self,
        resource: str,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        where: Callable[[Object], bool] | None = None,
    ) -> list[Object]:
        """Copies of the stored objects; `where` is asked before they are made, and must change nothing."""
        return [
            copied(each)
            for each in self.store.objects(resource, namespace)
            if (not labels or labels.items() <= (each["metadata"].get("labels") or {}).items())
            and (where is None or where(each))
        ]

    def create(
        self, resource: str, obj: Object, *, user: str = CONTROLLER_USER, owned: Objects | None = None
    ) -> Object:
        info = self.info(resource)
        obj = copied(obj)
        return copied(writes.create(self, info, obj, user=user, manager=self.manager, owned=owned))

    def update(self, resource: str, obj: Object, *, subresource: str | None = None) -> Object:
        info = self.info(resource)
        obj = copied(obj)
        done = writes.update(self, info, obj, subresource=subresource, manager=self.manager)
        return copied(done)

    def patch(
        self, resource: str, namespace: str | None, name: str, merge: Object, *, subresource: str | None = None
    ) -> Object:
        info = self.info(resource)
        found = self.store.get(resource, namespace or "", name)
        if found is None:
            raise statuses.not_found(info, name)
        changed = patches.merge(copied(found), copied(merge))
        done = writes.update(self, info, changed, subresource=subresource, manager=self.manager)
        return copied(done)

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        propagation: str | None = None,
        grace: int | None = None,
    ) -> None:
        options: Object = {}
        if propagation:
            options["propagationPolicy"] = propagation
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        deletion.delete(self, self.info(resource), namespace or "", name, options)

    def record_event(
        self, involved: Object, type: str, reason: str, message: str, *, component: str, host: str = ""
    ) -> None:
        """A core/v1 Event; an equal one is counted up, as client-go's recorder does."""
        metadata = involved["metadata"]
        namespace = metadata.get("namespace") or "default"
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        source = {"component": component, **({"host": host} if host else {})}
        for each in self.store.objects("events", namespace):
            if each["involvedObject"].get("uid") == metadata.get("uid") and (
                each["reason"],
                each["message"],
                each["type"],
                each["source"],
            ) == (reason, message, type, source):
                counted = {**each, "count": each.get("count", 1) + 1, "lastTimestamp": moment}
                self.store.write("MODIFIED", "events", counted)
                return
        reference = {
            "kind": involved["kind"],
            "namespace": metadata.get("namespace"),
            "name": metadata["name"],
            "uid": metadata.get("uid"),
            "apiVersion": involved["apiVersion"],
            "resourceVersion": metadata.get("resourceVersion"),
            "fieldPath": involved.get("fieldPath"),
        }
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": {key: value for key, value in reference.items() if value},
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "type": type,
            "eventTime": None,
            "reportingComponent": component,
            "reportingInstance": host,
        }
        writes.create(self, self.info("events"), event, user=CONTROLLER_USER, manager=self.manager)

    def subscribe(self, *resources: str) -> asyncio.Queue[tuple[str, str, Object]]:
        """Changes of the resources (of all when none is named), beginning with ADDED for all that exists.

        The objects are those of the store, which must not be changed.
        """
        queue: asyncio.Queue[tuple[str, str, Object]] = asyncio.Queue()
        for resource in resources or [info.name for info in self.registry.preferred()]:
            for each in self.store.objects(resource):
                queue.put_nowait(("ADDED", resource, each))

        def listen(change: Change) -> None:
            if not resources or change.resource in resources:
                queue.put_nowait((change.type, change.resource, change.object))

        self.store.listeners.append(listen)
        return queue

    def close(self) -> None:
        self.store.close()


def compact(obj: Any) -> bytes:
    """JSON as it goes over the wire."""
    return _compact(obj).encode()
