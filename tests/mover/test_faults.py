"""Every way in which an answer of the object store can be broken: transient ones pass unnoticed, others are named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.s3 import RunningS3
from mover.errors import IntegrityError, StoreRefused, StoreUnavailable
from tests.mover.conftest import Bench, new_bench
from tests.mover.faulty_proxy import FaultyProxy, faulty_proxy
from tests.mover.trees import assert_same, everything, plausible_tree, random_bytes

VOLUME = "cms/px-mysql-pvc"
OBJECT = r"/volume-\d+/"
PACK, SEGMENT, MANIFEST = OBJECT + "packs/", OBJECT + "journal/", OBJECT + "manifest/"
LISTING = r"list-type=2"
# The newest run's begin is looked at by every pull.
SECOND_SEGMENT = SEGMENT + r"[^/]+/0*2$"

# The last one needs an answer that has a body.
ANSWERS = ("internal error", "slow down", "request timeout", "reset before", "reset after", "cut body")
WAITS = ("silence before", "silence after")
# What happens to uploads on their way: the store has to notice, by the checksum that comes with each.
ALTERED = ("flipped bit up", "cut body up", "checksum mismatch")
CONTENTS = ("short body", "flipped bit", "success that is an error")


@pytest.fixture
def proxy(s3: RunningS3) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3.endpoint) as running:
        yield running


@pytest.fixture
def behind(bench: Bench, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A volume whose store is behind the proxy."""
    monkeypatch.setattr("mover.objectstore._FIRST_DELAY", 0.02)
    return Bench({**bench.environment, "MOVER_S3_ENDPOINT": proxy.endpoint}, bench.s3)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("original") / "source"
    plausible_tree(root, files=20, large=2 << 20)
    (root / "noise").write_bytes(random_bytes(9 << 20, 5))
    return root


@pytest.fixture(scope="module")
def pushed(s3: RunningS3, original: Path) -> Bench:
    """The same tree, stored; only for pulls."""
    bench = new_bench(s3)
    bench.run("push", original)
    return bench


@pytest.fixture
def stored(pushed: Bench, behind: Bench) -> Bench:
    """That volume behind the proxy."""
    return Bench({**pushed.environment, "MOVER_S3_ENDPOINT": behind.environment["MOVER_S3_ENDPOINT"]}, pushed.s3)


def incomplete_and_not_false(original: Path, destination: Path) -> None:
    """What claims to be complete is right; nothing else passes for restored."""
    assert (destination / ".kubemotion-mover").is_dir() or not any(destination.iterdir())
    wanted = everything(original)
    for path, found in everything(destination).items():
        if path and path in wanted and found.get("mtime") == wanted[path]["mtime"] and "content" in found:
            assert found["content"] == wanted[path]["content"], path


@pytest.mark.parametrize("way", [*ANSWERS[:-1], *ALTERED, "success that is an error"])
def test_a_push_outlasts_broken_answers(
    behind: Bench, proxy: FaultyProxy, original: Path, destination: Path, way: str
) -> None:
    faults = [proxy.strike(way, what, method="PUT", times=2) for what in (PACK, SEGMENT, MANIFEST)]
    faults.append(proxy.strike(way, LISTING))
    sent = behind.run("push", original)
    assert [fault.struck for fault in faults] == [2, 2, 2, 1]
    assert behind.run("pull", destination)["digest"] == sent["digest"]
    assert_same(original, destination)


@pytest.mark.parametrize("way", ANSWERS)
def test_a_pull_outlasts_broken_answers(
    stored: Bench, proxy: FaultyProxy, original: Path, destination: Path, way: str
) -> None:
    faults = [proxy.strike(way, what, times=2) for what in (PACK, SECOND_SEGMENT, LISTING)]
    stored.run("pull", destination)
    assert [fault.struck for fault in faults] == [2, 2, 2]
    assert_same(original, destination)


@pytest.mark.parametrize("way", CONTENTS)
def test_a_body_that_was_broken_on_the_way_is_fetched_again(
    stored: Bench, proxy: FaultyProxy, original: Path, destination: Path, way: str
) -> None:
    faults = [proxy.strike(way, what, times=2) for what in (PACK, SECOND_SEGMENT)]
    stored.run("pull", destination)
    assert [fault.struck for fault in faults] == [2, 2]
    assert_same(original, destination)


