"""Simulated clusters over HTTPS for the tests of the Kubernetes API, and servers that misbehave byte by byte."""

from __future__ import annotations

import contextlib
import datetime
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.kube.kubeconfig import Kubeconfig
from demo.cluster import certificates
from demo.cluster.server import ClusterHandle, running_clusters

Answerer = Callable[[socket.socket, bytes], None]
Misbehaving = Callable[..., AbstractContextManager[Kubeconfig]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster without nodes."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",), nodes=False) as clusters:
        yield clusters["dev"]


@pytest.fixture
def config(served: ClusterHandle) -> Kubeconfig:
    return kubeconfig.parse(yaml.safe_dump(served.kubeconfig))


@pytest.fixture
def connection(served: ClusterHandle, config: Kubeconfig) -> Iterator[Connection]:
    with Connection(config) as opened:
        yield opened
    served.faults.clear()


@pytest.fixture
def misbehaving(tmp_path: Path) -> Misbehaving:
    """Start a server of ours that reads a request's head and leaves the answer to the test."""
    ca = certificates.authority("ca")
    certificates.kept(tmp_path, "ca", ca)

    @contextmanager
    def serve(answer: Answerer, valid: datetime.timedelta = certificates.VALID) -> Iterator[Kubeconfig]:
        server = certificates.issued(ca, "kube-apiserver", hosts=("127.0.0.1",), valid=valid)
        certificates.kept(tmp_path, "server", server)
        tls = certificates.server_context(tmp_path)
        listener = socket.create_server(("127.0.0.1", 0))
        accepted: list[socket.socket] = []

        def one(plain: socket.socket) -> None:
            with contextlib.suppress(OSError), tls.wrap_socket(plain, server_side=True) as client:
                accepted.append(client)
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (data := client.recv(65536)):
                        return
                    head += data
                answer(client, head)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            port = listener.getsockname()[1]
            yield Kubeconfig(f"https://127.0.0.1:{port}", "c", "u", ca_data=ca.certificate, token="t")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for each in accepted:
                each.close()
            thread.join(5)

    return serve


def until(look: Callable[[], object], seconds: float = 10) -> None:
    """Return once `look` is true."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.01)


def with_token(config: Kubeconfig, token: str) -> Kubeconfig:
    return replace(config, token=token, client_certificate=None, client_key=None)
