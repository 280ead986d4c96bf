"""Objects as they were before a migration changed or purged them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Self

from clusters.kube.connection import Connection
from clusters.kube.errors import Conflict
from migrations_app.resources import writing
from migrations_app.resources.present import read

Object = dict[str, Any]
# What the server decides by itself, whatever is sent.
SERVER_METADATA = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "selfLink", "managedFields",
)  # fmt: skip
ATTEMPTS = 5


@dataclass(frozen=True)
class Former:
    """What was there, and what of it was changed where that is less than all: `lent`, items that lists were given."""

    obj: Object
    lent: dict[str, list[Object]] = field(default_factory=dict)

    def to_text(self) -> str:
        return json.dumps({"obj": self.obj, "lent": self.lent}, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        return cls(**json.loads(text))


def content(obj: Object) -> Object:
    """The object without its status and without what the server decides: what somebody wrote."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in SERVER_METADATA and value}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}


def restore(connection: Connection, former: Former) -> str:
    """Make the object what it was; what keeps it from that, or an empty text. Repeating is safe. Raises KubeError."""
    for attempt in range(ATTEMPTS):
        present = read(connection, former.obj)
        if present is None:
            return "It was deleted since, and is not made anew"
        if present["metadata"]["uid"] != former.obj["metadata"]["uid"]:
            return "Another object has its name now"
        try:
            if former.lent:
                _take_back(connection, former, present)
            elif content(present) != content(former.obj):
                _replace(connection, former.obj, present)
            return ""
        except Conflict:
            # Somebody else wrote in between.
            if attempt + 1 == ATTEMPTS:
                raise
    return ""


def _take_back(connection: Connection, former: Former, present: Object) -> None:
    body: Object = {
        key: [each for each in present.get(key) or () if each not in lent] for key, lent in former.lent.items()
    }
    if all(body[key] == (present.get(key) or []) for key in body):
        return
    metadata = present["metadata"]
    body["metadata"] = {"resourceVersion": metadata["resourceVersion"]}
    connection.patch(connection.resource_of(former.obj), metadata["name"], metadata.get("namespace"), body)


def _replace(connection: Connection, former: Object, present: Object) -> None:
    """Everything as it was, and each field in the hands of who managed it."""
    metadata = {**content(former)["metadata"], "resourceVersion": present["metadata"]["resourceVersion"]}
    metadata["uid"] = present["metadata"]["uid"]
    done = connection.replace({**content(former), "metadata": metadata})
    managers = [
        *(each for each in former["metadata"].get("managedFields") or () if not each.get("subresource")),
        *(each for each in done["metadata"].get("managedFields") or () if each.get("subresource")),
    ]
    if not managers:
        return
    version = done["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version, "managedFields": managers}}
    connection.patch(connection.resource_of(former), done["metadata"]["name"], metadata.get("namespace"), body)


def recreate(connection: Connection, former: Former) -> str:
    """Make what was purged anew; what keeps it from that, or an empty text. Repeating is safe. Raises KubeError."""
    obj = content(former.obj)
    if obj["kind"] == "Service" and obj["apiVersion"] == "v1" and obj["spec"].get("clusterIP") != "None":
        # Somebody else may have the address by now.
        obj["spec"] = {key: value for key, value in obj["spec"].items() if key not in ("clusterIP", "clusterIPs")}
    if read(connection, obj) is None:
        writing.create(connection, obj)
    return ""
