"""What the destination has of the objects that are wanted, with few requests and little memory.

Objects of one kind in one namespace are listed together where several are wanted, and read one by one otherwise.
An object is given out once; a list's other objects are dropped while it is read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Resource
from clusters.kube.errors import Expired, Forbidden, NotFound
from migrations_app.resources.marks import key_of

Object = dict[str, Any]
Group = tuple[str, str, str]
# From so many objects on a list is cheaper than reading each.
LISTED_FROM = 4
# A list is given up when it holds so many foreign objects, and so many times those that are wanted.
FOREIGN_OBJECTS, FOREIGN_TIMES = 1000, 10


class Present:
    """Looks objects up for any number of threads."""

    def __init__(self, connection: Connection, objects: Iterable[Object]) -> None:
        self._connection = connection
        self._wanted: dict[Group, set[str]] = {}
        for obj in objects:
            self._wanted.setdefault(_group(obj), set()).add(obj["metadata"]["name"])
        self._found: dict[Group, dict[str, Object] | None] = {}
        self._locks = {group: threading.Lock() for group in self._wanted}

    def of(self, obj: Object) -> Object | None:
        """The destination's object of the same name, or None. Raises KubeError, NotFound for a kind not served."""
        resource, group = self._connection.resource_of(obj), _group(obj)
        if len(self._wanted.get(group, ())) >= LISTED_FROM:
            with self._locks[group]:
                if group not in self._found:
                    self._found[group] = self._listed(resource, group)
                listed = self._found[group]
                if listed is not None:
                    return listed.pop(obj["metadata"]["name"], None)
        return read(self._connection, obj)

    def _listed(self, resource: Resource, group: Group) -> dict[str, Object] | None:
        """The wanted ones of the list, or None where reading each is the better way."""
        names, found, foreign = self._wanted[group], {}, 0
        try:
            for obj in self._connection.list(resource, group[2] or None):
                if obj["metadata"]["name"] in names:
                    found[obj["metadata"]["name"]] = obj
                    continue
                foreign += 1
                if foreign > max(FOREIGN_OBJECTS, FOREIGN_TIMES * len(names)):
                    return None
        except (Forbidden, Expired, NotFound):
            return None
        return found


def read(connection: Connection, obj: Object) -> Object | None:
    """The destination's object of the same name, or None. Raises KubeError."""
    metadata = obj["metadata"]
    resource = connection.resource_of(obj)
    try:
        return connection.get(resource, metadata["name"], metadata.get("namespace"))
    except NotFound:
        return None


def _group(obj: Object) -> Group:
    return obj["apiVersion"], obj["kind"], key_of(obj)[2]
