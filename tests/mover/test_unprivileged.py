"""A pod that lacks a privilege keeps what it can and reports exactly what it could not."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mover.conftest import Bench, Outcome, finished
from tests.mover.trees import assert_same, everything, random_bytes

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, and setpriv to give it up"
)
# Without its capabilities root is a user like any other; this one is another.
OTHER, GROUP = 1000, 65533


def as_somebody(bench: Bench, command: str, path: Path, **environment: str) -> Outcome:
    """Run a command as an ordinary user in a group, as in a pod with an fsGroup."""
    started = bench.start(
        command, path, environment=environment, privileged=False, preexec_fn=lambda: os.setgroups([GROUP])
    )
    return finished(started)


@pytest.fixture
def volume(destination: Path) -> Path:
    """A fresh volume as a kubelet hands it to a pod with an fsGroup: somebody else's, and the group may write."""
    os.chown(destination, OTHER, GROUP)
    os.chmod(destination, 0o2775)
    return destination


@pytest.fixture
def tree(source: Path) -> Path:
    """Something of everything that takes a privilege to keep."""
    (source / "plain").write_bytes(random_bytes(3 << 20, 1))
    (source / "folder" / "deeper").mkdir(parents=True)
    (source / "folder" / "deeper" / "file").write_bytes(b"x")
    os.symlink("nowhere", source / "link")
    os.mkfifo(source / "fifo")
    (source / "owned").write_bytes(b"somebody else's")
    os.chown(source / "owned", 27, 27)
    os.chmod(source / "owned", 0o4750)
    os.mknod(source / "null", 0o20666, os.makedev(1, 3))
    os.link(source / "null", source / "null too")
    os.setxattr(source / "plain", "user.note", b"kept")
    os.setxattr(source / "plain", "trusted.note", b"not kept")
    os.setxattr(source / "folder", "security.note", b"not kept")
    (source / "sticky").mkdir(mode=0o1777)
    os.chmod(source / "sticky", 0o1777)
    os.utime(source / "folder", ns=(1, 1_000_000_001))
    os.utime(source / "link", ns=(1, 1_000_000_002), follow_symlinks=False)
    return source


def test_it_keeps_what_it_can_and_lists_the_rest(bench: Bench, tree: Path, volume: Path) -> None:
    pushed = bench.run("push", tree)
    pulled = as_somebody(bench, "pull", volume)
    assert pulled.status == 0, pulled
    assert pulled.last["digest"] == pushed["digest"]
    unkept = {each["what"]: each["count"] for each in pulled.last["unkept"]}
    assert unkept == {
        # The root belongs to somebody else.
        "owner": 2,
        "mode": 1,
        "mtime": 1,
        "device": 2,
        "xattr:trusted": 1,
        "xattr:security": 1,
    }
    before, after = everything(tree), everything(volume)
    assert before.keys() - after.keys() == {b"null", b"null too"}
    assert after[b"plain"].pop("xattrs") == {"user.note": b"kept"}
    for path, what in ((b"plain", "xattrs"), (b"folder", "xattrs"), (b"owned", "owner")):
        before[path].pop(what)
        after[path].pop(what, None)
    for path in after.keys() - {b""}:
        assert after[path] == before[path], path


def test_each_thing_that_was_not_kept_is_named_in_the_log(bench: Bench, tree: Path, volume: Path) -> None:
    bench.run("push", tree)
    pulled = as_somebody(bench, "pull", volume)
    named = {(line["what"], line["path"]) for line in pulled.lines if line["type"] == "unkept"}
    assert named == {
        ("owner", "."),
        ("mode", "."),
        ("mtime", "."),
        ("owner", "owned"),
        ("device", "null"),
        ("device", "null too"),
        ("xattr:trusted", "plain"),
        ("xattr:security", "folder"),
    }


def test_a_volume_that_was_restored_is_recognized_and_gets_its_later_pass(
    bench: Bench, tree: Path, volume: Path
) -> None:
    first = bench.run("push", tree)
    assert as_somebody(bench, "pull", volume).status == 0
    again = as_somebody(bench, "pull", volume)
    assert (again.status, again.last.get("digest")) == (0, first["digest"]), again
    assert as_somebody(bench, "verify", volume).status == 0
    (tree / "plain").write_bytes(random_bytes(3 << 20, 2))
    (tree / "folder" / "deeper" / "file").unlink()
    (tree / "came later").write_bytes(b"x")
    second = bench.run("push", tree, MOVER_PASS="2")
    later = as_somebody(bench, "pull", volume, MOVER_PASS="2")
    assert (later.status, later.last.get("digest")) == (0, second["digest"]), later
    assert (volume / "plain").read_bytes() == (tree / "plain").read_bytes()
    assert (volume / "came later").exists()
    assert not (volume / "folder" / "deeper" / "file").exists()


def test_what_somebody_else_wrote_in_between_is_not_removed(bench: Bench, tree: Path, volume: Path) -> None:
    bench.run("push", tree)
    assert as_somebody(bench, "pull", volume).status == 0
    (volume / "precious").write_bytes(b"of the application")
    bench.run("push", tree, MOVER_PASS="2")
    later = as_somebody(bench, "pull", volume, MOVER_PASS="2")
    assert (later.status, later.last["code"]) == (8, "destination-not-empty"), later
    assert (volume / "precious").exists()


