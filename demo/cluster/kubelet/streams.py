"""The subresources of pods that are streams: log, exec, attach, port-forward and proxy."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import inspect
import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import Object, find
from demo.cluster.controllers.pace import FOLLOW_SECONDS
from demo.cluster.kubelet import execution, forwarding
from demo.cluster.kubelet.environment import ConfigError, environment
from demo.cluster.kubelet.images import Listener, Place, image_of
from demo.cluster.kubelet.logs import LogOptions, LogReader, log_path
from demo.cluster.kubelet.mounts import MountError, mount_all, mounts_of, pod_folder
from demo.cluster.kubelet.spdy import SocketTransport, SpdySession
from demo.cluster.kubelet.websocket import WebSocket, WebSocketTransport

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI
    from demo.cluster.http import StreamRequest

NO_CACHE = {"Cache-Control": "no-cache, private"}
WEBSOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
EXEC_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
TUNNEL = "SPDY/3.1+portforward.k8s.io"
FORWARD_PROTOCOLS = (TUNNEL, "v4.channel.k8s.io", "portforward.k8s.io")


class Refused(Exception):
    """The request cannot be served."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def status(self) -> Object:
        """The Status body."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


async def handle(api: ClusterAPI, request: StreamRequest) -> None:
    """Answer one request."""
    try:
        pod = api.get("pods", request.namespace, request.name.partition(":")[0])
        match request.subresource.rpartition("/")[2]:
            case "log":
                await _log(api, pod, request)
            case "exec":
                await _exec(api, pod, request)
            case "attach":
                await _attach(api, pod, request)
            case "portforward":
                await _forward(api, pod, request)
            case _:
                await _proxy(api, pod, request)
    except APIError as error:
        await _respond(request, error.code, error.status)
    except Refused as refusal:
        await _respond(request, refusal.code, refusal.status())


async def _respond(
    request: StreamRequest, code: int, body: Object | bytes, headers: Mapping[str, str] | None = None
) -> None:
    is_status = isinstance(body, dict)
    content = json.dumps(body, separators=(",", ":")).encode() + b"\n" if isinstance(body, dict) else body
    kind = {"Content-Type": "application/json"} if is_status else {}
    answer = request.respond(code, {**NO_CACHE, **kind, **(headers or {})}, content)
    if inspect.isawaitable(answer):
        await answer


def _first(request: StreamRequest, name: str) -> str:
    return next(iter(request.query.get(name, ())), "")


def _is_set(request: StreamRequest, name: str) -> bool:
    return _first(request, name) in ("true", "1")


def _container(pod: Object, request: StreamRequest) -> Object:
    """The container that the request means; raises Refused when that is none or not clear."""
    wanted = _first(request, "container")
    name = pod["metadata"]["name"]
    own, initial = pod["spec"]["containers"], pod["spec"].get("initContainers", [])
    if not wanted:
        if len(own) == 1 and not initial:
            return own[0]
        wanted = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/default-container", "")
        if not wanted and len(own) == 1 and request.subresource.endswith("exec"):
            return own[0]
    if not wanted:
        choices = f", choose one of: [{' '.join(each['name'] for each in own)}]"
        if initial:
            choices += f" or one of the init containers: [{' '.join(each['name'] for each in initial)}]"
        raise Refused(400, "BadRequest", f"a container name must be specified for pod {name}{choices}")
    found = next((each for each in [*own, *initial] if each["name"] == wanted), None)
    if found is None:
        raise Refused(400, "BadRequest", f"container {wanted} is not valid for pod {name}")
    return found


def _status_of(pod: Object, container: Object) -> Object:
    for field in ("containerStatuses", "initContainerStatuses"):
        for each in pod["status"].get(field, ()):
            if each["name"] == container["name"]:
                return each
    return {"state": {"waiting": {"reason": "ContainerCreating"}}, "restartCount": 0}


async def _log(api: ClusterAPI, pod: Object, request: StreamRequest) -> None:
    container = _container(pod, request)
    try:
        options = LogOptions.from_query(request.query)
    except ValueError as error:
        raise Refused(400, "BadRequest", str(error)) from None
    if not pod["spec"].get("nodeName"):
        await _respond(request, 204, b"")
        return
    status = _status_of(pod, container)
    name, pod_name = container["name"], pod["metadata"]["name"]
    restart = status["restartCount"]
    if _is_set(request, "previous"):
        if not status.get("lastState", {}).get("terminated"):
            message = f'previous terminated container "{name}" in pod "{pod_name}" not found'
            raise Refused(400, "BadRequest", message)
        waiting = "waiting" in status["state"]
        restart = restart if waiting else restart - 1
    elif "waiting" in status["state"] and not status.get("lastState", {}).get("terminated"):
        reason = status["state"]["waiting"].get("reason", "")
        pulling = reason in ("ErrImagePull", "ImagePullBackOff")
        words = "trying and failing to pull image" if pulling else reason
        raise Refused(400, "BadRequest", f'container "{name}" in pod "{pod_name}" is waiting to start: {words}')
    reader = LogReader(log_path(api, pod["metadata"]["uid"], name, restart), options)
    await request.start_stream(200, {**NO_CACHE, "Content-Type": "text/plain"})
    while not request.closed.is_set():
        # Whether more may come is asked first: what the container wrote before it ended is then still read.
        more = options.follow and _still_runs(api, pod, container, restart)
        for record in reader.read():
            await request.write(record)
        if not more or reader.is_exhausted:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(request.closed.wait(), FOLLOW_SECONDS)


def _still_runs(api: ClusterAPI, pod: Object, container: Object, restart: int) -> bool:
    now = find(api, "pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
    if now is None or now["metadata"]["uid"] != pod["metadata"]["uid"]:
        return False
    status = _status_of(now, container)
    return "running" in status["state"] and status["restartCount"] == restart


def _place(api: ClusterAPI, pod: Object, container: Object) -> Place:
    """The inside of a running container; raises Refused when it does not run."""
    if "running" not in _status_of(pod, container)["state"]:
        message = f'unable to upgrade connection: container not found ("{container["name"]}")'
        raise Refused(500, "InternalError", f"Internal error occurred: {message}")
    try:
        mounts = mounts_of(container, mount_all(api, pod))
        variables = environment(api, pod, container)
    except (MountError, ConfigError) as error:
        raise Refused(500, "InternalError", f"Internal error occurred: {error}") from None
    scratch = pod_folder(api, pod) / container["name"] / "root"
    return Place(api, pod, container, mounts, variables, scratch)


def _require_host(pod: Object) -> None:
    if not pod["spec"].get("nodeName"):
        raise Refused(400, "BadRequest", f"pod {pod['metadata']['name']} does not have a host assigned")


async def _exec(api: ClusterAPI, pod: Object, request: StreamRequest) -> None:
    container = _container(pod, request)
    command = request.query.get("command", [])
    if not command:
        message = "you must specify at least 1 command for the container"
        raise Refused(400, "BadRequest", message)
    _require_host(pod)
    place = _place(api, pod, container)
    channels = await _channels(request, EXEC_PROTOCOLS)
    await execution.run(channels, place, command)


async def _attach(api: ClusterAPI, pod: Object, request: StreamRequest) -> None:
    """Attaching shows what the container writes from now on, until it ends."""
    container = _container(pod, request)
    _require_host(pod)
    _place(api, pod, container)
    restart = _status_of(pod, container)["restartCount"]
    reader = LogReader(log_path(api, pod["metadata"]["uid"], container["name"], restart), LogOptions())
    for _ in reader.read():
        pass
    channels = await _channels(request, EXEC_PROTOCOLS)
    try:
        more = True
        while more and not channels.is_gone:
            # Whether more may come is asked first: what the container wrote before it ended is then still read.
            more = _still_runs(api, pod, container, restart)
            for record in reader.read():
                await channels.write(1, record)
            await asyncio.sleep(FOLLOW_SECONDS)
        await channels.finish(execution.SUCCESS)
    finally:
        channels.drop()


async def _channels(request: StreamRequest, offered: tuple[str, ...]) -> execution.Channels:
    """Upgrade the connection and make channels of it, whichever way the client wants."""
    wanted = {name for name in ("stdin", "stdout", "stderr", "tty") if _is_set(request, name)}
    if _header(request, "upgrade").lower() == "websocket":
        protocol, websocket = await _websocket(request, offered)
        return execution.WebSocketChannels(websocket, protocol, wanted)
    session = await _spdy(request, ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"))
    return await execution.SpdyChannels.open(session, wanted)


def _header(request: StreamRequest, name: str) -> str:
    for key, value in request.headers.items():
        if key.lower() == name:
            return value
    return ""


async def _websocket(request: StreamRequest, offered: tuple[str, ...]) -> tuple[str, WebSocket]:
    asked = [each.strip() for each in _header(request, "sec-websocket-protocol").split(",") if each.strip()]
    protocol = next((each for each in asked if each in offered), None)
    if protocol is None and asked:
        raise Refused(
            400, "BadRequest", f"unable to negotiate protocol: client supports {asked}, server supports {list(offered)}"
        )
    key = _header(request, "sec-websocket-key").encode()
    accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_KEY, usedforsecurity=False).digest()).decode()
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
    if protocol:
        headers["Sec-WebSocket-Protocol"] = protocol
    reader, writer = await request.upgrade(headers)
    return protocol or "", WebSocket(reader, writer)


async def _spdy(request: StreamRequest, offered: tuple[str, ...]) -> SpdySession:
    if not _header(request, "upgrade").lower().startswith("spdy/3.1"):
        raise Refused(400, "BadRequest", "Upgrade request required")
    asked = [each.strip() for each in _header(request, "x-stream-protocol-version").split(",")]
    protocol = next((each for each in offered if each in asked), None)
    if protocol is None:
        raise Refused(
            403, "Forbidden", f"unable to negotiate protocol: client supports {asked}, server accepts {list(offered)}"
        )
    headers = {"Upgrade": "SPDY/3.1", "Connection": "Upgrade", "X-Stream-Protocol-Version": protocol}
    reader, writer = await request.upgrade(headers)
    return SpdySession(SocketTransport(reader, writer))


class Ports:
    """The ports of a running pod."""

    def __init__(self, api: ClusterAPI, pod: Object) -> None:
        self._api, self._pod = api, pod
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def sandbox(self) -> str:
        """The id of the pod's sandbox, as errors name it."""
        return hashlib.sha256(self._pod["metadata"]["uid"].encode()).hexdigest()

    def listener(self, number: int) -> tuple[Place, Listener] | None:
        """Who listens on the port."""
        for container in self._pod["spec"]["containers"]:
            if "running" in _status_of(self._pod, container)["state"]:
                place = _place(self._api, self._pod, container)
                found = image_of(container).listener(place, number)
                if found is not None:
                    return place, found
        return None

    async def connect(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to whoever listens on the port; None when nobody does."""
        found = self.listener(number)
        if found is None:
            return None
        place, listener = found
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        far_reader, far_writer = await asyncio.open_connection(sock=far)

        async def serve() -> None:
            try:
                await listener(place, far_reader, far_writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                far_writer.close()

        # The loop itself keeps no task alive.
        task = asyncio.create_task(serve())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return reader, writer


async def _forward(api: ClusterAPI, pod: Object, request: StreamRequest) -> None:
    _require_host(pod)
    if pod["status"].get("phase") != "Running":
        message = f"unable to forward port because pod is not running. Current status={pod['status'].get('phase')}"
        raise Refused(400, "BadRequest", message)
    ports = Ports(api, pod)
    if _header(request, "upgrade").lower() != "websocket":
        await forwarding.over_spdy(await _spdy(request, ("portforward.k8s.io",)), ports)
        return
    protocol, websocket = await _websocket(request, FORWARD_PROTOCOLS)
    if protocol == TUNNEL:
        await forwarding.over_spdy(SpdySession(WebSocketTransport(websocket)), ports)
        return
    numbers = [int(each) for value in request.query.get("ports", ()) for each in value.split(",")]
    await forwarding.over_channels(websocket, ports, numbers)


async def _proxy(api: ClusterAPI, pod: Object, request: StreamRequest) -> None:
    """Hand the request on to the pod's port, and its answer back."""
    name, _, port = request.name.partition(":")
    declared = [each["containerPort"] for container in pod["spec"]["containers"] for each in container.get("ports", ())]
    number = int(port) if port else next(iter(declared), 80)
    connection = await Ports(api, pod).connect(number)
    if connection is None:
        address = pod["status"].get("podIP", name)
        message = f"error trying to reach service: dial tcp {address}:{number}: connect: connection refused"
        raise Refused(503, "ServiceUnavailable", message)
    reader, writer = connection
    inside = "/" + request.path.partition("/proxy")[2].lstrip("/")
    writer.write(f"{request.method} {inside} HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.read(-1)
    writer.close()
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    kind = headers.get("Content-Type") or ("text/plain; charset=utf-8" if body else "")
    answer = request.respond(int(first.split()[1]), {**NO_CACHE, **({"Content-Type": kind} if kind else {})}, body)
    if inspect.isawaitable(answer):
        await answer
