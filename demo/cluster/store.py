"""The objects of one cluster: in memory for reading, written through to SQLite, with one counter of versions for all.

Stored objects are never changed in place: a write stores a new dict. So whoever reads without writing needs no copy.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

Object = dict[str, Any]
Key = tuple[str, str]

# How many changes a watch can be behind before its version is too old.
HISTORY = 20_000
_compact = json.JSONEncoder(separators=(",", ":")).encode


class Change(NamedTuple):
    """One write. `before` is None for ADDED; `object` for DELETED is the last state, with its deletion's version."""

    version: int
    type: str
    resource: str
    object: Object
    before: Object | None


class Store:
    """Objects by resource name (`deployments.apps`) and (namespace, name); namespace is "" for cluster scope."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS objects (resource TEXT, namespace TEXT, name TEXT, body TEXT, "
            "PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID"
        )
        self._database.execute("CREATE TABLE IF NOT EXISTS counter (version INTEGER)")
        self._objects: dict[str, dict[Key, Object]] = {}
        self._namespaces: dict[tuple[str, str], dict[str, Object]] = {}
        self.history: list[Change] = []
        self.listeners: list[Callable[[Change], None]] = []
        for resource, namespace, name, body in self._database.execute("SELECT * FROM objects"):
            self._put(resource, (namespace, name), json.loads(body))
        row = self._database.execute("SELECT version FROM counter").fetchone()
        # Versions handed out since the last write of the counter must not be handed out again.
        self.version: int = (row[0] + 1000) if row else 500
        self._reserved = 0
        self.oldest = self.version

    def close(self) -> None:
        self._database.close()

    def next_version(self) -> int:
        self.version += 1
        if self.version > self._reserved:
            self._reserved = self.version + 900
            self._database.execute("DELETE FROM counter")
            self._database.execute("INSERT INTO counter VALUES (?)", (self.version,))
        return self.version

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def objects(self, resource: str, namespace: str | None = None) -> Iterator[Object]:
        """In the order of etcd's keys: by namespace, then name."""
        if namespace is not None:
            found = self._namespaces.get((resource, namespace), {})
            return (found[name] for name in sorted(found))
        every = self._objects.get(resource, {})
        return (every[key] for key in sorted(every))

    def objects_at(self, version: int, resource: str, namespace: str | None = None) -> Iterator[Object]:
        """The same as they were at `version`, which must not be older than `oldest`."""
        then = {_key(each): each for each in self.objects(resource, namespace)}
        for change in reversed(self.since(version)):
            if change.resource == resource and namespace in (None, _key(change.object)[0]):
                if change.before is None:
                    then.pop(_key(change.object), None)
                else:
                    then[_key(change.object)] = change.before
        return (then[key] for key in sorted(then))

    def write(self, type: str, resource: str, obj: Object) -> Object:
        """Store (or for DELETED remove) the object under a new version, and tell the listeners. The stored object."""
        metadata = obj["metadata"]
        key = metadata.get("namespace", ""), metadata["name"]
        before = self._objects.get(resource, {}).get(key)
        version = self.next_version()
        obj = {**obj, "metadata": {**metadata, "resourceVersion": str(version)}}
        if type == "DELETED":
            del self._objects[resource][key]
            del self._namespaces[resource, key[0]][key[1]]
            self._database.execute("DELETE FROM objects WHERE resource=? AND namespace=? AND name=?", (resource, *key))
        else:
            self._put(resource, key, obj)
            row = (resource, *key, _compact(obj))
            self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", row)
        change = Change(version, type, resource, obj, before)
        self.history.append(change)
        if len(self.history) > HISTORY:
            self.oldest = self.history[HISTORY // 2].version
            del self.history[: HISTORY // 2]
        for listener in list(self.listeners):
            listener(change)
        return obj

    def _put(self, resource: str, key: Key, obj: Object) -> None:
        self._objects.setdefault(resource, {})[key] = obj
        self._namespaces.setdefault((resource, key[0]), {})[key[1]] = obj

    def since(self, version: int) -> list[Change]:
        """The changes after `version`, which must not be older than `oldest`."""
        return self.history[bisect_right(self.history, version, key=lambda change: change.version) :]


def _key(obj: Object) -> Key:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
