"""A pod's status as the kubelet reports it, from what is known of its containers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from demo.cluster.controllers.loop import Object, now
from demo.cluster.kubelet.runs import Exit

# What kubelet 1.36 reports for a pod without a memory limit once one of its containers has ended or is to end.
NO_MEMORY_LIMIT = "9007199254740988Ki"


@dataclass
class ContainerState:
    """What is known of one container of a pod."""

    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Object = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    image_id: str = ""
    container_id: str = ""
    begun: bool = False

    @classmethod
    def from_status(cls, status: Object) -> ContainerState:
        """The state that a pod's status tells of."""
        return cls(
            state=status["state"],
            last_state=status.get("lastState", {}),
            restarts=status["restartCount"],
            ready=status["ready"],
            image_id=status.get("imageID", ""),
            container_id=status.get("containerID", ""),
            begun=bool(status.get("containerID")),
        )

    @property
    def exit_code(self) -> int | None:
        """The exit code, once the container has ended and was not started again."""
        terminated = self.state.get("terminated")
        return terminated["exitCode"] if terminated else None

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return "running" in self.state

    def waits(self, reason: str, message: str = "") -> None:
        """It waits, for this reason."""
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        self.ready = False

    def starts(self, image: str, identity: str) -> None:
        """It runs from now on."""
        if "terminated" in self.state:
            self.last_state = self.state
        self.image_id = f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
        self.container_id = f"containerd://{hashlib.sha256(identity.encode()).hexdigest()}"
        self.state = {"running": {"startedAt": now()}}
        self.begun = True

    def ends(self, end: Exit, message: str = "") -> None:
        """It has ended."""
        terminated: Object = {"exitCode": end.code, "reason": end.reason}
        if message:
            terminated["message"] = message
        terminated["startedAt"] = self.state.get("running", {}).get("startedAt", now())
        terminated["finishedAt"] = now()
        terminated["containerID"] = self.container_id
        self.state = {"terminated": terminated}
        self.ready = False


def container_status(container: Object, state: ContainerState) -> Object:
    """One entry of containerStatuses."""
    status: Object = {
        "name": container["name"],
        "state": state.state,
        "lastState": state.last_state,
        "ready": state.ready,
        "restartCount": state.restarts,
        "image": container["image"],
        "imageID": state.image_id,
    }
    if state.container_id:
        status["containerID"] = state.container_id
    status["started"] = state.is_running
    if state.begun:
        resources = {key: value for key, value in container.get("resources", {}).items() if key != "claims"}
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
        status["resources"] = resources
    if mounts := container.get("volumeMounts"):
        status["volumeMounts"] = [_mount_status(mount) for mount in mounts]
    if state.begun:
        status["user"] = {"linux": {"uid": 0, "gid": 0, "supplementalGroups": [0]}}
    return status


def _mount_status(mount: Object) -> Object:
    status: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        status |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return status


def phase(pod: Object, states: dict[str, ContainerState], *, is_over: bool = False) -> str:
    """The pod's phase; one that is over (deleted and stopped) is not started again whatever its policy says."""
    spec = pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    if is_over:
        ends = [states[container["name"]].exit_code for container in spec["containers"]]
        return "Succeeded" if all(code == 0 for code in ends) else "Failed"
    for container in spec.get("initContainers", ()):
        state = states[container["name"]]
        if container.get("restartPolicy") == "Always":
            continue
        if state.exit_code != 0:
            return "Failed" if policy == "Never" and state.exit_code else "Pending"
    own = [states[container["name"]] for container in spec["containers"]]
    if any("waiting" in state.state and not state.last_state for state in own):
        return "Pending"
    if any(state.is_running for state in own) or policy == "Always":
        return "Running"
    codes = [state.exit_code for state in own]
    if all(code == 0 for code in codes):
        return "Succeeded"
    if policy == "Never" and None not in codes:
        return "Failed"
    return "Running"


def pod_status(
    pod: Object,
    states: dict[str, ContainerState],
    *,
    host_ip: str,
    pod_ip: str | None,
    has_sandbox: bool,
    is_over: bool = False,
) -> Object:
    """The whole status, times of unchanged conditions kept."""
    spec, before = pod["spec"], pod.get("status", {})
    current = phase(pod, states, is_over=is_over)
    status: Object = {"observedGeneration": pod["metadata"].get("generation", 1), "phase": current}
    for kept in ("reason", "message"):
        if kept in before:
            status[kept] = before[kept]
    status["conditions"] = _conditions(pod, states, current, has_sandbox)
    status |= {"hostIP": host_ip, "hostIPs": [{"ip": host_ip}]}
    if pod_ip:
        status |= {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}
    status["startTime"] = before.get("startTime") or now()
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [
            container_status(each, states[each["name"]]) for each in spec["initContainers"]
        ]
    containers = sorted(spec["containers"], key=lambda each: each["name"])
    status["containerStatuses"] = [container_status(each, states[each["name"]]) for each in containers]
    status["qosClass"] = before.get("qosClass", "BestEffort")
    resources = _pod_resources(spec)
    if resources.get("requests"):
        status["allocatedResources"] = resources["requests"]
    ending = "deletionTimestamp" in pod["metadata"] and any(each.begun for each in states.values())
    ended = any("terminated" in {**each.state, **each.last_state} for each in states.values())
    if (ending or ended) and not resources:
        resources = {"limits": {"memory": NO_MEMORY_LIMIT}}
    status["resources"] = resources
    return status


def _pod_resources(spec: Object) -> Object:
    """What a pod with one container may use; for several the real kubelet adds up, which nobody reads here."""
    return spec["containers"][0].get("resources", {}) if len(spec["containers"]) == 1 else {}


def _conditions(pod: Object, states: dict[str, ContainerState], current: str, has_sandbox: bool) -> list[Object]:
    spec = pod["spec"]
    finished = current in ("Succeeded", "Failed")
    done = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(current)
    unready = [each["name"] for each in spec["containers"] if not states[each["name"]].ready]
    uninitialised = [
        each["name"]
        for each in spec.get("initContainers", ())
        if states[each["name"]].exit_code != 0 and each.get("restartPolicy") != "Always"
    ]
    ready: Object = {"status": "True"}
    if done:
        ready = {"status": "False", "reason": done}
    elif unready:
        message = f"containers with unready status: [{' '.join(unready)}]"
        ready = {"status": "False", "reason": "ContainersNotReady", "message": message}
    initialised: Object = {"status": "True"}
    if uninitialised:
        message = f"containers with incomplete status: [{' '.join(uninitialised)}]"
        initialised = {"status": "False", "reason": "ContainersNotInitialized", "message": message}
    elif current == "Succeeded":
        initialised = {"status": "True", "reason": "PodCompleted"}
    wanted: dict[str, Object] = {
        "PodReadyToStartContainers": {"status": str(has_sandbox and not finished)},
        "Initialized": initialised,
        "Ready": ready,
        "ContainersReady": dict(ready),
        "PodScheduled": {"status": "True"},
    }
    before = {each["type"]: each for each in pod.get("status", {}).get("conditions", ())}
    conditions = []
    for kind, fields in wanted.items():
        old = before.get(kind)
        same = old is not None and old["status"] == fields["status"]
        entry: Object = {
            "type": kind,
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": fields["status"],
            "lastProbeTime": None,
            "lastTransitionTime": old["lastTransitionTime"] if old and same else now(),
        }
        entry |= {name: fields[name] for name in ("reason", "message") if name in fields}
        conditions.append(entry)
    conditions += [each for kind, each in before.items() if kind not in wanted]
    return conditions
