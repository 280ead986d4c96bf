"""One pod on its node, from its volumes to its end.

    mount its volumes → run each init container to its end → run the containers, again and again where the restart
    policy says so → report; when deleted: SIGTERM, wait, SIGKILL, report, remove.

All that has to outlive a restart of the kubelet is in the pod's status.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import Object, find, is_pod_finished, update_status
from demo.cluster.controllers.pace import (
    IMAGE_BACKOFF_SECONDS,
    LOOK_AGAIN_SECONDS,
    REFRESH_SECONDS,
    RESTART_BACKOFF_LIMIT_SECONDS,
    RESTART_BACKOFF_SECONDS,
)
from demo.cluster.kubelet.addresses import host_address, pod_address
from demo.cluster.kubelet.environment import ConfigError, environment, expand, with_folders
from demo.cluster.kubelet.images import Place, image_of, is_mover, never_arriving, pull_error
from demo.cluster.kubelet.logs import LogWriter, last_lines, log_path
from demo.cluster.kubelet.mounts import (
    MountError,
    changes_while_mounted,
    limit_folder,
    mount_all,
    mounts_of,
    pod_folder,
    refresh,
)
from demo.cluster.kubelet.runs import Exit, ProcessRun, Run, TaskRun, idle
from demo.cluster.kubelet.shell import script_of, work
from demo.cluster.kubelet.status import ContainerState, pod_status

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

log = logging.getLogger(__name__)
MESSAGE_BYTES = 4096
# What a container runtime reports of containers that were lost with their node.
LOST = Exit(255, "Unknown")


class PodWorker:
    """Looks after one pod that has a node."""

    def __init__(self, api: ClusterAPI, pod: Object) -> None:
        self._api, self._pod = api, pod
        self._runs: dict[str, Run] = {}
        self._folders: dict[str, Path] = {}
        self._states = _states_of(pod)
        self._has_sandbox = False
        self._is_over = False
        # Images are pulled one after the other.
        self._pulling = asyncio.Lock()
        self._address: str | None = pod["status"].get("podIP")
        self._life: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return self._pod["metadata"]["uid"]

    def start(self) -> None:
        """Begin, or go on after a restart of the kubelet."""
        if not is_pod_finished(self._pod):
            self._life = asyncio.create_task(self._guard(self._live))

    def delete(self) -> None:
        """The pod was deleted: end it as its grace period allows, then remove it."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._guard(self._end))

    def abandon(self) -> None:
        """The pod is gone or the kubelet stops: end what runs, at once."""
        for task in (self._life, self._ending):
            if task is not None:
                task.cancel()
        for run in self._runs.values():
            run.kill()

    async def settle(self) -> None:
        """Return when everything that `abandon` ended has ended."""
        tasks = [task for task in (self._life, self._ending) if task is not None]
        await asyncio.gather(*tasks, *(run.wait() for run in self._runs.values()), return_exceptions=True)

    def forget(self) -> None:
        """Remove the pod's folder; the pod is gone."""
        self.abandon()
        shutil.rmtree(pod_folder(self._api, self._pod), ignore_errors=True)

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:
            log.exception("%s: pod %s", self._api.name, self._name)

    @property
    def _name(self) -> str:
        return f"{self._pod['metadata']['namespace']}/{self._pod['metadata']['name']}"

    def _current(self) -> Object | None:
        """The pod as it is now; None when it is gone or another one has its name."""
        found = find(self._api, "pods", self._pod["metadata"]["namespace"], self._pod["metadata"]["name"])
        return found if found and found["metadata"]["uid"] == self.uid else None

    def _report(self) -> None:
        pod = self._current()
        if pod is None:
            return
        node = find(self._api, "nodes", None, pod["spec"]["nodeName"])
        status = pod_status(
            pod,
            self._states,
            host_ip=host_address(node),
            pod_ip=self._address,
            has_sandbox=self._has_sandbox,
            is_over=self._is_over,
        )
        update_status(self._api, "pods", pod, status)

    def _event(self, kind: str, reason: str, message: str, container: Object | None = None) -> None:
        pod = self._pod
        involved: Object = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {key: pod["metadata"].get(key) for key in ("namespace", "name", "uid", "resourceVersion")},
        }
        if container is not None:
            involved["fieldPath"] = f"spec.containers{{{container['name']}}}"
            if container in pod["spec"].get("initContainers", ()):
                involved["fieldPath"] = f"spec.initContainers{{{container['name']}}}"
        self._api.record_event(involved, kind, reason, message, component="kubelet", host=pod["spec"]["nodeName"])

    async def _live(self) -> None:
        await self._mount()
        self._has_sandbox = True
        self._report()
        await asyncio.sleep(0)
        self._address = self._address or pod_address(self._api, self._pod)
        background: list[asyncio.Task[None]] = []
        if changes_while_mounted(self._pod):
            background.append(asyncio.create_task(self._keep_fresh()))
        try:
            await self._run_containers(background)
        finally:
            for task in background:
                task.cancel()
        self._report()

    async def _run_containers(self, background: list[asyncio.Task[None]]) -> None:
        """Run the pod's containers to their ends; those that stay beside the others are added to `background`."""
        spec = self._pod["spec"]
        for container in spec.get("initContainers", ()):
            if container.get("restartPolicy") == "Always":
                background.append(asyncio.create_task(self._keep(container, "Always")))
                continue
            policy = "Never" if spec.get("restartPolicy") == "Never" else "OnFailure"
            await self._keep(container, policy)
            if self._states[container["name"]].exit_code:
                return
        policy = spec.get("restartPolicy", "Always")
        async with asyncio.TaskGroup() as group:
            for container in spec["containers"]:
                group.create_task(self._keep(container, policy))

    async def _mount(self) -> None:
        told = ""
        while True:
            try:
                self._folders = mount_all(self._api, self._pod)
                return
            except MountError as refusal:
                if str(refusal) != told:
                    told = str(refusal)
                    self._event("Warning", refusal.reason, told)
                self._report()
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            refresh(self._api, self._pod)

    async def _keep(self, container: Object, policy: str) -> None:
        """Run the container until the policy lets it rest."""
        state = self._states[container["name"]]
        if state.is_running and _survives(container):
            await self._run(container, state, {}, adopted=True)
        elif state.is_running:
            state.ends(LOST)
        pause = RESTART_BACKOFF_SECONDS
        first = state.exit_code is None
        while True:
            if not first:
                if policy == "Never" or (policy == "OnFailure" and state.exit_code == 0):
                    return
                if state.restarts:
                    # For a moment the container is seen as it ended.
                    await asyncio.sleep(pause / 4)
                    self._back_off(container, state, pause)
                    await asyncio.sleep(pause * 3 / 4)
                    pause = min(2 * pause, RESTART_BACKOFF_LIMIT_SECONDS)
                state.restarts += 1
            first = False
            await self._pull(container)
            variables = await self._configure(container, state)
            await self._run(container, state, variables)

    def _back_off(self, container: Object, state: ContainerState, pause: float) -> None:
        metadata = self._pod["metadata"]
        place = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        name = container["name"]
        message = f"Back-off restarting failed container {name} in pod {place}"
        self._event("Warning", "BackOff", message, container)
        state.waits("CrashLoopBackOff", f"back-off {pause:.0f}s restarting failed container={name} pod={place}")
        self._report()

    async def _pull(self, container: Object) -> None:
        image = container["image"]
        state = self._states[container["name"]]
        async with self._pulling:
            if image in never_arriving:
                self._event("Normal", "Pulling", f'Pulling image "{image}"', container)
                while image in never_arriving:
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        while (error := pull_error(image)) is not None:
            self._event("Normal", "Pulling", f'Pulling image "{image}"', container)
            self._event("Warning", "Failed", f'Failed to pull image "{image}": {error}', container)
            self._event("Warning", "Failed", "Error: ErrImagePull", container)
            state.waits("ErrImagePull", error)
            self._report()
            await asyncio.sleep(IMAGE_BACKOFF_SECONDS)
            self._event("Normal", "BackOff", f'Back-off pulling image "{image}"', container)
            self._event("Warning", "Failed", "Error: ImagePullBackOff", container)
            state.waits("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {error}')
            self._report()
            await asyncio.sleep(IMAGE_BACKOFF_SECONDS)
        if container.get("imagePullPolicy") == "Always":
            self._event("Normal", "Pulling", f'Pulling image "{image}"', container)
            self._event("Normal", "Pulled", f'Successfully pulled image "{image}"', container)

    async def _configure(self, container: Object, state: ContainerState) -> dict[str, str]:
        while True:
            if container.get("imagePullPolicy") != "Always":
                message = (
                    f'Container image "{container["image"]}" already present on machine and can be accessed by the pod'
                )
                self._event("Normal", "Pulled", message, container)
            try:
                return environment(self._api, self._current() or self._pod, container)
            except ConfigError as missing:
                self._event("Warning", "Failed", f"Error: {missing}", container)
                state.waits("CreateContainerConfigError", str(missing))
                self._report()
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _run(
        self, container: Object, state: ContainerState, variables: dict[str, str], *, adopted: bool = False
    ) -> None:
        """Run the container once; an adopted one was running before the kubelet started."""
        name = container["name"]
        path = log_path(self._api, self.uid, name, state.restarts)
        message_file = path.with_name(f"termination-{state.restarts}")
        path.parent.mkdir(parents=True, exist_ok=True)
        message_file.touch()
        writer = LogWriter(path)
        if is_mover(container):
            run: Run = await self._start_process(container, variables, writer, message_file)
        else:
            run = self._start_task(container, variables, writer)
        self._runs[name] = run
        if not adopted:
            state.starts(container["image"], f"{self.uid}/{name}/{state.restarts}")
            self._event("Normal", "Created", "Container created", container)
            self._event("Normal", "Started", "Container started", container)
        probe = container.get("readinessProbe")
        if not adopted and probe and probe.get("initialDelaySeconds"):
            self._report()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(run.wait(), probe["initialDelaySeconds"])
        state.ready = True
        self._report()
        self._record_end(container, state, await run.wait(), path, message_file)
        self._report()

    def _record_end(self, container: Object, state: ContainerState, end: Exit, path: Path, message_file: Path) -> None:
        self._runs.pop(container["name"], None)
        message = message_file.read_bytes()[-MESSAGE_BYTES:].decode(errors="replace")
        if not message and end.code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            message = last_lines(path)
        state.ends(end, message)

    async def _start_process(
        self, container: Object, variables: dict[str, str], writer: LogWriter, message_file: Path
    ) -> Run:
        mounts = mounts_of(container, self._folders)
        file_limit = self._apply_disk_limits()
        message_path = container.get("terminationMessagePath", "/dev/termination-log")
        arguments = [with_folders(expand(each, variables), mounts) for each in container.get("args", ())]
        own = {
            name: str(message_file) if value == message_path else with_folders(value, mounts)
            for name, value in variables.items()
        }
        return await ProcessRun.start(arguments, own, writer, file_limit=file_limit)

    def _apply_disk_limits(self) -> int:
        """Make the disks of claims as full as a test wants them; the limit for files where that takes root."""
        limits = self._api.faults.disk_limit_bytes
        by_files = []
        for volume in self._pod["spec"].get("volumes", ()):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim is None or volume["name"] not in self._folders:
                continue
            limit = limits.get(f"{self._pod['metadata']['namespace']}/{claim}")
            if not limit_folder(self._folders[volume["name"]], limit) and limit is not None:
                by_files.append(limit)
        return min(by_files, default=0)

    def _start_task(self, container: Object, variables: dict[str, str], writer: LogWriter) -> Run:
        place = Place(
            api=self._api,
            pod=self._pod,
            container=container,
            mounts=mounts_of(container, self._folders),
            variables=variables,
            scratch=pod_folder(self._api, self._pod) / container["name"] / "root",
        )
        if script_of(place) is not None:
            return TaskRun(work(place, writer), writer, heeds_term=False)
        is_init = container in self._pod["spec"].get("initContainers", ())
        if is_init or self._pod["spec"].get("restartPolicy") != "Always":
            return TaskRun(_nothing_to_do, writer, heeds_term=True)
        return TaskRun(idle, writer, heeds_term=True)

    async def _end(self) -> None:
        if self._pulling.locked():
            # A kubelet that is waiting for an image does nothing else with the pod.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pod["spec"].get("terminationGracePeriodSeconds", 30)), self._pulling:
                    pass
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        pod = self._current()
        if pod is None:
            return
        grace = pod["metadata"].get("deletionGracePeriodSeconds", 0)
        containers = {
            each["name"]: each for each in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
        }
        for name in self._runs:
            self._event("Normal", "Killing", f"Stopping container {name}", containers[name])
        # What the kubelet has seen of the deletion: the generation.
        self._report()
        async with asyncio.TaskGroup() as group:
            for name in list(self._runs):
                group.create_task(self._stop(containers[name], grace))
        for name, state in self._states.items():
            if state.is_running:
                state.ends(LOST if not _survives(containers[name]) else Exit(0))
        self._has_sandbox, self._is_over = False, True
        self._report()
        if (pod := self._current()) is not None:
            with contextlib.suppress(APIError):
                self._api.delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"], grace=0)

    async def _stop(self, container: Object, grace: float) -> None:
        name = container["name"]
        run, state = self._runs[name], self._states[name]
        await run.stop(grace)
        path = log_path(self._api, self.uid, name, state.restarts)
        self._record_end(container, state, await run.wait(), path, path.with_name(f"termination-{state.restarts}"))


def _states_of(pod: Object) -> dict[str, ContainerState]:
    """What the status says of each container, for one that was never reported the state it begins with."""
    known = {
        each["name"]: ContainerState.from_status(each)
        for field in ("initContainerStatuses", "containerStatuses")
        for each in pod["status"].get(field, ())
    }
    begins = "PodInitializing" if pod["spec"].get("initContainers") else "ContainerCreating"
    containers = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    return {
        each["name"]: known.get(each["name"]) or ContainerState(state={"waiting": {"reason": begins}})
        for each in containers
    }


def _survives(container: Object) -> bool:
    """Whether a container that was running still runs after a restart of the kubelet: one without a process does."""
    return not is_mover(container) and not image_of(container).runs_scripts


async def _nothing_to_do() -> Exit:
    return Exit(0)
