"""Fetching packs and putting their chunks into place: the work of a puller's threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mover.blocks import LONGEST_BLOCK, unseal
from mover.buffers import kept
from mover.crypto import OVERHEAD, NotAuthentic, VolumeKeys
from mover.entries import decode_bytes, readable
from mover.errors import PUSH_ANEW, IntegrityError
from mover.journal import pack_name
from mover.objectstore import ObjectStore
from mover.pace import Pace
from mover.report import Counters
from mover.s3 import Body
from mover.target import Target

_WORTH_SKIPPING = 512 << 10
_LONGEST_FETCH = 16 << 20
_ATTEMPTS = 3


@dataclass(slots=True)
class Placement:
    """A chunk and where it belongs."""

    target: Target
    offset: int
    digest: bytes
    inner: int
    length: int
    ranges: list[list[int]] | None


@dataclass(slots=True)
class WantedBlock:
    """A block of a pack, and the chunks to take from it."""

    begin: int
    stored: int
    plain_length: int
    codec: int
    number: int
    placements: list[Placement] = field(default_factory=list)


class PackJob:
    """What one segment of the journal wants from one pack."""

    def __init__(self, run: str, number: int) -> None:
        self.run = run
        self.number = number
        self._blocks: dict[int, WantedBlock] = {}

    def add(self, target: Target, offset: int, item: list[Any]) -> None:
        """One more chunk of `target`, by its journal item."""
        digest, _, _, begin, stored, plain_length, codec, number, inner, length, *ranges = item
        block = self._blocks.get(begin)
        if block is None:
            block = self._blocks[begin] = WantedBlock(begin, stored, plain_length, codec, number)
        placement = Placement(target, offset, decode_bytes(digest), inner, length, ranges[0] if ranges else None)
        block.placements.append(placement)
        target.expect()

    def blocks(self) -> list[WantedBlock]:
        """By their place in the pack."""
        return sorted(self._blocks.values(), key=lambda block: block.begin)


class Fetcher:
    """Carries out pack jobs. Thread-safe."""

    def __init__(self, store: ObjectStore, keys: VolumeKeys, counters: Counters, label: str, pace: Pace) -> None:
        self._store = store
        self._keys = keys
        self._counters = counters
        self._label = label
        self._pace = pace

    def restore(self, job: PackJob) -> None:
        """Bring every chunk of the job into place that is not there yet."""
        needed: list[WantedBlock] = []
        for block in job.blocks():
            missing: list[Placement] = []
            for each in block.placements:
                if each.target.holds(self._keys, each.offset, each.length, each.digest):
                    self._settle(each)
                else:
                    missing.append(each)
            if missing:
                block.placements = missing
                needed.append(block)
        for stretch in _stretches(needed):
            self._restore_stretch(job, stretch)

    def _settle(self, placement: Placement) -> None:
        completed = placement.target.done()
        self._counters.add(bytes_done=placement.length, files_done=int(completed))

    def _restore_stretch(self, job: PackJob, blocks: list[WantedBlock]) -> None:
        """Fetch and restore consecutive blocks, each as soon as it is there."""
        left = deque(blocks)
        # Fetched once more, damage on the way is gone and damage in the store is still there.
        attempts = 0

        def span() -> tuple[int, int]:
            return left[0].begin, left[-1].begin + left[-1].stored - left[0].begin

        def take(body: Body) -> bool:
            at = left[0].begin
            while left:
                block = left[0]
                self._pace.take(block.begin - at + block.stored)
                sealed = self._received(body, block, skip=block.begin - at)
                if sealed is None or not self._restore_block(job, block, sealed):
                    return False
                left.popleft()
                at = block.begin + block.stored
            return True

        while left:
            before = len(left)
            whole = self._store.read(pack_name(job.run, job.number), span, take)
            if whole is None:
                raise self._failure(job, left[0], "pack-missing", "is missing")
            attempts = attempts + 1 if len(left) == before else 1
            if left and attempts == _ATTEMPTS:
                raise self._failure(
                    job,
                    left[0],
                    "block-not-authentic",
                    "cannot be authenticated: it was altered, in the store or on the way",
                )

    def _received(self, body: Body, block: WantedBlock, *, skip: int) -> memoryview | None:
        """A block as it is stored, valid until this thread's next call; None when the body ends before it does."""
        room = kept("received", LONGEST_BLOCK + OVERHEAD)
        while skip:
            got = body.readinto(room[: min(skip, len(room))])
            if not got:
                return None
            skip -= got
        if block.stored > len(room):
            return None
        sealed = room[: block.stored]
        got = body.readinto(sealed)
        self._counters.add(bytes_sent=got)
        return sealed if got == block.stored else None

    def _restore_block(self, job: PackJob, block: WantedBlock, sealed: memoryview) -> bool:
        keys = self._keys.run(job.run)
        try:
            plain = unseal(sealed, number=block.number, plain_length=block.plain_length, codec=block.codec, keys=keys)
        except NotAuthentic:
            return False
        for each in block.placements:
            if self._keys.chunk_digest(plain[each.inner : each.inner + each.length]) != each.digest:
                raise self._failure(job, block, "chunk-wrong", "does not hold what the journal says")
        size = files = 0
        for together in _adjacent(block.placements):
            first, last = together[0], together[-1]
            target, data = first.target, plain[first.inner : last.inner + last.length]
            size += len(data)
            if first.ranges is None and target.write_whole(len(together), first.offset, data):
                files += 1
                continue
            target.write(first.offset, data, first.ranges)
            files += target.done(len(together))
        self._counters.add(bytes_done=size, files_done=files)
        return True

    def _failure(self, job: PackJob, block: WantedBlock, code: str, what: str) -> IntegrityError:
        files = sorted({readable(each.target.path) for each in block.placements})
        some = ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        return IntegrityError(
            f"Object {pack_name(job.run, job.number)} of volume {self._label} {what} (block {block.number}, at byte "
            f"{block.begin}); it belongs to {some}. Nothing of that block was restored. " + PUSH_ANEW,
            code=code,
        )


def _adjacent(placements: list[Placement]) -> Iterator[list[Placement]]:
    """Placements that one write puts into place."""
    together: list[Placement] = []
    for each in placements:
        if together:
            last = together[-1]
            if (
                each.target is not last.target
                or each.inner != last.inner + last.length
                or each.offset != last.offset + last.length
                or each.ranges is not None
                or last.ranges is not None
            ):
                yield together
                together = []
        together.append(each)
    if together:
        yield together


def _stretches(blocks: list[WantedBlock]) -> Iterator[list[WantedBlock]]:
    """Blocks close enough to be fetched in one request."""
    stretch: list[WantedBlock] = []
    for block in blocks:
        if stretch:
            end = stretch[-1].begin + stretch[-1].stored
            if block.begin - end > _WORTH_SKIPPING or block.begin + block.stored - stretch[0].begin > _LONGEST_FETCH:
                yield stretch
                stretch = []
        stretch.append(block)
    if stretch:
        yield stretch
