"""Stork's rules: commands that run in the pods of an application before or after its volumes are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import is_pod_ready
from demo.cluster.kubelet.environment import ConfigError, environment
from demo.cluster.kubelet.images import NoSuchProgram, Place, Terminal
from demo.cluster.kubelet.mounts import MountError, mount_all, mounts_of, pod_folder
from demo.cluster.kubelet.shell import run_command

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]


class RuleError(Exception):
    """A command of the rule did not succeed."""


async def run_rule(api: ClusterAPI, rule: Object, namespace: str, *, after: bool = False) -> None:
    """Run the rule's commands in the namespace; `after` for a rule that follows the volumes. Raises RuleError."""
    name = rule["metadata"]["name"]
    for each in rule.get("rules") or ():
        pods = [pod for pod in api.list("pods", namespace, each.get("podSelector") or {}) if is_pod_ready(pod)]
        for action in each.get("actions") or ():
            if action.get("type") != "command":
                raise RuleError(f"unsupported action type: {action.get('type')} in rule: [{namespace}] {name}")
            if after and action.get("background"):
                raise RuleError(f"background actions are not supported for post rule: [{namespace}] {name}")
            for pod in pods[:1] if action.get("runInSinglePod") else pods:
                await _run(api, pod, each.get("container", ""), action["value"])


async def _run(api: ClusterAPI, pod: Object, container_name: str, command: str) -> None:
    containers = pod["spec"]["containers"]
    container = next((each for each in containers if each["name"] == container_name), containers[0])
    said: list[bytes] = []

    async def write(_stream: int, data: bytes) -> None:
        said.append(data)

    pod_name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    try:
        place = Place(
            api,
            pod,
            container,
            mounts_of(container, mount_all(api, pod)),
            environment(api, pod, container),
            pod_folder(api, pod) / container["name"] / "root",
        )
        code = await run_command(place, ["sh", "-c", command], Terminal(write, None))
    except (NoSuchProgram, MountError, ConfigError) as failure:
        raise RuleError(f"failed to run command: {command} on pod: [{pod_name}] due to: {failure}") from None
    if code:
        output = b"".join(said).decode(errors="replace").strip()
        why = f"command terminated with exit code {code}" + (f": {output}" if output else "")
        raise RuleError(f"failed to run command: {command} on pod: [{pod_name}] due to: {why}")
