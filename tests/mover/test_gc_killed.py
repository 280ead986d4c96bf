"""Wherever a collection of garbage dies, nothing is gone that anybody needs, and the next one ends what it began."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mover.journal import pack_name
from mover.objectstore import ObjectStore
from tests.mover.conftest import Bench, finished, until
from tests.mover.test_gc import killed_push, packs_named_in_journals, start_upload
from tests.mover.trees import assert_same, random_bytes

ORPHAN = "packs/000000-0123456789abcdef/00000000"


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def littered(bench: Bench, source: Path) -> dict[str, bytes]:
    """A store with a run that was killed, one that was closed, one that is under way, and litter; its objects."""
    (source / "kept").write_bytes(random_bytes(9 << 20, 1))
    (source / "large").write_bytes(random_bytes(40 << 20, 2))
    killed_push(bench, source, 2)
    bench.run("push", source)
    (source / "large").write_bytes(random_bytes(40 << 20, 3))
    killed_push(bench, source, 2)
    for number in range(1, 6):
        bench.write(pack_name("000000-0123456789abcdef", number), b"told of nowhere")
    bench.write(ORPHAN, b"of a run without a journal")
    start_upload(bench, "packs/left over")
    return {name: bench.read(name) for name in bench.objects()}


def restore(bench: Bench, objects: dict[str, bytes]) -> None:
    for name in objects.keys() - set(bench.objects()):
        bench.write(name, objects[name])


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Arms the store: the request that `dies` counts is the last of the process, before or `after` it was answered."""
    attempt, delete = ObjectStore._attempt, ObjectStore.delete
    state: dict[str, Any] = {"asked": 0, "dies": 0, "after": False}

    def dying(self: ObjectStore, *args: Any, **kwargs: Any) -> Any:
        state["asked"] += 1
        dies = state["asked"] == state["dies"]
        if dies and not state["after"]:
            raise Killed
        answer = attempt(self, *args, **kwargs)
        if dies:
            raise Killed
        return answer

    def one_by_one(self: ObjectStore, names: Any) -> None:
        # A request removes a thousand; a store may have removed any part of them when it dies.
        for name in names:
            delete(self, [name])

    monkeypatch.setattr(ObjectStore, "_attempt", dying)
    monkeypatch.setattr(ObjectStore, "delete", one_by_one)

    yield state
    monkeypatch.undo()


@pytest.mark.parametrize("after", [False, True])
def test_it_may_die_at_any_request(
    bench: Bench,
    source: Path,
    destination: Path,
    littered: dict[str, bytes],
    deadly: dict[str, Any],
    after: bool,
) -> None:
    bench.run("gc")
    needed = set(bench.objects())
    assert len(littered) - len(needed) >= 7
    number = killed = 0
    while True:
        restore(bench, littered)
        number += 1
        deadly.update(asked=0, dies=number, after=after)
        try:
            bench.run("gc")
        except Killed:
            killed += 1
        # A request may also be one of a thread's that looks ahead; that does not end the process.
        reached = deadly["asked"] >= number
        deadly["dies"] = 0
        left = set(bench.objects())
        assert needed <= left <= set(littered), number
        assert packs_named_in_journals(bench) <= left, number
        bench.run("gc")
        assert set(bench.objects()) == needed, number
        if not reached:
            break
    assert killed > 12
    mine = {"Bucket": bench.s3.bucket, "Prefix": bench.environment["MOVER_S3_PREFIX"]}
    assert bench.client.list_multipart_uploads(**mine).get("Uploads", []) == []
    # What was under way goes on with all that it had stored, and the result is whole.
    stored = sum(len(body) for name, body in littered.items() if name in needed and name.startswith("packs/"))
    pushed = bench.run("push", source)
    assert pushed["bytes_sent"] < stored
    assert bench.run("pull", destination)["digest"] == pushed["digest"]
    assert_same(source, destination)


def test_one_that_is_killed_beside_a_push_and_a_pull_harms_neither(
    bench: Bench, source: Path, destination: Path, littered: dict[str, bytes]
) -> None:
    bench.s3.faults.latency = 0.05
    pushing = bench.start("push", source)
    pulling = bench.start("pull", destination)
    for _ in range(6):
        collecting = bench.start("gc")
        until(lambda process=collecting: ORPHAN not in bench.objects() or process.poll() is not None)  # type: ignore[misc]
        collecting.kill()
        collecting.communicate()
        if ORPHAN not in bench.objects():
            bench.write(ORPHAN, b"of a run without a journal")
    bench.s3.faults.latency = 0
    pushed, pulled = finished(pushing), finished(pulling)
    assert pushed.status == pulled.status == 0, (pushed, pulled)
    assert pushed.last["digest"] == pulled.last["digest"]
    assert_same(source, destination)
    assert bench.process("gc").status == 0
    assert ORPHAN not in bench.objects()
    # The next pass has what it needs.
    (source / "later").write_bytes(random_bytes(1 << 20, 9))
    again = bench.run("push", source, MOVER_PASS="2")
    assert again["bytes_sent"] < 3 << 20
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == again["digest"]
    assert_same(source, destination)
