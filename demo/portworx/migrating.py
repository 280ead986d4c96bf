"""Migrations: one step at a time, each of which can be taken again after a restart.

    "" → PreExecRule (only with a rule) → Volumes → Applications → Final

What is wrong with a Migration itself is only said by events: its stage and status stay blank, and it is tried for ever.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import drop_finalizer, find, now
from demo.cluster.registry import ResourceInfo
from demo.portworx import applying, storage
from demo.portworx.collecting import KINDS, PREFIX, Collected, collect, volume_claims
from demo.portworx.crds import resource
from demo.portworx.pace import POLL_SECONDS, RETRY_SECONDS
from demo.portworx.pairing import FINALIZER, PAIRS
from demo.portworx.preparing import prepare
from demo.portworx.recorder import Recorder
from demo.portworx.remote import ConfigError, Remote, RemoteError
from demo.portworx.rules import RuleError, run_rule
from demo.portworx.transfers import Transfer
from demo.portworx.transforming import transform

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
MIGRATIONS = resource("migrations")
SCHEDULES = resource("migrationschedules")
SCHEDULE_NAME = "stork.libopenstorage.org/migration-schedule-name"
ADMIN_NAMESPACE = "kube-system"
DEFAULTS: Object = {
    "adminClusterPair": "",
    "clusterPair": "",
    "excludeResourceTypes": None,
    "excludeSelectors": None,
    "ignoreOwnerReferencesCheck": False,
    "includeNetworkPolicyWithCIDR": False,
    "includeOptionalResourceTypes": None,
    "includeResources": True,
    "includeVolumes": True,
    "namespaceSelectors": None,
    "namespaces": None,
    "postExecRule": "",
    "preExecRule": "",
    "purgeDeletedResources": False,
    "selectors": None,
    "skipDeletedNamespaces": True,
    "skipServiceUpdate": False,
    "startApplications": False,
    "transformSpecs": None,
}
STATUS: Object = {
    "finishTimestamp": None,
    "resourceMigrationFinishTimestamp": None,
    "resources": None,
    "stage": "",
    "status": "",
    "summary": None,
    "volumeMigrationFinishTimestamp": None,
    "volumes": None,
}
MIGRATED = "Resource migrated successfully"
OVER = ("Successful", "PartialSuccess", "Failed")


class Refused(Exception):
    """A step cannot be taken now; the message is the event's."""

    def __init__(self, message: str, reason: str = "Failed") -> None:
        super().__init__(message)
        self.reason = reason


class Run:
    """One Migration, between two writes of its status."""

    def __init__(self, api: ClusterAPI, recorder: Recorder, transfers: dict[str, Transfer], migration: Object) -> None:
        self.api, self.recorder, self.transfers = api, recorder, transfers
        self.migration = migration
        self.spec: Object = migration["spec"]
        self.status: Object = migration["status"]
        self.namespace: str = migration["metadata"]["namespace"]

    def save(self) -> None:
        """Write spec and status in one update, as Stork does."""
        self.status["summary"] = _summary(self.migration, self.status)
        current = self.api.get(MIGRATIONS, self.namespace, self.migration["metadata"]["name"])
        if current["metadata"]["uid"] != self.migration["metadata"]["uid"]:
            raise asyncio.CancelledError
        self.migration["metadata"] = current["metadata"]
        self.migration |= self.api.update(MIGRATIONS, {**current, "spec": self.spec, "status": self.status})

    def finish(self, status: str) -> None:
        """The end: nothing happens to the Migration any more."""
        self.status |= {"stage": "Final", "status": status, "finishTimestamp": now()}
        self.save()

    def warn(self, message: str, reason: str = "Failed") -> None:
        """Tell by an event."""
        self.recorder.warning(self.migration, reason, message)

    def pair(self) -> Object:
        """The ClusterPair. Raises Refused."""
        name = self.spec["clusterPair"]
        found = find(self.api, PAIRS, self.namespace, name)
        if found is None:
            missing = f'clusterpairs.stork.libopenstorage.org "{name}" not found'
            raise Refused(f"error getting clusterpair {name} ({self.namespace}): {missing}")
        return found


