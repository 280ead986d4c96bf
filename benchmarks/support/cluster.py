"""A simulated cluster in a process of its own, without nodes, that counts what it is asked.

Run as a program it says where its kubeconfig is, and then, for each line that it is given, how many requests there
have been since the line before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Cluster:
    """A running cluster."""

    kubeconfig: Path
    process: subprocess.Popen[str]

    def requests(self) -> dict[str, int]:
        """The requests by method since the last time that this was asked."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))


@contextmanager
def cluster(folder: Path, name: str) -> Iterator[Cluster]:
    """A cluster that keeps its state below `folder`."""
    command = [sys.executable, "-m", "benchmarks.support.cluster", str(folder), name]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Cluster(Path(json.loads(process.stdout.readline())), process)
        finally:
            process.terminate()


def main(folder: str, name: str) -> None:
    from demo.cluster.server import running_clusters

    counted: Counter[str] = Counter()

    def count(method: str, _path: str) -> bool:
        counted[method] += 1
        return False

    with running_clusters(Path(folder), names=(name,), nodes=False) as clusters:
        clusters[name].faults.fail(count)
        print(json.dumps(str(clusters[name].kubeconfig_path)), flush=True)
        for _line in sys.stdin:
            print(json.dumps(counted), flush=True)
            counted.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
