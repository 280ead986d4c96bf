"""Keys and sealing. Every key is derived from the migration's data key, for one volume, one purpose, and one run.

A run's sealing keys are its own (the run's name is random), so no two processes ever seal under the same key, and
random 96-bit nonces cannot meet.
"""

from __future__ import annotations

import os
import struct

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mover.buffers import kept

DOMAIN = b"kubemotion-mover/1"
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD = NONCE_BYTES + TAG_BYTES
DIGEST_BYTES = 32


class NotAuthentic(Exception):
    """Sealed bytes were altered, or are not what this place asks for."""


class VolumeKeys:
    """The keys of one volume."""

    def __init__(self, data_key: bytes, volume: str) -> None:
        self._data_key = data_key
        self._volume = volume.encode()
        self.chunk_key = self._derive(b"chunk")
        self.content_key = self._derive(b"content")
        self.tree_key = self._derive(b"tree")
        self._runs: dict[str, RunKeys] = {}

    def __repr__(self) -> str:
        return f"VolumeKeys({self._volume.decode()!r})"

    def chunk_digest(self, data: bytes | bytearray | memoryview) -> bytes:
        """The name of a chunk: keyed BLAKE3 of its bytes."""
        return blake3(data, key=self.chunk_key).digest()

    def run(self, name: str) -> RunKeys:
        """The sealing keys of one run."""
        keys = self._runs.get(name)
        if keys is None:
            keys = self._runs[name] = RunKeys(
                block_key=self._derive(b"block", name.encode()), journal_key=self._derive(b"journal", name.encode())
            )
        return keys

    def _derive(self, purpose: bytes, run: bytes = b"") -> bytes:
        info = b"\0".join((DOMAIN, purpose, self._volume, run))
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._data_key)


class RunKeys:
    """Seals and opens what one run wrote. Thread-safe."""

    def __init__(self, *, block_key: bytes, journal_key: bytes) -> None:
        self._blocks = AESGCM(block_key)
        self._journal = AESGCM(journal_key)

    def seal_block(self, data: bytes | memoryview, *, number: int, plain_length: int, codec: int) -> bytes:
        """Nonce, ciphertext and tag of a block, bound to its number in the run, its length and codec."""
        # Sealing into memory that is already mapped is several times faster than into fresh memory.
        view = kept("seal", len(data) + OVERHEAD)
        nonce = os.urandom(NONCE_BYTES)
        view[:NONCE_BYTES] = nonce
        self._blocks.encrypt_into(nonce, data, _block_context(number, plain_length, codec), view[NONCE_BYTES:])
        return bytes(view)

    def open_block(
        self, sealed: memoryview, into: memoryview, *, number: int, plain_length: int, codec: int
    ) -> memoryview:
        """What `seal_block` was given, at the begin of `into`; NotAuthentic when it is not that, or does not fit."""
        size = len(sealed) - OVERHEAD
        if not 0 <= size <= len(into):
            raise NotAuthentic
        view = into[:size]
        try:
            self._blocks.decrypt_into(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _block_context(number, plain_length, codec), view
            )
        except InvalidTag:
            raise NotAuthentic from None
        return view

    def seal_segment(self, data: bytes, *, number: int, previous: bytes) -> bytes:
        """Nonce, ciphertext and tag of a journal segment, bound to its number and to the digest of the one before."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._journal.encrypt(nonce, data, _segment_context(number, previous))

    def open_segment(self, sealed: bytes, *, number: int, previous: bytes) -> bytes:
        """What `seal_segment` was given; NotAuthentic when it is not that."""
        if len(sealed) < OVERHEAD:
            raise NotAuthentic
        try:
            return self._journal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _segment_context(number, previous))
        except InvalidTag:
            raise NotAuthentic from None

    def seal_manifest(self, data: bytes) -> bytes:
        """Nonce, ciphertext and tag of the run's manifest."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._journal.encrypt(nonce, data, _MANIFEST_CONTEXT)

    def open_manifest(self, sealed: bytes) -> bytes:
        """What `seal_manifest` was given; NotAuthentic when it is not that."""
        if len(sealed) < OVERHEAD:
            raise NotAuthentic
        try:
            return self._journal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _MANIFEST_CONTEXT)
        except InvalidTag:
            raise NotAuthentic from None


_MANIFEST_CONTEXT = DOMAIN + b"\0manifest\0"


def _block_context(number: int, plain_length: int, codec: int) -> bytes:
    return DOMAIN + b"\0block\0" + struct.pack("<QIB", number, plain_length, codec)


def _segment_context(number: int, previous: bytes) -> bytes:
    return DOMAIN + b"\0segment\0" + struct.pack("<Q", number) + previous
