"""Attributes that are listed and cannot be read: told one by one, and all else is carried over."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mover.tree import read_xattrs
from tests.mover.conftest import Bench, Outcome, finished
from tests.mover.trees import assert_same, random_bytes

CAPABILITY = "security.capability"
# A capability (version 3) of the user namespace whose root is user 4321: elsewhere it has no meaning (EOVERFLOW).
FOREIGN_CAPABILITY = struct.pack("<IIIIII", 0x03000001, 0x400, 0, 0, 0, 4321)
IN_A_USER_NAMESPACE = ("unshare", "--map-root-user")
TOO_LARGE = os.strerror(errno.EOVERFLOW)


def _can_unshare() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*IN_A_USER_NAMESPACE, "true"], check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not _can_unshare(), reason="needs root and a user namespace of its own"
)


@pytest.fixture
def tree(source: Path) -> Path:
    (source / "folder").mkdir()
    (source / "folder" / "small").write_bytes(b"x")
    (source / "large").write_bytes(random_bytes(3 << 20, 1))
    (source / "plain").write_bytes(b"y")
    for path in (source / "folder" / "small", source / "large", source / "folder"):
        os.setxattr(path, "user.note", b"readable")
        os.setxattr(path, CAPABILITY, FOREIGN_CAPABILITY)
    return source


def push_within(bench: Bench, tree: Path, **environment: str) -> Outcome:
    outcome = finished(bench.start("push", tree, within=IN_A_USER_NAMESPACE, environment=environment))
    assert outcome.status == 0, outcome
    return outcome


def told(outcome: Outcome) -> set[tuple[str, str]]:
    return {
        (line["path"], line["message"])
        for line in outcome.lines
        if line["type"] == "warning" and line["code"] == "xattr-unread"
    }


@needs_namespaces
def test_a_push_tells_of_each_and_carries_the_rest(bench: Bench, tree: Path, destination: Path) -> None:
    pushed = push_within(bench, tree)
    message = f"The attribute {CAPABILITY} cannot be read, and was not carried over: {TOO_LARGE}."
    assert told(pushed) == {(path, message) for path in ("folder", "folder/small", "large")}
    assert pushed.last["unkept"] == [{"what": "xattr:security", "count": 3, "example": "folder"}]
    pulled = bench.run("pull", destination)
    assert pulled["digest"] == pushed.last["digest"]
    for name in ("folder", "folder/small", "large"):
        assert os.listxattr(destination / name) == ["user.note"]


@needs_namespaces
def test_a_later_push_tells_again_and_one_that_may_read_them_brings_them(
    bench: Bench, tree: Path, destination: Path
) -> None:
    first = push_within(bench, tree)
    bench.run("pull", destination)
    second = push_within(bench, tree, MOVER_PASS="2")
    assert told(second) == told(first)
    assert second.last["unkept"] == first.last["unkept"]
    third = bench.run("push", tree, MOVER_PASS="3")
    assert third["unkept"] == []
    # Their contents are in the store already.
    assert third["bytes_sent"] < 1 << 20
    bench.run("pull", destination, MOVER_PASS="3")
    assert_same(tree, destination)


@needs_namespaces
def test_a_reader_that_compares_tells_of_what_it_could_not_read(bench: Bench, tree: Path) -> None:
    environment = {"MOVER_DIGEST_KEY": bench.environment["MOVER_DATA_KEY"]}
    outcome = finished(bench.start("digest", tree, within=IN_A_USER_NAMESPACE, environment=environment))
    assert (outcome.status, outcome.last["changed"]) == (
        0,
        [{"what": "xattr-unread", "count": 3, "example": "folder"}],
    )
    # Where it is known that they could not be kept, they are not missed.
    environment["MOVER_LEAVE_OUT"] = "xattr:security"
    outcome = finished(bench.start("digest", tree, within=IN_A_USER_NAMESPACE, environment=environment))
    assert (outcome.status, outcome.last["changed"]) == (0, [])


class Attributes:
    """The calls of `os` for one file with attributes of which some fail."""

    def __init__(self, values: dict[str, bytes | int], gone: Sequence[str] = ()) -> None:
        self._values = values
        self._gone = gone

    def listxattr(self, *_: Any, **__: Any) -> list[str]:
        names, self._values = list(self._values), {k: v for k, v in self._values.items() if k not in self._gone}
        return names

    def getxattr(self, _: object, name: str, **__: Any) -> bytes:
        value = self._values.get(name, errno.ENODATA)
        if isinstance(value, int):
            raise OSError(value, os.strerror(value))
        return value


def patched(monkeypatch: pytest.MonkeyPatch, attributes: Attributes) -> None:
    monkeypatch.setattr(os, "listxattr", attributes.listxattr)
    monkeypatch.setattr(os, "getxattr", attributes.getxattr)


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.EPERM, errno.ENODATA, errno.ENOTSUP, errno.ERANGE, errno.E2BIG, errno.EOVERFLOW],
    ids=errno.errorcode.get,
)
def test_one_that_cannot_be_read_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    patched(monkeypatch, Attributes({"user.a": b"1", "system.b": number, "user.c": b"3"}))
    assert read_xattrs(b"any") == ({"user.a": b"1", "user.c": b"3"}, [("system.b", number)])


def test_one_that_is_removed_in_between_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    patched(monkeypatch, Attributes({"user.a": b"1", "user.b": b"2"}, gone=["user.b"]))
    assert read_xattrs(b"any") == ({"user.a": b"1"}, ())


def test_a_failing_disk_is_not_mistaken_for_an_unreadable_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    patched(monkeypatch, Attributes({"user.a": errno.EIO}))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        read_xattrs(b"any")


@pytest.mark.parametrize(
    ("number", "unread"),
    [(errno.EACCES, [("", errno.EACCES)]), (errno.E2BIG, [("", errno.E2BIG)]), (errno.ENOTSUP, ())],
    ids=["forbidden", "too many", "a file system without attributes"],
)
def test_where_not_even_the_names_are_told(monkeypatch: pytest.MonkeyPatch, number: int, unread: object) -> None:
    def failing(*_: Any, **__: Any) -> list[str]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "listxattr", failing)
    assert read_xattrs(b"any") == ({}, unread)
