"""Port-forwarding: bytes between a client's stream and whoever listens on a pod's port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from demo.cluster.kubelet.spdy import SpdySession, SpdyStream
from demo.cluster.kubelet.websocket import WebSocket


class Ports(Protocol):
    """The ports of a pod."""

    @property
    def sandbox(self) -> str:
        """The id of the pod's sandbox."""

    async def connect(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to whoever listens on the port; None when nobody does."""


def refusal(ports: Ports, number: int) -> str:
    """What a client is told when nobody listens on the port."""
    sandbox = ports.sandbox
    return (
        f"error forwarding port {number} to pod {sandbox}, uid : failed to execute portforward in network namespace "
        f'"/var/run/netns/cni-{sandbox[:8]}-{sandbox[8:12]}-{sandbox[12:16]}-{sandbox[16:20]}-{sandbox[20:32]}": '
        f'failed to connect to localhost:{number} inside namespace "{sandbox}", IPv4: dial tcp4 127.0.0.1:{number}: '
        "connect: connection refused IPv6 dial tcp6: address localhost: no suitable address found "
    )


async def _pump_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """From the client to the listener."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _pump_out(reader: asyncio.StreamReader, write: Callable[[bytes], Awaitable[None]]) -> None:
    """From the listener to the client."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            await write(data)


async def over_spdy(session: SpdySession, ports: Ports) -> None:
    """Each connection is a pair of streams with one request id: one for data, one for an error."""
    errors: dict[str, SpdyStream] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def connect(data: SpdyStream) -> None:
        error = errors.pop(data.headers.get("requestid", ""), None)
        number = int(data.headers.get("port", "0"))
        connection = await ports.connect(number)
        with contextlib.suppress(OSError):
            if connection is None:
                if error is not None:
                    await error.write(refusal(ports, number).encode())
            else:
                reader, writer = connection
                into = asyncio.create_task(_pump_in(data.reader, writer))
                await _pump_out(reader, data.write)
                into.cancel()
                writer.close()
            if error is not None:
                await error.end()
            await data.end()

    try:
        async for stream in session.accept():
            if stream.headers.get("streamtype") == "error":
                errors[stream.headers.get("requestid", "")] = stream
            else:
                task = asyncio.create_task(connect(stream))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
    except OSError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await session.close()


async def over_channels(websocket: WebSocket, ports: Ports, numbers: list[int]) -> None:
    """One connection per port: channel 2n carries data and 2n + 1 an error; each begins with the port's number."""
    for index, number in enumerate(numbers):
        for channel in (2 * index, 2 * index + 1):
            await websocket.send(bytes([channel]) + number.to_bytes(2, "little"))
    inputs = [asyncio.StreamReader() for _ in numbers]

    async def receive() -> None:
        with contextlib.suppress(OSError):
            while (message := await websocket.receive()) is not None:
                if message and message[0] % 2 == 0 and message[0] // 2 < len(inputs):
                    inputs[message[0] // 2].feed_data(message[1:])
        for reader in inputs:
            reader.feed_eof()

    async def serve(index: int, number: int) -> None:
        connection = await ports.connect(number)
        if connection is None:
            await websocket.send(bytes([2 * index + 1]) + refusal(ports, number).encode())
            return
        reader, writer = connection
        into = asyncio.create_task(_pump_in(inputs[index], writer))
        await _pump_out(reader, lambda data: websocket.send(bytes([2 * index]) + data))
        into.cancel()
        writer.close()

    async def serve_all() -> None:
        await asyncio.gather(*(serve(index, number) for index, number in enumerate(numbers)))

    receiving, serving = asyncio.create_task(receive()), asyncio.create_task(serve_all())
    try:
        await asyncio.wait([receiving, serving], return_when=asyncio.FIRST_COMPLETED)
        await websocket.close()
    finally:
        serving.cancel()
        receiving.cancel()
