"""What the mover's tests stand on: an S3 server of their own, and the mover as a function or as a process."""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from demo.s3 import RunningS3, running_s3
from mover import settings as mover_settings
from mover.clean import clean
from mover.gc import collect_garbage
from mover.objectstore import ObjectStore
from mover.pull import pull
from mover.push import push
from mover.report import Counters, Reporter
from mover.verify import verify

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Outcome:
    """What a mover process said and how it ended."""

    status: int
    lines: list[dict[str, Any]]
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


@dataclass
class Bench:
    """One volume's prefix in the store, and the mover to work on it."""

    environment: dict[str, str]
    s3: RunningS3
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def settings(self, **changed: str) -> mover_settings.Settings:
        return mover_settings.from_environment({**self.environment, **changed})

    def run(self, command: str, path: Path | None = None, **changed: str) -> dict[str, Any]:
        """Run a command in this process; its result's fields, or its exception."""
        settings = self.settings(**changed)
        said = io.StringIO()
        store = ObjectStore(settings)
        try:
            with Reporter(Counters(), stream=said) as reporter:
                if command == "clean":
                    return clean(store, reporter)
                if command == "gc":
                    return collect_garbage(settings, store, reporter)
                return {"push": push, "pull": pull, "verify": verify}[command](settings, str(path), store, reporter)
        finally:
            store.close()
            lines = [json.loads(line) for line in said.getvalue().splitlines()]
            self.warnings = [line for line in lines if line["type"] == "warning"]

    def start(self, command: str, path: Path | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a command as a process, as a pod would."""
        changed: Mapping[str, str] = options.pop("environment", {})
        within: Sequence[str] = options.pop("within", ())
        # Without its capabilities root is a user like any other.
        prefix = [] if options.pop("privileged", True) else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        more = options.pop("more", ())
        arguments = [
            *within,
            *prefix,
            sys.executable,
            "-m",
            "mover",
            command,
            *(["--path", str(path)] if path else []),
            *more,
        ]
        return subprocess.Popen(
            arguments,
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **self.environment, **changed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def process(self, command: str, path: Path | None = None, **options: Any) -> Outcome:
        """Run a command as a process to its end."""
        return finished(self.start(command, path, **options))

    def objects(self, below: str = "") -> list[str]:
        """The names of the volume's objects."""
        prefix = self.environment["MOVER_S3_PREFIX"] + "/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.s3.bucket, Prefix=prefix + below)
        return [each["Key"].removeprefix(prefix) for page in pages for each in page.get("Contents", [])]

    def read(self, name: str) -> bytes:
        key = f"{self.environment['MOVER_S3_PREFIX']}/{name}"
        body: bytes = self.client.get_object(Bucket=self.s3.bucket, Key=key)["Body"].read()
        return body

    def write(self, name: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.s3.bucket, Key=f"{self.environment['MOVER_S3_PREFIX']}/{name}", Body=body)

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.s3.bucket, Key=f"{self.environment['MOVER_S3_PREFIX']}/{name}")

    @functools.cached_property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint,
            region_name=self.s3.region,
            aws_access_key_id=self.s3.keys.access_key_id,
            aws_secret_access_key=self.s3.keys.secret_access_key,
        )


def finished(process: subprocess.Popen[str], timeout: float = 120) -> Outcome:
    """Wait for a mover process."""
    out, err = process.communicate(timeout=timeout)
    lines = []
    for line in out.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            # A process that was killed may leave half a line.
            assert process.returncode == -signal.SIGKILL, line
    return Outcome(process.returncode, lines, err)


# The mover, and its peak in KiB. What a parent counts for it would be the parent's own size at least.
_MEASURED = """
import os, sys
from mover.__main__ import main
status = main(sys.argv[1:])
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak, file=sys.stderr, flush=True)
sys.stdout.flush()
os._exit(status)
"""


def measured(command: str, path: Path, environment: Mapping[str, str]) -> tuple[list[dict[str, Any]], int]:
    """What a mover that succeeds says, and the most memory that it took, in bytes."""
    said = subprocess.run(
        [sys.executable, "-c", _MEASURED, command, "--path", str(path)],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in said.stdout.splitlines()], int(said.stderr) << 10


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


_prefixes = iter(range(1_000_000))


def new_bench(s3: RunningS3) -> Bench:
    """A volume of its own in the store."""
    return Bench(
        {
            "MOVER_S3_ENDPOINT": s3.endpoint,
            "MOVER_S3_REGION": s3.region,
            "MOVER_S3_BUCKET": s3.bucket,
            "MOVER_S3_PREFIX": f"kubemotion/migration/volume-{next(_prefixes)}",
            "MOVER_S3_PATH_STYLE": "true",
            "MOVER_S3_RETRY_SECONDS": "20",
            "MOVER_PULL_WAIT_SECONDS": "60",
            "MOVER_DATA_KEY": base64.b64encode(os.urandom(32)).decode(),
            "MOVER_VOLUME": "cms/px-mysql-pvc",
            "MOVER_WORKERS": "2",
            "AWS_ACCESS_KEY_ID": s3.keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3.keys.secret_access_key,
        },
        s3,
    )


@pytest.fixture
def bench(s3: RunningS3) -> Iterator[Bench]:
    s3.faults.clear()
    yield new_bench(s3)
    s3.faults.clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    folder = tmp_path / "destination"
    folder.mkdir()
    return folder
