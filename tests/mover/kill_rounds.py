"""Kill pushes and pulls at random instants, let them go on, and look whether anything is lost or done twice.

`python -m tests.mover.kill_rounds --rounds 200` prints a summary as JSON; its status is 1 when a tree differs or more
than one pack per worker was carried again after a kill.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from demo.s3 import RunningS3, running_s3
from tests.mover.conftest import Bench, new_bench
from tests.mover.faulty_proxy import FaultyProxy, faulty_proxy
from tests.mover.trees import assert_same, plausible_tree, random_bytes

WORKERS = 4
_MOST_KILLS = 3

# A process that begins from one which has imported everything is there within milliseconds.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["mover.__main__"])


@dataclasses.dataclass
class Summary:
    """What many rounds came to."""

    rounds: int = 0
    push_kills: int = 0
    pull_kills: int = 0
    # Kills that came when the process had ended already.
    too_late: int = 0
    trees_that_differ: int = 0
    packs: int = 0
    # In packs (the largest that there is), for one kill, and for several in a row the mean of them: what was carried
    # although an attempt before had carried it whole or in part.
    most_sent_again: float = 0.0
    most_fetched_again: float = 0.0
    mean_sent_again: float = 0.0
    mean_fetched_again: float = 0.0
    allowed: int = WORKERS
    seconds: float = 0.0

    @property
    def most_again(self) -> float:
        """In either direction."""
        return max(self.most_sent_again, self.most_fetched_again)

    @property
    def good(self) -> bool:
        """Nothing was lost, and at most one pack per worker was carried again."""
        return self.trees_that_differ == 0 and self.most_again <= self.allowed


def _mover(command: str, path: str, environment: Mapping[str, str], said: str) -> None:
    """The life of a mover's process."""
    from mover.__main__ import main

    os.environ.clear()
    os.environ.update(environment)
    handle = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.dup2(handle, 1)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    status = main([command, "--path", path])
    os._exit(status)


def _attempt(bench: Bench, command: str, path: Path, said: Path, kill_after: float | None) -> bool:
    """Run a command, to its end or until it is killed; whether it came to its end."""
    environment = {"PATH": os.environ["PATH"], **bench.environment}
    process = _processes.Process(target=_mover, args=(command, str(path), environment, str(said)))
    process.start()
    process.join(kill_after if kill_after is not None else 120)
    killed = process.exitcode is None
    if killed:
        process.kill()
        process.join()
    assert killed or process.exitcode == 0, f"{command} ended with {process.exitcode}: {said.read_text()[-2000:]}"
    assert not killed or kill_after is not None, f"{command} does not end"
    return not killed


def _digest(said: Path) -> str:
    digest: str = json.loads(said.read_text().splitlines()[-1])["digest"]
    return digest


@dataclasses.dataclass
class _Carried:
    """What one command took over all its attempts."""

    digest: str
    bytes: int
    kills: int
    too_late: int


def _through_kills(
    bench: Bench, proxy: FaultyProxy, command: str, path: Path, said: Path, chance: random.Random, usual: float
) -> _Carried:
    """Run a command that is killed up to three times, then to its end."""
    method = "PUT" if command == "push" else "GET"
    packs = bench.environment["MOVER_S3_PREFIX"] + "/packs/"
    before = proxy.bytes_of(method, packs)
    kills = too_late = 0
    for _ in range(chance.randint(1, _MOST_KILLS)):
        if _attempt(bench, command, path, said, chance.uniform(0, usual)):
            too_late += 1
            break
        kills += 1
    else:
        _attempt(bench, command, path, said, None)
    return _Carried(_digest(said), proxy.bytes_of(method, packs) - before, kills, too_late)


def run_rounds(s3: RunningS3, folder: Path, rounds: int, seed: int, *, size: int) -> Summary:
    """Push and pull a tree of random bytes so many times, with kills in between."""
    summary = Summary()
    began = time.monotonic()
    chance = random.Random(seed)
    source, destination, said = folder / "source", folder / "destination", folder / "said"
    plausible_tree(source, files=60, large=2 << 20)
    (source / "large file").write_bytes(random_bytes(size // 2, seed))
    (source / "medium").mkdir()
    for number in range(size // 2 // (3 << 20)):
        (source / "medium" / str(number)).write_bytes(random_bytes(3 << 20, seed + number))
    with faulty_proxy(s3.endpoint) as proxy:
        usual = {"push": 0.0, "pull": 0.0}
        whole = {"push": 0, "pull": 0}
        largest = 1
        again: dict[str, list[float]] = {"push": [], "pull": []}
        for number in range(rounds + 1):
            bench = new_bench(s3)
            bench.environment |= {"MOVER_S3_ENDPOINT": proxy.endpoint, "MOVER_WORKERS": str(WORKERS)}
            destination.mkdir()
            digests: list[str] = []
            for command, path in (("push", source), ("pull", destination)):
                if number == 0:
                    # Once undisturbed, to know how long it takes and what it carries.
                    start = time.monotonic()
                    _attempt(bench, command, path, said, None)
                    usual[command] = time.monotonic() - start
                    whole[command] = proxy.bytes_of("PUT" if command == "push" else "GET", "/packs/")
                    continue
                took = _through_kills(bench, proxy, command, path, said, chance, usual[command])
                digests.append(took.digest)
                summary.too_late += took.too_late
                if command == "push":
                    summary.push_kills += took.kills
                else:
                    summary.pull_kills += took.kills
                if took.kills:
                    again[command].append((took.bytes - whole[command]) / largest / took.kills)
            if number == 0:
                sizes = [len(bench.read(name)) for name in bench.objects("packs/")]
                summary.packs, largest = len(sizes), max(sizes)
            _compare(source, destination, digests, summary)
            summary.rounds = number
            shutil.rmtree(destination)
            bench.run("clean", MOVER_S3_ENDPOINT=s3.endpoint)
            proxy.carried.clear()
    summary.most_sent_again, summary.mean_sent_again = _most_and_mean(again["push"])
    summary.most_fetched_again, summary.mean_fetched_again = _most_and_mean(again["pull"])
    summary.seconds = round(time.monotonic() - began, 1)
    return summary


def _compare(source: Path, destination: Path, digests: list[str], summary: Summary) -> None:
    try:
        assert_same(source, destination)
    except AssertionError as error:
        sys.stderr.write(f"{error}\n")
        summary.trees_that_differ += 1
    else:
        summary.trees_that_differ += len(set(digests)) > 1


def _most_and_mean(values: list[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 0.0
    return round(max(0.0, *values), 3), round(sum(values) / len(values), 3)


def main(arguments: list[str] | None = None) -> int:
    """Run the rounds; the exit status."""
    parser = argparse.ArgumentParser(prog="kill_rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--mebibytes", type=int, default=160, help="of the tree, about 8 to a pack")
    given = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="kill-rounds-") as name,
        running_s3(Path(name) / "s3") as s3,
    ):
        (Path(name) / "trees").mkdir()
        summary = run_rounds(s3, Path(name) / "trees", given.rounds, given.seed, size=given.mebibytes << 20)
    print(json.dumps({**dataclasses.asdict(summary), "seed": given.seed, "good": summary.good}))
    return 0 if summary.good else 1


if __name__ == "__main__":
    sys.exit(main())
