"""The torture tree arrives whole, and so does everything after kills at random instants."""

from __future__ import annotations

import os
from pathlib import Path

from demo.s3 import RunningS3
from tests.mover import torture
from tests.mover.conftest import Bench
from tests.mover.kill_rounds import WORKERS, run_rounds
from tests.mover.trees import everything, holes


def shallow(root: Path) -> dict[bytes, object]:
    """Everything but what lies deeper than a path may be long."""
    deep = root / "deep" / ("d" * 200)
    aside = root.parent / f"{root.name} deep"
    times = [path.stat() for path in (deep.parent, root)]
    deep.rename(aside)
    try:
        os.utime(deep.parent, ns=(times[0].st_atime_ns, times[0].st_mtime_ns))
        return dict(everything(root))
    finally:
        aside.rename(deep)
        os.utime(deep.parent, ns=(times[0].st_atime_ns, times[0].st_mtime_ns))
        os.utime(root, ns=(times[1].st_atime_ns, times[1].st_mtime_ns))


def bottom(root: Path) -> bytes:
    """What is at the end of the longest path."""
    here = os.open(root / "deep", os.O_RDONLY)
    for _ in range(30):
        below = os.open(b"d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    handle = os.open(b"at the bottom", os.O_RDONLY, dir_fd=here)
    try:
        return os.read(handle, 100)
    finally:
        os.close(handle)
        os.close(here)


def test_the_torture_tree_arrives_whole(bench: Bench, source: Path, destination: Path) -> None:
    missing = torture.make(source)
    pushed = bench.run("push", source)
    pulled = bench.run("pull", destination)
    assert pulled["digest"] == pushed["digest"]
    assert (pulled["unkept"], pushed["unkept"]) == ([], [])
    assert bench.run("verify", destination)["digest"] == pushed["digest"]
    assert bottom(destination) == bottom(source) == b"deep"
    left, right = shallow(source), shallow(destination)
    assert left.keys() == right.keys()
    for path in left:
        assert left[path] == right[path], path
    assert len(left) > 800
    for file in (source / "sparse").iterdir():
        assert holes(file) == holes(destination / "sparse" / file.name), file.name
    if os.geteuid() == 0:
        assert not [each for each in missing if "owner" in each or "device" in each]


def test_nothing_is_lost_and_little_is_carried_again_after_kills(s3: RunningS3, tmp_path: Path) -> None:
    summary = run_rounds(s3, tmp_path, 3, seed=7, size=100 << 20)
    assert summary.rounds == 3
    assert summary.push_kills + summary.pull_kills > 0
    assert summary.trees_that_differ == 0, summary
    # Besides the packs on their way there are those that are stored and not told of; it is never all of them.
    assert summary.packs >= 12, summary
    assert summary.most_again <= 2 * WORKERS, summary
