"""Stands in for the mover in tests of the kubelet: says what it was given, and does what its first argument says."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    print(json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}), flush=True)
    match arguments[0]:
        case "exit":
            if "TERMINATION" in os.environ:
                Path(os.environ["TERMINATION"]).write_text("the last word")
            return int(arguments[1])
        case "write":
            Path(arguments[1]).write_text(arguments[2])
            return 0
        case "fill":
            return fill(Path(arguments[1]), int(arguments[2]))
        case "wait":
            wait(stubborn=False)
        case "stubborn":
            wait(stubborn=True)
        case "count":
            for number in range(int(arguments[1])):
                print(number, flush=True)
                time.sleep(0.02)
    return 0


def fill(path: Path, size: int) -> int:
    """6 when the disk is full, as the mover has it."""
    try:
        with path.open("wb", buffering=0) as file:
            for _ in range(size // 65536):
                file.write(bytes(65536))
    except OSError as error:
        print(error, file=sys.stderr)
        return 6
    return 0


def wait(*, stubborn: bool) -> None:
    def stop(*_: object) -> None:
        print("asked to stop", flush=True)
        if not stubborn:
            sys.exit(9)

    signal.signal(signal.SIGTERM, stop)
    print("waiting", flush=True)
    while True:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