async def reconcile(
    api: ClusterAPI, recorder: Recorder, transfers: dict[str, Transfer], namespace: str, name: str
) -> float | None:
    """One step for one Migration; the seconds until the next."""
    found = find(api, MIGRATIONS, namespace, name)
    if found is None:
        return None
    if "deletionTimestamp" in found["metadata"]:
        await _clean_up(api, transfers, found)
        return None
    spec = {**DEFAULTS, **(found.get("spec") or {})}
    spec = {key: DEFAULTS.get(key) if value is None else value for key, value in spec.items()}
    status = {**STATUS, **(found.get("status") or {})}
    finalizers = found["metadata"].setdefault("finalizers", [])
    run = Run(api, recorder, transfers, {**found, "spec": spec, "status": status})
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
        api.update(MIGRATIONS, found)
    if status["stage"] == "Final":
        return None
    if found.get("spec") != spec or found.get("status") != status:
        run.save()
    try:
        return await _step(run)
    except Refused as refusal:
        run.warn(str(refusal), refusal.reason)
        return RETRY_SECONDS


def schedule_annotation(schedule: Object) -> dict[str, str]:
    """What tells of which MigrationSchedule a Migration is."""
    return {SCHEDULE_NAME: schedule["metadata"]["name"]}


async def _is_active_there(run: Run) -> bool:
    """Whether the copy of the Migration's schedule on the destination says that the applications run there."""
    schedule = (run.migration["metadata"].get("annotations") or {}).get(SCHEDULE_NAME)
    if not schedule:
        return False
    try:
        remote = Remote((run.pair().get("spec") or {}).get("config") or {})
        copy = await asyncio.to_thread(remote.get, run.api.registry.named(SCHEDULES), run.namespace, schedule)
    except (Refused, ConfigError, RemoteError):
        return False
    return bool(((copy or {}).get("status") or {}).get("applicationActivated"))


async def _step(run: Run) -> float | None:
    if await _is_active_there(run):
        run.warn("migrated applications are active on remote cluster")
        run.finish("Failed")
        return None
    namespaces = _namespaces(run)
    stage = run.status["stage"]
    if stage == "":
        namespaces = _check(run, namespaces)
        if run.status["stage"] == "Final":
            return None
        stage = "PreExecRule" if run.spec["preExecRule"] else "Volumes"
    if stage == "PreExecRule":
        await _pre_rule(run, namespaces)
        stage = "Volumes"
    if stage == "Volumes":
        if run.spec["includeVolumes"]:
            again = await _volumes(run, namespaces)
            if again is not None or run.status["stage"] != "Applications":
                return again
        else:
            run.status |= {"stage": "Applications", "status": "InProgress", "volumeMigrationFinishTimestamp": now()}
            run.save()
    await _applications(run, namespaces)
    return None


def _namespaces(run: Run) -> list[str]:
    """The namespaces that the Migration is about. Raises Refused."""
    if not run.spec["clusterPair"]:
        raise Refused("clusterPair to migrate to cannot be empty")
    found = list(run.spec["namespaces"] or ())
    for key, value in (run.spec["namespaceSelectors"] or {}).items():
        found += [each["metadata"]["name"] for each in run.api.list("namespaces", None, {key: value})]
    found = list(dict.fromkeys(found))
    if not found:
        raise Refused("no valid namespace found based on the provided 'Namespaces' and 'NamespaceSelectors'")
    if run.namespace != ADMIN_NAMESPACE and found != [run.namespace]:
        raise Refused("migration namespaces should only contain the current namespace")
    return found


def _check(run: Run, namespaces: list[str]) -> list[str]:
    """What has to be there before anything begins; the namespaces that are. Raises Refused."""
    there = []
    for name in namespaces:
        if find(run.api, "namespaces", None, name) is not None:
            there.append(name)
        elif run.spec["skipDeletedNamespaces"]:
            run.warn(f'namespaces "{name}" not found', f"namespace  {name} was deleted, skipping migration")
        else:
            run.warn(f'error getting namespace {name}: namespaces "{name}" not found')
            run.finish("Failed")
            return []
    transforms = run.spec["transformSpecs"] or []
    if len(transforms) > 1:
        shown = " ".join(transforms)
        raise Refused(f"providing multiple transformation specs is not supported in this release [{shown}], err: <nil>")
    for name in transforms:
        for namespace in there:
            transformation = find(run.api, resource("resourcetransformations"), namespace, name)
            if transformation is None:
                raise Refused(f'resourcetransformations.stork.libopenstorage.org "{name}" not found')
            state = (transformation.get("status") or {}).get("status", "")
            if state != "Ready":
                raise Refused(f"transformation {name} is not in ready state: {state}")
    for field in ("preExecRule", "postExecRule"):
        rule = run.spec[field]
        if rule and find(run.api, resource("rules"), run.namespace, rule) is None:
            words = field[0].upper() + field[1:]
            raise Refused(f'Error getting {words} {rule}: rules.stork.libopenstorage.org "{rule}" not found')
    return there


