"""What the simulated nodes know of images: which can be pulled, and what a container made from one does.

To teach the nodes a new image, `register` it under the end of its name (without registry and tag): what its main
program does, what it answers to `exec`, and who listens on its ports. An image that nobody taught can be pulled and
does nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import Object

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

MOVER = "kubemotion-mover"
# Images that a test wants never to arrive, by their whole name.
never_arriving: set[str] = set()


@dataclass(frozen=True)
class Place:
    """Where something runs: its container, its folders by mount path, its variables."""

    api: ClusterAPI
    pod: Object
    container: Object
    mounts: dict[str, Path]
    variables: dict[str, str]
    scratch: Path

    def path(self, inside: str) -> Path:
        """The real path of a path inside the container; what is on no volume lies in the container's scratch folder."""
        parts = [part for part in inside.split("/") if part not in ("", ".")]
        if ".." in parts:
            return self.scratch / "outside"
        for mount_path in sorted(self.mounts, key=len, reverse=True):
            mount = [part for part in mount_path.split("/") if part]
            if parts[: len(mount)] == mount:
                return self.mounts[mount_path].joinpath(*parts[len(mount) :])
        return self.scratch.joinpath(*parts)


class Terminal:
    """The three streams of a command."""

    def __init__(self, write: Callable[[int, bytes], Awaitable[None]], stdin: asyncio.StreamReader | None) -> None:
        self._write, self.stdin = write, stdin

    def reading(self, stdin: asyncio.StreamReader | None) -> Terminal:
        """The same with another input."""
        return Terminal(self._write, stdin)

    async def out(self, text: str | bytes) -> None:
        """Write to stdout."""
        await self._write(1, text.encode() if isinstance(text, str) else text)

    async def err(self, text: str | bytes) -> None:
        """Write to stderr."""
        await self._write(2, text.encode() if isinstance(text, str) else text)


class NoSuchProgram(Exception):
    """The command's program is not in the image."""


Command = Callable[[Place, list[str], Terminal], Awaitable[int]]
Listener = Callable[[Place, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Image:
    """What the nodes know of one image."""

    runs_scripts: bool = False
    commands: dict[str, Command] = field(default_factory=dict)
    listeners: dict[int, Listener] = field(default_factory=dict)
    listens: Callable[[Place], dict[int, Listener]] | None = None

    def listener(self, place: Place, port: int) -> Listener | None:
        """Who answers on the port in this place."""
        found = self.listens(place) if self.listens else {}
        return found.get(port) or self.listeners.get(port)


_images: dict[str, Image] = {}


def register(name: str, image: Image) -> None:
    """Teach the nodes an image by the end of its name without registry and tag."""
    _images[name] = image


def short_name(image: str) -> str:
    """The image's name without registry, tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def image_of(container: Object) -> Image:
    """What is known of the container's image."""
    name = short_name(container["image"])
    found = [image for suffix, image in _images.items() if name.endswith(suffix)]
    return found[0] if found else Image()


def is_mover(container: Object) -> bool:
    """Whether the container's program is really run."""
    return short_name(container["image"]).endswith(MOVER)


def pull_error(image: str) -> str | None:
    """Why the image cannot be pulled, for registries that are not there; None when it can."""
    registry, _, path = image.partition("/")
    if not registry.endswith(".invalid"):
        return None
    name, _, tag = path.partition(":")
    return (
        f'failed to pull and unpack image "{image}": failed to resolve image: failed to do request: '
        f'Head "https://{registry}/v2/{name}/manifests/{tag or "latest"}": dial tcp: lookup {registry}: no such host'
    )
