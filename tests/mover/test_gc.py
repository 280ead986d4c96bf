"""After killed pushes the garbage goes, and everything that a pull or the next push needs stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mover.crypto import VolumeKeys
from mover.entries import FILE
from mover.errors import IntegrityError
from mover.journal import CONTINUE, JournalReader, list_runs, pack_name
from mover.objectstore import ObjectStore
from tests.mover.conftest import Bench, until
from tests.mover.trees import assert_same, plausible_tree, random_bytes


def packs_named_in_journals(bench: Bench) -> set[str]:
    """The packs of which the journals that are there speak."""
    settings = bench.settings()
    store = ObjectStore(settings)
    found: set[str] = set()
    for run in list_runs(store):
        reader = JournalReader(store, VolumeKeys(settings.data_key, settings.prefix), run, settings.volume)
        for records in reader.segments():
            for record in records:
                items: list[Any] = record[10] if record[0] == FILE else record[1] if record[0] == CONTINUE else []
                found |= {pack_name(reader.head["packs"][each[1]], each[2]) for each in items if len(each) > 2}
    store.close()
    return found


def killed_push(bench: Bench, source: Path, packs: int) -> None:
    """A push that is killed when it has stored so many packs."""
    before = len(bench.objects("packs/"))
    connections = bench.s3.connections()
    bench.s3.faults.latency = 0.05
    process = bench.start("push", source)
    until(lambda: len(bench.objects("packs/")) >= before + packs)
    process.kill()
    process.communicate()
    bench.s3.faults.latency = 0
    # What the store had received whole by then, it still keeps.
    until(lambda: bench.s3.connections() <= connections)


def start_upload(bench: Bench, name: str) -> None:
    key = f"{bench.environment['MOVER_S3_PREFIX']}/{name}"
    upload = bench.client.create_multipart_upload(Bucket=bench.s3.bucket, Key=key)["UploadId"]
    bench.client.upload_part(Bucket=bench.s3.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * 1000)


def test_after_killed_pushes_only_what_is_referenced_stays(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source, files=50, large=4 << 20)
    (source / "noise").write_bytes(random_bytes(100 << 20, 3))
    for packs in (2, 3):
        killed_push(bench, source, packs)
    run = bench.objects("journal/")[0].split("/")[1]
    # What was stored and not told of any more.
    bench.write(pack_name(run, 90), b"an orphan")
    bench.write("packs/000000-0123456789abcdef/00000000", b"of a run without a journal")
    start_upload(bench, "packs/left over")
    pushed = bench.run("push", source)
    before = {name: len(bench.read(name)) for name in bench.objects()}
    outcome = bench.process("gc")
    assert outcome.status == 0, outcome
    result = outcome.last
    after = bench.objects()
    gone = before.keys() - set(after)
    assert {pack_name(run, 90), "packs/000000-0123456789abcdef/00000000"} <= gone
    assert (result["objects"], result["bytes"], result["uploads"]) == (len(gone), sum(before[name] for name in gone), 1)
    assert set(bench.objects("packs/")) == packs_named_in_journals(bench)
    assert len({name.split("/")[1] for name in bench.objects("journal/")}) == 1
    assert bench.run("gc") == {"objects": 0, "bytes": 0, "uploads": 0}
    assert bench.run("push", source)["bytes_sent"] == 0
    assert bench.run("pull", destination)["digest"] == pushed["digest"]
    assert_same(source, destination)
    assert bench.client.list_multipart_uploads(Bucket=bench.s3.bucket).get("Uploads", []) == []


def test_what_a_push_under_way_needs_stays(bench: Bench, source: Path, destination: Path) -> None:
    (source / "kept").write_bytes(random_bytes(9 << 20, 1))
    (source / "replaced").write_bytes(random_bytes(9 << 20, 2))
    bench.run("push", source)
    closed = set(bench.objects())
    (source / "replaced").write_bytes(random_bytes(60 << 20, 3))
    killed_push(bench, source, 2)
    open_run = set(bench.objects()) - closed
    # It has stored this and is about to tell of it.
    bench.write(pack_name(next(iter(open_run)).split("/")[1], 80), b"untold")
    before = set(bench.objects())
    assert bench.run("gc")["objects"] == 0
    assert before <= set(bench.objects())
    resumed = bench.run("push", source)
    assert resumed["bytes_sent"] < 70 << 20
    assert bench.run("gc")["objects"] > 0
    assert bench.run("pull", destination)["digest"] == resumed["digest"]
    assert_same(source, destination)


def test_a_second_pass_still_finds_the_first_after_the_garbage_went(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source, files=30, large=2 << 20)
    bench.run("push", source, MOVER_PASS="1")
    bench.run("pull", destination, MOVER_PASS="1")
    (source / "later").write_bytes(random_bytes(3 << 20, 8))
    pushed = bench.run("push", source, MOVER_PASS="2")
    bench.write(pack_name(bench.objects("journal/")[0].split("/")[1], 50), b"an orphan")
    assert bench.run("gc")["objects"] == 1
    assert bench.run("pull", destination, MOVER_PASS="2")["digest"] == pushed["digest"]
    assert_same(source, destination)


@pytest.mark.parametrize("damaged", ["journal/", "manifest/"])
def test_nothing_goes_while_it_is_not_certain_what_is_needed(bench: Bench, source: Path, damaged: str) -> None:
    plausible_tree(source, files=5, large=1 << 20)
    bench.run("push", source)
    bench.write("packs/000000-0123456789abcdef/00000000", b"an orphan")
    start_upload(bench, "packs/left over")
    victim = bench.objects(damaged)[-1]
    bench.write(victim, bench.read(victim)[:-1])
    before = bench.objects()
    with pytest.raises(IntegrityError):
        bench.run("gc")
    assert bench.objects() == before


def test_a_journal_without_its_end_removes_nothing(bench: Bench, source: Path) -> None:
    plausible_tree(source, files=5, large=1 << 20)
    bench.run("push", source)
    bench.delete(bench.objects("journal/")[-1])
    before = bench.objects()
    outcome = bench.process("gc")
    assert (outcome.status, outcome.last["code"]) == (5, "journal-incomplete")
    assert "Nothing was removed" in json.dumps(outcome.last)
    assert bench.objects() == before


def test_other_volumes_are_left_alone(bench: Bench, source: Path) -> None:
    plausible_tree(source, files=5, large=1 << 20)
    other = Bench({**bench.environment, "MOVER_S3_PREFIX": bench.environment["MOVER_S3_PREFIX"] + "-other"}, bench.s3)
    other.write("packs/000000-0123456789abcdef/00000000", b"not of this volume")
    start_upload(other, "packs/left over")
    bench.run("push", source)
    assert bench.run("gc") == {"objects": 0, "bytes": 0, "uploads": 0}
    assert len(other.objects()) == 1
    assert other.run("gc") == {"objects": 1, "bytes": 18, "uploads": 1}
