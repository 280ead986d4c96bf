"""What fails is retried where that helps, and otherwise said: which thing, where, and what to do."""

from __future__ import annotations

import base64
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from mover.errors import StoreRefused, StoreUnavailable
from mover.reading import SourceReader
from mover.tree import read_xattrs
from mover.walking import walk
from tests.mover.conftest import REPOSITORY, Bench, finished, until
from tests.mover.trees import assert_same, plausible_tree, random_bytes

root_only = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, and setpriv to give it up"
)


def test_transient_answers_of_the_store_are_retried(
    bench: Bench, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mover.objectstore._FIRST_DELAY", 0.02)
    plausible_tree(source, large=20 << 20)
    faults = bench.s3.faults
    for status, code in ((503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests"), (400, "RequestTimeout")):
        faults.fail("packs/", method="PUT", status=status, code=code)
        faults.fail("journal/", method="PUT", status=status, code=code)
    faults.drop("packs/", method="PUT", after_bytes=100_000, times=2)
    faults.drop("journal/", method="PUT")
    pushed = bench.run("push", source)
    for status, code in ((503, "SlowDown"), (500, "InternalError")):
        faults.fail("packs/", method="GET", status=status, code=code)
        faults.fail("journal/", method="GET", status=status, code=code)
        faults.fail("list-type", method="GET", status=status, code=code)
    faults.drop("packs/", method="GET", after_bytes=300_000, times=3)
    faults.drop("journal/", method="GET", after_bytes=20, times=2)
    pulled = bench.run("pull", destination)
    assert pulled["digest"] == pushed["digest"]
    assert_same(source, destination)


def test_a_store_that_stays_away_is_reported_as_unavailable(bench: Bench, source: Path) -> None:
    plausible_tree(source)
    bench.s3.faults.fail("packs/", status=503, times=1_000_000)
    outcome = bench.process("push", source, environment={"MOVER_S3_RETRY_SECONDS": "1"})
    assert outcome.status == 3
    assert outcome.last["type"] == "error"
    assert outcome.last["retriable"] is True
    assert bench.s3.endpoint in outcome.last["message"]
    assert "SlowDown" in outcome.last["message"]


def test_nobody_listening_is_reported_as_unavailable(bench: Bench, source: Path) -> None:
    with pytest.raises(StoreUnavailable):
        bench.run("push", source, MOVER_S3_ENDPOINT="http://127.0.0.1:1", MOVER_S3_RETRY_SECONDS="0.5")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "secret key"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "access key"),
        ({"MOVER_S3_BUCKET": "no-such-bucket"}, "bucket does not exist"),
    ],
)
def test_a_refusal_of_the_store_says_what_to_correct(
    bench: Bench, source: Path, changed: dict[str, str], said: str
) -> None:
    outcome = bench.process("push", source, environment=changed)
    assert outcome.status == 4
    assert said in outcome.last["message"]
    assert outcome.last["retriable"] is False
    assert bench.environment["AWS_SECRET_ACCESS_KEY"] not in json.dumps(outcome.lines) + outcome.stderr


def test_a_read_only_key_pair_is_refused_for_a_push(bench: Bench, source: Path) -> None:
    plausible_tree(source)
    keys = bench.s3.read_only_keys
    with pytest.raises(StoreRefused) as caught:
        bench.run("push", source, AWS_ACCESS_KEY_ID=keys.access_key_id, AWS_SECRET_ACCESS_KEY=keys.secret_access_key)
    assert "grant" in caught.value.message


def test_a_file_that_does_not_fit_is_named_and_goes_on_later(bench: Bench, source: Path, destination: Path) -> None:
    (source / "small").write_bytes(b"x" * 1000)
    (source / "too large").write_bytes(random_bytes(6 << 20, 1))
    bench.run("push", source)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))

    outcome = bench.process("pull", destination, preexec_fn=limit)
    assert outcome.status == 6, outcome
    assert outcome.last["code"] == "no-space"
    assert "too large" in outcome.last["message"]
    assert "bytes" in outcome.last["message"]
    bench.run("pull", destination)
    assert_same(source, destination)


