"""A few lines of HTTP for the simulated programs that listen on ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

from demo.cluster.kubelet.images import Listener, Place


@dataclass(frozen=True)
class Response:
    """What a program answers."""

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[Place, str, str], Response]


def http_listener(answer: Answer) -> Listener:
    """A listener that reads one request, answers it by `answer(place, method, path)` and closes."""

    async def listen(place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        method, path, *_ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        response = answer(place, method, path)
        headers = {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            **({"Content-Type": response.content_type} if response.content_type else {}),
            **response.headers,
            "Content-Length": str(len(response.body)),
        }
        lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if method != "HEAD":
            writer.write(response.body)
        await writer.drain()

    return listen