async def _pre_rule(run: Run, namespaces: list[str]) -> None:
    run.status |= {"stage": "PreExecRule", "status": "InProgress"}
    run.save()
    try:
        rule = run.api.get(resource("rules"), run.namespace, run.spec["preExecRule"])
        for namespace in namespaces:
            await run_rule(run.api, rule, namespace)
    except (RuleError, APIError) as failure:
        run.status |= {"stage": "", "status": ""}
        run.save()
        raise Refused(f"Error running PreExecRule: {failure}") from None


async def _volumes(run: Run, namespaces: list[str]) -> float | None:
    """One look at the volumes; the seconds until the next, or None when they are done with."""
    try:
        pair = run.pair()
    except Refused as missing:
        text = f"Error migrating volumes: cluster pair storage status is not ready. Status:  Err: {missing}"
        raise Refused(text) from None
    state = pair.get("status") or {}
    ready = state.get("storageStatus") == "Ready"
    if run.status["stage"] != "Volumes":
        run.status |= {"stage": "Volumes", "status": "Pending"}
        run.save()
    if not ready:
        if run.spec["preExecRule"]:
            run.status |= {"stage": "", "status": ""}
            run.save()
        raise Refused(
            "Error migrating volumes: cluster pair storage status is not ready. "
            f"Status: {state.get('storageStatus', '')} Err: <nil>"
        )
    if run.status["volumes"] is None:
        await _start_volumes(run, namespaces, state["remoteStorageId"])
        if run.status["stage"] == "Final":
            return None
    if run.status["volumes"]:
        _look_at_volumes(run)
    failed = [each for each in run.status["volumes"] or () if each["status"] == "Failed"]
    if any(each["status"] == "InProgress" for each in run.status["volumes"] or ()):
        run.save()
        return POLL_SECONDS
    run.status["volumeMigrationFinishTimestamp"] = now()
    for each in run.status["volumes"] or ():
        if each["status"] == "Failed":
            run.warn(f"Error migrating volume {each['volume']}: {each['reason']}")
        else:
            run.recorder.normal(run.migration, "Successful", f"Volume {each['volume']} migrated successfully")
    if failed:
        run.finish("Failed")
        return None
    run.status |= {"stage": "Applications", "status": "InProgress"}
    run.save()
    return None


async def _start_volumes(run: Run, namespaces: list[str], cluster: str) -> None:
    local = storage.storage_of(run.api)
    volumes = []
    for claim in volume_claims(run.api, run.spec, namespaces):
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        volume = claim["spec"].get("volumeName", "")
        identity = f"{run.migration['metadata']['uid']}-{namespace}-{name}"
        if identity not in run.transfers:
            run.transfers[identity] = Transfer(local, identity, cluster, volume)
        volumes.append(
            {
                "bytesTotal": 0,
                "namespace": namespace,
                "persistentVolumeClaim": name,
                "reason": "Volume migration has started. Backup in progress.",
                "status": "InProgress",
                "volume": volume,
            }
        )
    run.status |= {"status": "InProgress", "volumes": volumes}
    run.save()
    rule = run.spec["postExecRule"]
    if not rule:
        return
    try:
        body = run.api.get(resource("rules"), run.namespace, rule)
        for namespace in namespaces:
            await run_rule(run.api, body, namespace, after=True)
    except (RuleError, APIError) as failure:
        run.warn(f"Error running PostExecRule: {failure}")
        for each in volumes:
            await run.transfers[_task_id(run, each)].cancel()
            each |= {"status": "Failed", "reason": f"Error running PostExecRule: {failure}"}
        run.finish("Failed")


def _task_id(run: Run, volume: Object) -> str:
    return f"{run.migration['metadata']['uid']}-{volume['namespace']}-{volume['persistentVolumeClaim']}"


def _look_at_volumes(run: Run) -> None:
    local = storage.storage_of(run.api)
    for each in run.status["volumes"]:
        if each["status"] != "InProgress":
            continue
        identity = _task_id(run, each)
        task = local.task(identity)
        # A task that ran when this program was last stopped is no longer carried out by anybody.
        if task is None or (identity not in run.transfers and task["status"] in ("Queued", "InProgress")):
            each |= {"status": "Failed", "reason": "Unable to find migration status for volume"}
            continue
        each["bytesTotal"] = task["bytes_total"]
        match task["status"]:
            case "Complete":
                each |= {"status": "Successful", "reason": "Migration successful for volume"}
            case "Failed":
                each |= {"status": "Failed", "reason": f"Migration {task['stage']} failed for volume: {task['error']}"}
            case "Canceled":
                each |= {"status": "Failed", "reason": f"Migration {task['stage']} canceled for volume"}
            case _:
                each["reason"] = (
                    f"Volume migration has started. {task['stage']} in progress. BytesDone: {task['bytes_done']} "
                    f"BytesTotal: {task['bytes_total']} ETA: 0 seconds"
                )


