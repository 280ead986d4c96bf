"""Ours and its peers: each carries a tree into the bucket and out again.

The clock of every contestant is the same. Before it starts, the trees of the contestant before are gone, everything is
written out, what the kernel had read of the trees is forgotten, and the programs have been loaded once. It stops when
the restored tree is on the disk: whoever leaves it in the page cache has the writing out counted as well.
"""

from __future__ import annotations

import base64
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.support.measured import Usage, over_the_wire, run, settle, start, written_out
from benchmarks.support.store import Bucket

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = {"RESTIC_PASSWORD": "benchmark"}
MOVER = [sys.executable, "-m", "mover"]


_FEW_FILES = 1000
PUT_ASIDE = "aside"


def fresh(folder: Path) -> Path:
    """An empty folder; what was there is removed, or if it has many files put aside until the end of the benchmark.

    For minutes after many files were removed, ext4 is slow to make new ones (it passes over inodes that were freed just
    now): whoever comes next would pay for the one before.
    """
    if folder.exists():
        if len(list(itertools.islice(folder.rglob("*"), _FEW_FILES))) < _FEW_FILES:
            shutil.rmtree(folder)
        else:
            aside = folder.parent / PUT_ASIDE
            aside.mkdir(exist_ok=True)
            folder.rename(aside / f"{len(list(aside.iterdir()))}")
    folder.mkdir(parents=True)
    return folder


@dataclass
class Carried:
    """A tree was carried there and back: seconds on the wall, those of them at its end for writing out what was still
    in memory, bytes over the wire, and what each program took."""

    seconds: float
    writing_out: float
    wire: dict[str, int]
    programs: dict[str, Usage]

    @property
    def peak_mib(self) -> float:
        return max(each.peak_mib for each in self.programs.values())

    def shown(self) -> dict[str, Any]:
        """For the result."""
        return {
            "seconds": round(self.seconds, 2),
            "writing_out_seconds": round(self.writing_out, 2),
            "wire_bytes": self.wire,
            "programs": {step: usage.rounded() for step, usage in self.programs.items()},
        }


