"""What one cluster has, asked when it is first needed and never twice; for any number of threads."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Discovery
from clusters.kube.errors import Forbidden, NotFound
from clusters.texts import Text, said

Object = dict[str, Any]
# `list` is a method of Facts.
Objects = list[Object]
Places = list[tuple[str, str]]


class Unreadable(Exception):
    """Something that a check needs may not be listed: the check cannot be made."""

    def __init__(self, facts: Facts, resource: str) -> None:
        super().__init__(f"{resource} cannot be listed on the {facts}")
        self.facts = facts
        self.resource = resource


def side_named(role: str, cluster: str) -> Text:
    """The cluster in its role, as sentences name it."""
    if role == "source":
        return said("source cluster {cluster}", cluster=cluster)
    return said("destination cluster {cluster}", cluster=cluster)


class Facts:
    """One side of the migration.

    `asked` gives the connection for a block of calls, and says what a KubeError in that block means. What it raises
    comes out of every method here.
    """

    def __init__(self, asked: Callable[[], AbstractContextManager[Connection]], role: str, cluster: str) -> None:
        self.asked = asked
        self.role = role
        self.cluster = cluster
        self._lists: dict[tuple[str, str], Objects | None] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def __str__(self) -> Text:
        return side_named(self.role, self.cluster)

    @property
    def kubectl(self) -> str:
        """How a command begins that asks this cluster."""
        return f"kubectl --context {shlex.quote(self.cluster)}"

    @property
    def discovery(self) -> Discovery:
        with self.asked() as connection:
            return connection.discovery()

    def serves(self, resource: str) -> bool:
        return self.discovery.find(resource) is not None

    def list(self, resource: str, namespace: str = "") -> Objects:
        """All objects; none where the cluster does not serve the resource. Raises Unreadable."""
        key = resource, namespace
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._lists:
                self._lists[key] = self._listed(resource, namespace)
        found = self._lists[key]
        if found is None:
            raise Unreadable(self, resource)
        return found

    def _listed(self, resource: str, namespace: str) -> Objects | None:
        served = self.discovery.find(resource)
        if served is None:
            return []
        with self.asked() as connection:
            try:
                return list(connection.list(served, namespace or None))
            except NotFound:
                return []
            except Forbidden:
                return None

    def asked_for(self) -> Places:
        """Resource and namespace of all that was listed so far, or could not be."""
        with self._lock:
            return sorted(key for key in self._lists if self.discovery.find(key[0]) is not None)

    def may(self, verb: str, resource: str, namespace: str = "", *, subresource: str = "", name: str = "") -> bool:
        """Whether our account may do it (SelfSubjectAccessReview)."""
        with self.asked() as connection:
            return connection.can_i(verb, resource, namespace or None, subresource=subresource, name=name)

    def review(self, path: str, review: Object, what: str) -> Object | None:
        """The status of an answered review; None where it may not be asked, or is not known."""
        with self.asked() as connection:
            try:
                answer = connection.json("POST", path, body=review, repeatable=True, what=what)
            except (Forbidden, NotFound):
                return None
        return answer.get("status") or {}

    def named(self, resource: str, namespace: str = "") -> dict[str, Object]:
        """The objects by name. Raises Unreadable."""
        return {each["metadata"]["name"]: each for each in self.list(resource, namespace)}
