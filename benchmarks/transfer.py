"""How fast a volume moves through an object store, beside restic, rclone and tar: same trees, same server, one run.

    python benchmarks/transfer.py --json benchmarks/results/transfer.json

Ours pushes and pulls at the same time, as its two Jobs do; the peers write everything, then restore it. For everybody
the clock stops when the restored tree is on the disk. Ours checks every byte before it writes it and the metadata after
that; `proof_s`, which is not part of `ours_s`, is how long `mover verify` takes to read everything from the disk again.
Peers that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support import ceilings, contestants, passes, table, trees
from benchmarks.support.contestants import Carried, Job
from benchmarks.support.measured import GivenUp, settle
from benchmarks.support.store import Bucket, embedded

Result = dict[str, Any]
# Where the embedded server's bucket lies unless another place is given: a real object store has disks of its own, and
# does not share that of the volume.
IN_MEMORY = Path("/dev/shm")
NEEDED_BYTES = 4 << 30
# A peer that takes so many times as long as ours is given up, and beyond half of that it runs only once.
PATIENCE = 12


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the result is kept")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the trees' full size; 1 is the real thing")
    parser.add_argument("--trees", nargs="*", choices=list(trees.TREES), default=list(trees.TREES))
    parser.add_argument("--peers", nargs="*", choices=list(contestants.PEERS), default=list(contestants.PEERS))
    parser.add_argument(
        "--million-peers",
        nargs="*",
        choices=list(contestants.PEERS),
        default=[],
        help="peers that carry the million files as well, which takes minutes and some of them an hour",
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often each contestant runs; the best time counts")
    parser.add_argument("--no-passes", action="store_true", help="without the second passes")
    parser.add_argument("--folder", type=Path, help="where the trees are made; a temporary folder by default")
    parser.add_argument(
        "--endpoint", help="an S3 server with credentials in the usual variables; else the embedded one"
    )
    parser.add_argument(
        "--bucket-folder",
        type=Path,
        help="where the embedded server keeps its bucket; in memory by default, so that it does not share the disk",
    )
    parser.add_argument("--bucket", default="kubemotion")
    return parser.parse_args()


@contextmanager
def bucket(options: argparse.Namespace, folder: Path) -> Iterator[Bucket]:
    if options.endpoint:
        keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        yield Bucket(options.endpoint, options.bucket, *keys)
        return
    place = options.bucket_folder
    if place is None and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > 2 * NEEDED_BYTES:
        place = IN_MEMORY
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="kubemotion-s3-", dir=place or folder) as state,
        embedded(Path(state), beside=folder) as found,
    ):
        yield found


def one_tree(name: str, options: argparse.Namespace, store: Bucket, folder: Path, ceiling: Result) -> Result:
    """Ours and every peer over one tree, in turns."""
    source = contestants.fresh(folder / "source")
    trees.TREES[name](source, options.scale)
    size = sum(each.lstat().st_size for each in source.rglob("*") if each.is_file() and not each.is_symlink())
    result: Result = {"bytes": size, "files": sum(1 for each in source.rglob("*") if not each.is_dir()), "peers": {}}
    mine: list[Carried] = []
    theirs: dict[str, list[Carried]] = {}
    wanted = options.million_peers if name == "million" else options.peers
    peers = [peer for peer in wanted if not contestants.missing(peer)]
    for turn in range(1 if name == "million" else options.rounds):
        job = Job(
            store, f"ours-{name}", source, contestants.fresh(folder / "target"), contestants.fresh(folder / "logs")
        )
        mine.append(contestants.ours(job))
        print(f"{name}: ours {mine[-1].seconds:.2f} s", flush=True)
        if turn == 0:
            result["bytes_in_bucket"] = store.size(f"{job.prefix}/")
            result["proof_s"] = round(contestants.proof(job), 2)
        store.empty(f"{job.prefix}/")
        best = min(each.seconds for each in mine)
        for peer in list(peers):
            contestants.fresh(job.target)
            job.prefix, job.patience = f"{peer}-{name}", PATIENCE * best
            try:
                carried = contestants.PEERS[peer][0](job)
            except GivenUp:
                result["peers"][f"{peer}_given_up_after_s"] = round(job.patience, 1)
                peers.remove(peer)
            else:
                theirs.setdefault(peer, []).append(carried)
                print(f"{name}: {peer} {carried.seconds:.2f} s", flush=True)
                if turn == 0:
                    result["peers"][f"{peer}_bytes_in_bucket"] = store.size(f"{job.prefix}/")
                if carried.seconds > PATIENCE / 2 * best:
                    peers.remove(peer)
            store.empty(f"{job.prefix}/")
    result |= summary("ours", mine)
    for peer, carried_by in theirs.items():
        result["peers"] |= summary(peer, carried_by)
    ours_s = result["ours_s"]
    result["peak_mib"] = round(max(each.peak_mib for each in mine), 1)
    result["megabytes_per_second"] = round(size / ours_s / 1e6, 1)
    result["ceiling_s"] = round(ceilings.least_seconds(ceiling, size, result["bytes_in_bucket"]), 2)
    result["ceiling_share"] = round(result["ceiling_s"] / ours_s, 2)
    times = [result["peers"][f"{peer}_s"] for peer in theirs]
    result["ratio_best_peer"] = round(min(times) / ours_s, 2) if times else None
    return result


def summary(name: str, carried: list[Carried]) -> Result:
    """The best time and the median, and what the best run took."""
    seconds = [each.seconds for each in carried]
    best = min(carried, key=lambda each: each.seconds)
    return {
        f"{name}_s": round(best.seconds, 2),
        f"{name}_median_s": round(statistics.median(seconds), 2),
        f"{name}_all_s": [round(each, 2) for each in seconds],
        name: best.shown(),
    }


def second_passes(options: argparse.Namespace, result: Result, store: Bucket, folder: Path) -> None:
    """Once, and where they are wanted."""
    if not options.no_passes and "passes" not in result:
        result["passes"] = passes.measure(store, folder, options.scale, restic="restic" in result["peers"])
        keep(options, result)


def keep(options: argparse.Namespace, result: Result) -> None:
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def main() -> None:
    options = arguments()
    # As its image has them: nobody compiles the mover at each start.
    compileall.compile_dir(contestants.ROOT / "mover", quiet=1)
    given = nullcontext(str(options.folder)) if options.folder else tempfile.TemporaryDirectory(prefix="kubemotion-")
    with given as place, bucket(options, Path(place)) as store:
        folder = Path(place)
        asked = {*options.peers, *options.million_peers}
        missing = {peer: found for peer in asked if (found := contestants.missing(peer))}
        result: Result = {
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
            "scale": options.scale,
            "rounds": options.rounds,
            "load_average_at_begin": round(os.getloadavg()[0], 2),
            "page_cache_dropped": settle(),
            "peers": {peer: contestants.version(peer) for peer in options.peers if peer not in missing},
            "not_installed": missing,
            "ceilings": ceilings.measure(store, folder, max(64, int(1024 * options.scale))),
            "trees": {},
        }
        print(f"ceilings in MB/s: {result['ceilings']}", flush=True)
        # The longest comes last; whatever is there is kept at once.
        for name in sorted(options.trees, key=lambda each: each == "million"):
            if name == "million":
                second_passes(options, result, store, folder)
            result["trees"][name] = one_tree(name, options, store, folder, result["ceilings"])
            keep(options, result)
        second_passes(options, result, store, folder)
        keep(options, result)
        left = ("source", "target", "logs", "restic", contestants.PUT_ASIDE)
        subprocess.run(["rm", "-rf", *(str(folder / each) for each in left)], check=True)
        print(table.of(result))


if __name__ == "__main__":
    main()