@pytest.mark.parametrize("way", WAITS)
def test_an_answer_that_never_comes_is_given_up_and_asked_for_again(
    behind: Bench, proxy: FaultyProxy, original: Path, destination: Path, way: str
) -> None:
    put = proxy.strike(way, PACK, method="PUT")
    # Half of the time is for one answer.
    behind.environment["MOVER_S3_RETRY_SECONDS"] = "2"
    sent = behind.run("push", original)
    got = [proxy.strike(way, what) for what in (PACK, SECOND_SEGMENT)]
    stalled = proxy.strike("stalled body", PACK)
    assert behind.run("pull", destination)["digest"] == sent["digest"]
    assert [fault.struck for fault in (put, *got, stalled)] == [1] * 4
    assert_same(original, destination)


def test_a_store_that_asks_for_time_gets_it(
    behind: Bench, proxy: FaultyProxy, original: Path, destination: Path
) -> None:
    proxy.strike("slow down for a second", PACK, method="PUT")
    began = time.monotonic()
    behind.run("push", original)
    assert time.monotonic() - began >= 1
    behind.run("pull", destination)
    assert_same(original, destination)


@pytest.mark.parametrize("way", [*ANSWERS[:-1], *WAITS, "slow down for an hour"])
@pytest.mark.parametrize("command", ["push", "pull"])
def test_what_stays_broken_ends_in_time_and_says_where(
    behind: Bench, stored: Bench, proxy: FaultyProxy, original: Path, destination: Path, way: str, command: str
) -> None:
    bench, path, method = (behind, original, "PUT") if command == "push" else (stored, destination, "GET")
    proxy.strike(way, PACK, method=method, times=1_000_000)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        bench.run(command, path, MOVER_S3_RETRY_SECONDS="0.5")
    assert time.monotonic() - began < 4
    said = caught.value
    assert (said.code, said.exit_status, said.retriable) == ("store-unavailable", 3, True)
    assert proxy.endpoint in said.message
    assert "packs/0" in said.message
    assert VOLUME in said.message
    assert "start again" in said.message
    if command == "pull":
        incomplete_and_not_false(original, destination)


@pytest.mark.parametrize("way", ALTERED)
@pytest.mark.parametrize(("what", "name"), [(PACK, "packs/0"), (SEGMENT, "journal/0"), (MANIFEST, "manifest/0")])
def test_uploads_that_are_altered_on_the_way_time_and_again_are_told_as_that(
    behind: Bench, proxy: FaultyProxy, original: Path, way: str, what: str, name: str
) -> None:
    proxy.strike(way, what, method="PUT", times=1_000_000)
    with pytest.raises(StoreUnavailable) as caught:
        behind.run("push", original, MOVER_S3_RETRY_SECONDS="0.5")
    said = caught.value
    assert (said.code, said.exit_status, said.retriable) == ("altered-on-the-way", 3, True)
    for words in (proxy.endpoint, name, VOLUME, "is not what was sent", "https"):
        assert words in said.message
    assert "is up" not in said.message, "it is"
    # What is in the bucket is what was sent.
    proxy._faults.clear()
    assert behind.run("push", original)["files"] > 0
    assert behind.run("verify", original)["files"] > 0


@pytest.mark.parametrize(
    ("what", "code"),
    [
        (PACK, "block-not-authentic"),
        (SECOND_SEGMENT, "journal-not-authentic"),
        (MANIFEST, "manifest-not-authentic"),
    ],
)
def test_where_the_store_checks_nothing_altered_uploads_are_noticed_before_they_are_restored(
    behind: Bench,
    proxy: FaultyProxy,
    original: Path,
    destination: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    code: str,
) -> None:
    monkeypatch.setattr("demo.s3.bodies._CHECKSUMS", {})
    fault = proxy.strike("flipped bit up", what, method="PUT")
    behind.run("push", original)
    assert fault.struck == 1
    with pytest.raises(IntegrityError) as caught:
        behind.run("verify", original) if what == MANIFEST else behind.run("pull", destination)
    assert caught.value.code == code
    assert VOLUME in caught.value.message
    incomplete_and_not_false(original, destination)


