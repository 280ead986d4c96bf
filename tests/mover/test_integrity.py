"""Nothing that was altered, cut, swapped, replayed or lost in the object store is restored, and it is named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.s3 import RunningS3
from mover.errors import IntegrityError, MoverError, PusherSilent
from tests.mover.conftest import Bench, new_bench
from tests.mover.trees import assert_same, everything, plausible_tree, random_bytes


@pytest.fixture(scope="module")
def kept(s3: RunningS3, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Path, dict[str, bytes]]:
    """A volume that was pushed once, with its source and its objects as they must be."""
    source = tmp_path_factory.mktemp("kept") / "source"
    plausible_tree(source, files=100, large=6 << 20)
    for number in range(3):
        (source / f"noise-{number}").write_bytes(random_bytes(9 << 20, number))
    bench = new_bench(s3)
    bench.run("push", source)
    return bench, source, {name: bench.read(name) for name in bench.objects()}


@pytest.fixture
def pushed(kept: tuple[Bench, Path, dict[str, bytes]]) -> Iterator[Bench]:
    """That volume, to be damaged in the store; afterwards its objects are whole again."""
    bench, _, objects = kept
    environment = dict(bench.environment)
    yield bench
    bench.environment.clear()
    bench.environment.update(environment)
    present = bench.objects()
    for name in present:
        if name not in objects:
            bench.delete(name)
    for name, body in objects.items():
        if name not in present or bench.read(name) != body:
            bench.write(name, body)


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if "pushed" in request.fixturenames:
        original: Path = request.getfixturevalue("kept")[1]
        return original
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def refuse(bench: Bench, destination: Path) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        bench.run("pull", destination, MOVER_PULL_WAIT_SECONDS="1")
    assert caught.value.exit_status == 5
    assert not caught.value.retriable
    assert "cms/px-mysql-pvc" in caught.value.message
    return caught.value


def nothing_false(source: Path, destination: Path) -> None:
    """What is at the destination is the source's content, zeros that were not filled yet, or missing."""
    for path in destination.rglob("*"):
        relative = path.relative_to(destination)
        if ".kubemotion-mover" in relative.parts or not path.is_file() or path.is_symlink():
            continue
        restored, original = path.read_bytes(), (source / relative).read_bytes()
        for begin in range(0, len(restored), 4096):
            block = restored[begin : begin + 4096]
            assert block in (original[begin : begin + 4096][: len(block)], bytes(len(block))), (relative, begin)


@pytest.mark.parametrize("where", [0, 11, 12, 5000, -17, -1])
def test_one_flipped_bit_in_a_pack_is_found(pushed: Bench, source: Path, destination: Path, where: int) -> None:
    name = pushed.objects("packs/")[1]
    body = bytearray(pushed.read(name))
    body[where] ^= 0x10
    pushed.write(name, bytes(body))
    error = refuse(pushed, destination)
    assert name in error.message
    assert error.code == "block-not-authentic"
    assert any(path.name in error.message for path in source.iterdir())
    nothing_false(source, destination)


def test_a_truncated_pack_is_found(pushed: Bench, source: Path, destination: Path) -> None:
    name = pushed.objects("packs/")[0]
    pushed.write(name, pushed.read(name)[:-100_000])
    error = refuse(pushed, destination)
    assert name in error.message
    nothing_false(source, destination)


def test_a_missing_pack_is_found(pushed: Bench, source: Path, destination: Path) -> None:
    name = pushed.objects("packs/")[0]
    pushed.delete(name)
    error = refuse(pushed, destination)
    assert name in error.message
    assert error.code == "pack-missing"


def test_swapped_packs_are_found(pushed: Bench, source: Path, destination: Path) -> None:
    one, other = pushed.objects("packs/")[1:3]
    first, second = pushed.read(one), pushed.read(other)
    pushed.write(one, second)
    pushed.write(other, first)
    refuse(pushed, destination)
    nothing_false(source, destination)


def test_objects_of_another_volume_are_found(pushed: Bench, source: Path, destination: Path) -> None:
    other = Bench(
        {**pushed.environment, "MOVER_S3_PREFIX": pushed.environment["MOVER_S3_PREFIX"] + "-other"}, pushed.s3
    )
    for name in pushed.objects():
        other.write(name, pushed.read(name))
    refuse(other, destination)
    assert everything(destination).keys() == {b""}


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "replay", "empty"])
def test_a_damaged_journal_is_found(pushed: Bench, destination: Path, damage: str) -> None:
    segments = pushed.objects("journal/")
    victim = segments[1]
    body = pushed.read(victim)
    replacement = {
        "flip": body[:50] + bytes([body[50] ^ 1]) + body[51:],
        "cut": body[:-1],
        "swap": pushed.read(segments[2]),
        "replay": pushed.read(segments[0]),
        "empty": b"",
    }[damage]
    pushed.write(victim, replacement)
    error = refuse(pushed, destination)
    assert victim in error.message
    assert error.code == "journal-not-authentic"
    assert everything(destination).keys() == {b""}


def test_a_segment_of_an_earlier_run_is_not_taken_for_one_of_the_newest(
    bench: Bench, source: Path, destination: Path
) -> None:
    for name in ("first", "second"):
        (source / name).write_bytes(b"x")
        bench.run("push", source)
    old, new = (bench.objects(f"journal/{run}")[1] for run in ("000001", "000002"))
    bench.write(new, bench.read(old))
    assert new in refuse(bench, destination).message


