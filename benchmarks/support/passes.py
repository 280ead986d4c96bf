"""Second passes: a database of which 1 % changed, and very many files of which none did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.support import contestants, trees
from benchmarks.support.contestants import Job
from benchmarks.support.store import Bucket


def measure(store: Bucket, folder: Path, scale: float, *, restic: bool) -> dict[str, Any]:
    """Ours, and where it is asked for restic beside it: each carried the first pass in the same way, unmeasured."""
    return {
        "changed_1_percent": _changed(store, folder, scale, restic=restic),
        "unchanged": _unchanged(store, folder, int(100_000 * scale)),
    }


def _changed(store: Bucket, folder: Path, scale: float, *, restic: bool) -> dict[str, Any]:
    source, logs = contestants.fresh(folder / "source"), contestants.fresh(folder / "logs")
    trees.database(source, scale)
    ours = Job(store, "pass", source, contestants.fresh(folder / "target"), logs)
    theirs = Job(store, "restic-pass", source, contestants.fresh(folder / "restic"), logs)
    contestants.ours(ours)
    if restic:
        contestants.restic(theirs)
    before, restic_before = store.size("pass/"), store.size("restic-pass/")
    trees.change(source / "ibdata1", 0.01)
    ours.number = theirs.number = 2
    carried = contestants.ours(ours)
    sent = store.size("pass/") - before
    found: dict[str, Any] = {
        "ours_s": round(carried.seconds, 2),
        "ours_bytes_to_bucket": sent,
        "ours_bytes_both_ways": carried.wire["both"],
        "ours": carried.shown(),
    }
    if restic:
        carried = contestants.restic(theirs)
        programs = carried.programs
        found |= {
            "restic_s": round(carried.seconds, 2),
            "restic_backup_s": round(programs["there"].seconds, 2),
            "restic_restore_s": round(programs["back"].seconds, 2),
            "restic_bytes_to_bucket": store.size("restic-pass/") - restic_before,
            "restic_bytes_both_ways": sum(carried.wire.values()),
            "restic": carried.shown(),
        }
    store.empty("pass/")
    store.empty("restic-pass/")
    contestants.fresh(theirs.target).rmdir()
    return found


def _unchanged(store: Bucket, folder: Path, count: int) -> dict[str, Any]:
    source, target = contestants.fresh(folder / "source"), contestants.fresh(folder / "target")
    trees.tiny(source, count)
    job = Job(store, "unchanged", source, target, contestants.fresh(folder / "logs"))
    contestants.ours(job)
    job.number = 2
    carried = contestants.ours(job)
    store.empty("unchanged/")
    return {"files": count, "ours_s": round(carried.seconds, 2), "ours": carried.shown()}
