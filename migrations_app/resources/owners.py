"""Owner references with the uids of the destination.

An owner that goes along has another uid there, known once it is applied: owners come before what they own. An owner
that stays behind is left out and told, for a reference to nothing makes the garbage collector delete the object.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.kube.connection import Connection
from migrations_app.resources.marks import key_of
from migrations_app.resources.present import read

Object = dict[str, Any]
Key = tuple[str, str, str, str]


class Owners:
    """Who owns whom among the objects that go along: pairs of an object as the source has it, and as it is to be."""

    def __init__(self, pairs: Iterable[tuple[Object, Object]] = ()) -> None:
        self._owner_by_uid: dict[str, Object] = {}
        self._references: dict[Key, list[Object]] = {}
        # The destination's uid, or an empty text for what is not to own anything there.
        self._uids: dict[Key, str] = {}
        for source, wanted in pairs:
            metadata = wanted["metadata"]
            name = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
            if uid := source["metadata"].get("uid"):
                head = {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"]}
                self._owner_by_uid[uid] = {**head, "metadata": name}
            if references := source["metadata"].get("ownerReferences"):
                self._references[key_of(wanted)] = references

    def before(self, obj: Object) -> list[Key]:
        """What has to be there before the object: its owners that go along."""
        owners = (self._owner_by_uid.get(each["uid"]) for each in self._references.get(key_of(obj), ()))
        return [key_of(each) for each in owners if each is not None]

    def note(self, key: Key, uid: str) -> None:
        """The destination's uid of an object; empty where what is there is not what was to be there."""
        self._uids[key] = uid

    def owned(self, obj: Object, connection: Connection) -> Object:
        """The object with its owners as the destination has them. Raises KubeError."""
        found = self.references(self._references.get(key_of(obj), ()), connection)
        if not found:
            return obj
        return {**obj, "metadata": {**obj["metadata"], "ownerReferences": found}}

    def references(self, references: Iterable[Object], connection: Connection) -> list[Object]:
        """References of the source as they are on the destination, without those to what is not there."""
        found = []
        for reference in references:
            owner = self._owner_by_uid.get(reference["uid"])
            if owner is not None and (uid := self._uid_of(owner, connection)):
                found.append(
                    {**reference, "apiVersion": owner["apiVersion"], "name": owner["metadata"]["name"], "uid": uid}
                )
        return found

    def left_behind(self, obj: Object) -> list[str]:
        """The owners that do not go along, as `Kind name`."""
        references = self._references.get(key_of(obj), ())
        return [f"{each['kind']} {each['name']}" for each in references if each["uid"] not in self._owner_by_uid]

    def _uid_of(self, owner: Object, connection: Connection) -> str:
        key = key_of(owner)
        if key not in self._uids:
            # Applied in an earlier attempt.
            present = read(connection, owner)
            self._uids[key] = str(present["metadata"]["uid"]) if present else ""
        return self._uids[key]