def test_the_wrong_data_key_opens_nothing(pushed: Bench, destination: Path) -> None:
    pushed.environment["MOVER_DATA_KEY"] = "A" * 43 + "="
    assert "data key" in refuse(pushed, destination).message
    assert everything(destination).keys() == {b""}


def test_nothing_readable_is_in_the_bucket(bench: Bench, source: Path) -> None:
    (source / "recognisable-name").write_bytes(b"recognisable content " * 10_000)
    os.setxattr(source / "recognisable-name", "user.recognisable", b"recognisable value")
    bench.run("push", source)
    for name in bench.objects():
        assert b"recognisable" not in bench.read(name)
        assert "recognisable" not in name


def test_after_clean_a_damaged_push_can_be_repeated(pushed: Bench, source: Path, destination: Path) -> None:
    name = pushed.objects("packs/")[0]
    pushed.write(name, b"garbage")
    refuse(pushed, destination)
    pushed.run("clean")
    again = pushed.run("push", source)
    assert pushed.run("pull", destination)["digest"] == again["digest"]
    assert_same(source, destination)


def test_verify_names_what_differs_on_disk(pushed: Bench, source: Path, destination: Path) -> None:
    pushed.run("pull", destination)
    assert pushed.run("verify", destination)["digest"] == pushed.run("verify", source)["digest"]
    victim = destination / "noise-1"
    before = victim.stat()
    with open(victim, "r+b") as file:
        file.seek(5 << 20)
        byte = file.read(1)
        file.seek(5 << 20)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    (destination / "folder-4" / "inner-1" / "file-4").unlink()
    (destination / "unexpected").write_bytes(b"x")
    with pytest.raises(IntegrityError) as caught:
        pushed.run("verify", destination)
    assert "noise-1 has other content" in caught.value.message
    assert "folder-4/inner-1/file-4 is missing" in caught.value.message
    assert "unexpected is not in the source" in caught.value.message


def test_verify_before_anything_was_pushed_says_so(bench: Bench, destination: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        bench.run("verify", destination)
    assert "Push it first" in caught.value.message


def test_a_bucket_that_was_emptied_is_not_restored_as_an_empty_volume(pushed: Bench, destination: Path) -> None:
    for name in pushed.objects():
        pushed.delete(name)
    with pytest.raises(PusherSilent):
        pushed.run("pull", destination, MOVER_PULL_WAIT_SECONDS="0.3")


@pytest.mark.parametrize("kept_objects", ["journal/", "packs/"])
def test_half_of_the_objects_are_never_an_empty_volume(pushed: Bench, destination: Path, kept_objects: str) -> None:
    for name in pushed.objects():
        if not name.startswith(kept_objects):
            pushed.delete(name)
    with pytest.raises((IntegrityError, PusherSilent)):
        pushed.run("pull", destination, MOVER_PULL_WAIT_SECONDS="0.3")


def test_an_empty_copy_of_a_full_volume_fails_the_verification(pushed: Bench, source: Path, destination: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        pushed.run("verify", destination)
    assert caught.value.code == "tree-differs"
    assert "is missing" in caught.value.message
    assert pushed.run("verify", source)["files"] > 100


def test_a_destination_that_is_emptied_before_the_last_look_fails_the_pull(
    pushed: Bench, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def emptied(root: bytes) -> None:
        for path in destination.iterdir():
            if path.name != ".kubemotion-mover":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    # Once everything is written the pull syncs; only then does it look at the whole tree.
    monkeypatch.setattr("mover.tree.sync", emptied)
    with pytest.raises(IntegrityError) as caught:
        pushed.run("pull", destination)
    assert caught.value.code == "destination-differs"
    monkeypatch.undo()
    assert pushed.run("pull", destination)["files"] > 100


def test_verify_tells_of_a_missing_folder_once_and_of_what_is_elsewhere(
    bench: Bench, source: Path, destination: Path
) -> None:
    for folder in ("a/deep/er", "b", "c/replaced"):
        (source / folder).mkdir(parents=True)
        (source / folder / "file").write_bytes(folder.encode())
    os.link(source / "a" / "deep" / "er" / "file", source / "b" / "link")
    os.link(source / "c" / "replaced" / "file", source / "z")
    bench.run("push", source)
    bench.run("pull", destination)
    shutil.rmtree(destination / "a" / "deep")
    shutil.rmtree(destination / "c" / "replaced")
    (destination / "c" / "replaced").write_bytes(b"a file now")
    with pytest.raises(IntegrityError) as caught:
        bench.run("verify", destination)
    message = caught.value.message
    assert "a/deep is missing" in message
    assert message.count("a/deep") == 2, "once for the folder, once as the target of a hard link"
    assert "c/replaced is missing or something else" in message
    assert "c/replaced/file is missing" not in message
    assert "b/file" not in message


@pytest.mark.parametrize("command", ["push", "pull", "verify"])
def test_a_path_that_is_no_directory_is_refused(pushed: Bench, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(MoverError) as caught:
            pushed.run(command, path)
        assert "Check the mount path" in caught.value.message
