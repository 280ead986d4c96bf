"""What stood in the recorded cluster before each scenario began: its namespace, some objects, nodes and classes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]
Create = Callable[[str, Object], None]
TRANSCRIPTS = Path(__file__).with_name("transcripts")
NODE = "east-node"
HOST_PATH_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kubernetes.io/host-path",
}
BUSYBOX = "docker.io/library/busybox:1.38"


@dataclass(frozen=True)
class Setting:
    """`extra` serves OpenShift's and the snapshot resources too; `settle`: seconds to wait for controllers.

    From the step `still_from` on no controller acts: what the recording caught it in the middle of stays as it is.
    `slow_images` were still being pulled when the recording looked, and never arrive.
    """

    namespace: str = ""
    nodes: bool = False
    extra: bool = False
    settle: float = 0.0
    still_from: int | None = None
    slow_images: frozenset[str] = frozenset()


SETTINGS = {
    "auth": Setting("t-auth"),
    "controllers": Setting("t-ctl", nodes=True, settle=6.0, slow_images=frozenset({"nginx:1", "busybox", "mysql"})),
    "crud_errors": Setting(still_from=43),
    "custom_resources": Setting("t-cr"),
    "discovery": Setting(),
    "lists": Setting("t-list"),
    "logs_exec_portforward": Setting("t-exec", nodes=True, extra=True, settle=10.0),
    "node_jobs": Setting("t-job", nodes=True, extra=True, settle=40.0),
    "node_pods": Setting("t-node", nodes=True, extra=True, settle=40.0),
    "patches": Setting("t-patch", settle=1.5),
    "server_side_apply": Setting("t-ssa", settle=1.5),
    "storage": Setting("t-stor", nodes=True, extra=True, settle=15.0),
    "watches": Setting("t-watch"),
}


def transcript(scenario: str) -> Object:
    found: Object = json.loads((TRANSCRIPTS / f"{scenario}.json").read_text())
    return found


def prepare(scenario: str, create: Create, exists: Callable[[str], bool]) -> None:
    """Bring the cluster into the state that the recording began with."""
    setting = SETTINGS[scenario]
    if setting.nodes:
        _plant_node(create, storage=setting.extra)
    if scenario == "controllers":
        create("/apis/storage.k8s.io/v1/storageclasses", HOST_PATH_CLASS)
    if not setting.namespace:
        return
    namespace = setting.namespace
    create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    within = f"/api/v1/namespaces/{namespace}"
    _wait(lambda: exists(f"{within}/serviceaccounts/default") and exists(f"{within}/configmaps/kube-root-ca.crt"))
    if scenario == "lists":
        for number in range(7):
            labels = {"n": str(number), "odd": str(number % 2)} | ({"tier": "x"} if number > 4 else {})
            create(f"{within}/configmaps", _config(f"c{number}", labels))
    elif scenario == "watches":
        create(f"{within}/configmaps", _config("a", {"l": "1"}))
    elif scenario == "logs_exec_portforward":
        serve = "mkdir -p /www && hostname > /www/hostname && httpd -p 8080 -h /www && sleep 3600"
        script = f"echo line 1; echo line 2; echo line 3; {serve}"
        create(f"{within}/pods", _pod("p", script))
        create(f"{within}/pods", _pod("pend", "true", nodeSelector={"none": "such"}))
        _wait(lambda: exists(f"{within}/pods?fieldSelector=metadata.name%3Dp,status.phase%3DRunning"))


def _config(name: str, labels: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"k": "v"}}


def _pod(name: str, script: str, **spec: Any) -> Object:
    container = {"name": "c", "image": BUSYBOX, "command": ["sh", "-c", script]}
    body = {"terminationGracePeriodSeconds": 1, "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


def _plant_node(create: Create, *, storage: bool) -> None:
    """The recorded node; with `storage` also its classes, driver and snapshot class."""
    nodes = next(
        step["response"]["body"]["items"]
        for step in transcript("node_pods")["steps"]
        if step["request"].get("path") == "/api/v1/nodes"
    )
    create("/api/v1/nodes", _fresh("v1", "Node", nodes[0]))
    recorded = transcript("storage")["steps"][:3] if storage else []
    for step in recorded:
        body = step["response"]["body"]
        for item in body["items"]:
            path = f"{step['request']['path']}?fieldManager=kubectl-client-side-apply"
            create(path, _fresh(body["apiVersion"], body["kind"].removesuffix("List"), item))


def _fresh(api_version: str, kind: str, item: Object) -> Object:
    metadata = {name: item["metadata"][name] for name in ("name", "labels", "annotations") if name in item["metadata"]}
    return {**item, "apiVersion": api_version, "kind": kind, "metadata": metadata}


def _wait(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)
