"""Ours and its peers: each carries a tree into the bucket and out again."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.support.measured import Usage, run, settle, start
from benchmarks.support.store import Bucket

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = {"RESTIC_PASSWORD": "benchmark"}


def mover_environment(bucket: Bucket, prefix: str) -> dict[str, str]:
    return {
        **bucket.environment,
        "MOVER_S3_ENDPOINT": bucket.endpoint,
        "MOVER_S3_BUCKET": bucket.name,
        "MOVER_S3_PREFIX": prefix,
        "MOVER_S3_PATH_STYLE": "true",
        "MOVER_DATA_KEY": base64.b64encode(bytes(range(32))).decode(),
        "PYTHONPATH": str(ROOT),
    }


def ours(
    bucket: Bucket, prefix: str, source: Path, target: Path, logs: Path, number: int = 1
) -> tuple[float, dict[str, Usage]]:
    """Pass `number`, push and pull at once, as two Jobs do; seconds until both have ended, and what each took."""
    environment = {**mover_environment(bucket, prefix), "MOVER_PASS": str(number)}
    command = [sys.executable, "-m", "mover"]
    settle()
    pull = start([*command, "pull", "--path", str(target)], logs / "pull.log", environment)
    push = start([*command, "push", "--path", str(source)], logs / "push.log", environment)
    used = {"push": push.wait(), "pull": pull.wait()}
    return max(each.seconds for each in used.values()), used


def _one_after_the_other(
    there: list[str], back: list[str], logs: Path, name: str, environment: Mapping[str, str], folder: Path | None = None
) -> tuple[float, dict[str, Usage]]:
    used = {}
    for step, command in (("there", there), ("back", back)):
        settle()
        used[step] = run(command, logs / f"{name}-{step}.log", environment, cwd=folder)
    return sum(each.seconds for each in used.values()), used


def restic(bucket: Bucket, prefix: str, source: Path, target: Path, logs: Path) -> tuple[float, dict[str, Usage]]:
    """`restic backup`, then `restic restore`; making the repository is not counted."""
    environment = restic_environment(bucket, prefix)
    run(["restic", "init", "--quiet"], logs / "restic-init.log", environment)
    return _one_after_the_other(
        ["restic", "backup", "--quiet", "--no-cache", "."],
        ["restic", "restore", "latest", "--quiet", "--no-cache", "--target", str(target)],
        logs,
        "restic",
        environment,
        source,
    )


def restic_environment(bucket: Bucket, prefix: str) -> dict[str, str]:
    repository = f"s3:{bucket.endpoint}/{bucket.name}/{prefix}"
    return {**bucket.environment, **PASSWORD, "RESTIC_REPOSITORY": repository}


def rclone(bucket: Bucket, prefix: str, source: Path, target: Path, logs: Path) -> tuple[float, dict[str, Usage]]:
    """`rclone copy` up and down, eight transfers at once; the embedded server's ETags are not MD5, so not compared."""
    remote = (
        f":s3,provider=Other,env_auth=true,endpoint='{bucket.endpoint}',region={bucket.region}:{bucket.name}/{prefix}"
    )
    options = [
        "--transfers=8",
        "--checkers=16",
        "--quiet",
        "--config=/dev/null",
        "--links",
        "--s3-no-check-bucket",
        "--ignore-checksum",
    ]
    return _one_after_the_other(
        ["rclone", "copy", *options, str(source), remote],
        ["rclone", "copy", *options, remote, str(target)],
        logs,
        "rclone",
        bucket.environment,
    )


def tar(bucket: Bucket, prefix: str, source: Path, target: Path, logs: Path) -> tuple[float, dict[str, Usage]]:
    """`tar | zstd | aws s3 cp`, and the same backwards."""
    place = f"s3://{bucket.name}/{prefix}/volume.tar.zst --endpoint-url {bucket.endpoint} --only-show-errors"
    size = sum(each.lstat().st_size for each in source.rglob("*"))
    there = f"tar -C {source} --sparse --xattrs -cf - . | zstd -q -1 -T0 | aws s3 cp --expected-size {size} - {place}"
    back = f"aws s3 cp {place.replace(' ', ' - ', 1)} | zstd -q -d | tar -C {target} --xattrs -xpf -"
    return _one_after_the_other(
        ["bash", "-o", "pipefail", "-c", there],
        ["bash", "-o", "pipefail", "-c", back],
        logs,
        "tar",
        {**bucket.environment, "AWS_CONFIG_FILE": os.devnull},
    )


PEERS = {"restic": (restic, ("restic",)), "rclone": (rclone, ("rclone",)), "tar": (tar, ("tar", "zstd", "aws"))}


def missing(name: str) -> list[str]:
    """The programs that a peer needs and this machine lacks."""
    return [program for program in PEERS[name][1] if shutil.which(program) is None]
