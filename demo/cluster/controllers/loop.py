"""What every controller shares: a loop over keys fed by watches, and small helpers for objects.

A controller says which resources it watches and which keys (namespace, name) a change concerns. The loop calls its
`reconcile` once per key and burst of changes, and again later where that asked for it or met a refusal.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from demo.cluster.api import APIError
from demo.cluster.selectors import matches as matches

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str | None, str]
KeysOf = Callable[[Object], Iterable[Key]]
Reconcile = Callable[["ClusterAPI", Key], float | None]

RETRY_SECONDS = 0.5
# What generated names are made of: no vowels, so that no words come out, as the real name generator has it.
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


async def reconcile_loop(api: ClusterAPI, watched: Mapping[str, KeysOf], reconcile: Reconcile) -> None:
    """Run for ever: call `reconcile` for every key that a change of a watched resource concerns.

    `reconcile` returns the seconds after which it wants to see the key again, or None. A refusal of the API brings
    the key back after RETRY_SECONDS.
    """
    queue = api.subscribe(*watched)
    clock = asyncio.get_running_loop().time
    due: dict[Key, float] = {}
    while True:
        timeout = max(0.0, min(due.values()) - clock()) if due else None
        with contextlib.suppress(TimeoutError):
            change = await asyncio.wait_for(queue.get(), timeout)
            while True:
                _, resource, obj = change
                due.update(dict.fromkeys(watched[resource](obj), clock()))
                if queue.empty():
                    break
                change = queue.get_nowait()
        now = clock()
        for key in [key for key, at in due.items() if at <= now]:
            del due[key]
            again = _reconcile_once(api, reconcile, key)
            if again is not None:
                due[key] = clock() + again
        await asyncio.sleep(0)


def _reconcile_once(api: ClusterAPI, reconcile: Reconcile, key: Key) -> float | None:
    try:
        return reconcile(api, key)
    except APIError as refusal:
        log.debug("%s: %s of %s: %s", api.name, reconcile.__module__, key, refusal)
    except Exception:
        log.exception("%s: %s of %s failed", api.name, reconcile.__module__, key)
    return RETRY_SECONDS


def own_key(obj: Object) -> list[Key]:
    """The key of the object itself."""
    return [key_of(obj)]


def key_of(obj: Object) -> Key:
    """Namespace (None when cluster-scoped) and name."""
    return obj["metadata"].get("namespace"), obj["metadata"]["name"]


def owner_key(kind: str) -> KeysOf:
    """Keys of the controlling owner, if that is of `kind`."""

    def keys(obj: Object) -> list[Key]:
        owner = controller_of(obj)
        return [(obj["metadata"].get("namespace"), owner["name"])] if owner and owner["kind"] == kind else []

    return keys


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the object's controller."""
    return next((ref for ref in obj["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Whether `owner` is the object's controller."""
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def owner_reference(owner: Object) -> Object:
    """A controlling owner reference to `owner`."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def find(api: ClusterAPI, resource: str, namespace: str | None, name: str) -> Object | None:
    """The object, or None when there is none."""
    try:
        return api.get(resource, namespace, name)
    except APIError as refusal:
        if refusal.code == 404:
            return None
        raise


def delete_quietly(api: ClusterAPI, resource: str, obj: Object, **options: Any) -> bool:
    """Delete the object unless it is gone or going already; says whether it was asked."""
    if "deletionTimestamp" in obj["metadata"]:
        return False
    try:
        api.delete(resource, *key_of(obj), **options)
    except APIError as refusal:
        if refusal.code != 404:
            raise
        return False
    return True


def update_status(api: ClusterAPI, resource: str, obj: Object, status: Object) -> Object:
    """Write `status` unless it is what the object has already; returns the object as it is then."""
    if obj.get("status", {}) == status:
        return obj
    return api.update(resource, {**obj, "status": status}, subresource="status")


def drop_finalizer(api: ClusterAPI, resource: str, obj: Object, finalizer: str) -> None:
    """Take one finalizer off the object."""
    finalizers = [each for each in obj["metadata"].get("finalizers", ()) if each != finalizer]
    if len(finalizers) == len(obj["metadata"].get("finalizers", ())):
        return
    metadata = {key: value for key, value in obj["metadata"].items() if key != "finalizers"}
    if finalizers:
        metadata["finalizers"] = finalizers
    api.update(resource, {**obj, "metadata": metadata})


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise_now() -> str:
    """The time with microseconds, as newer kinds write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_since(time: str) -> float:
    """Seconds from a time of the API until now."""
    return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()


def generated_name(base: str, length: int = 5) -> str:
    """`base` with a random suffix."""
    return base + "".join(secrets.choice(NAME_LETTERS) for _ in range(length))


def template_hash(template: Object) -> str:
    """A short name for the content of a pod template."""
    number = int.from_bytes(hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()[:8])
    letters = []
    for _ in range(10):
        number, letter = divmod(number, len(NAME_LETTERS))
        letters.append(NAME_LETTERS[letter])
    return "".join(letters)


def is_pod_finished(pod: Object) -> bool:
    """Whether the pod has come to an end by itself."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_pod_ready(pod: Object) -> bool:
    """Whether the pod's Ready condition is true."""
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))


def set_condition(conditions: list[Object], condition: Object) -> list[Object]:
    """The conditions with this one in them: unchanged where it says the same, else moved to the end as updated."""
    old = next((each for each in conditions if each["type"] == condition["type"]), None)
    if old and all(old.get(field) == condition.get(field) for field in ("status", "reason", "message")):
        return conditions
    new = {**condition}
    if old and old["status"] == condition["status"]:
        new["lastTransitionTime"] = old["lastTransitionTime"]
    return [each for each in conditions if each["type"] != condition["type"]] + [new]
