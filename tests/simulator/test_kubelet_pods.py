"""Pods on the nodes of a simulated cluster: processes that really run, simulated programs, and what goes wrong."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from demo.cluster.api import ClusterAPI
from demo.cluster.kubelet import images, runs
from demo.cluster.kubelet.logs import LogOptions, LogReader, LogWriter, log_path
from tests.simulator.inside import (
    MOVER,
    Object,
    bound,
    claim,
    cluster,
    condition,
    folder,
    gone,
    phase,
    pod,
    reasons,
    until,
)


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOVER_MODULE", "tests.simulator.program")


def mover(
    name: str, *arguments: str, claims: tuple[str, ...] = (), container: Object | None = None, **spec: Any
) -> Object:
    own = {"image": MOVER, "command": ["ignored"], "args": list(arguments), **(container or {})}
    return pod(name, claims=claims, container=own, **spec)


def state(api: ClusterAPI, name: str) -> Object:
    return dict(api.get("pods", "default", name)["status"].get("containerStatuses", [{}])[0].get("state", {}))


def log(api: ClusterAPI, name: str, restart: int = 0) -> str:
    uid = api.get("pods", "default", name)["metadata"]["uid"]
    return b"".join(LogReader(log_path(api, uid, "c", restart), LogOptions()).read()).decode()


async def test_a_mover_runs_as_a_process_with_its_mounts_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("persistentvolumeclaims", claim("data"))
        api.create(
            "secrets",
            {
                "metadata": {"name": "keys", "namespace": "default"},
                "data": {"KEY": base64.b64encode(b"s3cret").decode()},
            },
        )
        container = {
            "env": [
                {"name": "ROOT", "value": "/data"},
                {"name": "BELOW", "value": "/data/x"},
                {"name": "BESIDE", "value": "/database"},
                {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "SAID", "value": "$(WHO) and $$(WHO) and $(NOBODY)"},
            ],
            "envFrom": [{"secretRef": {"name": "keys"}}],
        }
        api.create("pods", mover("m", "write", "/data/file", "hello", claims=("data",), container=container))
        await until(lambda: phase(api, "m") == "Succeeded")
        assert (folder(api, "data") / "file").read_text() == "hello"
        said = json.loads(log(api, "m"))
        given = said["environment"]
        root = str(folder(api, "data"))
        assert said["arguments"] == ["write", f"{root}/file", "hello"]
        assert (given["ROOT"], given["BELOW"], given["BESIDE"]) == (root, f"{root}/x", "/database")
        assert (given["WHO"], given["SAID"], given["KEY"]) == ("m", "m and $(WHO) and $(NOBODY)", "s3cret")
        own = {"PATH", "LANG", "PYTHONPATH", "ROOT", "BELOW", "BESIDE", "WHO", "SAID", "KEY"}
        assert set(given) - own <= {"LC_CTYPE"}
        assert said["folder"] == given["PYTHONPATH"] == str(Path(__file__).parents[2])


async def test_the_exit_code_and_the_last_word_are_reported(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        container = {"env": [{"name": "TERMINATION", "value": "/dev/termination-log"}]}
        api.create("pods", mover("m", "exit", "7", container=container))
        await until(lambda: phase(api, "m") == "Failed")
        ended = state(api, "m")["terminated"]
        assert (ended["exitCode"], ended["reason"], ended["message"]) == (7, "Error", "the last word")
        assert condition(api.get("pods", "default", "m"), "Ready")["reason"] == "PodFailed"
        api.create("pods", mover("n", "exit", "7", container={"terminationMessagePolicy": "FallbackToLogsOnError"}))
        await until(lambda: phase(api, "n") == "Failed")
        assert '"arguments": ["exit", "7"]' in state(api, "n")["terminated"]["message"]


async def test_a_deleted_pod_is_asked_first_and_then_killed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        logs = {}
        for name in ("wait", "stubborn"):
            api.create("pods", mover(name, name))
            await until(lambda name=name: "waiting" in log(api, name))
            path = log_path(api, api.get("pods", "default", name)["metadata"]["uid"], "c", 0)
            logs[name] = path.open("rb")
        ends = api.subscribe("pods")
        for name in logs:
            api.delete("pods", "default", name, grace=1)
            await gone(api, "pods", "default", name)
            assert "Killing" in reasons(api, name)
            assert b"asked to stop" in logs[name].read()
            logs[name].close()
        last = {}
        while not ends.empty():
            _, _, obj = ends.get_nowait()
            for each in obj["status"].get("containerStatuses", ()):
                if "terminated" in each["state"]:
                    last[obj["metadata"]["name"]] = each["state"]["terminated"]["exitCode"]
        assert last == {"wait": 9, "stubborn": 137}
        assert not list((tmp_path / "pods").iterdir())


async def test_a_process_that_is_killed_is_reported_with_its_signal(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("pods", mover("m", "wait", str(tmp_path)))
        await until(lambda: "waiting" in log(api, "m"))
        (process,) = processes_with(str(tmp_path))
        os.kill(process, 9)
        await until(lambda: phase(api, "m") == "Failed")
        assert state(api, "m")["terminated"]["exitCode"] == 137


def processes_with(argument: str) -> list[int]:
    """The processes of the stand-in that were given this last argument."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_text().split("\0")[:-1]
        except OSError:
            continue
        if "tests.simulator.program" in arguments and arguments[-1] == argument:
            found.append(int(entry.name))
    return found


