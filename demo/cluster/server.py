"""Simulated clusters over HTTPS: any number of them in one process, each with its store, controllers and kubelets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demo.cluster import certificates
from demo.cluster.api import ClusterAPI, compact
from demo.cluster.authentication import ADMIN, MASTERS
from demo.cluster.controllers import controllers
from demo.cluster.faults import Faults
from demo.cluster.handlers import Handlers
from demo.cluster.http import Connection, Exchange
from demo.cluster.kubelet import Kubelet
from demo.cluster.statuses import APIError

log = logging.getLogger(__name__)
HOST = "127.0.0.1"


class ClusterServer:
    """One cluster's API server with everything behind it."""

    def __init__(
        self,
        name: str,
        state: Path,
        *,
        port: int = 0,
        nodes: bool = True,
        extra: bool = True,
        faults: Faults | None = None,
    ) -> None:
        self.name = name
        self.state = state
        self.wanted_port = port
        self.nodes = nodes
        self.faults = faults or Faults()
        self._make_certificates()
        self.api = ClusterAPI(name, state, faults=self.faults, extra=extra)
        self.token = self.api.tokens.static(ADMIN)
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.address = ""

    def _make_certificates(self) -> None:
        folder = self.state
        ca = certificates.kept(folder, "ca") or certificates.kept(
            folder, "ca", certificates.authority(f"{self.name}-ca")
        )
        assert ca is not None
        if certificates.kept(folder, "server") is None:
            hosts = (HOST, "localhost", "::1", "kubernetes", f"api.{self.name}.example.com")
            certificates.kept(folder, "server", certificates.issued(ca, "kube-apiserver", hosts=hosts))
        if certificates.kept(folder, "admin") is None:
            certificates.kept(folder, "admin", certificates.issued(ca, ADMIN, organization=MASTERS))
        self.ca = ca

    async def start(self) -> None:
        """Listen, and start the controllers."""
        await self.listen()
        loop = asyncio.get_running_loop()
        self.faults.listeners.append(lambda stopped: self._obey(loop, stopped))
        self._tasks = [asyncio.create_task(run) for run in controllers(self.api, nodes=self.nodes)]

    async def listen(self) -> None:
        """Accept connections; after the first time at the same port."""
        context = certificates.server_context(self.state)
        self._server = await asyncio.start_server(self._connected, HOST, self.wanted_port, ssl=context, limit=2**20)
        self.wanted_port = self._server.sockets[0].getsockname()[1]
        self.address = f"https://{HOST}:{self.wanted_port}"
        self._handlers = Handlers(self.api, Kubelet(), f"{HOST}:{self.wanted_port}")

    def _obey(self, loop: asyncio.AbstractEventLoop, stopped: bool) -> None:
        """Stop or resume as a fault wants it, whichever thread it was put in from; return once it is so."""
        change = self.stop_listening() if stopped else self.listen()
        try:
            inside = asyncio.get_running_loop() is loop
        except RuntimeError:
            inside = False
        if inside:
            self._changing = loop.create_task(change)
        else:
            asyncio.run_coroutine_threadsafe(change, loop).result(30)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await Connection(reader, writer).serve(self._answer)
        finally:
            self._connections.discard(task)

    async def _answer(self, exchange: Exchange) -> None:
        if self.faults.latency:
            await asyncio.sleep(self.faults.latency)
        verdict = self.faults.verdict(exchange.method, exchange.path)
        if verdict is not None:
            status, retry_after = verdict
            if status is None:
                raise ConnectionError("dropped")
            error = APIError(status, "ServiceUnavailable" if status == 503 else "InternalError", "a fault was injected")
            headers = {"Content-Type": "application/json"} | ({"Retry-After": str(retry_after)} if retry_after else {})
            await exchange.respond(status, headers, compact(error.status))
            return
        try:
            await self._handlers(exchange)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s: %s %s failed", self.name, exchange.method, exchange.path)
            if not exchange.answered:
                error = APIError(500, "InternalError", "Internal error occurred")
                await exchange.respond(500, {"Content-Type": "application/json"}, compact(error.status))

    async def stop_listening(self) -> None:
        """Refuse connections and close those that are open; the controllers go on."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            connections = list(self._connections)
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def stop_controllers(self) -> None:
        """End the controllers and kubelets, pods' processes included; the API goes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """End everything."""
        await self.stop_controllers()
        await self.stop_listening()
        self.api.close()

    def kubeconfig(self, *, token: bool = False) -> dict[str, Any]:
        """A kubeconfig of the administrator, with a client certificate or a token."""

        def data(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        admin = certificates.kept(self.state, "admin")
        assert admin is not None
        user = (
            {"token": self.token}
            if token
            else {"client-certificate-data": data(admin.certificate), "client-key-data": data(admin.key)}
        )
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": self.name,
                    "cluster": {"server": self.address, "certificate-authority-data": data(self.ca.certificate)},
                }
            ],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "admin"}}],
            "current-context": self.name,
        }

    def write_kubeconfigs(self, folder: Path) -> Path:
        """`<name>.kubeconfig` and `<name>.token.kubeconfig` in the folder; the first one's path."""
        for suffix, token in (("kubeconfig", False), ("token.kubeconfig", True)):
            path = folder / f"{self.name}.{suffix}"
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(self.kubeconfig(token=token)))
        return folder / f"{self.name}.kubeconfig"


@dataclass
class ClusterHandle:
    """A running cluster, for a test in another thread."""

    name: str
    cluster: ClusterServer
    state: Path
    kubeconfig_path: Path
    loop: asyncio.AbstractEventLoop
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.faults = self.cluster.faults

    @property
    def server(self) -> str:
        return self.cluster.address

    @property
    def kubeconfig(self) -> dict[str, Any]:
        return self.cluster.kubeconfig()

    @property
    def api(self) -> ClusterAPI:
        return self.cluster.api

    def call[T](self, function: Callable[[ClusterAPI], T]) -> T:
        """Run the function with the cluster's API on its event loop."""

        async def run() -> T:
            return function(self.cluster.api)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(60)

    def volume_path(self, namespace: str, claim: str) -> Path:
        """The folder behind a bound claim."""
        found = self.call(lambda api: api.get("persistentvolumeclaims", namespace, claim))
        return self.state / "volumes" / found["spec"]["volumeName"]

    def stop_controllers(self) -> None:
        """End the controllers, so that what they would change stays as it is."""
        asyncio.run_coroutine_threadsafe(self.cluster.stop_controllers(), self.loop).result(30)


@contextmanager
def running_clusters(
    state_dir: Path, names: tuple[str, ...] = ("dev", "prod"), nodes: bool = True, extra: bool = True
) -> Iterator[Mapping[str, ClusterHandle]]:
    """Clusters in a background thread, by name, until the context ends."""
    state_dir.mkdir(parents=True, exist_ok=True)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="clusters", daemon=True)
    thread.start()
    servers = [ClusterServer(name, state_dir / name, nodes=nodes, extra=extra) for name in names]

    async def start() -> None:
        for server in servers:
            await server.start()

    async def stop() -> None:
        for server in servers:
            await server.stop()

    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(60)
        yield {
            server.name: ClusterHandle(server.name, server, server.state, server.write_kubeconfigs(state_dir), loop)
            for server in servers
        }
    finally:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
