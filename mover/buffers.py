"""Memory that each thread keeps and uses again.

Fresh memory is dear: the kernel clears it, and in a virtual machine its host may have to find it first, which takes
longer than hashing, sealing and sending what is put there. Page-aligned, as direct access to disks needs it.
"""

from __future__ import annotations

import mmap
import threading

_local = threading.local()


def kept(purpose: str, size: int) -> memoryview:
    """This thread's `size` bytes for one purpose, with what was left in them; untouched pages take no memory."""
    buffers: dict[str, memoryview] | None = getattr(_local, "buffers", None)
    if buffers is None:
        buffers = _local.buffers = {}
    buffer = buffers.get(purpose)
    if buffer is None or len(buffer) < size:
        buffer = buffers[purpose] = memoryview(mmap.mmap(-1, size))
    return buffer[:size]