async def test_a_container_that_fails_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("pods", mover("m", "exit", "1", restartPolicy="Always"))
        await until(lambda: state(api, "m").get("waiting", {}).get("reason") == "CrashLoopBackOff")
        found = api.get("pods", "default", "m")
        status = found["status"]["containerStatuses"][0]
        assert found["status"]["phase"] == "Running"
        assert status["lastState"]["terminated"]["exitCode"] == 1
        assert status["state"]["waiting"]["message"].startswith(
            "back-off 2s restarting failed container=c pod=m_default("
        )
        await until(lambda: api.get("pods", "default", "m")["status"]["containerStatuses"][0]["restartCount"] >= 2)
        assert "BackOff" in reasons(api, "m")
        api.create("pods", mover("n", "exit", "0", restartPolicy="OnFailure"))
        await until(lambda: phase(api, "n") == "Succeeded")


async def test_processes_end_with_the_kubelet_and_their_pods_fail_at_the_next_start(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("pods", mover("m", "stubborn", str(tmp_path)))
        api.create("pods", pod("server", container={"image": "mysql:8", "command": []}, restartPolicy="Always"))
        await until(lambda: "waiting" in log(api, "m"))
        await until(lambda: phase(api, "server") == "Running")
        started = state(api, "server")["running"]["startedAt"]
    assert processes_with(str(tmp_path)) == []
    async with cluster(tmp_path) as api:
        await until(lambda: phase(api, "m") == "Failed")
        ended = state(api, "m")["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (255, "Unknown")
        assert state(api, "server")["running"]["startedAt"] == started
        assert api.get("pods", "default", "server")["status"]["containerStatuses"][0]["restartCount"] == 0


async def test_a_log_keeps_what_was_written_line_by_line(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("pods", mover("m", "count", "20"))
        await until(lambda: phase(api, "m") == "Succeeded")
        assert log(api, "m").splitlines()[1:] == [str(number) for number in range(20)]


def test_a_log_can_be_cut_in_every_way(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    writer = LogWriter(path)
    for number in range(5):
        writer.write(f"line {number}\n".encode())
    long = b"x" * 40_000 + b"\n"
    writer.write(long)

    def read(**query: str) -> bytes:
        return b"".join(LogReader(path, LogOptions.from_query({key: [value] for key, value in query.items()})).read())

    assert read() == b"".join(b"line %d\n" % number for number in range(5)) + long
    assert read(tailLines="0") == b""
    assert read(limitBytes="4") == b"line"
    first = next(LogReader(path, LogOptions(timestamps=True)).read()).split(b" ")[0].decode()
    assert read(sinceTime=first) == read()
    assert read(sinceTime="2999-01-01T00:00:00Z") == b""
    assert read(sinceSeconds="3600") == read()
    assert read(timestamps="true").count(b"Z line") == 5
    with pytest.raises(ValueError, match="invalid literal"):
        read(tailLines="many")


async def test_what_a_container_lacks_is_said_and_looked_for_again(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        source = [{"configMapRef": {"name": "late"}}]
        api.create("pods", pod("env", "true", container={"envFrom": source}))
        await until(lambda: state(api, "env").get("waiting", {}).get("reason") == "CreateContainerConfigError")
        assert state(api, "env")["waiting"]["message"] == 'configmap "late" not found'
        mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
        volumes = [{"name": "v", "secret": {"secretName": "late"}}]
        api.create("pods", pod("mount", "true", container=mount, volumes=volumes))
        await until(lambda: "FailedMount" in reasons(api, "mount"))
        assert phase(api, "mount") == "Pending"
        api.create("configmaps", {"metadata": {"name": "late", "namespace": "default"}, "data": {"a": "1"}})
        api.create("secrets", {"metadata": {"name": "late", "namespace": "default"}})
        await until(lambda: phase(api, "env") == "Succeeded" and phase(api, "mount") == "Succeeded")


async def test_an_image_that_cannot_be_pulled_is_tried_for_ever(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("pods", pod("p", container={"image": "registry.invalid/none:1"}))
        await until(lambda: state(api, "p").get("waiting", {}).get("reason") == "ErrImagePull")
        await until(lambda: state(api, "p").get("waiting", {}).get("reason") == "ImagePullBackOff")
        assert {"Pulling", "Failed", "BackOff"} <= set(reasons(api, "p"))
        api.delete("pods", "default", "p")
        await gone(api, "pods", "default", "p")


async def test_images_of_tests_can_be_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "never_arriving", {"slow:1"})
    monkeypatch.setattr("demo.cluster.kubelet.pods.never_arriving", {"slow:1"})
    async with cluster(tmp_path) as api:
        api.create("pods", pod("p", container={"image": "slow:1"}))
        await until(lambda: "Pulling" in reasons(api, "p"))
        assert state(api, "p")["waiting"]["reason"] == "ContainerCreating"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"nodeSelector": {"zone": "moon"}}, "2 node(s) didn't match Pod's node affinity/selector."),
        (
            {"container": {"resources": {"requests": {"cpu": "500"}}}},
            "2 Insufficient cpu. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption",
        ),
        ({"claims": ("absent",)}, 'persistentvolumeclaim "absent" not found.'),
    ],
)
async def test_a_pod_that_fits_nowhere_says_why(tmp_path: Path, spec: dict[str, Any], message: str) -> None:
    async with cluster(tmp_path, count=2) as api:
        api.create("pods", pod("p", **spec))
        found = await until(lambda: condition(api.get("pods", "default", "p"), "PodScheduled"))
        assert (found["status"], found["reason"]) == ("False", "Unschedulable")
        assert f"0/2 nodes are available: {message}" in found["message"]
        assert "FailedScheduling" in reasons(api, "p")


async def test_taints_keep_pods_away_unless_they_bear_with_them(tmp_path: Path) -> None:
    async with cluster(tmp_path, count=2) as api:
        taint = {"key": "only", "value": "db", "effect": "NoSchedule"}
        api.patch("nodes", None, "node-0", {"spec": {"taints": [taint]}})
        api.patch("nodes", None, "node-1", {"spec": {"unschedulable": True}})
        api.create("pods", pod("plain"))
        found = await until(lambda: condition(api.get("pods", "default", "plain"), "PodScheduled"))
        assert "1 node(s) had untolerated taint(s), 1 node(s) were unschedulable" in found["message"]
        api.create("pods", pod("db", tolerations=[{"key": "only", "operator": "Equal", "value": "db"}]))
        assert await until(lambda: api.get("pods", "default", "db")["spec"].get("nodeName")) == "node-0"
        api.patch("nodes", None, "node-1", {"spec": {"unschedulable": None}})
        assert await until(lambda: api.get("pods", "default", "plain")["spec"].get("nodeName")) == "node-1"


async def test_a_volume_for_one_node_is_not_attached_to_a_second(tmp_path: Path) -> None:
    async with cluster(tmp_path, count=2, zones=False) as api:
        api.create("persistentvolumeclaims", claim("data"))
        await until(lambda: bound(api, "data"))
        api.create("pods", pod("first", claims=("data",), nodeSelector={"kubernetes.io/hostname": "node-0"}))
        await until(lambda: phase(api, "first") == "Running")
        api.create("pods", pod("second", "true", claims=("data",), nodeSelector={"kubernetes.io/hostname": "node-1"}))
        await until(lambda: "FailedAttachVolume" in reasons(api, "second"))
        api.create("pods", pod("beside", "true", claims=("data",), nodeSelector={"kubernetes.io/hostname": "node-0"}))
        await until(lambda: phase(api, "beside") == "Succeeded")
        api.delete("pods", "default", "first")
        await until(lambda: phase(api, "second") == "Succeeded")


@pytest.mark.parametrize("privileged", [True, False])
async def test_a_disk_can_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, privileged: bool) -> None:
    if privileged and os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    if not privileged:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    async with cluster(tmp_path) as api:
        api.create("persistentvolumeclaims", claim("data"))
        await until(lambda: bound(api, "data"))
        (folder(api, "data") / "before").write_text("kept")
        api.faults.disk_limit_bytes["default/data"] = 1 << 20
        api.create("pods", mover("m", "fill", "/data/big", str(4 << 20), claims=("data",)))
        await until(lambda: phase(api, "m") == "Failed")
        assert state(api, "m")["terminated"]["exitCode"] == 6
        assert (folder(api, "data") / "before").read_text() == "kept"
        api.faults.disk_limit_bytes.clear()
        api.create("pods", mover("n", "fill", "/data/big", str(4 << 20), claims=("data",)))
        await until(lambda: phase(api, "n") == "Succeeded")
        path = folder(api, "data")
        for each in ("m", "n"):
            api.delete("pods", "default", each)
        api.delete("persistentvolumeclaims", "default", "data")
        await until(lambda: not path.exists())


