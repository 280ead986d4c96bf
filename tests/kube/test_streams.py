"""Logs, programs and ports of pods, through the API server."""

from __future__ import annotations

import base64
import hashlib
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from websockets.exceptions import ConnectionClosed

from clusters.kube import errors, kubeconfig, streams
from clusters.kube.connection import Connection
from clusters.kube.discovery import Discovery
from demo.cluster import certificates
from demo.cluster.server import ClusterHandle, running_clusters
from tests.kube.conftest import Misbehaving, until, with_token
from tests.simulator.inside import plant_node, pod

SERVES = "echo line 1; echo; echo 'line 3: é'; echo hello > /www/hello; httpd -f -p 8080 -h /www"
GROWS = "; ".join(f"echo number {number}; sleep 0.02" for number in range(1, 41))
SILENT = "sleep 600"
MUCH = bytes(range(256)) * 40_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster with a node, where some pods run."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",)) as clusters:
        cluster = clusters["dev"]
        cluster.call(lambda api: plant_node(api, 0))
        for name, script in (("serves", SERVES), ("silent", SILENT)):
            cluster.call(lambda api, name=name, script=script: api.create("pods", pod(name, script)))
        cluster.call(lambda api: api.create("pods", pod("pending", "true", nodeSelector={"zone": "moon"})))
        for name in ("serves", "silent"):
            until(lambda name=name: phase(cluster, name) == "Running", 20)
        with Connection(kubeconfig.parse(yaml.safe_dump(cluster.kubeconfig))) as connection:
            until(lambda: "line 3" in connection.logs("serves", "default"), 20)
            until(lambda: connection.exec("serves", "default", ["cat", "/www/hello"]).stdout == b"hello\n", 20)
        yield cluster


def phase(cluster: ClusterHandle, name: str) -> str:
    return str(cluster.call(lambda api: api.get("pods", "default", name))["status"].get("phase"))


# -- logs --------------------------------------------------------------------------------------------------------------


def test_logs(connection: Connection) -> None:
    assert connection.logs("serves", "default") == "line 1\n\nline 3: é\n"
    assert connection.logs("serves", "default", tail_lines=1) == "line 3: é\n"
    assert connection.logs("serves", "default", container="c").startswith("line 1")


def test_logs_that_there_are_not(connection: Connection) -> None:
    with pytest.raises(errors.NotFound, match="Could not read the log of pod default/none"):
        connection.logs("none", "default")
    with pytest.raises(errors.Invalid, match="container none is not valid"):
        connection.logs("serves", "default", container="none")
    with pytest.raises(errors.Invalid, match="previous terminated container"):
        connection.logs("serves", "default", previous=True)
    with pytest.raises(errors.NotFound):
        list(connection.follow_logs("none", "default"))


def test_a_log_is_followed_to_its_end(served: ClusterHandle, connection: Connection) -> None:
    served.call(lambda api: api.create("pods", pod("grows", GROWS)))
    until(lambda: phase(served, "grows") in ("Running", "Succeeded"), 20)
    assert list(connection.follow_logs("grows", "default")) == [f"number {n}" for n in range(1, 41)]


def test_blank_lines_are_lines(connection: Connection) -> None:
    followed = connection.follow_logs("serves", "default")
    assert [next(followed), next(followed), next(followed)] == ["line 1", "", "line 3: é"]
    followed.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "count"), [("serves", 3), ("silent", 0)])
def test_following_ends_when_told(name: str, count: int, connection: Connection) -> None:
    stop = threading.Event()
    seen: queue.Queue[str] = queue.Queue()
    failed: list[BaseException] = []

    def follow() -> None:
        try:
            for line in connection.follow_logs(name, "default", stop=stop):
                seen.put(line)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    for _ in range(count):
        seen.get(timeout=10)
    began = time.monotonic()
    stop.set()
    thread.join(10)
    assert time.monotonic() - began < 2
    assert not failed
    assert seen.empty()


def test_following_ends_when_told_though_the_server_has_not_answered(
    connection: Connection, misbehaving: Misbehaving
) -> None:
    asked = threading.Event()
    pods = connection.resource("pods")

    def answer(client: socket.socket, head: bytes) -> None:
        asked.set()
        client.recv(1)

    with misbehaving(answer) as config, Connection(config) as silent:
        silent._discovery = time.monotonic(), Discovery([pods])
        stop = threading.Event()
        lines: list[str] = []
        thread = threading.Thread(target=lambda: lines.extend(silent.follow_logs("p", "default", stop=stop)))
        thread.start()
        assert asked.wait(10)
        began = time.monotonic()
        stop.set()
        thread.join(10)
        assert time.monotonic() - began < 2
        assert lines == []