def _close(path: Path) -> None:
    os.chmod(path, 0)


def _without_search(path: Path) -> None:
    os.chmod(path.parent, 0o600)


@pytest.mark.parametrize(
    ("what", "close", "named"),
    [
        ("a small file", _close, "deep/small"),
        ("a large file", _close, "deep/large"),
        ("a folder", lambda path: _close(path.parent), "deep"),
        ("a folder that cannot be searched", _without_search, "deep/"),
    ],
)
def test_what_it_may_not_read_stops_a_push_by_name_with_the_remedy(
    bench: Bench, source: Path, what: str, close: Callable[[Path], None], named: str
) -> None:
    (source / "deep").mkdir()
    (source / "deep" / "small").write_bytes(b"x")
    (source / "deep" / "large").write_bytes(random_bytes(3 << 20, 1))
    close(source / "deep" / ("large" if "large" in what else "small"))
    outcome = as_somebody(bench, "push", source)
    assert (outcome.status, outcome.last["code"]) == (7, "source-unreadable"), outcome
    assert named in outcome.last["message"]
    assert "DAC_READ_SEARCH" in outcome.last["message"]
    assert "cms/px-mysql-pvc" in outcome.last["message"]


def test_a_tree_of_its_own_is_carried_whole(bench: Bench, source: Path, volume: Path) -> None:
    (source / "file").write_bytes(b"x")
    os.setxattr(source / "file", "user.note", b"kept")
    (source / "folder").mkdir()
    os.mkfifo(source / "folder" / "fifo")
    os.symlink("x", source / "folder" / "link")
    os.link(source / "file", source / "folder" / "file too")
    os.link(source / "folder" / "fifo", source / "folder" / "fifo too")
    (source / "folder" / "closed").write_bytes(b"y")
    os.chmod(source / "folder" / "closed", 0o400)
    os.chmod(source / "folder", 0o500)
    os.chown(volume, 0, GROUP)
    os.chmod(volume, 0o755)
    pushed, pulled = as_somebody(bench, "push", source), as_somebody(bench, "pull", volume)
    assert (pushed.status, pulled.status) == (0, 0), (pushed, pulled)
    assert pulled.last["unkept"] == []
    assert_same(source, volume)


def test_sockets_are_told_of_however_many_names_they_have(bench: Bench, source: Path, destination: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "socket"))
        os.link(source / "socket", source / "socket too")
        pushed: dict[str, Any] = bench.run("push", source)
    assert pushed["unkept"] == [{"what": "socket", "count": 2, "example": "socket"}]
    bench.run("pull", destination)
    assert os.listdir(destination) == []


@pytest.mark.parametrize("mode", [0, 0o100, 0o300, 0o600], ids=oct)
def test_folders_that_their_owner_may_not_look_into_are_restored_and_recognized(
    bench: Bench, source: Path, volume: Path, mode: int
) -> None:
    (source / "closed" / "inner").mkdir(parents=True)
    (source / "closed" / "file").write_bytes(b"x")
    (source / "closed" / "inner" / "file").write_bytes(b"y")
    os.chmod(source / "closed" / "inner", mode)
    os.chmod(source / "closed", mode)
    os.chown(volume, 0, GROUP)
    pushed = bench.run("push", source)
    for _ in range(2):
        pulled = as_somebody(bench, "pull", volume)
        assert (pulled.status, pulled.last.get("digest")) == (0, pushed["digest"]), pulled
        assert pulled.last["unkept"] == []
        assert_same(source, volume)
    # Who only looks changes nothing, not even for a moment, and says what is in the way.
    verified = as_somebody(bench, "verify", volume)
    assert (verified.status, verified.last["code"]) == (7, "source-unreadable"), verified
    assert "closed" in verified.last["message"]
    assert_same(source, volume)


def test_what_a_killed_pull_left_opened_up_is_closed_again(bench: Bench, source: Path, volume: Path) -> None:
    (source / "closed").mkdir()
    (source / "closed" / "file").write_bytes(b"x")
    os.chmod(source / "closed" / "file", 0o040)
    os.chmod(source / "closed", 0o010)
    os.chown(volume, 0, GROUP)
    pushed = bench.run("push", source)
    assert as_somebody(bench, "pull", volume).status == 0
    # As it is in the moment in which a pull that had ended before looks whether all is still there.
    os.chmod(volume / "closed", 0o510)
    os.chmod(volume / "closed" / "file", 0o440)
    pulled = as_somebody(bench, "pull", volume)
    assert (pulled.status, pulled.last.get("digest")) == (0, pushed["digest"]), pulled
    assert_same(source, volume)
    # A mode that no pull gives is somebody's wish.
    os.chmod(volume / "closed" / "file", 0o640)
    assert as_somebody(bench, "pull", volume).last["code"] == "destination-not-empty"
    assert (volume / "closed" / "file").stat().st_mode & 0o7777 == 0o640
