"""Temporary keys in a file: renewed while the mover works, and waited for when they are over."""

from __future__ import annotations

import json
import os
from pathlib import Path

from demo.s3 import KeyPair
from tests.mover.conftest import Bench, finished, until
from tests.mover.trees import assert_same, plausible_tree


def put(path: Path, keys: KeyPair) -> None:
    """Replace the file as a kubelet does: whole, at one instant."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"AccessKeyId": keys.access_key_id, "SecretAccessKey": keys.secret_access_key}))
    os.replace(new, path)


def environment(path: Path, **more: str) -> dict[str, str]:
    return {"MOVER_CREDENTIALS_FILE": str(path), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **more}


def test_a_mover_waits_for_renewed_keys_and_goes_on_with_them(
    bench: Bench, source: Path, destination: Path, tmp_path: Path
) -> None:
    plausible_tree(source)
    file = tmp_path / "keys"
    put(file, KeyPair("ASIAFORGOTTEN0000000", "forgotten"))
    refused: list[str] = []
    take = bench.s3.faults.take

    def counting(method: str, path: str) -> object:
        refused.append(path)
        return take(method, path)

    bench.s3.faults.take = counting  # type: ignore[method-assign,assignment]
    try:
        push = bench.start("push", source, environment=environment(file))
        until(lambda: len(refused) >= 2 or push.poll() is not None)
        put(file, bench.s3.keys)
        pushed = finished(push)
    finally:
        bench.s3.faults.take = take  # type: ignore[method-assign]
    assert pushed.status == 0, pushed.lines
    assert bench.process("pull", destination, environment=environment(file)).status == 0
    assert_same(source, destination)


def test_keys_that_nobody_renews_end_it_for_a_later_try(bench: Bench, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    put(file, KeyPair("ASIAFORGOTTEN0000000", "kept-secret"))
    ended = bench.process("push", source, environment=environment(file, MOVER_S3_RETRY_SECONDS="0.5"))
    assert (ended.status, ended.last["code"], ended.last["retriable"]) == (3, "store-unavailable", True)
    assert "no renewed ones have come" in ended.last["message"]
    assert "kept-secret" not in ended.stderr + json.dumps(ended.lines)


def test_a_file_without_keys_is_refused_and_not_quoted(bench: Bench, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text('{"SecretAccessKey": "kept-secret"')
    ended = bench.process("push", source, environment=environment(file))
    assert (ended.status, ended.last["code"]) == (2, "usage")
    assert "kept-secret" not in ended.stderr + json.dumps(ended.lines)
