"""Trees to move, made from a seed so that every run moves the same bytes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

MIB = 1 << 20


def database(folder: Path, scale: float) -> None:
    """One file of 2 GiB that looks like a database: 16 KiB pages, half of it noise, some zeros."""
    noise = random.Random(1)
    page, pages = 16 << 10, int(scale * 2048 * MIB) >> 14
    text = b"INSERT INTO wp_posts VALUES (%d, 'lorem ipsum dolor sit amet'); " * 200
    with (folder / "ibdata1").open("wb", buffering=4 * MIB) as file:
        for number in range(pages):
            if number % 16 == 0:
                file.write(bytes(page))
            else:
                file.write(noise.randbytes(page // 2) + (text % ((number,) * 200))[: page // 2])


def small(folder: Path, scale: float) -> None:
    """20,000 files of 4 to 64 KiB in 200 directories."""
    noise = random.Random(2)
    for number in range(int(scale * 20_000)):
        place = folder / f"{number % 200:03d}"
        place.mkdir(exist_ok=True)
        size = noise.randrange(4 << 10, 64 << 10)
        words = f"file {number} of many, with words that repeat; ".encode()
        body = noise.randbytes(size // 2) + words * (size // 2 // len(words) + 1)
        (place / f"{number}.dat").write_bytes(body[:size])


def incompressible(folder: Path, scale: float) -> None:
    """512 MiB that no compression makes smaller, in four files."""
    noise = random.Random(3)
    for number in range(4):
        with (folder / f"{number}.bin").open("wb", buffering=0) as file:
            for _ in range(int(scale * 128)):
                file.write(noise.randbytes(MIB))


def mixture(folder: Path, scale: float) -> None:
    """An application's volume: a fifth of each of the others, with links, holes and attributes."""
    for name, make in (("data", database), ("site", small), ("media", incompressible)):
        (folder / name).mkdir()
        make(folder / name, scale / 5)
    for number in range(200):
        (folder / "site" / f"link-{number}").symlink_to("000/0.dat")
    os.link(folder / "media" / "0.bin", folder / "hard-link")
    with (folder / "sparse").open("wb") as file:
        file.truncate(int(scale * 256 * MIB))
        file.write(b"begin")


def million(folder: Path, scale: float) -> None:
    """1,000,000 files of some bytes."""
    tiny(folder, int(scale * 1_000_000))


def tiny(folder: Path, count: int) -> None:
    """Very many files of some bytes."""
    for number in range(count):
        if number % 1000 == 0:
            place = folder / f"{number // 1000:04d}"
            place.mkdir()
        with open(place / f"{number}", "wb", buffering=0) as file:
            file.write(b"tiny file %d" % number)


TREES: dict[str, Callable[[Path, float], None]] = {
    "database": database,
    "small": small,
    "incompressible": incompressible,
    "mixture": mixture,
    "million": million,
}


def change(path: Path, share: float) -> None:
    """Overwrite `share` of a file in place, in pieces of 16 KiB spread over it."""
    noise = random.Random(4)
    page = 16 << 10
    pages = path.stat().st_size // page
    with path.open("r+b") as file:
        for number in noise.sample(range(pages), max(1, int(pages * share))):
            file.seek(number * page)
            file.write(noise.randbytes(page))
