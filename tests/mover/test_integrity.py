"""Nothing that was altered, cut, swapped, replayed or lost in the object store is restored, and it is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mover.errors import IntegrityError
from tests.mover.conftest import Bench
from tests.mover.trees import assert_same, everything, plausible_tree, random_bytes


@pytest.fixture
def pushed(bench: Bench, source: Path) -> Bench:
    plausible_tree(source, files=150, large=10 << 20)
    for number in range(3):
        (source / f"noise-{number}").write_bytes(random_bytes(9 << 20, number))
    bench.run("push", source)
    return bench


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
    pushed: Bench, source: Path, destination: Path
) -> None:
    (source / "more").write_bytes(b"x")
    pushed.run("push", source)
    old, new = (pushed.objects(f"journal/{run}")[1] for run in ("000001", "000002"))
    pushed.write(new, pushed.read(old))
    assert new in refuse(pushed, destination).message


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
