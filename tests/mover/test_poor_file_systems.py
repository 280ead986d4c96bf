"""A destination whose file system keeps less than the source's: the rest is kept, and what is not is reported."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mover.conftest import Bench
from tests.mover.trees import assert_same, plausible_tree


@pytest.fixture
def seconds_only(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of the old kind, which keeps times in whole seconds."""
    image, folder = tmp_path / "image", tmp_path / "mounted"
    folder.mkdir()
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        pytest.skip("needs root and mkfs.ext4")
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-I", "128", str(image)], check=True, capture_output=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def kinds(result: dict[str, Any]) -> list[str]:
    return [each["what"] for each in result["unkept"]]


def test_times_in_whole_seconds_are_reported_and_a_later_pass_goes_on(
    bench: Bench, source: Path, seconds_only: Path
) -> None:
    plausible_tree(source, files=20, large=2 << 20)
    pushed = bench.run("push", source)
    pulled = bench.run("pull", seconds_only)
    assert pulled["digest"] == pushed["digest"]
    assert kinds(pulled) == ["mtime"]
    # lost+found is the file system's own.
    assert (seconds_only / "lost+found").is_dir()
    assert bench.run("pull", seconds_only)["digest"] == pushed["digest"]
    assert kinds(bench.run("verify", seconds_only)) == ["mtime"]
    (source / "folder-1" / "new").write_bytes(b"x")
    (source / "large").write_bytes(b"another")
    second = bench.run("push", source, MOVER_PASS="2")
    assert bench.run("pull", seconds_only, MOVER_PASS="2")["digest"] == second["digest"]
    assert (seconds_only / "large").read_bytes() == b"another"
    os.utime(seconds_only / "large", (1, 1))
    with pytest.raises(Exception, match="large has another mtime"):
        bench.run("verify", seconds_only)


def test_without_extended_attributes_everything_else_is_kept(
    bench: Bench, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plausible_tree(source, files=20, large=2 << 20)
    for name in ("large", "folder-1"):
        os.setxattr(source / name, "user.note", b"x")
    pushed = bench.run("push", source)

    def refused(*_: object, **__: object) -> Any:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    for call in ("listxattr", "getxattr", "setxattr", "removexattr"):
        monkeypatch.setattr(os, call, refused)
    for _ in range(2):
        pulled = bench.run("pull", destination)
        assert pulled["digest"] == pushed["digest"]
        assert pulled["unkept"] == [{"what": "xattr:user", "count": 2, "example": "folder-1"}]
    assert kinds(bench.run("verify", destination)) == ["xattr:user"]
    monkeypatch.undo()
    for name in ("large", "folder-1"):
        os.removexattr(source / name, "user.note")
    assert_same(source, destination)