@root_only
def test_a_full_disk_is_reported_and_a_larger_one_completes(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source, files=50, large=12 << 20)
    bench.run("push", source)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(destination)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        outcome = bench.process("pull", destination)
        assert outcome.status == 6, outcome
        assert "No space on the destination volume cms/px-mysql-pvc" in outcome.last["message"]
        assert "free" in outcome.last["message"]
        subprocess.run(["mount", "-o", "remount,size=64m", str(destination)], check=True)
        assert bench.process("pull", destination).status == 0
        assert_same(source, destination)
    finally:
        subprocess.run(["umount", str(destination)], check=True)


@root_only
def test_an_unreadable_file_fails_the_push_by_name(bench: Bench, source: Path) -> None:
    (source / "open").write_bytes(b"x")
    (source / "closed").write_bytes(b"x")
    os.chmod(source / "closed", 0)
    outcome = bench.process("push", source, privileged=False)
    assert outcome.status == 7, outcome
    assert "closed" in outcome.last["message"]
    assert "DAC_READ_SEARCH" in outcome.last["message"]


@root_only
def test_without_privileges_owners_and_devices_are_reported_and_the_rest_is_kept(
    bench: Bench, source: Path, destination: Path
) -> None:
    plausible_tree(source, files=20, large=1 << 20)
    (source / "private").write_bytes(b"nobody else's")
    os.setxattr(source / "private", "user.note", b"kept")
    os.setxattr(source / "private", "trusted.note", b"not kept")
    os.chmod(source / "private", 0)
    os.chown(source / "large", 123, 456)
    os.chmod(source / "large", 0o6755)
    os.mknod(source / "null", 0o20666, os.makedev(1, 3))
    (source / "closed folder").mkdir()
    (source / "closed folder" / "inside").write_bytes(b"x")
    os.link(source / "private", source / "closed folder" / "private too")
    os.chmod(source / "closed folder", 0o555)
    pushed = bench.run("push", source)
    outcome = bench.process("pull", destination, privileged=False)
    assert outcome.status == 0, outcome
    assert outcome.last["digest"] == pushed["digest"]
    unkept = {each["what"]: each for each in outcome.last["unkept"]}
    assert set(unkept) == {"owner", "device", "xattr:trusted"}
    assert unkept["device"] == {"what": "device", "count": 1, "example": "null"}
    assert not (destination / "null").exists()
    assert (destination / "private").stat().st_mode & 0o7777 == 0
    assert os.getxattr(destination / "private", "user.note") == b"kept"
    assert (destination / "large").read_bytes() == (source / "large").read_bytes()
    assert (destination / "large").stat().st_mtime_ns == (source / "large").stat().st_mtime_ns
    again = bench.process("pull", destination, privileged=False)
    assert (again.status, again.last["digest"]) == (0, pushed["digest"]), again


@root_only
def test_without_privileges_a_tree_of_ones_own_is_kept_whole(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source, files=20, large=1 << 20)
    pushed = bench.process("push", source, privileged=False)
    pulled = bench.process("pull", destination, privileged=False)
    assert (pushed.status, pulled.status) == (0, 0), (pushed, pulled)
    assert pulled.last["unkept"] == []
    assert pulled.last["digest"] == pushed.last["digest"]
    assert bench.process("verify", destination, privileged=False).status == 0


def test_a_file_that_never_holds_still_is_reported_and_not_torn_silently(
    bench: Bench, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "log").write_bytes(b"line\n" * 1000)
    (source / "steady").write_bytes(b"x")

    def meanwhile(handle: int) -> object:
        with open(source / "log", "ab") as file:
            file.write(b"line\n")
        return read_xattrs(handle)

    # A file's attributes are read between its content and the last look at its times.
    monkeypatch.setattr("mover.tree.read_xattrs", meanwhile)
    pushed = bench.run("push", source)
    monkeypatch.undo()
    assert "changed-while-read" in [each["what"] for each in pushed["changed"]]
    assert bench.warnings[-1]["path"] == "log"
    settled = bench.run("push", source)
    assert settled["changed"] == []
    assert settled["digest"] != pushed["digest"]