@pytest.mark.parametrize(
    ("hours", "said"), [(3, "3 hours behind"), (-25, "25 hours ahead of"), (0.5, "30 minutes behind")]
)
def test_how_wrong_the_clock_is_is_said(
    behind: Bench, proxy: FaultyProxy, original: Path, hours: float, said: str
) -> None:
    proxy.clock = hours * 3600
    proxy.strike("clock skew", LISTING)
    with pytest.raises(StoreRefused, match=f"the clock of this pod's node is {said} the object store's"):
        behind.run("push", original)


@pytest.mark.parametrize("what", [PACK, SEGMENT, LISTING])
@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_clock_that_is_wrong_is_said_at_once(
    behind: Bench, stored: Bench, proxy: FaultyProxy, original: Path, destination: Path, command: str, what: str
) -> None:
    bench, path = (behind, original) if command == "push" else (stored, destination)
    proxy.strike("clock skew", what, method="GET" if command == "pull" or what == LISTING else "PUT", times=1_000_000)
    with pytest.raises(StoreRefused) as caught:
        bench.run(command, path)
    assert (caught.value.code, caught.value.exit_status, caught.value.retriable) == ("store-refused", 4, False)
    assert "chrony" in caught.value.message
    assert VOLUME in caught.value.message
    if command == "pull":
        incomplete_and_not_false(original, destination)


@pytest.mark.parametrize("way", ["short body", "flipped bit"])
@pytest.mark.parametrize(
    ("what", "name", "code"),
    [
        (PACK, "packs/0", "block-not-authentic"),
        (SECOND_SEGMENT, "journal/0", "journal-not-authentic"),
    ],
)
def test_a_body_that_stays_broken_is_not_restored(
    stored: Bench, proxy: FaultyProxy, original: Path, destination: Path, way: str, what: str, name: str, code: str
) -> None:
    proxy.strike(way, what, times=1_000_000)
    with pytest.raises(IntegrityError) as caught:
        stored.run("pull", destination)
    assert (caught.value.code, caught.value.exit_status, caught.value.retriable) == (code, 5, False)
    assert name in caught.value.message
    assert VOLUME in caught.value.message
    assert "push again" in caught.value.message
    incomplete_and_not_false(original, destination)
    # Without the trouble it goes on where it was.
    proxy._faults.clear()
    stored.run("pull", destination)
    assert_same(original, destination)


@pytest.mark.parametrize("way", ["short body", "flipped bit"])
def test_a_manifest_that_was_broken_on_the_way_is_fetched_again(
    stored: Bench, proxy: FaultyProxy, original: Path, way: str
) -> None:
    fault = proxy.strike(way, MANIFEST)
    assert stored.run("verify", original)["files"] > 0
    assert fault.struck == 1


@pytest.mark.parametrize("way", ["short body", "flipped bit"])
def test_a_manifest_that_stays_broken_verifies_nothing(
    stored: Bench, proxy: FaultyProxy, original: Path, way: str
) -> None:
    proxy.strike(way, MANIFEST, times=1_000_000)
    with pytest.raises(IntegrityError) as caught:
        stored.run("verify", original)
    assert caught.value.code == "manifest-not-authentic"
    assert "manifest/0" in caught.value.message
    assert VOLUME in caught.value.message


@pytest.mark.parametrize("command", ["clean", "gc"])
def test_what_removes_objects_outlasts_broken_answers(
    behind: Bench, proxy: FaultyProxy, original: Path, command: str
) -> None:
    behind.run("push", original)
    behind.client.create_multipart_upload(
        Bucket=behind.s3.bucket, Key=behind.environment["MOVER_S3_PREFIX"] + "/packs/left"
    )
    for way in ("internal error", "reset after", "success that is an error"):
        proxy.strike(way, "uploads")
        proxy.strike(way, "uploadId", method="DELETE")
        proxy.strike(way, "delete", method="POST")
    assert behind.run(command)["aborted_uploads" if command == "clean" else "uploads"] == 1
    assert bool(behind.objects()) == (command == "gc")


def test_a_failing_process_ends_with_the_status_of_its_error(behind: Bench, proxy: FaultyProxy, original: Path) -> None:
    proxy.strike("reset before", PACK, method="PUT", times=1_000_000)
    outcome = behind.process("push", original, environment={"MOVER_S3_RETRY_SECONDS": "1"})
    assert (outcome.status, outcome.last["code"]) == (3, "store-unavailable")
    assert VOLUME in outcome.last["message"]
