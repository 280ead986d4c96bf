"""The torture tree arrives whole, and so does everything after kills at random instants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from demo.s3 import RunningS3
from tests.mover import torture
from tests.mover.conftest import Bench
from tests.mover.kill_rounds import WORKERS, run_rounds
from tests.mover.trees import everything


def test_the_torture_tree_arrives_whole(
    bench: Bench, source: Path, destination: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = torture.make(source)
    pushed = bench.run("push", source)
    assert [(warning["code"], warning["path"]) for warning in bench.warnings] == [("socket-skipped", "special/socket")]
    pulled = bench.run("pull", destination)
    assert pulled["digest"] == pushed["digest"]
    assert pushed["unkept"] == [{"what": "socket", "count": 1, "example": "special/socket"}]
    assert pulled["unkept"] == []
    assert bench.run("verify", destination)["digest"] == pushed["digest"]
    assert len(everything(destination)) > 830
    assert max(map(len, everything(destination))) > 6000
    assert torture.main(["compare", str(source), str(destination)]) == 0
    if os.geteuid() == 0:
        assert not [each for each in missing if "owner" in each or "device" in each]
    # Whoever compares sees what is not the same.
    os.utime(destination / "names", ns=(0, 1))
    (destination / "sizes" / "empty").unlink()
    with open(destination / "sparse" / "only a hole", "r+b") as file:
        file.write(bytes(4096))
    assert torture.main(["compare", str(source), str(destination)]) == 1
    said = capsys.readouterr().out
    for words in ("names has another mtime", "sizes/empty is only in", "sparse/only a hole has other holes"):
        assert words in said


def test_the_torture_tree_is_made_by_a_command_in_an_empty_folder_only(tmp_path: Path) -> None:
    assert torture.main(["make", str(tmp_path / "tree")]) == 0
    assert torture.main(["make", str(tmp_path / "tree")]) == 2


def test_nothing_is_lost_and_little_is_carried_again_after_kills(s3: RunningS3, tmp_path: Path) -> None:
    summary = run_rounds(s3, tmp_path, 3, seed=7, size=100 << 20)
    assert summary.rounds == 3
    assert summary.push_kills + summary.pull_kills > 0
    assert summary.trees_that_differ == 0, summary
    # Besides the packs on their way there are those that are stored and not told of; it is never all of them.
    assert summary.packs >= 12, summary
    assert summary.most_again <= 2 * WORKERS, summary
