"""Sends the recorded requests to a simulated cluster, one by one, with values of earlier answers put in."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.typing import Subprotocol

from demo.cluster.kubelet.images import never_arriving
from demo.cluster.server import ClusterHandle, running_clusters
from tests.conformance.comparison import Difference, Learned, differences, plain
from tests.conformance.settings import SETTINGS, Setting, prepare, transcript

Object = dict[str, Any]
QUIET_SECONDS = 0.15
POLL_SECONDS = 0.05
FRAME_SECONDS = 10.0
# How long a moment that the recording caught is waited for before any other one will do.
PATIENCE_SECONDS = 2.0
# Whether a difference at a step is accepted; the third says whether also one that depends on the moment is.
Accepts = Callable[[int, Difference, bool], bool]


class Client:
    """Plain requests, so that nothing is added to what was recorded."""

    def __init__(self, handle: ClusterHandle) -> None:
        self.handle = handle
        self.user_token = ""
        self.address = urlsplit(handle.server).netloc
        self.trusting = ssl.create_default_context(cadata=(handle.state / "ca.crt").read_text())
        self.as_admin = ssl.create_default_context(cadata=(handle.state / "ca.crt").read_text())
        self.as_admin.load_cert_chain(handle.state / "admin.crt", handle.state / "admin.key")

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        auth: str = "",
    ) -> Object:
        """The answer in the form of the transcripts."""
        headers = dict(headers or {})
        if auth.startswith("bearer:"):
            headers["Authorization"] = f"Bearer {self.user_token if auth == 'bearer:user' else 'bad'}"
        context = self.trusting if auth else self.as_admin
        connection = http.client.HTTPSConnection(self.address, context=context, timeout=60)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            text = response.read().decode()
            found: Object = {"status": response.status, "contentType": response.headers.get("Content-Type")}
            found["headers"] = dict(response.headers)
            if "watch=true" in path:
                found["watchEvents"] = [json.loads(line) for line in text.splitlines()]
            elif (found["contentType"] or "").startswith("application/json"):
                found["body"] = json.loads(text)
            else:
                found["body"] = text
            return found
        finally:
            connection.close()

    def stream(self, request: Object) -> Object:
        """The frames of a WebSocket, by channel: frames of different channels come in any order."""
        return asyncio.run(self._stream(request))

    async def _stream(self, request: Object) -> Object:
        url = f"wss://{self.address}{request['websocket']}"
        received: dict[str, str] = {}
        wanted = [Subprotocol(request["subprotocol"])]
        async with connect(url, ssl=self.as_admin, subprotocols=wanted, proxy=None, close_timeout=2) as socket:
            # A server that has said all closes the stream, be it before the last frame is sent.
            with suppress(ConnectionClosedOK):
                for frame in request["sent"]:
                    await socket.send(bytes([frame["channel"]]) + bytes.fromhex(frame["bytes"]))
            close = "never"
            with suppress(TimeoutError):
                try:
                    while True:
                        data = await asyncio.wait_for(socket.recv(), FRAME_SECONDS)
                        assert isinstance(data, bytes)
                        channel = str(data[0])
                        received[channel] = received.get(channel, "") + data[1:].decode(errors="replace")
                except ConnectionClosed as closed:
                    close = f"{closed.rcvd.code if closed.rcvd else 0:04x}"
            return {"accepted": socket.subprotocol, "channels": received, "close": close}


def _recorded_stream(response: Object) -> Object:
    channels: dict[str, str] = {}
    for frame in response["frames"]:
        if "channel" in frame:
            name = str(frame["channel"])
            channels[name] = channels.get(name, "") + frame["text"]
    close = next((frame["close"] for frame in response["frames"] if "close" in frame), "")
    return {"accepted": response["accepted"], "channels": channels, "close": close}


class Replay:
    """One scenario in one cluster."""

    def __init__(self, scenario: str, handle: ClusterHandle, accepts: Accepts) -> None:
        self.scenario = scenario
        self.setting: Setting = SETTINGS[scenario]
        self.client = Client(handle)
        self.handle = handle
        self.learned = Learned()
        self.accepts = accepts
        self.document = transcript(scenario)

    def run(self) -> Iterator[tuple[int, Object, list[Difference]]]:
        """Each step with its differences."""
        prepare(self.scenario, self._create, self._exists)
        for index, step in enumerate(self.document["steps"]):
            request = step["request"]
            if index == self.setting.still_from:
                self.handle.stop_controllers()
            if self.setting.settle and request.get("method") != "GET":
                self._settle()
            yield index, request, self._step(index, step)

    def _create(self, path: str, obj: Object) -> None:
        headers = {"Content-Type": "application/json"}
        answer = self.client.send("POST", path, body=json.dumps(obj).encode(), headers=headers)
        assert answer["status"] == 201, answer

    def _exists(self, path: str) -> bool:
        answer = self.client.send("GET", path)
        return answer["status"] == 200 and answer["body"].get("items") != []

    def _settle(self) -> None:
        """Wait until the controllers have had their say."""
        deadline = time.monotonic() + self.setting.settle
        seen, since = -1, time.monotonic()
        while time.monotonic() < deadline:
            version = self.handle.call(lambda api: api.store.version)
            if version != seen:
                seen, since = version, time.monotonic()
            elif time.monotonic() - since >= QUIET_SECONDS:
                return
            time.sleep(POLL_SECONDS)

    def _step(self, index: int, step: Object) -> list[Difference]:
        request = step["request"]
        if "websocket" in request:
            found = self.client.stream({**request, "websocket": self.learned.text(request["websocket"])})
            wanted = plain(self.learned.value(_recorded_stream(step["response"])))
            return list(differences(wanted, plain(found)))
        began = time.monotonic()
        settle = self.setting.settle if request["method"] == "GET" else 0
        while True:
            answer = self._ask(request)
            learned, found = self._compare(step["response"], answer)
            passed = time.monotonic() - began
            late = passed >= PATIENCE_SECONDS
            if all(self.accepts(index, each, late) for each in found) or passed >= settle:
                self.learned = learned
                return found
            time.sleep(POLL_SECONDS)

    def _ask(self, request: Object) -> Object:
        headers = {}
        if "contentType" in request:
            headers["Content-Type"] = request["contentType"]
        if "accept" in request:
            headers["Accept"] = request["accept"]
        body = None
        if "body" in request:
            wanted = self.learned.value(request["body"])
            body = wanted.encode() if isinstance(wanted, str) else json.dumps(wanted).encode()
        answer = self.client.send(
            request["method"], self._path(request["path"]), body=body, headers=headers, auth=request.get("auth", "")
        )
        token = (answer.get("body") or {}).get("status", {}) if isinstance(answer.get("body"), dict) else {}
        if isinstance(token, dict) and "token" in token:
            self.client.user_token = token["token"]
        return answer

    def _path(self, path: str) -> str:
        """The path with earlier answers' values; versions only where they stand as a parameter."""
        path = self.learned.text(path)
        base, question_mark, query = path.partition("?")
        parameters = [part.partition("=") for part in query.split("&")] if query else []
        changed = [
            f"{name}{equals}{self.learned.versions.get(value, value) if name == 'resourceVersion' else value}"
            for name, equals, value in parameters
        ]
        return base + question_mark + "&".join(changed)

    def _compare(self, recorded: Object, answer: Object) -> tuple[Learned, list[Difference]]:
        learned = self.learned.copy()
        content = "watchEvents" if "watchEvents" in recorded else "body"
        learned.learn(recorded.get(content), answer.get(content))
        wanted: Object = {"status": recorded["status"], "contentType": recorded.get("contentType")}
        wanted["headers"] = recorded.get("headers", {})
        wanted[content] = plain(learned.value(recorded.get(content)))
        found: Object = {"status": answer["status"], "contentType": answer["contentType"]}
        found["headers"] = {
            name: value
            for name, value in answer["headers"].items()
            if name in wanted["headers"] or name in ("Warning", "Retry-After")
        }
        found[content] = plain(answer.get(content))
        return learned, list(differences(wanted, found))


@contextmanager
def replaying(scenario: str, accepts: Accepts) -> Iterator[Replay]:
    """A replay in a cluster of its own."""
    setting = SETTINGS[scenario]
    never_arriving.update(setting.slow_images)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_clusters(Path(folder), names=("east",), nodes=setting.nodes, extra=setting.extra) as clusters,
    ):
        try:
            yield Replay(scenario, clusters["east"], accepts)
        finally:
            never_arriving.difference_update(setting.slow_images)
