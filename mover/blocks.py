"""Chunks and blocks.

A chunk is a piece of one file, the smallest part that is sent alone when a file changes; a block is what is read,
compressed and sealed at once: consecutive chunks of one file, or the chunks of many small files.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard
from blake3 import blake3

from mover.buffers import kept
from mover.crypto import NotAuthentic, RunKeys, VolumeKeys

# A part of the format: chunks begin at multiples of this in their file, and digests depend on it.
CHUNK_BYTES = 128 << 10
BLOCK_BYTES = 1 << 20
# Readers refuse longer blocks before they allocate memory for them.
LONGEST_BLOCK = 4 * BLOCK_BYTES
PACK_BYTES = 8 << 20

CODEC_STORED = 0
CODEC_ZSTD = 1

_LEVEL = 1
_SAMPLE_BYTES = 16 << 10
_WORTHWHILE = 0.95

# Items in a file's list of chunks: a data chunk is a list that begins with its digest, these are [kind, count].
HOLE = 0
ZEROS = 1

_local = threading.local()


@dataclass(slots=True)
class SealedBlock:
    """A block ready to be put into a pack."""

    number: int
    plain_length: int
    codec: int
    data: bytes


def seal(plain: bytes | bytearray | memoryview, *, number: int, keys: RunKeys) -> SealedBlock:
    """Compress a block where that pays, and seal it under its number, which must be new in the run."""
    view = memoryview(plain)
    packed: bytes | memoryview = view
    codec = CODEC_STORED
    if _compressible(view):
        compressed = _compressor().compress(view)
        _local.paid = len(compressed) < len(plain) * _WORTHWHILE
        if _local.paid:
            packed, codec = compressed, CODEC_ZSTD
    data = keys.seal_block(packed, number=number, plain_length=len(plain), codec=codec)
    return SealedBlock(number, len(plain), codec, data)


def unseal(sealed: memoryview, *, number: int, plain_length: int, codec: int, keys: RunKeys) -> memoryview:
    """A block's plain bytes, valid until this thread's next call; NotAuthentic when anything about it is wrong."""
    if plain_length > LONGEST_BLOCK or codec not in (CODEC_STORED, CODEC_ZSTD):
        raise NotAuthentic
    plain = kept("plain", LONGEST_BLOCK)
    packed = plain if codec == CODEC_STORED else kept("packed", LONGEST_BLOCK)
    opened = keys.open_block(sealed, packed, number=number, plain_length=plain_length, codec=codec)
    length = len(opened) if codec == CODEC_STORED else _decompressed(opened, plain[:plain_length])
    if length != plain_length:
        raise NotAuthentic
    return plain[:plain_length]


def _decompressed(packed: memoryview, plain: memoryview) -> int:
    """How many bytes of `plain` were filled; NotAuthentic when there are more, or none."""
    try:
        if zstandard.frame_content_size(packed) != len(plain):
            raise NotAuthentic
        with _decompressor().stream_reader(packed, read_size=len(packed)) as reader:
            return int(reader.readinto(plain))
    except zstandard.ZstdError:
        raise NotAuthentic from None


def _compressible(data: memoryview) -> bool:
    """Whether three samples of a large block promise that compressing it pays; not looked at while it just did."""
    if len(data) < 8 * _SAMPLE_BYTES or getattr(_local, "paid", False):
        return len(data) > 32
    middle = len(data) // 2
    sample = b"".join((data[:_SAMPLE_BYTES], data[middle : middle + _SAMPLE_BYTES], data[-_SAMPLE_BYTES:]))
    return len(_compressor().compress(sample)) < len(sample) * _WORTHWHILE


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True)
    compressor: zstandard.ZstdCompressor = _local.compressor
    return compressor


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _local.decompressor
    return decompressor


class ContentDigest:
    """A file's content digest, from the digests of its chunks in order.

    Full chunks of zeros count the same however they are stored.
    """

    def __init__(self, keys: VolumeKeys) -> None:
        self._hash = blake3(key=keys.content_key)
        self._zero = _zero_chunk_digest(keys)
        self._zeros = 0

    def add(self, digest: bytes) -> None:
        """The next chunk, by its digest."""
        if digest == self._zero:
            self._zeros += 1
            return
        self._settle()
        self._hash.update(b"D" + digest)

    def add_zeros(self, chunks: int) -> None:
        """The next full chunks hold nothing but zeros."""
        self._zeros += chunks

    def finish(self, size: int) -> bytes:
        """The digest of a file of `size` bytes whose chunks were all added."""
        self._settle()
        self._hash.update(b"S" + size.to_bytes(8, "little"))
        return self._hash.digest()

    def _settle(self) -> None:
        if self._zeros:
            self._hash.update(b"Z" + self._zeros.to_bytes(8, "little"))
            self._zeros = 0


def is_zero_chunk(keys: VolumeKeys, digest: bytes) -> bool:
    """Whether `digest` names the full chunk of zeros."""
    return digest == _zero_chunk_digest(keys)


def zero_tail_digest(keys: VolumeKeys, length: int) -> bytes:
    """The digest of a last chunk of `length` zeros."""
    return keys.chunk_digest(memoryview(_ZEROS)[:length])


_ZEROS = bytes(CHUNK_BYTES)
_zero_digests: dict[bytes, bytes] = {}


def _zero_chunk_digest(keys: VolumeKeys) -> bytes:
    digest = _zero_digests.get(keys.chunk_key)
    if digest is None:
        digest = _zero_digests[keys.chunk_key] = keys.chunk_digest(_ZEROS)
    return digest


def content_digest(keys: VolumeKeys, size: int, digests: Sequence[bytes]) -> bytes:
    """The content digest of a file given by its size and its chunks' digests."""
    if len(digests) == 1 and digests[0] != _zero_chunk_digest(keys):
        # The same in one call, for the many files that are one chunk.
        return blake3(b"D" + digests[0] + b"S" + size.to_bytes(8, "little"), key=keys.content_key).digest()
    content = ContentDigest(keys)
    for each in digests:
        content.add(each)
    return content.finish(size)
