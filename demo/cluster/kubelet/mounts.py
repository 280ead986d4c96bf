"""The folders behind a pod's volumes.

A claim's folder is its PersistentVolume's; the other kinds get folders of their own under `pods/<uid>/volumes`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from demo.cluster.controllers.devices import DEVICE, is_block
from demo.cluster.controllers.loop import Object, find, is_pod_finished
from demo.cluster.controllers.volumes import CLAIMS, VOLUMES, volume_folder
from demo.cluster.kubelet.environment import ConfigError, content_of, field_of

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

log = logging.getLogger(__name__)
# Volumes whose files are an object's content, and change with it.
FOLLOWING = {"secret", "configMap", "projected"}


class MountError(Exception):
    """A volume cannot be mounted now; `reason` is that of the event."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def pod_folder(api: ClusterAPI, pod: Object) -> Path:
    """Where the kubelet keeps what belongs to the pod."""
    return api.state / "pods" / pod["metadata"]["uid"]


def mounted_volumes(pod: Object) -> list[Object]:
    """The pod's volumes that some container mounts or has as a device; the others are never looked at."""
    names = _used(pod, "volumeMounts") | _used(pod, "volumeDevices")
    return [volume for volume in pod["spec"].get("volumes", ()) if volume["name"] in names]


def _used(pod: Object, field: str) -> set[str]:
    containers = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    return {use["name"] for container in containers for use in container.get(field, ())}


def mount_all(api: ClusterAPI, pod: Object) -> dict[str, Path]:
    """Make the folders of all mounted volumes; the folder for each volume's name. Raises MountError."""
    folders = {}
    for volume in mounted_volumes(pod):
        try:
            folders[volume["name"]] = _mount(api, pod, volume)
        except ConfigError as missing:
            message = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {missing}'
            raise MountError("FailedMount", message) from None
    return folders


def mounts_of(container: Object, folders: dict[str, Path]) -> dict[str, Path]:
    """The folder behind each of the container's mount paths, and the file behind each of its devices."""
    devices = {
        each["devicePath"]: folders[each["name"]] / DEVICE
        for each in container.get("volumeDevices", ())
        if each["name"] in folders
    }
    return devices | {
        mount["mountPath"]: folders[mount["name"]] / mount.get("subPath", "")
        for mount in container.get("volumeMounts", ())
        if mount["name"] in folders
    }


def _mount(api: ClusterAPI, pod: Object, volume: Object) -> Path:
    own = pod_folder(api, pod) / "volumes" / volume["name"]
    if "persistentVolumeClaim" in volume:
        return claim_folder(api, pod, volume["name"], volume["persistentVolumeClaim"]["claimName"])
    if "ephemeral" in volume:
        return claim_folder(api, pod, volume["name"], f"{pod['metadata']['name']}-{volume['name']}")
    own.mkdir(parents=True, exist_ok=True)
    if "secret" in volume:
        _write_items(own, volume["secret"], content_of(api, pod, "secrets", volume["secret"]))
    elif "configMap" in volume:
        _write_items(own, volume["configMap"], content_of(api, pod, "configmaps", volume["configMap"]))
    elif "downwardAPI" in volume:
        _write_fields(own, pod, volume["downwardAPI"])
    elif "projected" in volume:
        for source in volume["projected"].get("sources", ()):
            if "secret" in source:
                _write_items(own, source["secret"], content_of(api, pod, "secrets", source["secret"]))
            elif "configMap" in source:
                optional = {**source["configMap"], "optional": True}
                _write_items(own, source["configMap"], content_of(api, pod, "configmaps", optional))
            elif "downwardAPI" in source:
                _write_fields(own, pod, source["downwardAPI"])
    return own


def _require_right_use(pod: Object, name: str, *, block: bool) -> None:
    """A raw volume is a device, any other is mounted; what the kubelet's volume manager says otherwise."""
    mode, wrong = ("Block", "volumeMounts") if block else ("Filesystem", "volumeDevices")
    if name in _used(pod, wrong):
        raise MountError(
            "FailedMount",
            f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], "
            f"failed to process volumes=[{name}]: volume {name} has volumeMode {mode}, but is specified in {wrong}",
        )


