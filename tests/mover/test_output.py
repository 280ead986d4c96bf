"""What a mover process says: numbers that only rise, and never a secret."""

from __future__ import annotations

import base64
import io
import itertools
import json
from pathlib import Path

import pytest

from mover.report import Counters, Reporter
from tests.mover.conftest import Bench, Outcome, finished
from tests.mover.trees import plausible_tree, random_bytes

RISING = ("bytes_done", "files_done", "bytes_sent", "time")


def assert_rises(outcome: Outcome) -> None:
    progress = [line for line in outcome.lines if line["type"] == "progress"]
    assert progress, outcome
    for earlier, later in itertools.pairwise(progress):
        for name in RISING:
            assert later[name] >= earlier[name], (name, earlier, later)
    for line in progress:
        assert line["phase"] in ("scan", "push", "wait", "pull", "verify")


def test_progress_only_rises_and_ends_at_the_totals(bench: Bench, source: Path, destination: Path) -> None:
    plausible_tree(source, files=100, large=24 << 20)
    bench.s3.faults.latency = 0.1
    pusher, puller = bench.start("push", source), bench.start("pull", destination)
    for outcome in (finished(pusher), finished(puller)):
        assert outcome.status == 0, outcome
        assert_rises(outcome)
        last = [line for line in outcome.lines if line["type"] == "progress"][-1]
        assert last["files_done"] == last["files_total"] == outcome.last["files"]
        assert last["bytes_done"] == last["bytes_total"] == outcome.last["bytes"]


def test_progress_does_not_run_backwards_when_something_is_counted_anew() -> None:
    said = io.StringIO()
    counters = Counters()
    reporter = Reporter(counters, stream=said)
    counters.add(bytes_done=1000, files_done=10, bytes_sent=700)
    reporter.progress()
    # A file that changed while it was read is read again; a puller turns to a newer run.
    counters.add(bytes_done=-400)
    reporter.progress()
    counters.restart()
    reporter.progress()
    counters.add(bytes_done=1200, files_done=11)
    reporter.progress()
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [line["bytes_done"] for line in lines] == [1000, 1000, 1000, 1200]
    assert [line["files_done"] for line in lines] == [10, 10, 10, 11]
    assert [line["bytes_sent"] for line in lines] == [700] * 4


def test_what_a_process_says_is_json_line_by_line_and_ends_with_one_result(
    bench: Bench, source: Path, destination: Path
) -> None:
    (source / "file").write_bytes(b"x")
    for command, path in (("push", source), ("pull", destination), ("verify", destination), ("clean", None)):
        outcome = bench.process(command, path)
        assert outcome.status == 0, outcome
        assert outcome.stderr == ""
        assert [line["type"] for line in outcome.lines].count("result") == 1
        assert outcome.last["type"] == "result"
        assert outcome.last["ok"] is True


def test_no_secret_is_ever_said(bench: Bench, source: Path, destination: Path, tmp_path: Path) -> None:
    """The data key, the secret key, the session token, and the content: not on success, not in any failure."""
    content = b"CANARY-content-" * 50
    (source / "file").write_bytes(content)
    (source / "large").write_bytes(content * 3000 + random_bytes(1 << 20, 1))
    key = base64.b64decode(bench.environment["MOVER_DATA_KEY"])
    log = tmp_path / "termination-log"
    log.touch()
    said: list[str] = []

    def run(status: int, command: str, path: Path | None = None, **changed: str) -> None:
        outcome = bench.process(command, path, environment={"MOVER_TERMINATION_LOG": str(log), **changed})
        assert outcome.status == status, outcome
        said.extend((json.dumps(outcome.lines), outcome.stderr, log.read_text()))

    run(0, "push", source)
    run(0, "pull", destination)
    run(0, "verify", destination)
    (destination / "file").write_bytes(content.lower())
    run(5, "verify", destination)
    run(8, "pull", destination)
    run(4, "push", source, AWS_SECRET_ACCESS_KEY="CANARY-secret-key")
    run(4, "push", source, AWS_ACCESS_KEY_ID="AKIANOBODY", AWS_SESSION_TOKEN="CANARY-session-token")
    run(3, "push", source, MOVER_S3_ENDPOINT="http://127.0.0.1:1", MOVER_S3_RETRY_SECONDS="0.2")
    run(2, "push", source, MOVER_DATA_KEY="CANARY-data-key")
    run(2, "push", source, MOVER_S3_ENDPOINT="no address", AWS_SECRET_ACCESS_KEY="CANARY-secret-key")
    run(5, "verify", destination, MOVER_DATA_KEY=base64.b64encode(b"CANARY-" * 4 + b"1234").decode())
    everything = "\n".join(said)
    for secret in (
        "CANARY",
        "canary",
        base64.b64encode(b"CANARY-" * 4).decode()[:30],
        bench.environment["MOVER_DATA_KEY"],
        key.hex(),
        repr(key),
        bench.environment["AWS_SECRET_ACCESS_KEY"],
    ):
        assert secret not in everything
    assert len(said) == 33


@pytest.mark.parametrize("command", ["push", "verify"])
def test_rubbish_in_the_store_is_told_of_without_secrets(bench: Bench, source: Path, command: str) -> None:
    (source / "file").write_bytes(b"x")
    bench.run("push", source)
    [manifest] = bench.objects("manifest/")
    bench.write(manifest, b"KMMANI1\n" + b"rubbish" * 100)
    outcome = bench.process(command, source)
    assert outcome.status == (0 if command == "push" else 5), outcome
    text = json.dumps(outcome.lines) + outcome.stderr
    for secret in ("MOVER_DATA_KEY", "AWS_SECRET_ACCESS_KEY"):
        assert bench.environment[secret] not in text
