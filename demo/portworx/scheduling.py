"""MigrationSchedules: a copy on the destination, and a Migration whenever the policy is due and none is under way."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import drop_finalizer, find, is_controlled_by, now, owner_reference
from demo.portworx import policies
from demo.portworx.crds import resource
from demo.portworx.migrating import MIGRATIONS, OVER, schedule_annotation
from demo.portworx.pace import CYCLE_SECONDS, RETRY_SECONDS
from demo.portworx.pairing import FINALIZER, PAIRS
from demo.portworx.policies import PolicyError
from demo.portworx.recorder import Recorder
from demo.portworx.remote import ConfigError, Remote, RemoteError

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
SCHEDULES = resource("migrationschedules")
STATIC_COPY = "stork.libopenstorage.org/static-copy"
COPY_HASH = "stork.libopenstorage.org/migration-schedule-hash"
ACTIVE_THERE = "Suspending migration schedule since migrated apps on remote cluster are active"
DONE_WELL = ("Successful", "PartialSuccess")


class Refused(Exception):
    """A cycle cannot go on; the message is the event's."""


async def reconcile(api: ClusterAPI, recorder: Recorder, namespace: str, name: str) -> float | None:
    """One cycle for one schedule; the seconds until the next."""
    schedule = find(api, SCHEDULES, namespace, name)
    if schedule is None or is_static_copy(schedule):
        return None
    if "deletionTimestamp" in schedule["metadata"]:
        drop_finalizer(api, SCHEDULES, schedule, FINALIZER)
        return None
    if FINALIZER not in (schedule["metadata"].get("finalizers") or ()):
        schedule["metadata"].setdefault("finalizers", []).append(FINALIZER)
        schedule = api.update(SCHEDULES, schedule)
    try:
        schedule = await _cycle(api, recorder, schedule)
    except (Refused, PolicyError) as refusal:
        recorder.warning(schedule, "Failed", str(refusal))
        return RETRY_SECONDS
    return CYCLE_SECONDS


def is_static_copy(schedule: Object) -> bool:
    """Whether the schedule is only the mark of one on another cluster."""
    return (schedule["metadata"].get("annotations") or {}).get(STATIC_COPY) == "true"


async def _cycle(api: ClusterAPI, recorder: Recorder, schedule: Object) -> Object:
    schedule = _take_stock(api, recorder, schedule)
    remote = remote_of(api, schedule)
    activated = await asyncio.to_thread(_copy_to, api, remote, schedule)
    spec = schedule["spec"]
    if activated and spec.get("autoSuspend") and not spec.get("suspend"):
        schedule = api.update(SCHEDULES, {**schedule, "spec": {**spec, "suspend": True}})
        recorder.warning(schedule, "Suspended", ACTIVE_THERE)
    if schedule["spec"].get("suspend") or _is_running(api, schedule):
        return schedule
    kind = policies.due(_policy(api, schedule), _last_triggers(schedule), datetime.now(UTC))
    return schedule if kind is None else _trigger(api, schedule, kind)


def remote_of(api: ClusterAPI, schedule: Object) -> Remote:
    """The destination of the schedule's pair. Raises Refused."""
    namespace, name = schedule["metadata"]["namespace"], schedule["spec"]["template"]["spec"].get("clusterPair", "")
    pair = find(api, PAIRS, namespace, name)
    if pair is None:
        raise Refused(f'clusterpairs.stork.libopenstorage.org "{name}" not found')
    try:
        return Remote((pair.get("spec") or {}).get("config") or {})
    except ConfigError as problem:
        raise Refused(str(problem)) from None