async def test_init_containers_come_first_and_one_that_fails_fails_the_pod(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("persistentvolumeclaims", claim("data"))
        mount = [{"name": "data", "mountPath": "/data"}]
        first = {
            "name": "first",
            "image": "busybox:1",
            "command": ["sh", "-c", "echo ready > /data/f"],
            "volumeMounts": mount,
        }
        api.create("pods", pod("good", "cat /data/f", claims=("data",), initContainers=[first]))
        await until(lambda: phase(api, "good") == "Succeeded")
        assert log(api, "good") == "ready\n"
        assert api.get("pods", "default", "good")["status"]["initContainerStatuses"][0]["state"]["terminated"]
        api.create(
            "pods", pod("bad", initContainers=[{**first, "command": ["sh", "-c", "exit 4"], "volumeMounts": []}])
        )
        await until(lambda: phase(api, "bad") == "Failed")


async def test_scripts_touch_nothing_but_their_own_folders(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        script = "echo x > /etc/kubemotion-was-here; cat /etc/hostname; cat /etc/kubemotion-was-here; nosuch; echo $?"
        api.create("pods", pod("p", script))
        await until(lambda: phase(api, "p") == "Succeeded")
        assert not Path("/etc/kubemotion-was-here").exists()
        expected = ["cat: can't open '/etc/hostname': No such file or directory", "x", "sh: nosuch: not found", "127"]
        assert log(api, "p").splitlines() == expected


async def test_a_script_that_eats_its_memory_is_killed(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        resources = {"resources": {"limits": {"memory": "16Mi"}}}
        api.create("pods", pod("p", "x=a; while true; do x=$x$x; done", container=resources))
        await until(lambda: phase(api, "p") == "Failed")
        ended = state(api, "p")["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
