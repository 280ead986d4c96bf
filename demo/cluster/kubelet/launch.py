"""Becomes a container's program: `launch.py FILE_SIZE_LIMIT PARENT PROGRAM ARGUMENT...`.

Sets what has to be set inside the new process: that it dies with the kubelet that started it, and, for a full disk
where a small file system cannot be mounted, how large a file may grow (0: no limit). Runs without site packages, to be
quick.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(limit: int, parent: int, command: list[str]) -> None:
    """Prepare this process and become the program."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(255)
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
