"""Which capabilities this process has, so that what it cannot keep is told apart from what it should have kept."""

from __future__ import annotations

import contextlib
import functools

CHOWN = 0
DAC_OVERRIDE = 1
FOWNER = 3
FSETID = 4
SYS_ADMIN = 21
MKNOD = 27


@functools.cache
def _effective() -> int:
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def has(capability: int) -> bool:
    """Whether the capability is effective."""
    return bool(_effective() >> capability & 1)
