"""What people type: kubectl against a simulated cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from demo.cluster.server import ClusterHandle
from tests.simulator.running import pod_of

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def kubectls() -> list[str]:
    """The kubectl on PATH, and others that KUBECTLS names (old ones speak SPDY where new ones speak WebSocket)."""
    found = [path for path in [shutil.which("kubectl")] if path]
    return found + [path for path in os.environ.get("KUBECTLS", "").split(os.pathsep) if path]


@pytest.fixture(params=kubectls() or [None])
def kubectl(request: pytest.FixtureRequest, dev: ClusterHandle) -> Kubectl:
    if request.param is None:
        pytest.skip("no kubectl on PATH, and KUBECTLS names none")

    def run(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [request.param, "--kubeconfig", str(dev.kubeconfig_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, input=given, timeout=60, check=False)

    run.program = request.param  # type: ignore[attr-defined]
    return run


def done(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"k": "v"}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "applied"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "applied"}},
        "template": {
            "metadata": {"labels": {"app": "applied"}},
            "spec": {"containers": [{"name": "c", "image": "docker.io/library/nginx:1.27"}]},
        },
    },
}


def test_kubectl_gets(kubectl: Kubectl, dev: ClusterHandle) -> None:
    mysql = pod_of(dev, "mysql")
    pod_of(dev, "wordpress")
    rows = {line.split()[0]: line.split()[1:] for line in done(kubectl("get", "all", "-n", "cms")).splitlines() if line}
    assert rows[f"pod/{mysql}"][:3] == ["1/1", "Running", "0"]
    assert rows["deployment.apps/wordpress"][:3] == ["1/1", "1", "1"]
    claims = done(kubectl("get", "pvc", "-A", "-o", "custom-columns=N:.metadata.name,S:.status.phase", "--no-headers"))
    assert [line.split() for line in claims.splitlines()] == [["px-mysql-pvc", "Bound"], ["px-wp-pvc", "Bound"]]
    listed = json.loads(done(kubectl("get", "routes,secrets", "-n", "cms", "-o", "json")))
    assert {each["kind"] for each in listed["items"]} == {"Route", "Secret"}
    missing = kubectl("get", "pod", "no-such")
    assert (missing.returncode, missing.stderr) == (1, 'Error from server (NotFound): pods "no-such" not found\n')


def test_kubectl_describes(kubectl: Kubectl, dev: ClusterHandle) -> None:
    pod_of(dev, "mysql")
    described = done(kubectl("describe", "pod", "-n", "cms", "-l", "app=mysql"))
    assert "ClaimName:  px-mysql-pvc" in described
    assert "Successfully assigned cms/mysql-" in described
    assert "Normal  Started" in described
    deployment = done(kubectl("describe", "deployment", "wordpress", "-n", "cms"))
    assert "1 desired | 1 updated | 1 total | 1 available | 0 unavailable" in deployment
    assert "Used By:       wordpress-" in done(kubectl("describe", "pvc", "px-wp-pvc", "-n", "cms"))


def test_kubectl_applies_changes_and_deletes(kubectl: Kubectl) -> None:
    both = yaml.safe_dump_all([CONFIG, DEPLOYMENT])
    assert done(kubectl("apply", "-f", "-", given=both)).split() == [
        "configmap/applied",
        "created",
        "deployment.apps/applied",
        "created",
    ]
    changed = yaml.safe_dump_all([{**CONFIG, "data": {"k": "w"}}, DEPLOYMENT])
    assert done(kubectl("apply", "-f", "-", given=changed)).split()[1::2] == ["configured", "unchanged"]
    assert done(kubectl("get", "cm", "applied", "-o", "jsonpath={.data.k}")) == "w"
    done(kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=yaml.safe_dump(CONFIG)))
    assert done(kubectl("get", "cm", "applied", "-o", "jsonpath={.data.k}")) == "v"
    assert "successfully rolled out" in done(kubectl("rollout", "status", "deployment/applied", "--timeout=30s"))
    done(kubectl("scale", "deployment/applied", "--replicas=1"))
    done(kubectl("label", "cm", "applied", "tier=x"))
    assert "applied" in done(kubectl("get", "cm", "-l", "tier=x", "-o", "name"))
    done(kubectl("delete", "-f", "-", given=both))
    assert kubectl("get", "deployment", "applied").returncode == 1
    refused = kubectl("apply", "-f", "-", given=yaml.safe_dump({**DEPLOYMENT, "metadata": {"name": "Not_Valid"}}))
    assert "a lowercase RFC 1123 subdomain must consist of" in refused.stderr


def test_kubectl_reads_logs(kubectl: Kubectl) -> None:
    assert kubectl("logs", "p", "--tail=2").stdout == "out\nerr\n"
    assert kubectl("logs", "-f", "p", "--limit-bytes=9").stdout == "line 1\nli"


def test_kubectl_executes(kubectl: Kubectl) -> None:
    done = kubectl("exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\ncommand terminated with exit code 7\n"
    given = "".join(f"line {number} of what is given\n" for number in range(20_000))
    assert kubectl("exec", "-i", "p", "--", "cat", given=given).stdout == given
    assert "no such file or directory" in kubectl("exec", "p", "--", "/no/such").stderr


def test_kubectl_forwards_ports(kubectl: Any, dev: ClusterHandle) -> None:
    pod_of(dev, "wordpress")
    with forwarded(kubectl.program, dev, "-n", "cms", "deploy/wordpress", ":80") as port:
        pages: list[bytes] = []

        def get() -> None:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                pages.append(answer.read())

        threads = [threading.Thread(target=get) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(pages) == 4
        assert all(b"The Content Company" in page for page in pages)


@contextmanager
def forwarded(program: str, dev: ClusterHandle, *arguments: str) -> Iterator[int]:
    command = [program, "--kubeconfig", str(dev.kubeconfig_path), "port-forward", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Forwarding from"), line
        try:
            yield int(line.split(":")[1].split()[0])
        finally:
            process.terminate()