async def _applications(run: Run, namespaces: list[str]) -> None:
    try:
        pair = run.pair()
        remote = Remote((pair.get("spec") or {}).get("config") or {})
    except (Refused, ConfigError) as problem:
        raise Refused(f"Error migrating resources: {problem}") from None
    scheduler = (pair.get("status") or {}).get("schedulerStatus", "")
    if scheduler != "Ready":
        raise Refused(f"Error migrating resources: scheduler Cluster pair is not ready. Status: {scheduler}")
    there = [name for name in namespaces if find(run.api, "namespaces", None, name) is not None]
    collected = collect(run.api, run.spec, there)
    run.status["resources"] = [_entry(info, obj, "InProgress", "") for info, obj in collected]
    run.save()
    prepared = []
    for info, obj in collected:
        entry = next(each for each in run.status["resources"] if _is_of(each, info, obj))
        entry["transformedBy"] = transform(run.api, info, obj, run.spec["transformSpecs"] or [])
        prepared.append((info, prepare(run.api, info, obj, run.migration, there)))
    try:
        await _prepare_destination(run, remote, there, collected)
        await _apply_all(run, remote, prepared)
        if run.spec["purgeDeletedResources"]:
            gone = await asyncio.to_thread(_purge, run, remote, there, collected)
            run.status["resources"] += gone
    except RemoteError as refusal:
        raise Refused(f"Error migrating resources: {refusal}") from None
    run.status["resourceMigrationFinishTimestamp"] = now()
    partial = any(each["status"] == "Failed" for each in run.status["resources"])
    run.finish("PartialSuccess" if partial else "Successful")


async def _prepare_destination(run: Run, remote: Remote, namespaces: list[str], collected: list[Collected]) -> None:
    """Definitions first, then namespaces."""
    custom = sorted({info.name for info, _obj in collected if info.custom is not None})
    definitions = [find(run.api, "customresourcedefinitions.apiextensions.k8s.io", None, name) for name in custom]
    projects = [run.api.get("namespaces", None, name) for name in namespaces]

    def make() -> None:
        for each in definitions:
            if each is not None:
                applying.definition(remote, run.api.registry, each)
        for each in projects:
            applying.namespace(remote, run.api.registry, each)

    await asyncio.to_thread(make)


async def _apply_all(run: Run, remote: Remote, prepared: list[Collected]) -> None:
    """Volumes and claims in their order, everything else with four workers."""
    volumes = [each for each in prepared if each[0].kind == "PersistentVolume"]
    claims = [each for each in prepared if each[0].kind == "PersistentVolumeClaim"]
    others = [each for each in prepared if each not in volumes and each not in claims]
    for each in volumes:
        await _apply_one(run, remote, *each)
    for info, claim in claims:
        volume = next((obj for _, obj in volumes if obj["metadata"]["name"] == claim["spec"].get("volumeName")), None)
        await _apply_one(run, remote, info, claim, volume)
    for info, volume in volumes:
        # Stork tells of a volume a second time when it has pointed it at the destination's claim.
        if _outcome(run, info, volume) == "Successful":
            _note(run, info, volume, "Successful", MIGRATED)
    four = asyncio.Semaphore(4)

    async def apply(each: Collected) -> None:
        async with four:
            await _apply_one(run, remote, *each)

    async with asyncio.TaskGroup() as group:
        for each in others:
            group.create_task(apply(each))
    for info, volume in volumes:
        await _finish_volume(run, remote, info, volume)


async def _apply_one(run: Run, remote: Remote, info: ResourceInfo, obj: Object, volume: Object | None = None) -> None:
    try:
        await asyncio.to_thread(applying.apply, remote, info, obj)
        if info.kind == "PersistentVolumeClaim" and volume is not None:
            await asyncio.to_thread(applying.bind, remote, run.api.registry, volume, obj)
    except RemoteError as refusal:
        _note(run, info, obj, "Failed", f"Error applying resource: {refusal}")
    else:
        _note(run, info, obj, "Successful", MIGRATED)


