"""Objects onto the destination: in order, side by side within a rank, and without overwriting what is not ours.

`meeting` says what is to be done with each; here it is done, in batches: what is absent is made, what is to be changed
is told to the caller with its former content first, so that this is written down before it is lost, and then changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from migrations_app.resources import order, ownership, writing
from migrations_app.resources.diffs import redacted
from migrations_app.resources.marks import key_of, type_of
from migrations_app.resources.meeting import (
    DEFINITION,
    NOT_ABOUT_THE_OBJECT,
    Action,
    Decision,
    Ours,
    decide,
    exactly,
    lent,
    not_served,
)
from migrations_app.resources.once import once
from migrations_app.resources.owners import Owners
from migrations_app.resources.present import Present, read
from migrations_app.resources.spec import ConflictPolicy

Object = dict[str, Any]
WORKERS = 8
BATCH_PER_WORKER = 8
ESTABLISH_SECONDS = 60.0
# How long a kind may be unknown to a server that has just established its definition.
SERVING_SECONDS = 5.0
UNKNOWN_PATH = "the server could not find the requested resource"
SUCCESS = "Resource migrated successfully"
ATTEMPTS = 5


@dataclass(frozen=True)
class Result:
    """What became of one object. `uid` is the destination's, for what is there afterwards."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    status: str  # Successful or Failed
    action: str  # created, updated, unchanged, skipped or refused
    reason: str
    uid: str = ""


@dataclass(frozen=True)
class Change:
    """An object that is about to be changed."""

    wanted: Object
    decision: Decision
    attempt: int

    @property
    def former(self) -> Object:
        """The object before the change."""
        return self.decision.present or {}


def apply(
    connection: Connection,
    objects: Iterable[Object],
    *,
    migration_id: str,
    on_result: Callable[[Result], None],
    before_changes: Callable[[list[Change]], None] = lambda changes: None,
    policy: ConflictPolicy = ConflictPolicy.REFUSE,
    earlier: Collection[str] = (),
    owners: Owners | None = None,
    workers: int = WORKERS,
    stop_at: float | None = None,
) -> bool:
    """Apply the objects in order; whether all were looked at before `stop_at` (time.monotonic), if that is given.

    `before_changes` is called in this thread with what is about to be changed: where it raises, nothing of that is
    changed. `on_result` is called in this thread, once per object. Repeating is safe. Raises KubeError only where the
    destination is out of reach or does not know us any more; what it refuses is a Result.
    """
    owners = owners or Owners()
    work = _Work(connection, Ours(migration_id, earlier), policy, owners)
    with ThreadPoolExecutor(workers, thread_name_prefix="apply") as pool:
        for rank in order.ranks(objects, owners.before):
            present = Present(connection, rank)
            for start in range(0, len(rank), workers * BATCH_PER_WORKER):
                if stop_at is not None and time.monotonic() > stop_at:
                    return False
                batch = rank[start : start + workers * BATCH_PER_WORKER]
                met = list(pool.map(work.meet, batch, repeat(present)))
                while changes := [each for each in met if isinstance(each, Change)]:
                    before_changes(changes)
                    met = list(pool.map(work.carry_out, met))
                for obj, result in zip(batch, met, strict=True):
                    assert isinstance(result, Result)
                    owners.note(key_of(obj), result.uid)
                    on_result(result)
            if any(type_of(obj) == DEFINITION for obj in rank):
                _wait_until_established(connection, rank)
    return True


