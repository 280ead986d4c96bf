"""Random trees go through the mover and come out the same, also after they were changed and pushed again."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from demo.s3 import RunningS3
from tests.mover.conftest import new_bench
from tests.mover.trees import assert_same, random_bytes

_CHUNK = 1 << 20

names = (
    st.binary(min_size=1, max_size=20)
    .map(lambda raw: raw.replace(b"/", b"-").replace(b"\0", b"0"))
    .filter(lambda name: name not in (b".", b"..", b"lost+found", b".kubemotion-mover"))
)
times = st.integers(min_value=-(10**18), max_value=4 * 10**18)
modes = st.integers(min_value=0, max_value=0o7777)
owners = st.tuples(st.integers(0, 2**31), st.integers(0, 2**31)) if os.geteuid() == 0 else st.none()
attributes = st.text("abc.é", min_size=1, max_size=8).map("user.".__add__)
xattrs = st.dictionaries(attributes, st.binary(max_size=60), max_size=3)
sizes = st.one_of(
    st.integers(0, 300),
    st.integers(0, 100_000),
    st.sampled_from([_CHUNK - 1, _CHUNK, _CHUNK + 1, 2 * _CHUNK, 3 * _CHUNK + 5]),
)
contents = st.tuples(
    st.sampled_from(["random", "text", "zeros", "sparse"]), sizes, st.lists(st.integers(0, 3 * _CHUNK), max_size=4)
)
metadata = st.tuples(modes, owners, times, xattrs)
leaves = st.one_of(
    st.tuples(st.just("file"), metadata, contents),
    st.tuples(st.just("symlink"), metadata, st.binary(min_size=1, max_size=80).filter(lambda raw: b"\0" not in raw)),
    st.tuples(st.just("fifo"), metadata, st.none()),
    st.tuples(st.just("link"), metadata, st.integers(0, 1000)),
)
trees = st.recursive(
    st.dictionaries(names, leaves, max_size=6),
    lambda inner: st.dictionaries(names, st.one_of(leaves, st.tuples(st.just("folder"), metadata, inner)), max_size=5),
    max_leaves=25,
)
volumes = st.tuples(st.just("folder"), metadata, trees)


def plant(path: bytes, node: tuple, seen: list[bytes]) -> None:
    kind, about, detail = node
    if kind == "link":
        if not seen:
            return
        os.link(seen[detail % len(seen)], path, follow_symlinks=False)
        return
    if kind == "folder":
        if not os.path.isdir(path):
            os.mkdir(path)
        for name, below in detail.items():
            plant(path + b"/" + name, below, seen)
    elif kind == "file":
        write(path, *detail)
        seen.append(path)
    elif kind == "symlink":
        os.symlink(detail, path)
        seen.append(path)
    else:
        os.mkfifo(path)
    adorn(path, kind, about)


def write(path: bytes, how: str, size: int, offsets: list[int]) -> None:
    with open(path, "wb") as file:
        if how == "random":
            file.write(random_bytes(size, size))
        elif how == "text":
            file.write((b"a line of text\n" * (size // 15 + 1))[:size])
        elif how == "zeros":
            file.write(bytes(size))
        else:
            file.truncate(size)
            for offset in offsets:
                if offset < size:
                    file.seek(offset)
                    file.write(b"data"[: size - offset])


def adorn(path: bytes, kind: str, about: tuple) -> None:
    mode, owner, mtime, attributes = about
    if kind in ("file", "folder"):
        for name, value in attributes.items():
            os.setxattr(path, name, value)
    if owner is not None:
        os.chown(path, *owner, follow_symlinks=False)
    if kind != "symlink":
        # Without root, what its owner may not read cannot be pushed.
        os.chmod(path, mode if owner is not None else mode | stat.S_IRWXU)
    os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


@contextmanager
def two_folders() -> Iterator[tuple[Path, Path]]:
    base = Path(tempfile.mkdtemp(prefix="mover-tree-"))
    try:
        (base / "source").mkdir()
        (base / "destination").mkdir()
        yield base / "source", base / "destination"
    finally:
        shutil.rmtree(base)


relaxed = settings(
    max_examples=int(os.environ.get("MOVER_TEST_TREES", "15")),
    deadline=None,
    # Shrinking a tree takes minutes; the seed and the differing path say enough.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@relaxed
@given(volumes)
def test_a_random_tree_comes_out_the_same(s3: RunningS3, volume: tuple) -> None:
    bench = new_bench(s3)
    with two_folders() as (source, destination):
        plant(os.fsencode(source), volume, [])
        pushed = bench.run("push", source)
        pulled = bench.run("pull", destination)
        assert_same(source, destination)
        assert pushed["digest"] == pulled["digest"]
        assert bench.run("verify", destination)["digest"] == pushed["digest"]
        again = bench.run("push", source)
        assert (again["digest"], again["bytes_sent"]) == (pushed["digest"], 0)


@pytest.mark.parametrize("later_pass", [False, True], ids=["restored once", "restored twice"])
@relaxed
@given(volumes, volumes)
def test_a_tree_that_was_changed_is_pushed_again_as_it_is_now(
    s3: RunningS3, later_pass: bool, first: tuple, second: tuple
) -> None:
    bench = new_bench(s3)
    with two_folders() as (source, destination):
        plant(os.fsencode(source), first, [])
        bench.run("push", source)
        if later_pass:
            bench.run("pull", destination)
        # What both trees have stays untouched, the rest goes and comes.
        for path in list(source.iterdir()):
            if hash(path.name) % 2 and os.fsencode(path.name) not in second[2]:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        plant_over(source, second)
        asked = {"MOVER_PASS": "2"} if later_pass else {}
        pushed = bench.run("push", source, **asked)
        pulled = bench.run("pull", destination, **asked)
        assert_same(source, destination)
        assert pushed["digest"] == pulled["digest"]


def plant_over(source: Path, volume: tuple) -> None:
    for name in volume[2]:
        path = os.fsencode(source) + b"/" + name
        if os.path.lexists(path):
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
    plant(os.fsencode(source), volume, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_digest_tells_every_kind_of_difference_apart(s3: RunningS3, tmp_path: Path) -> None:
    def digest_after(change: object) -> str:
        source = Path(tempfile.mkdtemp(dir=tmp_path))
        (source / "a").mkdir()
        (source / "a" / "file").write_bytes(b"content")
        (source / "a" / "other").write_bytes(b"content")
        (source / "symlink").symlink_to("a")
        for path in (source / "a" / "file", source / "a" / "other", source / "symlink", source / "a", source):
            os.utime(path, ns=(0, 10**18), follow_symlinks=False)
        if callable(change):
            change(source)
        for path in (source / "a", source):
            if change is not touch_folder:
                os.utime(path, ns=(0, 10**18))
        digest: str = bench.run("push", source)["digest"]
        bench.run("clean")
        return digest

    def touch_folder(source: Path) -> None:
        os.utime(source / "a", ns=(0, 10**18 + 1))

    def relink(source: Path) -> None:
        (source / "symlink").unlink()
        (source / "symlink").symlink_to("b")
        os.utime(source / "symlink", ns=(0, 10**18), follow_symlinks=False)

    def hard_link(source: Path) -> None:
        (source / "a" / "other").unlink()
        os.link(source / "a" / "file", source / "a" / "other")

    def content(source: Path) -> None:
        (source / "a" / "file").write_bytes(b"CONTENT")
        os.utime(source / "a" / "file", ns=(0, 10**18))

    bench = new_bench(s3)
    changes = [
        None,
        touch_folder,
        relink,
        hard_link,
        content,
        lambda source: os.chmod(source / "a" / "file", 0o600),
        lambda source: os.chown(source / "a" / "file", 1, 0),
        lambda source: os.chown(source / "symlink", 0, 1, follow_symlinks=False),
        lambda source: os.utime(source / "a" / "file", ns=(0, 10**18 + 1)),
        lambda source: os.utime(source / "symlink", ns=(0, 10**18 + 1), follow_symlinks=False),
        lambda source: os.setxattr(source / "a" / "file", "user.x", b""),
        lambda source: os.rename(source / "a" / "file", source / "a" / "gile"),
        lambda source: os.rename(source / "a" / "file", source / "file"),
        lambda source: (source / "a" / "empty").mkdir(),
        lambda source: os.chmod(source, 0o711),
    ]
    digests = [digest_after(change) for change in changes]
    assert len(set(digests)) == len(changes)
    assert digest_after(None) == digests[0]
