"""Objects onto the destination: in order, side by side within a rank, and without overwriting what is not ours.

What an object meets decides what is done:

    nothing of that name                     created
    made by this migration                   done already: an earlier attempt of ours was here
    somebody else's that says the same       left as it is: unchanged
    somebody else's that differs             refused, naming the fields; nothing is overwritten
    a definition that serves the same        left as it is, as in Stork: operators bring their own, in other versions
    an account that every namespace has      given the pull secrets that it lacks, and nothing else
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import RETRIABLE, AlreadyExists, Conflict, KubeError, NotFound, Unauthorized, Untrusted
from migrations_app.resources import order
from migrations_app.resources.belonging import GENERATED_ACCOUNTS
from migrations_app.resources.compare import differing_fields
from migrations_app.resources.marks import migration_of, type_of

Object = dict[str, Any]
WORKERS = 4
ESTABLISH_SECONDS = 60.0
SUCCESS = "Resource migrated successfully"
UNCHANGED = "The destination has the same object already"
# These say nothing about the object: with other credentials, or a moment later, it can be applied.
NOT_ABOUT_THE_OBJECT = (*RETRIABLE, Unauthorized, Untrusted)
ATTEMPTS = 5
DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
PULL_SECRETS = ("imagePullSecrets", "secrets")


@dataclass(frozen=True)
class Result:
    """What became of one object. `uid` is the destination's, for what is there afterwards."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    status: str  # Successful or Failed
    action: str  # created, updated, unchanged or refused
    reason: str
    uid: str = ""


def _result(obj: Object, status: str, action: str, reason: str, uid: str = "") -> Result:
    group, _slash, version = obj["apiVersion"].rpartition("/")
    metadata = obj["metadata"]
    return Result(
        group, version, obj["kind"], metadata.get("namespace", ""), metadata["name"], status, action, reason, uid
    )


