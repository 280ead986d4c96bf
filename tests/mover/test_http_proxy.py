"""A store that is reached through the HTTP proxy that the environment names, as clusters with no way out have one."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from demo.cluster import certificates
from demo.s3 import running_s3
from mover.connections import Connections, NotConnected
from tests.mover.conftest import Bench, new_bench
from tests.mover.trees import assert_same, plausible_tree

USER, PASSWORD = "pod", "p@ss/word"
CREDENTIALS = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Proxy(ThreadingHTTPServer):
    """Forwards requests that name the whole address, and opens tunnels; `asked` are the first lines that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.credentials = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _may(self) -> bool:
        self.server.asked.append(self.requestline)
        if self.headers.get("Proxy-Authorization", "") == self.server.credentials:
            return True
        self.send_response(407)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def do_CONNECT(self) -> None:
        self.close_connection = True
        if not self._may():
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port))) as store:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copied, args=(store, self.connection), daemon=True)
            back.start()
            _copied(self.connection, store)
            back.join()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._may():
            return
        assert self.path.startswith("http://"), self.path
        host, _, path = self.path.removeprefix("http://").partition("/")
        store = http.client.HTTPConnection(host)
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("proxy-")}
        store.request(self.command, f"/{path}", body, headers)
        answer = store.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        store.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward

    def log_message(self, format: str, *args: object) -> None:
        pass


def _copied(here: socket.socket, there: socket.socket) -> None:
    try:
        while data := here.recv(1 << 16):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def carry(bench: Bench, source: Path, destination: Path) -> None:
    """Every command that speaks to the store, with the requests of both clients."""
    plausible_tree(source, files=20, large=2 << 20)
    pushed = bench.run("push", source)
    assert bench.run("pull", destination)["digest"] == pushed["digest"]
    assert_same(source, destination)
    assert bench.run("gc")["uploads"] == 0
    assert bench.run("clean")["files"] > 0


@pytest.mark.parametrize("credentials", [True, False])
def test_a_store_without_tls_is_asked_through_the_proxy(
    bench: Bench,
    source: Path,
    destination: Path,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    credentials: bool,
) -> None:
    proxy.credentials = CREDENTIALS if credentials else ""
    user = "pod:p%40ss%2Fword@" if credentials else ""
    monkeypatch.setenv("HTTP_PROXY", f"http://{user}{proxy.address}")
    carry(bench, source, destination)
    assert proxy.asked
    assert all(line.split()[1].startswith(bench.s3.endpoint) for line in proxy.asked)


@pytest.mark.parametrize("credentials", [True, False])
def test_a_store_with_tls_is_reached_through_a_tunnel(
    tmp_path: Path,
    source: Path,
    destination: Path,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    credentials: bool,
) -> None:
    proxy.credentials = CREDENTIALS if credentials else ""
    user = "pod:p%40ss%2Fword@" if credentials else ""
    monkeypatch.setenv("HTTPS_PROXY", f"http://{user}{proxy.address}")
    authority = certificates.authority("the store's CA")
    certificates.kept(tmp_path, "server", certificates.issued(authority, "store", hosts=("127.0.0.1",)))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with running_s3(tmp_path / "s3", tls=tls) as s3:
        bench = new_bench(s3)
        bench.environment["MOVER_S3_CA_BUNDLE_PEM"] = authority.certificate
        carry(bench, source, destination)
        tunnel = s3.endpoint.removeprefix("https://")
    assert proxy.asked
    assert all(line.split()[:2] == ["CONNECT", tunnel] for line in proxy.asked)


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_store_that_is_excepted_is_asked_directly(
    bench: Bench, source: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv(name, "store.example,127.0.0.1")
    (source / "file").write_bytes(b"x")
    bench.run("push", source)
    assert proxy.asked == []


def test_an_address_of_ipv6_stands_in_brackets(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    connections = Connections(secure=False, host="::1", port=9000, ca_pem="", connect_timeout=5, silence=5)
    assert connections.target_prefix == "http://[::1]:9000"


def test_a_proxy_that_is_not_there_is_no_connection(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    connections = Connections(secure=False, host="127.0.0.1", port=9000, ca_pem="", connect_timeout=5, silence=5)
    with pytest.raises(NotConnected):
        connections.take()
