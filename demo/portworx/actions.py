"""Actions: the applications of a MigrationSchedule are taken over by the cluster that it migrates to (failover), or
taken back by the one that they came from (failback).

Both run on the cluster that takes over, against the copy of the schedule there; what the other cluster is to do goes
through its API server, over the ClusterPair of the way back.

    "" → ScaleDownSource → WaitAfterScaleDown → LastMileMigration → ScaleUpDestination → Final

A failback has Source and Destination the other way round. What fails before the last step is taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import find, now
from demo.portworx import activation
from demo.portworx.crds import resource
from demo.portworx.migrating import ADMIN_NAMESPACE, MIGRATIONS, OVER, SCHEDULE_NAME
from demo.portworx.pace import CYCLE_SECONDS, RETRY_SECONDS, SCALE_DOWN_SECONDS
from demo.portworx.pairing import PAIRS
from demo.portworx.preparing import REPLICAS
from demo.portworx.recorder import Recorder
from demo.portworx.remote import ConfigError, Remote, RemoteError
from demo.portworx.scheduling import SCHEDULES, is_static_copy

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
ACTIONS = resource("actions")
# The stages by what they do, for the two directions.
DOWN = {"failover": "ScaleDownSource", "failback": "ScaleDownDestination"}
UP = {"failover": "ScaleUpDestination", "failback": "ScaleUpSource"}
BACK = {"failover": "ScaleUpSource", "failback": "ScaleUpDestination"}
GOOD = ("Successful", "PartialSuccess")


class Failed(Exception):
    """The Action cannot succeed; the message is its reason."""


class Step:
    """One look at one Action."""

    def __init__(self, api: ClusterAPI, recorder: Recorder, action: Object) -> None:
        self.api, self.recorder, self.action = api, recorder, action
        self.namespace: str = action["metadata"]["namespace"]
        self.kind: str = action["spec"]["actionType"]
        parameter = action["spec"].get("actionParameter") or {}
        self.parameter: Object = parameter.get(f"{self.kind}Parameter") or {}
        self.namespaces: list[str] = list(self.parameter.get(f"{self.kind}Namespaces") or [self.namespace])
        self.status: Object = {"stage": "", "status": "", "reason": "", **(action.get("status") or {})}

    def schedule(self) -> Object:
        """The copy of the schedule on this cluster. Raises Failed."""
        name = self.parameter.get("migrationScheduleReference", "")
        found = find(self.api, SCHEDULES, self.namespace, name)
        if found is None:
            raise Failed(f"unable to find the reference MigrationSchedule {name} in the {self.namespace} namespace")
        if not is_static_copy(found):
            raise Failed(f"MigrationSchedule {self.namespace}/{name} is not a static copy")
        return found

    def remote(self) -> Remote:
        """The other cluster. Raises Failed."""
        name = self.schedule()["spec"]["template"]["spec"].get("clusterPair", "")
        pair = find(self.api, PAIRS, self.namespace, name)
        if pair is None:
            raise Failed(f"unable to find the ClusterPair {name} in the {self.namespace} namespace")
        try:
            return Remote((pair.get("spec") or {}).get("config") or {})
        except ConfigError as problem:
            raise Failed(str(problem)) from None

    def move(self, stage: str, status: str = "In-Progress", reason: str = "") -> None:
        """Write the next stage."""
        self.status |= {"stage": stage, "status": status, "reason": reason}
        if stage == "Final":
            self.status["finishTimestamp"] = now()
        self.action = self.api.update(ACTIONS, {**self.action, "status": self.status})
        if status not in ("In-Progress", "Scheduled"):
            kind = "Normal" if status == "Successful" else "Warning"
            self.recorder.record(self.action, kind, status, reason or f"{self.kind.capitalize()} {status}")


async def reconcile(api: ClusterAPI, recorder: Recorder, namespace: str, name: str) -> float | None:
    """One step for one Action; the seconds until the next."""
    action = find(api, ACTIONS, namespace, name)
    if action is None or "deletionTimestamp" in action["metadata"] or action["spec"].get("actionType") not in DOWN:
        return None
    step = Step(api, recorder, action)
    stage = step.status["stage"]
    if stage == "Final":
        return None
    try:
        if stage == "":
            await _begin(step)
        elif stage == DOWN[step.kind]:
            await asyncio.to_thread(_scale, step, step.remote(), down=True)
            step.status["scaledDownAt"] = now()
            step.move("WaitAfterScaleDown")
        elif stage == "WaitAfterScaleDown":
            await _wait_for_volumes(step)
        elif stage == "LastMileMigration":
            await _last_mile(step)
        elif stage == UP[step.kind]:
            _scale_up_here(step)
        elif stage == BACK[step.kind]:
            await _roll_back(step)
    except (Failed, RemoteError) as failure:
        if stage in ("", UP[step.kind], BACK[step.kind]):
            step.move("Final", "RollbackFailed" if stage == BACK[step.kind] else "Failed", str(failure))
        else:
            step.move(BACK[step.kind], reason=str(failure))
    return RETRY_SECONDS if step.status["stage"] != "WaitAfterScaleDown" else CYCLE_SECONDS


async def _begin(step: Step) -> None:
    schedule = step.schedule()
    if step.kind == "failover" and step.parameter.get("skipSourceOperations"):
        step.move(UP[step.kind])
        return
    try:
        remote = step.remote()
        there = await asyncio.to_thread(_suspend, step, remote, schedule["metadata"]["name"])
    except (Failed, RemoteError):
        if step.kind != "failover":
            raise
        # A source that is out of reach is what failover is for.
        step.move(UP[step.kind])
        return
    running = [
        each
        for each in await asyncio.to_thread(remote.list, step.api.registry.named(MIGRATIONS), step.namespace)
        if (each["metadata"].get("annotations") or {}).get(SCHEDULE_NAME) == schedule["metadata"]["name"]
        and (each.get("status") or {}).get("status") not in OVER
    ]
    if running:
        if step.status["status"] != "In-Progress":
            step.move("")
        return
    if step.kind == "failback" and not _migrated_well(there):
        name = schedule["metadata"]["name"]
        raise Failed(f"no recent successful migration of MigrationSchedule {step.namespace}/{name} was found")
    step.move(DOWN[step.kind])


def _suspend(step: Step, remote: Remote, name: str) -> Object:
    info = step.api.registry.named(SCHEDULES)
    there = remote.get(info, step.namespace, name)
    if there is None:
        raise Failed(
            f"unable to find the MigrationSchedule {name} in the {step.namespace} namespace of the other cluster"
        )
    if not there["spec"].get("suspend"):
        there = remote.update(info, step.namespace, {**there, "spec": {**there["spec"], "suspend": True}})
    return there


def _migrated_well(schedule: Object) -> bool:
    items = (schedule.get("status") or {}).get("items") or {}
    return any(row["status"] in GOOD for rows in items.values() for row in rows)


def _workloads_here(step: Step) -> Iterator[tuple[str, Object]]:
    """What a migration has brought here stopped."""
    for namespace in step.namespaces:
        for each in activation.SCALED:
            for obj in step.api.list(each, namespace):
                if REPLICAS in (obj["metadata"].get("annotations") or {}):
                    yield each, obj


def _scale(step: Step, remote: Remote, *, down: bool) -> None:
    """Stop on the other cluster what a migration brought here, or start it again."""
    for name, obj in _workloads_here(step):
        info = step.api.registry.named(name)
        there = remote.get(info, obj["metadata"]["namespace"], obj["metadata"]["name"])
        if there is None:
            continue
        annotations = dict(there["metadata"].get("annotations") or {})
        replicas = there["spec"].get("replicas", 1)
        if down and replicas:
            there["metadata"]["annotations"] = {**annotations, REPLICAS: str(replicas)}
            there["spec"]["replicas"] = 0
        elif not down and not replicas and int(annotations.get(REPLICAS) or 0):
            there["spec"]["replicas"] = int(annotations[REPLICAS])
        else:
            continue
        remote.update(info, obj["metadata"]["namespace"], there)
    _note_active(step, remote, not down)


def _note_active(step: Step, remote: Remote, is_active: bool) -> None:
    """Say in the other cluster's copies of schedules that bring these namespaces whether applications run there.

    As updateApplicationActivatedInRelevantMigrationSchedules of libopenstorage/stork, pkg/action/drutils.go.
    """
    info = step.api.registry.named(SCHEDULES)
    for namespace in sorted({*step.namespaces, ADMIN_NAMESPACE}):
        for there in remote.list(info, namespace):
            brought = there["spec"]["template"]["spec"].get("namespaces") or []
            if is_static_copy(there) and set(brought) & set(step.namespaces):
                status = {**(there.get("status") or {}), "applicationActivated": is_active}
                remote.update(info, namespace, {**there, "status": status})


async def _wait_for_volumes(step: Step) -> None:
    remote, info = step.remote(), step.api.registry.named("pods")
    holding = []
    for namespace in step.namespaces:
        for pod in await asyncio.to_thread(remote.list, info, namespace):
            ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if not ended and any("persistentVolumeClaim" in each for each in pod["spec"].get("volumes") or ()):
                holding.append(pod["metadata"]["name"])
    if not holding:
        step.move("LastMileMigration")
        return
    since = datetime.fromisoformat(step.status["scaledDownAt"])
    if (datetime.now(UTC) - since).total_seconds() > SCALE_DOWN_SECONDS:
        raise Failed(f"pods still use volumes: {', '.join(sorted(holding))}")


async def _last_mile(step: Step) -> None:
    remote, info = step.remote(), step.api.registry.named(MIGRATIONS)
    schedule = step.schedule()
    name = f"{schedule['metadata']['name']}-lastmile-{step.kind}-{step.action['metadata']['uid'][:8]}"
    found = await asyncio.to_thread(remote.get, info, step.namespace, name)
    if found is None:
        spec = {**schedule["spec"]["template"]["spec"], "startApplications": False}
        migration = {
            "apiVersion": info.api_version,
            "kind": info.kind,
            "metadata": {"name": name, "namespace": step.namespace},
            "spec": spec,
        }
        await asyncio.to_thread(remote.create, info, step.namespace, migration)
        return
    status = (found.get("status") or {}).get("status", "")
    if status in GOOD:
        step.move(UP[step.kind])
    elif status in OVER:
        raise Failed(f"last mile migration {step.namespace}/{name} ended {status}")


def _scale_up_here(step: Step) -> None:
    summary = []
    for namespace in step.namespaces:
        activation.activate(step.api, namespace)
        summary.append({"namespace": namespace, "status": "Successful", "reason": ""})
    schedule = step.schedule()
    status = {**(schedule.get("status") or {}), "applicationActivated": True}
    step.api.update(SCHEDULES, {**schedule, "status": status})
    step.status["summary"] = {f"{step.kind}Summary": summary}
    step.move("Final", "Successful")


async def _roll_back(step: Step) -> None:
    await asyncio.to_thread(_scale, step, step.remote(), down=False)
    step.status["summary"] = {
        f"{step.kind}Summary": [
            {"namespace": each, "status": "RollbackSuccessful", "reason": ""} for each in step.namespaces
        ]
    }
    step.move("Final", "RollbackSuccessful", step.status["reason"])
