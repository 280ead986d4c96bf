"""Every single object of a volume is damaged in every way: a pull and a verification notice each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.s3 import RunningS3
from mover.errors import IntegrityError, MoverError, PusherSilent
from tests.mover.conftest import Bench, new_bench
from tests.mover.trees import everything, plausible_tree, random_bytes

# Puts what it is told in place of an object; only objects that are there can be damaged.
Damage = Callable[[bytes, bytes, bytes], bytes]


def _flipped(where: float) -> Damage:
    def damage(body: bytes, sibling: bytes, stranger: bytes) -> bytes:
        place = min(int(len(body) * where), len(body) - 1)
        return body[:place] + bytes([body[place] ^ 0x20]) + body[place + 1 :]

    return damage


DAMAGES: dict[str, Damage] = {
    "flipped at the begin": _flipped(0),
    "flipped near the begin": _flipped(0.01),
    "flipped in the middle": _flipped(0.5),
    "flipped at the end": _flipped(1),
    "cut by a byte": lambda body, sibling, stranger: body[:-1],
    "cut in half": lambda body, sibling, stranger: body[: len(body) // 2],
    "emptied": lambda body, sibling, stranger: b"",
    "zeroed": lambda body, sibling, stranger: bytes(len(body)),
    "replaced by another of its kind": lambda body, sibling, stranger: sibling,
    "swapped with an earlier run's": lambda body, sibling, stranger: stranger,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corruption") / "source"
    plausible_tree(root, files=25, large=1 << 20)
    for number in range(2):
        (root / f"noise-{number}").write_bytes(random_bytes(5 << 20, number))
    return root


@pytest.fixture(scope="module")
def pushed(s3: RunningS3, source: Path) -> Bench:
    """Two runs, of which the newest takes over one pack and adds its own."""
    bench = new_bench(s3)
    bench.run("push", source)
    (source / "noise-0").write_bytes(random_bytes(5 << 20, 100))
    (source / "another").write_bytes(random_bytes(9 << 20, 101))
    bench.run("push", source)
    return bench


@pytest.fixture(scope="module")
def objects(pushed: Bench) -> dict[str, bytes]:
    return {name: pushed.read(name) for name in pushed.objects()}


@pytest.fixture
def whole(pushed: Bench, objects: dict[str, bytes]) -> Iterator[Bench]:
    """The volume; what a test damaged is whole again afterwards."""
    yield pushed
    for name, body in objects.items():
        pushed.write(name, body)


def of_newest_run(objects: dict[str, bytes], kind: str) -> list[str]:
    newest = max(name for name in objects if name.startswith("manifest/")).split("/")[1]
    return sorted(name for name in objects if name.startswith(f"{kind}/{newest}"))


def damaged(objects: dict[str, bytes], name: str, way: str) -> bytes | None:
    """The object after its damage; None where this damage changes nothing or has nothing to put there."""
    kind, run = name.split("/")[:2]
    siblings = [each for each in objects if each.startswith(f"{kind}/{run}") and each != name]
    strangers = [each for each in objects if each.startswith(kind + "/") and each.split("/")[1] != run]
    needs = {"replaced by another of its kind": siblings, "swapped with an earlier run's": strangers}
    if not needs.get(way, [name]):
        return None
    sibling, stranger = (objects[found[0]] if found else b"" for found in (siblings, strangers))
    body = DAMAGES[way](objects[name], sibling, stranger)
    return None if body == objects[name] else body


def nothing_wrong_is_complete(source: Path, destination: Path) -> None:
    """A file has its content or is not complete: the mover's folder is still there, and its bytes are zeros or right.

    A file has the time of its source only when it is complete.
    """
    assert (destination / ".kubemotion-mover").is_dir()
    wanted = everything(source)
    for path, found in everything(destination).items():
        if "content" not in found:
            continue
        if found["mtime"] == wanted[path]["mtime"]:
            assert found["content"] == wanted[path]["content"], path
            continue
        name = path.decode()
        original, restored = (source / name).read_bytes(), (destination / name).read_bytes()
        for begin in range(0, len(restored), 4096):
            block = restored[begin : begin + 4096]
            assert block in (original[begin : begin + 4096][: len(block)], bytes(len(block))), (name, begin)


def refused_pull(bench: Bench, destination: Path) -> IntegrityError | None:
    """Why a pull refuses what is stored; None when it completes."""
    try:
        bench.run("pull", destination)
    except IntegrityError as error:
        return error
    return None


@pytest.mark.parametrize("way", DAMAGES)
def test_no_damaged_pack_is_restored(
    whole: Bench, objects: dict[str, bytes], source: Path, tmp_path: Path, way: str
) -> None:
    packs = sorted(name for name in objects if name.startswith("packs/"))
    assert len(packs) >= 3
    tried = 0
    for number, name in enumerate(packs):
        body = damaged(objects, name, way)
        if body is None:
            continue
        destination = tmp_path / str(number)
        destination.mkdir()
        whole.write(name, body)
        refusal = refused_pull(whole, destination)
        if refusal is None:
            # A pull that does not need the damaged part of an earlier run's pack never sees it.
            assert name not in of_newest_run(objects, "packs")
            assert whole.run("verify", destination)["files"] == whole.run("verify", source)["files"]
        else:
            tried += 1
            assert name in refusal.message
            nothing_wrong_is_complete(source, destination)
            with pytest.raises(IntegrityError):
                whole.run("verify", destination)
        whole.write(name, objects[name])
    assert tried >= len(of_newest_run(objects, "packs"))


@pytest.mark.parametrize("way", DAMAGES)
def test_no_damaged_journal_segment_is_believed(
    whole: Bench, objects: dict[str, bytes], source: Path, tmp_path: Path, way: str
) -> None:
    segments = of_newest_run(objects, "journal")
    assert len(segments) >= 3
    for number, name in enumerate(segments):
        body = damaged(objects, name, way)
        assert body is not None
        destination = tmp_path / str(number)
        destination.mkdir()
        whole.write(name, body)
        for command, path in (("pull", destination), ("verify", source)):
            with pytest.raises(IntegrityError) as caught:
                whole.run(command, path)
            assert caught.value.code == "journal-not-authentic"
            assert name in caught.value.message
        nothing_wrong_is_complete(source, destination)
        whole.write(name, objects[name])


@pytest.mark.parametrize("way", DAMAGES)
def test_no_damaged_manifest_is_believed(whole: Bench, objects: dict[str, bytes], source: Path, way: str) -> None:
    (name,) = of_newest_run(objects, "manifest")
    body = damaged(objects, name, way)
    if body is None:
        assert way == "replaced by another of its kind"
        return
    whole.write(name, body)
    # The source looks like a volume that was restored already, so that a pull relies on the manifest as well.
    for command in ("pull", "verify"):
        with pytest.raises(IntegrityError) as caught:
            whole.run(command, source)
        assert caught.value.code == "manifest-not-authentic"
        assert name in caught.value.message


@pytest.mark.parametrize("kind", ["packs", "journal", "manifest"])
def test_every_missing_object_is_missed(
    whole: Bench, objects: dict[str, bytes], source: Path, tmp_path: Path, kind: str
) -> None:
    for number, name in enumerate(of_newest_run(objects, kind)):
        destination = tmp_path / str(number)
        destination.mkdir()
        whole.delete(name)
        if kind != "manifest":
            with pytest.raises((IntegrityError, PusherSilent)):
                whole.run("pull", destination, MOVER_PULL_WAIT_SECONDS="0.3")
            nothing_wrong_is_complete(source, destination)
        with pytest.raises(MoverError) as caught:
            whole.run("verify", destination if kind == "packs" else source)
        assert caught.value.exit_status in (5, 9)
        whole.write(name, objects[name])


def test_two_objects_in_each_others_place_are_noticed(
    whole: Bench, objects: dict[str, bytes], source: Path, tmp_path: Path
) -> None:
    for kind in ("packs", "journal"):
        one, other = of_newest_run(objects, kind)[:2]
        whole.write(one, objects[other])
        whole.write(other, objects[one])
        destination = tmp_path / kind
        destination.mkdir()
        with pytest.raises(IntegrityError):
            whole.run("pull", destination)
        nothing_wrong_is_complete(source, destination)
        for name in (one, other):
            whole.write(name, objects[name])