def _write_items(folder: Path, source: Object, content: dict[str, bytes]) -> None:
    items = source.get("items") or [{"key": key, "path": key} for key in content]
    for item in items:
        if item["key"] in content:
            path = folder / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, content[item["key"]], item.get("mode", source.get("defaultMode", 0o644)) | 0o600)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Write the file whole or not at all: whoever reads it meanwhile sees the old one or the new one."""
    if path.exists() and path.read_bytes() == content:
        return
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.chmod(mode)
    new.replace(path)


def changes_while_mounted(pod: Object) -> bool:
    """Whether the pod mounts anything whose content follows an object."""
    return any(volume.keys() & FOLLOWING for volume in mounted_volumes(pod))


def refresh(api: ClusterAPI, pod: Object) -> None:
    """Bring Secrets and ConfigMaps that have changed into the pod's folders; what is gone stays as it was."""
    for volume in mounted_volumes(pod):
        if volume.keys() & FOLLOWING:
            with contextlib.suppress(ConfigError):
                _mount(api, pod, volume)


def _write_fields(folder: Path, pod: Object, source: Object) -> None:
    for item in source.get("items", ()):
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(field_of(pod, item["fieldRef"]["fieldPath"]) if "fieldRef" in item else "")


def claim_folder(api: ClusterAPI, pod: Object, mount: str, name: str) -> Path:
    """The folder of the claim that is the pod's volume `mount`; raises MountError while it cannot be attached."""
    namespace = pod["metadata"]["namespace"]
    claim = find(api, CLAIMS, namespace, name)
    volume = find(api, VOLUMES, None, claim["spec"].get("volumeName", "-")) if claim else None
    if claim is None or volume is None:
        raise MountError("FailedMount", f'Unable to attach or mount volumes: claim "{name}" is not bound')
    _require_right_use(pod, mount, block=is_block(volume))
    _refuse_second_node(api, pod, claim, volume)
    folder = volume_folder(api, volume["metadata"]["name"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _refuse_second_node(api: ClusterAPI, pod: Object, claim: Object, volume: Object) -> None:
    """A volume that only one node may write is not attached to a second one while the first still uses it."""
    if set(volume["spec"]["accessModes"]) & {"ReadWriteMany", "ReadOnlyMany"}:
        return
    name = claim["metadata"]["name"]
    users = [
        other["metadata"]["name"]
        for other in api.list("pods", pod["metadata"]["namespace"])
        if other["spec"].get("nodeName") not in (None, pod["spec"]["nodeName"])
        and not is_pod_finished(other)
        and any(
            each.get("persistentVolumeClaim", {}).get("claimName") == name for each in other["spec"].get("volumes", ())
        )
        and other["status"].get("startTime", "") != ""
        and other["status"].get("containerStatuses", [{}])[0].get("containerID")
    ]
    if users:
        message = (
            f'Multi-Attach error for volume "{volume["metadata"]["name"]}" '
            f"Volume is already used by pod(s) {', '.join(users)}"
        )
        raise MountError("FailedAttachVolume", message)


def limit_folder(folder: Path, size: int | None) -> bool:
    """Make the file system of the folder as small as a full disk, or lift that again; False where that needs root."""
    if size is None:
        if folder.is_mount():
            _mount_command("-o", "remount,size=0", str(folder))
        return True
    if os.geteuid() != 0:
        return False
    if folder.is_mount():
        return _mount_command("-o", f"remount,size={size}", str(folder))
    aside = folder.with_name(folder.name + ".before-limit")
    folder.rename(aside)
    folder.mkdir()
    if not _mount_command("-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)):
        folder.rmdir()
        aside.rename(folder)
        return False
    subprocess.run(["cp", "--archive", f"{aside}/.", str(folder)], check=False, capture_output=True)
    subprocess.run(["rm", "--recursive", "--force", str(aside)], check=False, capture_output=True)
    return True


def _mount_command(*arguments: str) -> bool:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        log.warning("mount %s: %s", " ".join(arguments), done.stderr.strip())
    return done.returncode == 0