def test_a_log_whose_server_falls_silent_is_an_error(
    connection: Connection, misbehaving: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOG_SILENCE_SECONDS", 0.3)
    pods = connection.resource("pods")

    def answer(client: socket.socket, head: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n")
        client.recv(1)

    with misbehaving(answer) as config, Connection(config) as silent:
        silent._discovery = time.monotonic(), Discovery([pods])
        followed = silent.follow_logs("p", "default")
        assert next(followed) == "a"
        with pytest.raises(errors.Unreachable, match="did not answer in time"):
            next(followed)


# -- programs --------------------------------------------------------------------------------------------------------


def test_a_program_prints_and_ends(connection: Connection) -> None:
    script = "echo out; echo err >&2; exit 7"
    done = connection.exec("serves", "default", ["sh", "-c", script], container="c")
    assert (done.stdout, done.stderr, done.exit_code) == (b"out\n", b"err\n", 7)
    assert connection.exec("serves", "default", ["true"]).exit_code == 0


def test_a_program_reads_what_it_is_given(connection: Connection) -> None:
    assert connection.exec("serves", "default", ["cat"], stdin=b"a\x00\xff\n").stdout == b"a\x00\xff\n"
    assert connection.exec("serves", "default", ["cat"], stdin=b"").stdout == b""
    assert connection.exec("serves", "default", ["sh", "-c", "cat > /www/much"], stdin=MUCH, timeout=20).exit_code == 0
    assert connection.exec("serves", "default", ["cat", "/www/much"], timeout=20).stdout == MUCH


def test_what_goes_in_may_come_out_again(connection: Connection) -> None:
    assert connection.exec("serves", "default", ["cat"], stdin=MUCH, timeout=20).stdout == MUCH


def test_programs_that_cannot_be_run(connection: Connection) -> None:
    with pytest.raises(errors.Unavailable, match="no such file or directory"):
        connection.exec("serves", "default", ["/no/such/program"])
    with pytest.raises(errors.NotFound, match="Could not run true in pod default/none"):
        connection.exec("none", "default", ["true"])
    with pytest.raises(errors.Invalid):
        connection.exec("serves", "default", ["true"], container="none")
    with pytest.raises(errors.KubeError):
        connection.exec("pending", "default", ["true"])


def test_who_may_not_run_programs_is_told_so(served: ClusterHandle, connection: Connection) -> None:
    found = connection.discovery()
    with Connection(with_token(connection.kubeconfig, served.api.tokens.issue("nobody"))) as nobody:
        nobody._discovery = time.monotonic(), found
        with pytest.raises(errors.Forbidden, match="Not allowed to run true in pod default/serves"):
            nobody.exec("serves", "default", ["true"])


def test_a_program_that_takes_too_long(connection: Connection) -> None:
    began = time.monotonic()
    with pytest.raises(errors.Unreachable, match="it took longer than 0 s"):
        connection.exec("serves", "default", ["sleep", "60"], timeout=0.4)
    assert time.monotonic() - began < 8


def test_a_program_whose_connection_breaks_has_no_result(served: ClusterHandle, connection: Connection) -> None:
    timer = threading.Timer(0.3, lambda: setattr(served.faults, "stopped", True))
    timer.start()
    with pytest.raises(errors.Unreachable, match="the connection broke before the program ended"):
        connection.exec("serves", "default", ["sleep", "60"])
    timer.join()


def upgraded(client: socket.socket, head: bytes) -> None:
    """Answer the handshake of a WebSocket."""
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accepted = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    protocol = b"Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n"
    client.sendall(upgrade + protocol + b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n")


def test_a_program_that_reads_nothing_does_not_hold_us_up(connection: Connection, misbehaving: Misbehaving) -> None:
    ended = threading.Event()

    def answer(client: socket.socket, head: bytes) -> None:
        upgraded(client, head)
        ended.wait(30)

    with misbehaving(answer) as config, Connection(config) as stalled:
        stalled._discovery = time.monotonic(), Discovery([connection.resource("pods")])
        began = time.monotonic()
        with pytest.raises(errors.Unreachable, match="it took longer than"):
            stalled.exec("p", "default", ["cat"], stdin=MUCH * 4, timeout=0.5)
        assert time.monotonic() - began < 8
        ended.set()


def test_a_server_that_stops_in_the_middle_of_a_record_does_not_hold_us_up(
    connection: Connection, misbehaving: Misbehaving
) -> None:
    ended = threading.Event()

    def answer(client: socket.socket, head: bytes) -> None:
        upgraded(client, head)
        # The head of a TLS record of 16 KiB, below TLS, and nothing after it.
        os.write(client.fileno(), b"\x17\x03\x03\x40\x00")
        ended.wait(30)

    with misbehaving(answer) as config, Connection(config) as stalled:
        stalled._discovery = time.monotonic(), Discovery([connection.resource("pods")])
        began = time.monotonic()
        with pytest.raises(errors.Unreachable, match="it took longer than"):
            stalled.exec("p", "default", ["cat"], timeout=0.5)
        assert time.monotonic() - began < 8
        ended.set()


class Frames:
    """A WebSocket that gives these frames and ends."""

    subprotocol = "v5.channel.k8s.io"

    def __init__(self, *frames: bytes | str) -> None:
        self.frames = list(frames)
        self.socket = socket.socket()

    def recv(self, timeout: float | None = None) -> bytes | str:
        if not self.frames:
            raise ConnectionClosed(None, None)
        return self.frames.pop(0)

    def send(self, _: bytes) -> None:
        raise ConnectionClosed(None, None)

    def close(self) -> None:
        """As after the end."""


@pytest.mark.parametrize("closed", [False, True])
def test_a_program_need_not_read_what_it_is_given(
    closed: bool, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = Frames(b"\x01done", b'\x03{"status": "Success"}')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        frames.socket = socket.create_connection(listener.getsockname())  # type: ignore[attr-defined]
    if closed:
        frames.socket.close()  # type: ignore[attr-defined]
    monkeypatch.setattr(streams, "_open", lambda *_, **__: frames)
    done = connection.exec("serves", "default", ["true"], stdin=MUCH)
    assert (done.stdout, done.exit_code) == (b"done", 0)
    frames.socket.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "status",
    [b"", b"not JSON", b"[]", b'{"status": "Failure"}', b'{"details": {"causes": [{"reason": "ExitCode"}]}}'],
)
def test_outcomes_that_say_nothing_are_errors(
    status: bytes, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_open", lambda *_, **__: Frames(b"", b"\x01out", b"\x03" + status))
    with pytest.raises(errors.KubeError, match="Could not run true"):
        connection.exec("serves", "default", ["true"])


# -- ports -----------------------------------------------------------------------------------------------------------


def received(forwarded: streams.Forwarded) -> bytes:
    answer = b""
    while data := forwarded.recv(timeout=10):
        answer += data
    return answer


def test_bytes_go_both_ways(connection: Connection) -> None:
    connection.exec("serves", "default", ["sh", "-c", "cat > /www/much"], stdin=MUCH)
    for path, body in (("hello", b"hello\n"), ("much", MUCH)):
        with connection.port_forward("serves", "default", 8080) as forwarded:
            forwarded.sendall(f"GET /{path} HTTP/1.0\r\n".encode())
            forwarded.sendall(b"\r\n")
            head, _, answered = received(forwarded).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert answered == body


def test_a_port_where_nobody_listens(connection: Connection) -> None:
    with (
        connection.port_forward("serves", "default", 9) as forwarded,
        pytest.raises(errors.Unreachable, match=r"Could not forward port 9 of pod default/serves: .*refused"),
    ):
        forwarded.recv(timeout=10)


def test_ports_of_pods_that_are_not_there(connection: Connection) -> None:
    with (
        pytest.raises(errors.NotFound, match="Could not forward port 80 of pod default/none"),
        connection.port_forward("none", "default", 80),
    ):
        pass


def test_a_port_that_says_nothing_has_a_time_limit(connection: Connection) -> None:
    with connection.port_forward("serves", "default", 8080) as forwarded:
        with pytest.raises(errors.Unreachable, match=r"no answer within 0\.2 s"):
            forwarded.recv(timeout=0.2)
        forwarded.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
        assert b"hello" in received(forwarded)
    with pytest.raises(errors.Unreachable, match="the connection is closed"):
        forwarded.sendall(b"x")


def test_empty_frames_of_a_port_are_passed_over() -> None:
    frames = Frames(b"", b"\x00\x90\x1f", b"\x01\x90\x1f", b"", b"\x00", b"\x00data")
    forwarded = streams.Forwarded(frames, "forward")  # type: ignore[arg-type]
    assert forwarded.recv() == b"data"
    assert forwarded.recv() == b""


def test_streams_trust_what_requests_trust(connection: Connection) -> None:
    found = connection.discovery()
    wrong = {
        "another CA": replace(connection.kubeconfig, ca_data=certificates.authority("other").certificate),
        "another host": replace(connection.kubeconfig, tls_server_name="elsewhere.example.com"),
    }
    for config in wrong.values():
        with Connection(config) as untrusting:
            untrusting._discovery = time.monotonic(), found
            with pytest.raises(errors.Untrusted):
                untrusting.exec("serves", "default", ["true"])
    with Connection(replace(connection.kubeconfig, tls_server_name="api.dev.example.com")) as named:
        assert named.exec("serves", "default", ["true"]).exit_code == 0
