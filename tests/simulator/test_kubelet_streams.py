"""Logs, exec, attach, port-forward and proxy of a simulated cluster, over HTTPS and by every client we know."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import time
import zlib
from typing import Any
from urllib.parse import quote

import kubernetes
import pytest
import websockets
from kubernetes.stream import portforward, stream

from demo.cluster.kubelet.spdy import DICTIONARY, SpdySession, Transport
from demo.cluster.server import ClusterHandle
from tests.simulator.inside import Object, pod
from tests.simulator.running import pod_of, wait_for


@pytest.fixture
def core(dev: ClusterHandle) -> kubernetes.client.CoreV1Api:
    # The stream functions change their client while they use it, so that each test has its own.
    return kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config_dict(dev.kubeconfig))


# -- logs ------------------------------------------------------------------------------------------------------------


def test_logs_are_read_whole_and_in_part(core: kubernetes.client.CoreV1Api) -> None:
    def log(**options: Any) -> str:
        answer = core.read_namespaced_pod_log("p", "default", _preload_content=False, **options)
        assert answer.headers["Content-Type"] == "text/plain"
        return str(answer.data.decode())

    assert log().splitlines() == ["line 1", "line 2", "line 3", "out", "err"]
    assert log(tail_lines=2) == "out\nerr\n"
    assert log(limit_bytes=4) == "line"
    stamped = log(timestamps=True, tail_lines=1)
    assert stamped.endswith("Z err\n")
    assert len(stamped.split(" ")[0]) == len("2026-11-23T05:09:20.651019375Z")


@pytest.mark.parametrize(
    ("name", "options", "code", "message"),
    [
        ("p", {"previous": True}, 400, 'previous terminated container "c" in pod "p" not found'),
        ("p", {"container": "none"}, 400, "container none is not valid for pod p"),
        ("none", {}, 404, 'pods "none" not found'),
    ],
)
def test_what_has_no_log_is_refused(
    core: kubernetes.client.CoreV1Api, name: str, options: Object, code: int, message: str
) -> None:
    with pytest.raises(kubernetes.client.ApiException) as refusal:
        core.read_namespaced_pod_log(name, "default", **options)
    assert refusal.value.status == code
    assert json.loads(refusal.value.body)["message"] == message


def test_a_pod_without_a_node_has_an_empty_log(core: kubernetes.client.CoreV1Api) -> None:
    answer = core.read_namespaced_pod_log("pend", "default", _preload_content=False)
    assert (answer.status, answer.data) == (204, b"")


def test_several_containers_have_to_be_told_apart(dev: ClusterHandle, core: kubernetes.client.CoreV1Api) -> None:
    body = pod("two", "echo first; sleep 600")
    body["spec"]["containers"].append({**body["spec"]["containers"][0], "name": "d"})
    dev.call(lambda api: api.create("pods", body))
    wait_for(dev, "default", "two")
    with pytest.raises(kubernetes.client.ApiException) as refusal:
        core.read_namespaced_pod_log("two", "default")
    message = "a container name must be specified for pod two, choose one of: [c d]"
    assert json.loads(refusal.value.body)["message"] == message
    assert core.read_namespaced_pod_log("two", "default", container="d") == "first\n"


def test_a_log_is_followed_to_its_end(dev: ClusterHandle, core: kubernetes.client.CoreV1Api) -> None:
    script = "; ".join(f"echo {number}; sleep 0.05" for number in range(12))
    dev.call(lambda api: api.create("pods", pod("talks", script)))
    deadline = time.monotonic() + 10
    while "running" not in str(dev.call(lambda api: api.get("pods", "default", "talks"))["status"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    answer = core.read_namespaced_pod_log("talks", "default", follow=True, _preload_content=False)
    text = b"".join(answer.stream())
    assert text.decode().split() == [str(number) for number in range(12)]


def test_the_log_of_the_run_before_is_kept(dev: ClusterHandle, core: kubernetes.client.CoreV1Api) -> None:
    dev.call(lambda api: api.create("pods", pod("again", "echo once; exit 1", restartPolicy="Always")))
    deadline = time.monotonic() + 20
    while True:
        found = dev.call(lambda api: api.get("pods", "default", "again"))
        if found["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1:
            break
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert core.read_namespaced_pod_log("again", "default", previous=True) == "once\n"
    dev.call(lambda api: api.delete("pods", "default", "again"))


# -- the official Python client ----------------------------------------------------------------------------------------


def test_exec_by_the_python_client(core: kubernetes.client.CoreV1Api) -> None:
    command = ["sh", "-c", "echo out; echo err >&2; exit 7"]
    answer = stream(
        core.connect_get_namespaced_pod_exec,
        "p",
        "default",
        command=command,
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    answer.run_forever(timeout=10)
    assert (answer.read_stdout(), answer.read_stderr(), answer.returncode) == ("out\n", "err\n", 7)


def test_stdin_by_the_python_client(core: kubernetes.client.CoreV1Api) -> None:
    answer = stream(
        core.connect_get_namespaced_pod_exec,
        "p",
        "default",
        command=["sh"],
        stdin=True,
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    answer.write_stdin("echo hello\nexit 3\n")
    answer.run_forever(timeout=10)
    assert answer.read_stdout() == "hello\n"
    assert answer.returncode == 3


def test_mysql_answers_its_commands(dev: ClusterHandle, core: kubernetes.client.CoreV1Api) -> None:
    def run(*command: str) -> str:
        name = pod_of(dev, "mysql")
        return str(stream(core.connect_get_namespaced_pod_exec, name, "cms", command=list(command), stdout=True))

    assert run("mysqladmin", "ping") == "mysqld is alive\n"
    assert "Ver 8.4.6" in run("mysql", "--version")
    assert "wordpress\n" in run("mysql", "-N", "-e", "show databases")
    assert "Spring campaign" in run("mysql", "-e", "select post_title from wp_posts")


def fetch(connection: socket.socket, path: str) -> tuple[bytes, bytes]:
    connection.settimeout(10)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def test_the_site_is_made_from_both_volumes(dev: ClusterHandle, core: kubernetes.client.CoreV1Api) -> None:
    def get(path: str) -> tuple[bytes, bytes]:
        name = pod_of(dev, "wordpress")
        forward = portforward(core.connect_get_namespaced_pod_portforward, name, "cms", ports="80")
        return fetch(forward.socket(80), path)

    head, body = get("/")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"The Content Company" in body
    assert "サイトを移行しました".encode() in body
    assert b"&lt;Free&gt;, Team &amp; Enterprise" in body
    picture = sorted((dev.volume_path("cms", "px-wp-pvc") / "wp-content/uploads").rglob("*.jpg"))[0]
    path = picture.relative_to(dev.volume_path("cms", "px-wp-pvc")).as_posix()
    assert get(f"/{path}")[1] == picture.read_bytes()
    table = dev.volume_path("cms", "px-mysql-pvc") / "wordpress/wp_posts.ibd"
    table.rename(table.with_suffix(".away"))
    assert get("/")[0].startswith(b"HTTP/1.1 500 ")
    table.with_suffix(".away").rename(table)


def test_a_port_where_nobody_listens(core: kubernetes.client.CoreV1Api) -> None:
    forward = portforward(core.connect_get_namespaced_pod_portforward, "p", "default", ports="9")
    connection = forward.socket(9)
    connection.settimeout(10)
    assert connection.recv(10) == b""
    assert "connect: connection refused" in forward.error(9)


def test_pods_are_reached_through_the_proxy(core: kubernetes.client.CoreV1Api) -> None:
    assert core.connect_get_namespaced_pod_proxy_with_path("p:8080", "default", "hostname") == "p\n"
    with pytest.raises(kubernetes.client.ApiException) as refusal:
        core.connect_get_namespaced_pod_proxy_with_path("p:9", "default", "hostname")
    assert refusal.value.status == 503


# -- frames ------------------------------------------------------------------------------------------------------------


async def frames(
    dev: ClusterHandle, path: str, protocol: str, sent: tuple[bytes, ...] = ()
) -> tuple[str | None, list[bytes], int | None]:
    """What a WebSocket answers: the accepted protocol, its messages, the code of its closing."""
    context = ssl.create_default_context(cadata=(dev.state / "ca.crt").read_text())
    headers = {"Authorization": f"Bearer {dev.cluster.token}"}
    url = dev.server.replace("https://", "wss://") + path
    async with websockets.connect(
        url, ssl=context, subprotocols=[websockets.Subprotocol(protocol)], additional_headers=headers
    ) as connection:
        for message in sent:
            await connection.send(message)
        received = [bytes(message) async for message in connection]
        return connection.subprotocol, received, connection.close_code


def exec_path(*command: str, **options: str) -> str:
    query = "&".join([f"command={quote(each)}" for each in command] + [f"{k}={v}" for k, v in options.items()])
    return f"/api/v1/namespaces/default/pods/p/exec?container=c&stdout=true&stderr=true&{query}"


async def test_the_frames_of_a_command_that_succeeds(dev: ClusterHandle) -> None:
    path = exec_path("sh", "-c", "echo out; echo err >&2")
    accepted, received, code = await frames(dev, path, "v5.channel.k8s.io")
    assert accepted == "v5.channel.k8s.io"
    assert received[0] == b"\x01"
    assert sorted(received[1:3]) == [b"\x01out\n", b"\x02err\n"]
    assert received[3:] == [b'\x03{"metadata":{},"status":"Success"}']
    assert code == 1000


async def test_the_frames_of_a_command_that_fails(dev: ClusterHandle) -> None:
    _, received, _ = await frames(dev, exec_path("sh", "-c", "exit 7"), "v5.channel.k8s.io")
    assert json.loads(received[-1][1:]) == {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: command terminated with exit code 7",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
    }
    _, received, _ = await frames(dev, exec_path("/no/such/program"), "v5.channel.k8s.io")
    outcome = json.loads(received[-1][1:])
    assert (outcome["reason"], outcome["code"]) == ("InternalError", 500)
    assert outcome["message"].endswith('exec: "/no/such/program": stat /no/such/program: no such file or directory')


async def test_stdin_ends_with_the_close_of_its_channel(dev: ClusterHandle) -> None:
    path = exec_path("cat", stdin="true")
    _, received, _ = await frames(dev, path, "v5.channel.k8s.io", (b"\x00hello\n", b"\xff\x00"))
    assert received == [b"\x01", b"\x01hello\n", b'\x03{"metadata":{},"status":"Success"}']
    accepted, received, _ = await frames(dev, exec_path("echo", "v4"), "v4.channel.k8s.io")
    assert (accepted, received[1]) == ("v4.channel.k8s.io", b"\x01v4\n")


async def test_the_frames_of_a_port_forward(dev: ClusterHandle) -> None:
    path = "/api/v1/namespaces/default/pods/p/portforward?ports="
    request = b"\x00GET /hostname HTTP/1.0\r\n\r\n"
    _, received, code = await frames(dev, f"{path}8080", "v4.channel.k8s.io", (request,))
    assert received[:2] == [b"\x00\x90\x1f", b"\x01\x90\x1f"]
    body = b"".join(message[1:] for message in received[2:])
    assert body.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body.endswith(b"\r\n\r\np\n")
    assert code == 1000
    _, received, _ = await frames(dev, f"{path}9", "v4.channel.k8s.io", (b"\x00x",))
    assert received[:2] == [b"\x00\x09\x00", b"\x01\x09\x00"]
    assert received[2].startswith(b"\x01error forwarding port 9 to pod ")


async def test_attaching_shows_what_comes_from_then_on(dev: ClusterHandle) -> None:
    script = "; ".join(f"echo {number}; sleep 0.1" for number in range(8))
    dev.call(lambda api: api.create("pods", pod("attached", script)))
    deadline = time.monotonic() + 10
    while "running" not in str(dev.call(lambda api: api.get("pods", "default", "attached"))["status"]):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    path = "/api/v1/namespaces/default/pods/attached/attach?container=c&stdout=true"
    _, received, _ = await frames(dev, path, "v5.channel.k8s.io")
    assert received[-1] == b'\x03{"metadata":{},"status":"Success"}'
    text = b"".join(message[1:] for message in received[:-1]).decode().split()
    assert text
    assert text[0] != "0" or len(text) == 8


# -- SPDY --------------------------------------------------------------------------------------------------------------


def test_the_dictionary_of_spdy_is_that_of_the_specification() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


class Loop(Transport):
    """One end of a pipe of bytes."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = bytearray()

    async def read(self) -> bytes:
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        self.sent += data

    async def close(self) -> None:
        self.incoming.put_nowait(b"")


