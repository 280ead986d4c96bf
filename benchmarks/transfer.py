"""How fast a volume moves through an object store, beside restic, rclone and tar: same trees, same server, one run.

    python benchmarks/transfer.py --json benchmarks/results/transfer.json

Ours pushes and pulls at the same time, as its two Jobs do, and reads back what it restored to prove it; the peers write
everything and then restore it, unproven. Peers that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support import ceilings, contestants, trees
from benchmarks.support.measured import Usage, run, settle
from benchmarks.support.store import Bucket, embedded

Result = dict[str, Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the result is kept")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the trees' full size; 1 is the real thing")
    parser.add_argument("--trees", nargs="*", choices=list(trees.TREES), default=list(trees.TREES))
    parser.add_argument("--peers", nargs="*", choices=list(contestants.PEERS), default=list(contestants.PEERS))
    parser.add_argument("--no-passes", action="store_true", help="without the second passes")
    parser.add_argument("--tiny", type=int, default=0, metavar="COUNT", help="also so many tiny files, ours alone")
    parser.add_argument("--folder", type=Path, help="where the trees are made; a temporary folder by default")
    parser.add_argument(
        "--endpoint", help="an S3 server with credentials in the usual variables; else the embedded one"
    )
    parser.add_argument("--bucket", default="kubemotion")
    return parser.parse_args()


@contextmanager
def bucket(options: argparse.Namespace, folder: Path) -> Iterator[Bucket]:
    if options.endpoint:
        keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        yield Bucket(options.endpoint, options.bucket, *keys)
        return
    with embedded(folder / "s3") as found:
        yield found


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def size_of(folder: Path) -> int:
    return sum(each.lstat().st_size for each in folder.rglob("*") if each.is_file() and not each.is_symlink())


def one_tree(name: str, options: argparse.Namespace, store: Bucket, folder: Path, ceiling: dict[str, float]) -> Result:
    """Ours and every peer over one tree."""
    source, target = fresh(folder / "source"), folder / "target"
    trees.TREES[name](source, options.scale)
    size = size_of(source)
    logs = fresh(folder / "logs")
    seconds, used = contestants.ours(store, f"ours-{name}", source, fresh(target), logs)
    result: Result = {
        "bytes": size,
        "files": sum(1 for each in source.rglob("*") if not each.is_dir()),
        "ours_s": round(seconds, 2),
        "ours": shown(used),
        "peak_mib": round(max(each.peak_mib for each in used.values()), 1),
        "bytes_in_bucket": store.size(f"ours-{name}/"),
        "megabytes_per_second": round(size / seconds / 1e6, 1),
        "ceiling_share": round(size / seconds / 1e6 / min(ceiling["disk_copy"], ceiling["s3_put_and_get"]), 2),
        "peers": {},
    }
    store.empty(f"ours-{name}/")
    print(f"{name}: ours {seconds:.1f} s", flush=True)
    for peer in options.peers:
        if contestants.missing(peer):
            continue
        carry = contestants.PEERS[peer][0]
        seconds, used = carry(store, f"{peer}-{name}", source, fresh(target), logs)
        result["peers"] |= {f"{peer}_s": round(seconds, 2), f"{peer}": shown(used)}
        result["peers"][f"{peer}_bytes_in_bucket"] = store.size(f"{peer}-{name}/")
        store.empty(f"{peer}-{name}/")
        print(f"{name}: {peer} {seconds:.1f} s", flush=True)
    times = [value for key, value in result["peers"].items() if key.endswith("_s")]
    result["ratio_best_peer"] = round(min(times) / result["ours_s"], 2) if times else None
    return result


def shown(used: dict[str, Usage]) -> dict[str, dict[str, float]]:
    return {step: usage.rounded() for step, usage in used.items()}


def second_passes(options: argparse.Namespace, store: Bucket, folder: Path) -> Result:
    """1 % of a database changed, and very many files unchanged; restic beside it where it is installed."""
    source, target, logs = fresh(folder / "source"), fresh(folder / "target"), fresh(folder / "logs")
    trees.database(source, options.scale)
    contestants.ours(store, "pass", source, target, logs)
    before = store.size("pass/")
    has_restic = not contestants.missing("restic") and "restic" in options.peers
    if has_restic:
        contestants.restic(store, "restic-pass", source, fresh(folder / "restic"), logs)
        restic_before = store.size("restic-pass/")
    trees.change(source / "ibdata1", 0.01)
    seconds, used = contestants.ours(store, "pass", source, target, logs, 2)
    changed: Result = {"ours_s": round(seconds, 2), "ours": shown(used), "ours_bytes": store.size("pass/") - before}
    if has_restic:
        environment = contestants.restic_environment(store, "restic-pass")
        settle()
        backup = run(["restic", "backup", "--quiet", "--no-cache", "."], logs / "r.log", environment, cwd=source)
        changed |= {"restic_backup_s": round(backup.seconds, 2)}
        changed["restic_bytes"] = store.size("restic-pass/") - restic_before
    store.empty("pass/")
    store.empty("restic-pass/")

    count = int(100_000 * options.scale)
    trees.tiny(fresh(source), count)
    contestants.ours(store, "unchanged", source, fresh(target), logs)
    seconds, used = contestants.ours(store, "unchanged", source, target, logs, 2)
    store.empty("unchanged/")
    return {
        "changed_1_percent": changed,
        "unchanged": {"files": count, "ours_s": round(seconds, 2), "ours": shown(used)},
    }


def tiny_files(options: argparse.Namespace, store: Bucket, folder: Path) -> Result:
    source, target, logs = fresh(folder / "source"), fresh(folder / "target"), fresh(folder / "logs")
    trees.tiny(source, options.tiny)
    seconds, used = contestants.ours(store, "tiny", source, target, logs)
    store.empty("tiny/")
    peak = round(max(each.peak_mib for each in used.values()), 1)
    return {"files": options.tiny, "ours_s": round(seconds, 2), "ours": shown(used), "peak_mib": peak}


def main() -> None:
    options = arguments()
    given = nullcontext(str(options.folder)) if options.folder else tempfile.TemporaryDirectory(prefix="kubemotion-")
    with given as place, bucket(options, Path(place)) as store:
        folder = Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        result: Result = {
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
            "scale": options.scale,
            "page_cache_dropped": settle(),
            "not_installed": {peer: found for peer in options.peers if (found := contestants.missing(peer))},
            "ceilings": ceilings.measure(store, folder, max(64, int(2048 * options.scale))),
            "trees": {},
        }
        print(f"ceilings in MB/s: {result['ceilings']}", flush=True)
        for name in options.trees:
            result["trees"][name] = one_tree(name, options, store, folder, result["ceilings"])
        if not options.no_passes:
            result["passes"] = second_passes(options, store, folder)
        if options.tiny:
            result["tiny"] = tiny_files(options, store, folder)
        text = json.dumps(result, indent=2) + "\n"
        print(text)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(text)


if __name__ == "__main__":
    main()