def test_what_was_written_just_before_it_was_read_is_read_again_the_next_time(
    bench: Bench, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("small", 500), ("large", 3 << 20)):
        (source / name).write_bytes(random_bytes(size, size))
    # Both at the same moment, however long the writing took.
    for path in source.iterdir():
        path.chmod(0o640)
    written = max(path.stat().st_ctime_ns for path in source.iterdir())
    # A coarse clock: it stands still between a write, the reading, and a write thereafter.
    monkeypatch.setattr("mover.steady.time.time_ns", lambda: written)
    pushed = bench.run("push", source)
    assert [(each["what"], each["count"]) for each in pushed["changed"]] == [("changed-while-read", 2)]
    monkeypatch.undo()
    read: list[bytes] = []
    opened = SourceReader.handle
    monkeypatch.setattr(SourceReader, "handle", lambda self, path, how: read.append(path) or opened(self, path, how))
    again = bench.run("push", source)
    assert again["changed"] == []
    assert set(read) == {b"small", b"large"}
    # What turned out to be the same is not sent again.
    assert again["bytes_sent"] < 1 << 20
    assert again["digest"] == pushed["digest"]
    assert bench.run("push", source)["bytes_sent"] == 0
    bench.run("pull", destination)
    assert_same(source, destination)


def vanishing(monkeypatch: pytest.MonkeyPatch, victims: dict[bytes, Callable[[], None]]) -> None:
    """Do something to the source at the very moment at which the walk has seen a path, and nobody has read it yet."""

    def walked(*arguments: Any) -> Iterator[Any]:
        for step in walk(*arguments):
            if step is not None and (act := victims.pop(step[0], None)):
                act()
            yield step

    monkeypatch.setattr("mover.push.walk", walked)