async def test_spdy_frames_may_come_in_any_pieces() -> None:
    deflate = zlib.compressobj(zdict=DICTIONARY)

    def opening(number: int, **headers: str) -> bytes:
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            block += struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(value)) + value.encode()
        block = deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
        payload = struct.pack(">IIH", number, 0, 0) + block
        return struct.pack(">HHB", 0x8003, 1, 0) + len(payload).to_bytes(3) + payload

    data = opening(1, streamtype="error") + opening(3, streamtype="stdin")
    data += struct.pack(">IB", 3, 0) + (5).to_bytes(3) + b"hello" + struct.pack(">IB", 3, 1) + bytes(3)
    data += struct.pack(">HHB", 0x8003, 6, 0) + (4).to_bytes(3) + b"ping"
    transport = Loop()
    session = SpdySession(transport)
    for start in range(0, len(data), 3):
        transport.incoming.put_nowait(data[start : start + 3])
    transport.incoming.put_nowait(b"")
    streams = [each async for each in session.accept()]
    assert [each.headers["streamtype"] for each in streams] == ["error", "stdin"]
    assert await streams[1].reader.read(-1) == b"hello"
    assert transport.sent.count(struct.pack(">HH", 0x8003, 2)) == 2
    assert transport.sent.endswith(b"ping")
    await streams[0].write(b"x" * 40_000)
    await streams[0].end()
    assert transport.sent.endswith(struct.pack(">IB", 1, 1) + bytes(3))