def _copy_to(api: ClusterAPI, remote: Remote, schedule: Object) -> bool:
    """Bring the copy on the destination up to date; whether migrated applications are active there. Raises Refused."""
    info = api.registry.named(SCHEDULES)
    namespace, name = schedule["metadata"]["namespace"], schedule["metadata"]["name"]
    template = {key: value for key, value in schedule["spec"].items() if key != "suspend"}
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]
    annotations = {STATIC_COPY: "true", COPY_HASH: digest}
    copy = {
        "apiVersion": info.api_version,
        "kind": info.kind,
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {**schedule["spec"], "suspend": True},
    }
    try:
        present = remote.get(info, namespace, name)
        if present is None:
            namespaces = api.registry.named("namespaces")
            if remote.get(namespaces, "", namespace) is None:
                remote.create(
                    namespaces, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
                )
            remote.create(info, namespace, copy)
            return False
        if not is_static_copy(present):
            raise Refused(f"migration schedule {namespace}/{name} already exists on the destination and is no copy")
        if (present["metadata"].get("annotations") or {}).get(COPY_HASH) != digest:
            remote.update(info, namespace, {**present, "metadata": {**present["metadata"], "annotations": annotations}})
    except RemoteError as failure:
        raise Refused(str(failure)) from None
    return bool((present.get("status") or {}).get("applicationActivated"))


def _policy(api: ClusterAPI, schedule: Object) -> Object:
    """A policy of the namespace wins over one of the cluster. Raises Refused."""
    name = schedule["spec"].get("schedulePolicyName", "")
    found = find(api, resource("namespacedschedulepolicies"), schedule["metadata"]["namespace"], name)
    found = found or find(api, resource("schedulepolicies"), None, name)
    if found is None:
        raise Refused(f'schedulepolicies.stork.libopenstorage.org "{name}" not found')
    return dict(found.get("policy") or {})


def _items(schedule: Object) -> dict[str, list[Object]]:
    return dict((schedule.get("status") or {}).get("items") or {})


def _last_triggers(schedule: Object) -> dict[str, datetime | None]:
    return {
        kind: max((datetime.fromisoformat(each["creationTimestamp"]) for each in rows), default=None)
        for kind, rows in _items(schedule).items()
    }


def _is_running(api: ClusterAPI, schedule: Object) -> bool:
    return any(
        (each.get("status") or {}).get("status") not in OVER
        for each in api.list(MIGRATIONS, schedule["metadata"]["namespace"])
        if is_controlled_by(each, schedule)
    )


def _take_stock(api: ClusterAPI, recorder: Recorder, schedule: Object) -> Object:
    """What became of the Migrations, with an event for each that has ended; older ones than the last good one go."""
    items = {kind: [dict(row) for row in rows] for kind, rows in _items(schedule).items()}
    namespace = schedule["metadata"]["namespace"]
    ended = []
    for kind, rows in items.items():
        for row in rows:
            migration = find(api, MIGRATIONS, namespace, row["name"])
            status = (migration or {}).get("status") or {}
            if row["status"] not in OVER and status.get("status") in OVER:
                row |= {"status": status["status"], "finishTimestamp": status.get("finishTimestamp")}
                ended.append(row)
        last_good = max((at for at, row in enumerate(rows) if row["status"] in DONE_WELL), default=0)
        for row in rows[:last_good]:
            if find(api, MIGRATIONS, namespace, row["name"]) is not None:
                api.delete(MIGRATIONS, namespace, row["name"])
        items[kind] = rows[last_good:]
    if items == _items(schedule):
        return schedule
    schedule = api.update(SCHEDULES, {**schedule, "status": {**(schedule.get("status") or {}), "items": items}})
    for row in ended:
        if row["status"] == "Successful":
            recorder.normal(schedule, "Successful", f"Scheduled migration ({row['name']}) completed successfully")
        else:
            recorder.warning(schedule, "Failed", f"Scheduled migration ({row['name']}) status {row['status']}")
    return schedule


def _trigger(api: ClusterAPI, schedule: Object, kind: str) -> Object:
    metadata = schedule["metadata"]
    name = f"{metadata['name']}-{kind.lower()}-{datetime.now(UTC):%Y-%m-%d-%H%M%S}"
    api.create(
        MIGRATIONS,
        {
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "annotations": {
                    **(schedule["spec"]["template"].get("annotations") or {}),
                    **schedule_annotation(schedule),
                },
                "ownerReferences": [owner_reference(schedule)],
            },
            "spec": schedule["spec"]["template"]["spec"],
        },
    )
    items = _items(schedule)
    row = {"name": name, "creationTimestamp": now(), "finishTimestamp": None, "status": ""}
    status = {**(schedule.get("status") or {}), "items": {**items, kind: [*items.get(kind, ()), row]}}
    return api.update(SCHEDULES, {**schedule, "status": status})