class _Work:
    """What is to be done with each object, and the doing of it. For any number of threads."""

    def __init__(self, connection: Connection, ours: Ours, policy: ConflictPolicy, owners: Owners) -> None:
        self._connection, self._ours, self._policy, self._owners = connection, ours, policy, owners
        self._is_served = once(partial(is_served, connection))

    def meet(self, obj: Object, present: Present) -> Result | Change:
        """The result for what needs no change; what is absent is made."""
        if not self._is_served(obj["apiVersion"], obj["kind"]):
            return _result(obj, "refused", not_served(obj))

        def met() -> Result | Change:
            owned = self._owners.owned(obj, self._connection)
            return self._settled(owned, present.of(owned), 1)

        return self._told(obj, met)

    def carry_out(self, change: Result | Change) -> Result | Change:
        """Make the change; where somebody else was there in between, what is to be done now."""
        if isinstance(change, Result):
            return change

        def done() -> Result | Change:
            try:
                return self._changed(change)
            except Conflict as error:
                if change.attempt == ATTEMPTS:
                    return _result(change.wanted, "refused", redacted(change.wanted, error.message))
                obj = change.wanted
                return self._settled(obj, read(self._connection, obj), change.attempt + 1)

        return self._told(change.wanted, done)

    @staticmethod
    def _told(obj: Object, work: Callable[[], Result | Change]) -> Result | Change:
        try:
            return work()
        except NOT_ABOUT_THE_OBJECT:
            raise
        except KubeError as error:
            return _result(obj, "refused", redacted(obj, error.message))

    def _settled(self, obj: Object, present: Object | None, attempt: int) -> Result | Change:
        decision = decide(self._connection, obj, present, self._ours, self._policy)
        if decision.action == Action.CREATE:
            return self._made(obj, attempt)
        if decision.action in (Action.UPDATE, Action.LEND):
            return Change(decision.wanted or obj, decision, attempt)
        uid = (present or {})["metadata"]["uid"]
        match decision.action:
            case Action.MADE:
                return _result(obj, "created", self._success(obj), uid)
            case Action.UNCHANGED:
                return _result(obj, "unchanged", decision.reason, uid)
            case Action.SKIP:
                return _result(obj, "skipped", decision.reason)
        return _result(obj, "refused", decision.reason)

    def _made(self, obj: Object, attempt: int) -> Result | Change:
        deadline = time.monotonic() + SERVING_SECONDS
        while True:
            try:
                answer = writing.create(self._connection, obj)
                break
            except (Conflict, AlreadyExists):
                # Made between our look and our write: by an earlier attempt of ours, or by somebody else.
                if attempt == ATTEMPTS:
                    raise
                return self._settled(obj, read(self._connection, obj), attempt + 1)
            except NotFound as error:
                # A definition that was just established may not be served by all API servers yet.
                if error.message.endswith(UNKNOWN_PATH) and time.monotonic() < deadline:
                    time.sleep(0.2)
                    continue
                raise
        uid = answer.obj["metadata"]["uid"]
        if answer.created or not ownership.others_of(answer.obj):
            # Where it was there but nobody else's, an earlier try of ours had made it, whose answer got lost.
            return _result(obj, "created", self._success(obj), uid)
        # Somebody has made it since we looked, and ours was laid over it.
        writing.release(self._connection, obj, uid)
        return self._settled(obj, read(self._connection, obj), attempt + 1)

    def _success(self, obj: Object) -> str:
        left = self._owners.left_behind(obj)
        return f"{SUCCESS}, without its owner {', '.join(left)}, which does not go along" if left else SUCCESS

    def _changed(self, change: Change) -> Result | Change:
        obj, present = change.wanted, change.former
        uid = present["metadata"]["uid"]
        if change.decision.action == Action.LEND:
            metadata = obj["metadata"]
            # Lists are replaced as a whole: only of the very account that was looked at, as controllers add to it too.
            body = {**lent(obj, present), "metadata": {"resourceVersion": present["metadata"]["resourceVersion"]}}
            self._connection.patch(self._connection.resource_of(obj), metadata["name"], metadata["namespace"], body)
            return _result(obj, "updated", change.decision.reason, uid)
        body = exactly(obj, present)
        if change.attempt < ATTEMPTS - 1:
            # So that the former content that was written down is the last one. Who is always busy with the object, as
            # with its status, does not keep us off for ever.
            body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
        self._connection.apply_told(body, force=change.decision.force, whole=False)
        return _result(obj, "updated", change.decision.reason, uid)


def is_served(connection: Connection, api_version: str, kind: str) -> bool:
    """Whether the cluster serves the kind at that version. Raises KubeError."""
    try:
        connection.resource_of({"apiVersion": api_version, "kind": kind})
    except NotFound:
        return False
    return True


def _result(obj: Object, action: str, reason: str, uid: str = "") -> Result:
    group, _slash, version = obj["apiVersion"].rpartition("/")
    metadata = obj["metadata"]
    status = "Failed" if action == "refused" else "Successful"
    return Result(
        group, version, obj["kind"], metadata.get("namespace", ""), metadata["name"], status, action, reason, uid
    )


def _wait_until_established(connection: Connection, definitions: list[Object]) -> None:
    deadline = time.monotonic() + ESTABLISH_SECONDS
    for each in definitions:
        if type_of(each) != DEFINITION:
            continue
        while time.monotonic() < deadline:
            found = read(connection, each)
            conditions = ((found or {}).get("status") or {}).get("conditions") or ()
            if found is None or any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
                break
            time.sleep(0.2)
    connection.discovery(fresh=True)


def conflicts(
    connection: Connection,
    objects: Iterable[Object],
    migration_id: str,
    *,
    policy: ConflictPolicy = ConflictPolicy.REFUSE,
    earlier: Collection[str] = (),
) -> list[Result]:
    """The objects that `apply` would refuse because of what is already there; nothing is written."""
    wanted = list(objects)
    present = Present(connection, wanted)

    def decision(obj: Object) -> Decision | None:
        try:
            there = present.of(obj)
        except NotFound:
            return None
        return decide(connection, obj, there, Ours(migration_id, earlier), policy)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="conflicts") as pool:
        return [
            _result(obj, "refused", found.reason)
            for obj, found in zip(wanted, pool.map(decision, wanted), strict=True)
            if found is not None and found.action in (Action.CONFLICT, Action.REFUSED)
        ]
