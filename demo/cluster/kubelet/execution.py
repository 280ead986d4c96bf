"""Running a command inside a container, its streams on channels: 0 stdin, 1 stdout, 2 stderr, 3 the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from uuid import uuid4

from demo.cluster.controllers.loop import Object
from demo.cluster.kubelet.images import NoSuchProgram, Place, Terminal
from demo.cluster.kubelet.shell import run_command
from demo.cluster.kubelet.spdy import SpdySession, SpdyStream
from demo.cluster.kubelet.websocket import WebSocket

STDIN, STDOUT, STDERR, OUTCOME, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
SUCCESS: Object = {"metadata": {}, "status": "Success"}
STREAMS_WAIT_SECONDS = 30


class Channels(ABC):
    """The streams of one command."""

    stdin: asyncio.StreamReader | None = None
    is_gone = False

    @abstractmethod
    async def write(self, channel: int, data: bytes) -> None:
        """Send on a channel; what the client did not ask for is dropped."""

    @abstractmethod
    async def finish(self, outcome: Object) -> None:
        """Say how it ended, and close."""

    @abstractmethod
    async def wait_gone(self) -> None:
        """Return when the client has left."""

    @abstractmethod
    def drop(self) -> None:
        """Nobody will ask any more."""


class WebSocketChannels(Channels):
    """Channels as the first byte of each message of a WebSocket."""

    def __init__(self, websocket: WebSocket, protocol: str, wanted: set[str]) -> None:
        self._websocket, self._protocol, self._wanted = websocket, protocol, wanted
        if "stdin" in wanted:
            self.stdin = asyncio.StreamReader()
        self._receiving = asyncio.create_task(self._receive())
        self._greeted = False

    async def _receive(self) -> None:
        with contextlib.suppress(OSError):
            while (message := await self._websocket.receive()) is not None:
                if self.stdin is None or not message:
                    continue
                if message[0] == STDIN and not self.stdin.at_eof():
                    self.stdin.feed_data(message[1:])
                elif message[0] == CLOSE and message[1:2] == b"\0":
                    self.stdin.feed_eof()
        self.is_gone = True
        if self.stdin is not None:
            self.stdin.feed_eof()

    async def write(self, channel: int, data: bytes) -> None:
        await self._greet()
        if (channel == STDOUT and "stdout" not in self._wanted) or (channel == STDERR and "stderr" not in self._wanted):
            return
        await self._websocket.send(bytes([channel]) + data)

    async def _greet(self) -> None:
        """A real server begins with an empty message on the first channel that it writes."""
        if not self._greeted:
            self._greeted = True
            await self._websocket.send(bytes([STDOUT]))

    async def finish(self, outcome: Object) -> None:
        await self._greet()
        await self._websocket.send(bytes([OUTCOME]) + json.dumps(outcome, separators=(",", ":")).encode())
        await self._websocket.close()

    async def wait_gone(self) -> None:
        await asyncio.wait([self._receiving])

    def drop(self) -> None:
        self._receiving.cancel()


class SpdyChannels(Channels):
    """Channels as streams of a SPDY session."""

    def __init__(self, session: SpdySession, streams: dict[str, SpdyStream], accepting: asyncio.Task[None]) -> None:
        self._session, self._streams, self._accepting = session, streams, accepting
        if "stdin" in streams:
            self.stdin = streams["stdin"].reader

    @classmethod
    async def open(cls, session: SpdySession, wanted: set[str]) -> SpdyChannels:
        """Wait for the streams that the client opens: one for the outcome, and those it wants."""
        needed = {"error"} | (wanted & {"stdin", "stdout", "stderr"})
        if "tty" in wanted:
            needed.discard("stderr")
        streams: dict[str, SpdyStream] = {}
        complete = asyncio.Event()

        async def accept(opened: AsyncIterator[SpdyStream]) -> None:
            with contextlib.suppress(OSError):
                async for stream in opened:
                    streams[stream.headers.get("streamtype", "")] = stream
                    if needed <= streams.keys():
                        complete.set()
            complete.set()

        accepting = asyncio.create_task(accept(session.accept()))
        await asyncio.wait_for(complete.wait(), STREAMS_WAIT_SECONDS)
        return cls(session, streams, accepting)

    async def write(self, channel: int, data: bytes) -> None:
        stream = self._streams.get("stdout" if channel == STDOUT else "stderr")
        if stream is not None:
            await stream.write(data)

    async def finish(self, outcome: Object) -> None:
        with contextlib.suppress(OSError):
            if "error" in self._streams:
                await self._streams["error"].write(json.dumps(outcome, separators=(",", ":")).encode())
            for stream in self._streams.values():
                await stream.end()
            # The client closes when it has read everything.
            await asyncio.wait([self._accepting], timeout=5)
        await self._session.close()

    async def wait_gone(self) -> None:
        await asyncio.wait([self._accepting])

    def drop(self) -> None:
        self._accepting.cancel()


async def run(channels: Channels, place: Place, command: list[str]) -> None:
    """Run the command and tell how it ended; a client that leaves ends it."""

    async def write(channel: int, data: bytes) -> None:
        with contextlib.suppress(OSError):
            await channels.write(channel, data)

    running = asyncio.create_task(_outcome(place, command, Terminal(write, channels.stdin)))
    gone = asyncio.create_task(channels.wait_gone())
    try:
        await asyncio.wait([running, gone], return_when=asyncio.FIRST_COMPLETED)
        await channels.finish(running.result() if running.done() else failure(137))
    finally:
        running.cancel()
        gone.cancel()
        channels.drop()


async def _outcome(place: Place, command: list[str], terminal: Terminal) -> Object:
    try:
        code = await run_command(place, command, terminal)
    except NoSuchProgram as missing:
        return _not_started(str(missing))
    return failure(code) if code else SUCCESS


def failure(code: int) -> Object:
    """The outcome of a command that ended with this exit code."""
    message = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    cause = {"reason": "ExitCode", "message": str(code)}
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "NonZeroExitCode",
        "details": {"causes": [cause]},
    }


def _not_started(program: str) -> Object:
    """The outcome of a command whose program is not there."""
    identity = hashlib.sha256(uuid4().bytes).hexdigest()
    known = f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
    message = (
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start "
        f'exec "{identity}": OCI runtime exec failed: exec failed: unable to start container process: '
        f'exec: "{program}": {known}'
    )
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }
