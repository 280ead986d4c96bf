"""A puller works beside the pusher, and both may be stopped and started again at any time."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mover.errors import ForeignContent, PusherSilent
from mover.s3 import Client
from tests.mover.conftest import Bench, finished, until
from tests.mover.trees import assert_same, plausible_tree, random_bytes

ROUNDS = int(os.environ.get("MOVER_TEST_KILLS", "4"))


def test_a_puller_that_started_first_restores_while_the_push_goes_on(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source, files=200, large=32 << 20)
    puller = bench.start("pull", destination)
    until(lambda: (destination / ".kubemotion-mover").is_dir())
    # The pusher is held back, so that it cannot be done before the puller has begun to restore.
    pusher = bench.start("push", source, environment={"MOVER_BYTES_PER_SECOND": str(3 << 20)})
    until(
        lambda: bool(bench.objects("journal/")) and any(name != ".kubemotion-mover" for name in os.listdir(destination))
    )
    pushing = pusher.poll() is None
    pushed, pulled = finished(pusher), finished(puller)
    assert pushing
    assert (pushed.status, pulled.status) == (0, 0), (pushed, pulled)
    assert pushed.last["digest"] == pulled.last["digest"]
    assert_same(source, destination)
    phases = {line["phase"] for line in pulled.lines if line["type"] == "progress"}
    assert {"wait", "pull", "verify"} & phases


def test_a_finished_push_and_a_finished_pull_answer_at_once(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source)
    pushed, pulled = bench.run("push", source), bench.run("pull", destination)
    objects = bench.objects()
    pushed_again, pulled_again = bench.run("push", source), bench.run("pull", destination)
    assert pushed_again["digest"] == pushed["digest"]
    assert pulled_again["digest"] == pulled["digest"]
    assert pushed_again["bytes_sent"] == 0
    assert bench.objects() == objects


@pytest.mark.parametrize(("room", "times"), [(8 << 20, 1), (0, 2)])
def test_a_pull_asks_once_for_each_segment_of_the_journal_that_it_has_room_for(
    bench: Bench, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch, room: int, times: int
) -> None:
    plausible_tree(source, files=200, large=32 << 20)
    bench.run("push", source)
    asked: Counter[str] = Counter()
    get = Client.get

    def counted(client: Client, key: str, *rest: Any) -> Any:
        asked[key.partition("/volume-")[2].partition("/")[2]] += 1
        return get(client, key, *rest)

    monkeypatch.setattr(Client, "get", counted)
    monkeypatch.setattr("mover.objectstore._KEPT_BYTES", room)
    bench.run("pull", destination)
    segments = bench.objects("journal/")
    assert len(segments) > 2
    assert {asked[name] for name in segments} == {times}
    assert_same(source, destination)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_killed_at_random_instants_both_sides_complete(
    bench: Bench, source: Path, destination: Path, seed: int
) -> None:
    instants = random.Random(seed)
    plausible_tree(source, files=150, large=20 << 20)
    bench.s3.faults.latency = 0.03
    # Slow enough that there is something left to kill, however the machine shares its time between the three.
    slow = {"MOVER_BYTES_PER_SECOND": str(10 << 20)}
    pusher, puller = bench.start("push", source, environment=slow), bench.start("pull", destination, environment=slow)
    kills = 0
    for _ in range(3):
        # So much further in the store, and a moment more, so that any step of either side may be the last.
        further = len(bench.objects()) + instants.randint(0, 3)
        while pusher.poll() is None and len(bench.objects()) < further:
            time.sleep(0.01)
        time.sleep(instants.uniform(0, 0.3))
        victim = instants.choice(["push", "pull", "both"])
        if victim != "pull" and pusher.poll() is None:
            kills += 1
            pusher.kill()
            finished(pusher)
            pusher = bench.start("push", source)
        if victim != "push" and puller.poll() is None:
            kills += 1
            puller.kill()
            finished(puller)
            puller = bench.start("pull", destination)
    bench.s3.faults.latency = 0
    pushed, pulled = finished(pusher), finished(puller)
    assert kills >= 1
    assert (pushed.status, pulled.status) == (0, 0), (pushed, pulled)
    assert pushed.last["digest"] == pulled.last["digest"]
    assert_same(source, destination)
    assert not (destination / ".kubemotion-mover").exists()


def test_a_restarted_push_does_not_send_again_what_the_journal_has(
    bench: Bench, source: Path, destination: Path
) -> None:
    size = 60 << 20
    for number in range(4):
        (source / f"noise-{number}").write_bytes(random_bytes(size // 4, number))
    pusher = bench.start("push", source, environment={"MOVER_BYTES_PER_SECOND": str(3 << 20)})
    until(lambda: len(bench.objects("packs/")) >= 4)
    until(lambda: len(bench.objects("journal/")) >= 3)
    pusher.kill()
    finished(pusher)
    journaled = len(bench.objects("journal/")) - 1
    bench.s3.faults.latency = 0
    pushed = bench.run("push", source)
    # At most the packs that were on their way are sent twice.
    assert pushed["bytes_sent"] < size - journaled * (7 << 20)
    pulled = bench.run("pull", destination)
    assert pulled["digest"] == pushed["digest"]
    assert_same(source, destination)


def test_a_restarted_pull_does_not_fetch_again_what_it_restored(bench: Bench, source: Path, destination: Path) -> None:
    size = 60 << 20
    for number in range(4):
        (source / f"noise-{number}").write_bytes(random_bytes(size // 4, number))
    bench.run("push", source)
    bench.s3.faults.latency = 0.2
    puller = bench.start("pull", destination)
    until(lambda: sum(path.stat().st_blocks for path in destination.glob("noise-*")) * 512 > 24 << 20)
    puller.kill()
    finished(puller)
    bench.s3.faults.latency = 0
    restored = sum(path.stat().st_blocks for path in destination.glob("noise-*")) * 512
    pulled = bench.run("pull", destination)
    assert pulled["bytes_sent"] < size - restored + (4 * 8 << 20)
    assert_same(source, destination)


def test_a_pull_that_lost_its_notes_reads_what_is_there_and_fetches_only_what_is_not(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source, files=60, large=8 << 20)
    for number in range(2):
        (source / f"noise-{number}").write_bytes(random_bytes(8 << 20, number))
    pushed = bench.run("push", source)
    bench.run("pull", destination)
    # As after a crash of the node: begun, but nothing is known of how far it got, and one block never reached the disk.
    (destination / ".kubemotion-mover").mkdir()
    with open(destination / "noise-1", "r+b") as file:
        file.seek(3 << 20)
        file.write(bytes(1 << 20))
    shutil.rmtree(destination / "folder-5")
    pulled = bench.run("pull", destination)
    # What has several names is made anew, for its other names may be other files by now; all else is only read.
    assert 1 << 20 < pulled["bytes_sent"] < 8 << 20 < pushed["bytes_sent"] // 2
    assert_same(source, destination)


def test_a_puller_turns_to_the_restarted_push_and_keeps_what_it_has(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source, files=100, large=32 << 20)
    # The first attempt gets as far as its second segment.
    bench.s3.faults.fail(r"journal/.*/0000000[3-9]", method="PUT", times=1_000_000)
    bench.s3.faults.latency = 0.05
    pusher = bench.start("push", source)
    puller = bench.start("pull", destination)
    until(lambda: len(bench.objects("journal/")) == 2 and (destination / "folder-3").is_dir())
    pusher.kill()
    finished(pusher)
    bench.s3.faults.clear()
    # What went and what came between the two attempts is right as well.
    shutil.rmtree(source / "folder-2")
    (source / "folder-3" / "new").write_bytes(b"came later")
    pushed, pulled = bench.process("push", source), finished(puller)
    assert (pushed.status, pulled.status) == (0, 0), (pushed, pulled)
    assert_same(source, destination)
    assert len({name.split("/")[1] for name in bench.objects("journal/")}) == 2


def test_two_pushers_at_once_do_no_harm(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source, files=100, large=16 << 20)
    bench.s3.faults.latency = 0.05
    pushers = [bench.start("push", source) for _ in range(2)]
    outcomes = [finished(pusher) for pusher in pushers]
    bench.s3.faults.latency = 0
    assert sorted(outcome.status for outcome in outcomes) in ([0, 0], [0, 1])
    for outcome in outcomes:
        if outcome.status:
            assert outcome.last["code"] == "superseded"
    bench.run("pull", destination)
    assert_same(source, destination)


def test_sigterm_stops_with_143_and_the_next_attempt_goes_on(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source, files=50, large=32 << 20)
    bench.s3.faults.latency = 0.2
    pusher = bench.start("push", source)
    puller = bench.start("pull", destination)
    until(lambda: bool(bench.objects("packs/")))
    for process in (pusher, puller):
        process.send_signal(signal.SIGTERM)
    for outcome in (finished(pusher, 15), finished(puller, 15)):
        assert outcome.status == 143, outcome
        assert outcome.last["type"] == "error"
        assert outcome.last["code"] == "stopped"
        assert outcome.last["retriable"] is True
    bench.s3.faults.latency = 0
    assert bench.run("push", source)["digest"] == bench.run("pull", destination)["digest"]
    assert_same(source, destination)


def test_a_silent_pusher_is_given_up(bench: Bench, destination: Path) -> None:
    with pytest.raises(PusherSilent) as caught:
        bench.run("pull", destination, MOVER_PULL_WAIT_SECONDS="0.5")
    assert caught.value.exit_status == 9
    assert caught.value.retriable
    assert "cms/px-mysql-pvc" in caught.value.message


def test_a_destination_with_foreign_content_is_refused_and_left_alone(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source)
    (destination / "precious").write_bytes(b"not ours")
    with pytest.raises(ForeignContent) as caught:
        bench.run("pull", destination)
    assert "precious" in caught.value.message
    bench.run("push", source)
    with pytest.raises(ForeignContent):
        bench.run("pull", destination)
    assert os.listdir(destination) == ["precious"]
    assert (destination / "precious").read_bytes() == b"not ours"


def test_a_restored_tree_that_was_changed_since_is_not_overwritten(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source)
    bench.run("push", source)
    bench.run("pull", destination)
    (destination / "folder-0" / "inner-0" / "file-21").write_bytes(b"written by the application")
    with pytest.raises(ForeignContent) as caught:
        bench.run("pull", destination)
    assert "folder-0/inner-0/file-21" in caught.value.message
    assert (destination / "folder-0" / "inner-0" / "file-21").read_bytes() == b"written by the application"


@pytest.mark.parametrize("manifest_stored", [True, False], ids=["closed", "lost-before-its-manifest"])
def test_a_pull_that_had_ended_goes_on_with_a_push_that_began_anew(
    bench: Bench, source: Path, destination: Path, manifest_stored: bool
) -> None:
    plausible_tree(source)
    bench.run("push", source)
    bench.run("pull", destination)
    if not manifest_stored:
        bench.delete(bench.objects("manifest/")[0])
    change(source)
    # The new run stays open until the pull has made up its mind.
    bench.s3.faults.fail(r"journal/.*/0000000[2-9]", method="PUT", times=1_000_000)
    pusher = bench.start("push", source)
    until(lambda: len({name.split("/")[1] for name in bench.objects("journal/")}) == 2)
    puller = bench.start("pull", destination)
    until(lambda: puller.poll() is not None or (destination / ".kubemotion-mover" / "state.json").exists())
    # Lost once more, it has its notes.
    puller.kill()
    finished(puller)
    puller = bench.start("pull", destination)
    bench.s3.faults.clear()
    pushed, pulled = finished(pusher), finished(puller)
    assert (pushed.status, pulled.status) == (0, 0), (pushed, pulled)
    assert pushed.last["digest"] == pulled.last["digest"]
    # What it held was not fetched again.
    assert pulled.last["bytes_sent"] < pulled.last["bytes"] // 2
    assert_same(source, destination)
    assert not (destination / ".kubemotion-mover").exists()


def test_a_pull_that_had_ended_answers_at_once_where_the_push_was_lost_before_its_manifest(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source)
    bench.run("push", source)
    pulled = bench.run("pull", destination)
    bench.delete(bench.objects("manifest/")[0])
    assert bench.run("pull", destination)["digest"] == pulled["digest"]


def test_a_pull_that_had_ended_takes_over_what_a_second_push_has_closed_since(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source)
    bench.run("push", source)
    bench.run("pull", destination)
    change(source)
    pushed = bench.run("push", source)
    assert bench.run("pull", destination)["digest"] == pushed["digest"]
    assert_same(source, destination)


def change(source: Path) -> None:
    """As an application that goes on working would."""
    (source / "folder-0" / "inner-0" / "file-21").write_bytes(b"written by the application")
    (source / "new").write_bytes(b"came later")
    shutil.rmtree(source / "folder-2")


@pytest.mark.parametrize("pushed_again", [False, True])
def test_what_differs_from_every_run_is_foreign_and_stays_as_it_is(
    bench: Bench, source: Path, destination: Path, pushed_again: bool
) -> None:
    plausible_tree(source)
    bench.run("push", source)
    bench.run("pull", destination)
    (destination / "folder-1" / "precious").write_bytes(b"not ours")
    destination.chmod(0o751)
    os.utime(destination, ns=(1, 1))
    if pushed_again:
        change(source)
        bench.run("push", source)
    with pytest.raises(ForeignContent):
        bench.run("pull", destination)
    assert (destination / "folder-1" / "precious").read_bytes() == b"not ours"
    status = destination.stat()
    assert (status.st_mode & 0o7777, status.st_mtime_ns) == (0o751, 1)


def test_killed_between_the_state_folder_and_the_roots_time_it_still_completes(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source)
    bench.run("push", source)
    bench.run("pull", destination)
    os.utime(destination)
    os.chmod(destination, 0o700)
    bench.run("pull", destination)
    assert_same(source, destination)


def test_clean_removes_everything_of_this_volume_and_nothing_else(bench: Bench, source: Path) -> None:
    plausible_tree(source)
    bench.run("push", source)
    prefix = bench.environment["MOVER_S3_PREFIX"]
    bench.client.put_object(Bucket=bench.s3.bucket, Key=f"{prefix}-neighbour/object", Body=b"x")
    upload = bench.client.create_multipart_upload(Bucket=bench.s3.bucket, Key=f"{prefix}/packs/unfinished")
    cleaned = bench.run("clean")
    assert cleaned["files"] > 3
    assert bench.objects() == []
    assert bench.client.get_object(Bucket=bench.s3.bucket, Key=f"{prefix}-neighbour/object")["Body"].read() == b"x"
    uploads = bench.client.list_multipart_uploads(Bucket=bench.s3.bucket).get("Uploads", [])
    assert upload["UploadId"] not in [each["UploadId"] for each in uploads]
    assert bench.run("clean")["files"] == 0