async def _finish_volume(run: Run, remote: Remote, info: ResourceInfo, volume: Object) -> None:
    name = volume["metadata"]["annotations"].get(PREFIX + "current-storage-class-name", "")
    storage_class = find(run.api, "storageclasses.storage.k8s.io", None, name) if name else None
    if storage_class is not None:
        storage_class |= {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    try:
        await asyncio.to_thread(
            lambda: applying.finish_volume(
                remote, run.api.registry, volume, storage_class, with_volumes=run.spec["includeVolumes"]
            )
        )
    except RemoteError as refusal:
        _note(run, info, volume, "Failed", f"Error updating StorageClass on PV: {refusal}")


def _is_of(entry: Object, info: ResourceInfo, obj: Object) -> bool:
    """Whether the status's entry is the object's."""
    mine = _entry(info, obj, "", "")
    return all(entry[field] == mine[field] for field in ("group", "kind", "name", "namespace"))


def _outcome(run: Run, info: ResourceInfo, obj: Object) -> str:
    """What the status says of an object."""
    name = obj["metadata"]["name"]
    return next(
        str(each["status"]) for each in run.status["resources"] if (each["kind"], each["name"]) == (info.kind, name)
    )


def _entry(info: ResourceInfo, obj: Object, status: str, reason: str) -> Object:
    return {
        "group": info.group or "core",
        "kind": info.kind,
        "name": obj["metadata"]["name"],
        "namespace": obj["metadata"].get("namespace", ""),
        "reason": reason,
        "status": status,
        "transformedBy": "",
        "version": info.version,
    }


def _note(run: Run, info: ResourceInfo, obj: Object, status: str, reason: str) -> None:
    """Put the outcome into the status, and tell it by an event."""
    entry = _entry(info, obj, status, reason)
    for each in run.status["resources"]:
        if _is_of(each, info, obj):
            each |= {"status": status, "reason": reason}
    message = f"{info.group}/{info.version}, Kind={info.kind} {entry['namespace']}/{entry['name']}: {reason}"
    run.recorder.record(run.migration, "Normal" if status == "Successful" else "Warning", status, message)


def _purge(run: Run, remote: Remote, namespaces: list[str], collected: list[Collected]) -> list[Object]:
    """Delete what an earlier migration brought and the source no longer has."""
    kept = {(info.kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) for info, obj in collected}
    purged = []
    for info in run.api.registry.preferred():
        if not info.namespaced or (info.kind not in KINDS and info.custom is None) or info.kind == "ServiceAccount":
            continue
        if "list" not in info.verbs:
            continue
        for namespace in namespaces:
            try:
                found = remote.list(info, namespace)
            except RemoteError as refusal:
                if refusal.code in (403, 404, 405):
                    continue
                raise
            for each in found:
                metadata = each["metadata"]
                annotations = metadata.get("annotations") or {}
                if annotations.get(PREFIX + "migrated") != "true" or metadata.get("ownerReferences"):
                    continue
                if (info.kind, namespace, metadata["name"]) in kept:
                    continue
                remote.delete(info, namespace, metadata["name"])
                entry = _entry(info, each, "Purged", "")
                purged.append({**entry, "group": "", "version": ""})
    return purged


def _summary(migration: Object, status: Object) -> Object:
    volumes, resources = status["volumes"] or [], status["resources"] or []
    spec = migration["spec"]
    began = datetime.fromisoformat(migration["metadata"]["creationTimestamp"])
    volumes_end = _moment(status["volumeMigrationFinishTimestamp"])
    resources_end = _moment(status["resourceMigrationFinishTimestamp"])
    if volumes_end is None:
        for_resources = "NA"
    else:
        for_resources = duration(((resources_end or datetime.now(UTC)) - volumes_end).total_seconds())
    for_volumes = duration(((volumes_end or datetime.now(UTC)) - began).total_seconds())
    return {
        "elapsedTimeForResourceMigration": for_resources,
        "elapsedTimeForVolumeMigration": for_volumes if spec["includeVolumes"] else "",
        "numOfMigratedResources": sum(each["status"] == "Successful" for each in resources),
        "numOfMigratedVolumes": sum(each["status"] == "Successful" for each in volumes),
        "totalBytesMigrated": sum(each["bytesTotal"] for each in volumes if each["status"] == "Successful"),
        "totalNumberOfResources": len(resources),
        "totalNumberOfVolumes": len(volumes),
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def duration(seconds: float) -> str:
    """A duration as Go writes it: `1m4.5s`, `24s`."""
    seconds = max(0.0, seconds)
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:.9f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + shown


async def _clean_up(api: ClusterAPI, transfers: dict[str, Transfer], migration: Object) -> None:
    """Tasks that still run are cancelled, and the Migration goes."""
    uid = migration["metadata"]["uid"]
    for identity in [each for each in transfers if each.startswith(uid)]:
        await transfers.pop(identity).cancel()
    drop_finalizer(api, MIGRATIONS, migration, FINALIZER)
