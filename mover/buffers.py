"""Memory that each thread keeps and uses again.

Fresh memory is dear: the kernel clears it, and in a virtual machine its host may have to find it first, which takes
longer than hashing, sealing and sending what is put there. Page-aligned, as direct access to disks needs it.
"""

from __future__ import annotations

import ctypes
import mmap
import threading

_local = threading.local()

# Parameters of glibc's mallopt, and what they are set to.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20
_LARGEST_IN_HEAP = 32 << 20


def keep_freed_memory() -> None:
    """Have the C library use freed memory again for blocks, in the place of giving each back to the kernel at once."""
    # Other C libraries than glibc do not have it.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_IN_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def kept(purpose: str, size: int) -> memoryview:
    """This thread's `size` bytes for one purpose, with what was left in them; untouched pages take no memory."""
    buffers: dict[str, memoryview] | None = getattr(_local, "buffers", None)
    if buffers is None:
        buffers = _local.buffers = {}
    buffer = buffers.get(purpose)
    if buffer is None or len(buffer) < size:
        buffer = buffers[purpose] = memoryview(mmap.mmap(-1, size))
    return buffer[:size]