def test_what_vanishes_while_it_is_pushed_is_reported_and_the_rest_arrives(
    bench: Bench, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plausible_tree(source, files=30, large=4 << 20)
    (source / "a temporary").write_bytes(b"x")
    (source / "b large").write_bytes(random_bytes(3 << 20, 3))
    (source / "c folder").mkdir()
    (source / "c folder" / "inside").write_bytes(b"x")
    (source / "d becomes a file").mkdir()
    (source / "e becomes a folder").write_bytes(b"x")
    (source / "f grows").write_bytes(b"x")
    (source / "g shrinks").write_bytes(random_bytes(2 << 20, 4))

    def replaced() -> None:
        (source / "d becomes a file").rmdir()
        (source / "d becomes a file").write_bytes(b"a file")

    def turned() -> None:
        (source / "e becomes a folder").unlink()
        (source / "e becomes a folder").mkdir()

    vanishing(
        monkeypatch,
        {
            b"a temporary": (source / "a temporary").unlink,
            b"b large": (source / "b large").unlink,
            b"c folder": lambda: shutil.rmtree(source / "c folder"),
            b"d becomes a file": replaced,
            b"e becomes a folder": turned,
            b"f grows": lambda: os.truncate(source / "f grows", 5 << 20),
            b"g shrinks": lambda: os.truncate(source / "g shrinks", 10),
        },
    )
    pushed = bench.run("push", source)
    assert {each["what"] for each in pushed["changed"]} >= {"vanished"}
    assert next(each["count"] for each in pushed["changed"] if each["what"] == "vanished") == 5
    monkeypatch.undo()
    # The next push has the tree as it is now, and only that is handed on as unchanged.
    final = bench.run("push", source)
    assert final["changed"] == []
    bench.run("pull", destination)
    assert_same(source, destination)


def test_a_hard_links_first_name_that_vanishes_begins_the_push_anew(
    bench: Bench, source: Path, destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, size in (("small", 100), ("large", 3 << 20)):
        (source / f"{name} 1").write_bytes(random_bytes(size, size))
        os.link(source / f"{name} 1", source / f"{name} 2")
        os.link(source / f"{name} 1", source / f"{name} 3")
    vanishing(monkeypatch, {b"large 1": (source / "large 1").unlink, b"small 1": (source / "small 1").unlink})
    pushed = bench.run("push", source)
    assert pushed["files"] == 4
    pulled = bench.run("pull", destination)
    assert pulled["digest"] == pushed["digest"]
    assert_same(source, destination)


def test_a_store_that_stops_midway_and_comes_back_is_waited_for(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source, files=60, large=40 << 20)
    faults = bench.s3.faults
    # Whatever the machine's speed, the push does not get further than this before the store stops.
    faults.fail("journal/.*/0000000[3-9]", method="PUT", times=1_000_000)
    pusher, puller = bench.start("push", source), bench.start("pull", destination)
    until(lambda: len(bench.objects("journal/")) >= 2 and (destination / "folder-0").is_dir())
    faults.stopped = True
    with pytest.raises(BotoCoreError):
        bench.objects()
    # The one stores, the other looks for what is new.
    until(lambda: {"PUT", "GET"} <= {method for method, path in faults.turned_away if "/journal/" in path})
    assert (pusher.poll(), puller.poll()) == (None, None)
    faults.clear()
    pushed, pulled = finished(pusher), finished(puller)
    assert (pushed.status, pulled.status) == (0, 0), (pushed, pulled)
    assert pushed.last["digest"] == pulled.last["digest"]
    assert_same(source, destination)


def test_a_large_file_that_changes_while_it_is_read_is_read_again(
    bench: Bench, source: Path, destination: Path
) -> None:
    with open(source / "database", "wb") as file:
        for number in range(112):
            file.write(random_bytes(1 << 20, number))
    bench.s3.faults.latency = 0.5
    pusher = bench.start("push", source)
    until(lambda: bool(bench.objects("packs/")))
    with open(source / "database", "r+b") as file:
        file.seek(3 << 20)
        file.write(b"changed in the middle")
    bench.s3.faults.latency = 0
    pushed = finished(pusher)
    assert pushed.status == 0, pushed
    assert pushed.last["changed"] == []
    assert pushed.last["bytes_sent"] > 150 << 20
    assert bench.run("pull", destination)["digest"] == pushed.last["digest"]
    assert_same(source, destination)


@pytest.mark.parametrize(
    ("missing", "value", "said"),
    [
        ("MOVER_S3_BUCKET", "", "MOVER_S3_BUCKET is not set"),
        ("MOVER_DATA_KEY", "short", "MOVER_DATA_KEY"),
        ("MOVER_DATA_KEY", base64.b64encode(b"x" * 31).decode(), "32 bytes"),
        ("MOVER_WORKERS", "none", "MOVER_WORKERS"),
        ("MOVER_S3_PATH_STYLE", "yes", "MOVER_S3_PATH_STYLE"),
        ("MOVER_S3_ENDPOINT", "not an address", "MOVER_S3_ENDPOINT"),
    ],
)
def test_a_wrong_environment_is_a_usage_error(bench: Bench, source: Path, missing: str, value: str, said: str) -> None:
    outcome = bench.process("push", source, environment={missing: value})
    assert outcome.status == 2, outcome
    assert said in outcome.last["message"]


def test_a_missing_source_is_reported(bench: Bench, tmp_path: Path) -> None:
    outcome = bench.process("push", tmp_path / "not there")
    assert outcome.status == 7
    assert "Check the mount path" in outcome.last["message"]


def test_the_termination_log_has_the_result_and_stays_short(bench: Bench, source: Path, tmp_path: Path) -> None:
    plausible_tree(source, files=5)
    log = tmp_path / "termination-log"
    log.touch()
    outcome = bench.process("push", source, environment={"MOVER_TERMINATION_LOG": str(log)})
    assert json.loads(log.read_text()) == outcome.last
    failed = bench.process(
        "push", source, environment={"MOVER_TERMINATION_LOG": str(log), "MOVER_S3_BUCKET": "nowhere"}
    )
    assert failed.status == 4
    assert json.loads(log.read_text()) == failed.last
    assert log.stat().st_size <= 4096


def test_progress_is_said_every_second_while_waiting(bench: Bench, destination: Path) -> None:
    outcome = bench.process("pull", destination, environment={"MOVER_PULL_WAIT_SECONDS": "2.5"})
    assert outcome.status == 9
    progress = [line for line in outcome.lines if line["type"] == "progress"]
    assert len(progress) >= 3
    assert {line["phase"] for line in progress} == {"wait"}
    assert outcome.last["code"] == "pusher-silent"


def test_the_mover_imports_without_django_and_the_rest_of_the_product() -> None:
    program = (
        "import sys, mover.__main__, mover.push, mover.pull, mover.verify, mover.inspection, mover.gc, mover.clean\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "print(sorted(names & {'django', 'clusters', 'migrations_app', 'teams', 'audit', 'demo', 'kubemotion_web'}))"
    )
    said = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_command_loads_nothing_that_it_has_no_use_for(command: str) -> None:
    program = f"import sys, mover.__main__, mover.{command}; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    candidates = {"boto3", "sqlite3", "mover.push", "mover.pull", "mover.gc", "mover.inspection"}
    assert candidates & {*said.stdout.split()} == {f"mover.{command}"}
