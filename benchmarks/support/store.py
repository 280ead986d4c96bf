"""The object store of the benchmarks: the embedded S3 server in a process of its own, or one that is given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from mover.credentials import Keys
from mover.s3 import Client
from mover.signing import Signer


@dataclass(frozen=True)
class Bucket:
    """Where the bytes go."""

    endpoint: str
    name: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"
    # Whether the objects lie on the disk that the trees are on.
    on_this_disk: bool = False

    def fastest_client(self) -> Client:
        """The mover's own client, which moves bytes with the least effort of those that `s3_clients.py` compares."""
        keys = Keys(self.access_key_id, self.secret_access_key)
        return Client(
            endpoint=self.endpoint,
            region=self.region,
            bucket=self.name,
            path_style=True,
            ca_pem="",
            signer=Signer(lambda: keys, self.region),
            connect_timeout=10.0,
            silence=60.0,
        )

    def client(self, connections: int = 16) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(
                s3={"addressing_style": "path", "payload_signing_enabled": False},
                max_pool_connections=connections,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    @property
    def environment(self) -> dict[str, str]:
        """The credentials as every client reads them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": self.region,
        }

    def size(self, prefix: str) -> int:
        """Bytes below the prefix."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return sum(each["Size"] for page in pages for each in page.get("Contents", ()))

    def empty(self, prefix: str) -> None:
        """Remove everything below the prefix."""
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            found = [{"Key": each["Key"]} for each in page.get("Contents", ())]
            if found:
                client.delete_objects(Bucket=self.name, Delete={"Objects": found, "Quiet": True})


@contextmanager
def embedded(folder: Path, *, beside: Path | None = None) -> Iterator[Bucket]:
    """The S3 server of the demo, which keeps its objects below `folder`; the trees are below `beside`."""
    command = [sys.executable, "-m", "demo.s3", "--state", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        try:
            keys = said["access_key_id"], said["secret_access_key"]
            same = beside is not None and beside.stat().st_dev == folder.stat().st_dev
            yield Bucket(said["endpoint"], said["bucket"], *keys, on_this_disk=same)
        finally:
            process.terminate()