def apply(
    connection: Connection,
    objects: Iterable[Object],
    *,
    migration_id: str,
    on_result: Callable[[Result], None],
    workers: int = WORKERS,
    stop_at: float | None = None,
) -> bool:
    """Apply the objects in order; whether all were looked at before `stop_at` (time.monotonic), if that is given.

    `on_result` is called in this thread, once per object. Repeating is safe. Raises KubeError only where the
    destination is out of reach or does not know us any more; what it refuses is a Result.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="apply") as pool:
        for rank in order.ranks(objects):
            for start in range(0, len(rank), workers * 4):
                if stop_at is not None and time.monotonic() > stop_at:
                    return False
                batch = rank[start : start + workers * 4]
                for result in pool.map(lambda obj: apply_one(connection, obj, migration_id), batch):
                    on_result(result)
            if any(obj["kind"] == "CustomResourceDefinition" for obj in rank):
                _wait_until_established(connection, rank)
    return True


def apply_one(connection: Connection, obj: Object, migration_id: str) -> Result:
    """One object. Raises KubeError only where the destination is out of reach or does not know us any more."""
    metadata = obj["metadata"]
    try:
        resource = connection.resource_of(obj)
    except NotFound:
        reason = f"The destination does not serve {obj['kind']} of {obj['apiVersion']}. Install what defines it there."
        return _result(obj, "Failed", "refused", reason)
    try:
        try:
            present = connection.get(resource, metadata["name"], metadata.get("namespace"))
        except NotFound:
            return _create(connection, obj, migration_id)
        return _settle(connection, obj, present, migration_id)
    except NOT_ABOUT_THE_OBJECT:
        raise
    except KubeError as error:
        return _result(obj, "Failed", "refused", error.message)


def _create(connection: Connection, obj: Object, migration_id: str) -> Result:
    try:
        made = connection.create(connection.resource_of(obj), obj)
    except AlreadyExists:
        # Made between our look and our write: by an earlier attempt of ours, or by somebody else.
        metadata = obj["metadata"]
        present = connection.get(connection.resource_of(obj), metadata["name"], metadata.get("namespace"))
        return _settle(connection, obj, present, migration_id)
    return _result(obj, "Successful", "created", SUCCESS, made["metadata"]["uid"])


def _settle(connection: Connection, obj: Object, present: Object, migration_id: str) -> Result:
    result = _meet(obj, present, migration_id)
    if result.status != "Failed" or not _lacks_pull_secrets_only(obj, present):
        return result
    return _lend_pull_secrets(connection, obj, present)


def _lend_pull_secrets(connection: Connection, obj: Object, present: Object) -> Result:
    resource, metadata = connection.resource_of(obj), obj["metadata"]
    for attempt in range(ATTEMPTS):
        uid = present["metadata"]["uid"]
        lists = {key: present.get(key) or [] for key in PULL_SECRETS}
        missing = {key: [each for each in obj.get(key) or () if each not in there] for key, there in lists.items()}
        # Lists are replaced as a whole: only of the very account that was looked at, since controllers add to it too.
        body: Object = {key: [*lists[key], *found] for key, found in missing.items() if found}
        if not body:
            return _result(obj, "Successful", "unchanged", UNCHANGED, uid)
        body["metadata"] = {"resourceVersion": present["metadata"]["resourceVersion"]}
        try:
            connection.patch(resource, metadata["name"], metadata["namespace"], body)
            break
        except Conflict:
            if attempt + 1 == ATTEMPTS:
                raise
            present = connection.get(resource, metadata["name"], metadata["namespace"])
    reason = "The account is there already, as in every namespace; the pull secrets that it lacked were added"
    return _result(obj, "Successful", "updated", reason, uid)


def _lacks_pull_secrets_only(obj: Object, present: Object) -> bool:
    if type_of(obj) != ("", "ServiceAccount") or obj["metadata"]["name"] not in GENERATED_ACCOUNTS:
        return False
    without = {key: value for key, value in obj.items() if key not in PULL_SECRETS}
    return not present["metadata"].get("deletionTimestamp") and not _differing(without, present)


def _differing(obj: Object, present: Object) -> list[str]:
    return [path for path in differing_fields(obj, present) if path != "apiVersion"]


def _meet(obj: Object, present: Object, migration_id: str) -> Result:
    if present["metadata"].get("deletionTimestamp"):
        reason = (
            "An object of this name is being deleted on the destination. Wait until it is gone, then migrate again."
        )
        return _result(obj, "Failed", "refused", reason)
    if migration_of(present) == migration_id:
        # Creation is atomic, so what carries our mark is complete; what changed since is the destination's own life.
        return _result(obj, "Successful", "created", SUCCESS, present["metadata"]["uid"])
    differing = _differing(obj, present)
    if not differing:
        return _result(obj, "Successful", "unchanged", UNCHANGED, present["metadata"]["uid"])
    if type_of(obj) == DEFINITION and _serves_the_same(obj, present):
        reason = "The destination has a definition of its own that serves the same versions; it is kept"
        return _result(obj, "Successful", "unchanged", reason, present["metadata"]["uid"])
    shown = ", ".join(differing[:5]) + (f" and {len(differing) - 5} more" if len(differing) > 5 else "")
    reason = (
        f"The destination already has a different object of this name (it differs in {shown}). It was left as it is: "
        "rename or delete it there, or leave this one out."
    )
    return _result(obj, "Failed", "refused", reason)


def _serves_the_same(obj: Object, present: Object) -> bool:
    ours, theirs = obj["spec"], present["spec"]
    served = [{each["name"] for each in spec["versions"] if each["served"]} for spec in (ours, theirs)]
    same = ours["scope"] == theirs["scope"] and ours["names"]["kind"] == theirs["names"]["kind"]
    return same and served[0] <= served[1]


def _wait_until_established(connection: Connection, definitions: list[Object]) -> None:
    deadline = time.monotonic() + ESTABLISH_SECONDS
    for each in definitions:
        if each["kind"] != "CustomResourceDefinition":
            continue
        while time.monotonic() < deadline:
            try:
                found = connection.get("customresourcedefinitions.apiextensions.k8s.io", each["metadata"]["name"])
            except NotFound:
                break
            conditions = (found.get("status") or {}).get("conditions") or ()
            if any(each["type"] == "Established" and each["status"] == "True" for each in conditions):
                break
            time.sleep(0.2)
    connection.discovery(fresh=True)


def conflicts(connection: Connection, objects: Iterable[Object], migration_id: str) -> list[Result]:
    """The objects that `apply` would refuse because of what is already there; nothing is written."""
    found = []
    for obj in objects:
        metadata = obj["metadata"]
        try:
            present = connection.get(connection.resource_of(obj), metadata["name"], metadata.get("namespace"))
        except NotFound:
            continue
        if migration_of(present) == migration_id:
            continue
        result = _meet(obj, present, migration_id)
        if result.status == "Failed" and not _lacks_pull_secrets_only(obj, present):
            found.append(result)
    return found