@dataclass
class Job:
    """One tree on its way through the bucket."""

    bucket: Bucket
    prefix: str
    source: Path
    target: Path
    logs: Path
    # Seconds after which a contestant is given up.
    patience: float | None = None
    # Which pass of the volume this is; its bucket and target are then as the pass before left them.
    number: int = 1

    def ready(self, *programs: list[str]) -> None:
        """Nothing of earlier work is left to be done, and the programs are loaded: the clock may start."""
        settle()
        environment = {**os.environ, **self.bucket.environment}
        for program in programs:
            subprocess.run(program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def mover_environment(job: Job) -> dict[str, str]:
    return {
        **job.bucket.environment,
        "MOVER_S3_ENDPOINT": job.bucket.endpoint,
        "MOVER_S3_BUCKET": job.bucket.name,
        "MOVER_S3_PREFIX": job.prefix,
        "MOVER_S3_PATH_STYLE": "true",
        "MOVER_DATA_KEY": base64.b64encode(bytes(range(32))).decode(),
        "MOVER_PASS": str(job.number),
        "PYTHONPATH": str(ROOT),
    }


def ours(job: Job) -> Carried:
    """Push and pull at once, as two Jobs do."""
    environment = mover_environment(job)
    job.ready([*MOVER, "--help"])
    wire, began = over_the_wire(), time.monotonic()
    pull = start([*MOVER, "pull", "--path", str(job.target)], job.logs / "pull.log", environment)
    push = start([*MOVER, "push", "--path", str(job.source)], job.logs / "push.log", environment)
    used = {"push": push.wait(), "pull": pull.wait()}
    writing_out = written_out()
    return Carried(time.monotonic() - began, writing_out, {"both": over_the_wire() - wire}, used)


def proof(job: Job) -> float:
    """Seconds that `mover verify` takes to read the restored tree from the disk and compare all of it."""
    job.ready([*MOVER, "--help"])
    return run([*MOVER, "verify", "--path", str(job.target)], job.logs / "verify.log", mover_environment(job)).seconds


def _one_after_the_other(
    job: Job,
    name: str,
    there: list[str],
    back: list[str],
    environment: Mapping[str, str],
    *programs: list[str],
    folder: Path | None = None,
) -> Carried:
    used: dict[str, Usage] = {}
    wire: dict[str, int] = {}
    seconds = 0.0
    for step, command in (("there", there), ("back", back)):
        # Both ways begin alike; what lies between them is nobody's time.
        job.ready(*programs)
        left = max(0.1, job.patience - seconds) if job.patience else None
        before, began = over_the_wire(), time.monotonic()
        used[step] = run(command, job.logs / f"{name}-{step}.log", environment, left, cwd=folder)
        writing_out = written_out() if step == "back" else 0.0
        seconds += time.monotonic() - began
        wire[step] = over_the_wire() - before
    return Carried(seconds, writing_out, wire, used)


def restic(job: Job) -> Carried:
    """`restic backup`, then `restic restore`; making the repository is not counted."""
    environment = restic_environment(job)
    if job.number == 1:
        run(["restic", "init", "--quiet"], job.logs / "restic-init.log", environment)
    return _one_after_the_other(
        job,
        "restic",
        ["restic", "backup", "--quiet", "--no-cache", "."],
        ["restic", "restore", "latest", "--quiet", "--no-cache", "--target", str(job.target)],
        environment,
        ["restic", "version"],
        folder=job.source,
    )


def restic_environment(job: Job) -> dict[str, str]:
    repository = f"s3:{job.bucket.endpoint}/{job.bucket.name}/{job.prefix}"
    return {**job.bucket.environment, **PASSWORD, "RESTIC_REPOSITORY": repository}


def rclone(job: Job) -> Carried:
    """`rclone copy` up and down, eight transfers at once; the embedded server's ETags are not MD5, so not compared."""
    bucket = job.bucket
    remote = (
        f":s3,provider=Other,env_auth=true,endpoint='{bucket.endpoint}',region={bucket.region}:"
        f"{bucket.name}/{job.prefix}"
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
        job,
        "rclone",
        ["rclone", "copy", *options, str(job.source), remote],
        ["rclone", "copy", *options, remote, str(job.target)],
        bucket.environment,
        ["rclone", "version"],
    )


def tar(job: Job) -> Carried:
    """`tar | zstd | aws s3 cp`, and the same backwards."""
    place = f"s3://{job.bucket.name}/{job.prefix}/volume.tar.zst --endpoint-url {job.bucket.endpoint}"
    place += " --only-show-errors"
    size = sum(each.lstat().st_size for each in job.source.rglob("*"))
    there = (
        f"tar -C {job.source} --sparse --xattrs -cf - . | zstd -q -1 -T0 | aws s3 cp --expected-size {size} - {place}"
    )
    back = f"aws s3 cp {place.replace(' ', ' - ', 1)} | zstd -q -d | tar -C {job.target} --xattrs -xpf -"
    return _one_after_the_other(
        job,
        "tar",
        ["bash", "-o", "pipefail", "-c", there],
        ["bash", "-o", "pipefail", "-c", back],
        {**job.bucket.environment, "AWS_CONFIG_FILE": os.devnull},
        ["tar", "--version"],
        ["zstd", "--version"],
        ["aws", "s3", "ls", f"s3://{job.bucket.name}/nothing", "--endpoint-url", job.bucket.endpoint],
    )


PEERS = {"restic": (restic, ("restic",)), "rclone": (rclone, ("rclone",)), "tar": (tar, ("tar", "zstd", "aws"))}


def missing(name: str) -> list[str]:
    """The programs that a peer needs and this machine lacks."""
    return [program for program in PEERS[name][1] if shutil.which(program) is None]


def version(name: str) -> str:
    """What a peer's own program says that it is."""
    asked = ["aws", "--version"] if name == "tar" else [name, "version"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.partition("\n")[0]
