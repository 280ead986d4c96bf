"""Which S3 client carries the packs: throughput and the client's own CPU time, same server, same objects.

    python benchmarks/s3_clients.py --json benchmarks/results/s3_clients.json

The mover's own client is `mover/s3.py`. obstore and boto3 with the Common Runtime are measured where they are installed
(`pip install obstore awscrt`). The bucket lies in memory, so that the disk is no part of it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import boto3
from botocore.config import Config

from benchmarks.support.store import Bucket, embedded
from mover.s3 import Body

PIECE_BYTES = 1 << 20
OBJECT_BYTES = 8 << 20
THREADS = 8
Client = tuple[Callable[[str, bytes], Any], Callable[[str], Any]]


def boto(bucket: Bucket, *, signed: bool) -> Client:
    """boto3, with the payload hashed into the signature or not."""
    client = _boto3(bucket, signed=signed)
    return (
        lambda key, body: client.put_object(Bucket=bucket.name, Key=key, Body=body),
        lambda key: client.get_object(Bucket=bucket.name, Key=key)["Body"].read(),
    )


def _boto3(bucket: Bucket, *, signed: bool) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key_id,
        aws_secret_access_key=bucket.secret_access_key,
        config=Config(
            s3={"addressing_style": "path", "payload_signing_enabled": signed},
            max_pool_connections=THREADS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def mover(bucket: Bucket) -> Client:
    """The mover's own, which sends and checks a CRC-32 and reads into memory that it has already."""
    client = bucket.fastest_client()
    rooms = threading.local()

    def get(key: str) -> None:
        if not hasattr(rooms, "room"):
            rooms.room = memoryview(bytearray(PIECE_BYTES))

        def drain(body: Body) -> None:
            while body.readinto(rooms.room):
                pass

        client.get(key, drain)

    return lambda key, body: client.put(key, [body]), get


def crt(bucket: Bucket) -> Client:
    """boto3 with the Common Runtime, which is written in C, through its transfer manager."""
    import io

    from boto3.s3.transfer import TransferConfig

    client = _boto3(bucket, signed=True)
    config = TransferConfig(preferred_transfer_client="crt")
    return (
        lambda key, body: client.upload_fileobj(io.BytesIO(body), bucket.name, key, Config=config),
        lambda key: client.download_fileobj(bucket.name, key, io.BytesIO(), Config=config),
    )


def obstore(bucket: Bucket) -> Client:
    """obstore, which is written in Rust."""
    import obstore as rust
    from obstore.store import S3Store

    store = S3Store(
        bucket.name,
        endpoint=bucket.endpoint,
        region=bucket.region,
        access_key_id=bucket.access_key_id,
        secret_access_key=bucket.secret_access_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )
    return lambda key, body: rust.put(store, key, body), lambda key: bytes(rust.get(store, key).bytes())


def measured(work: Callable[[str], Any], keys: list[str]) -> dict[str, float]:
    """MB/s, and seconds of CPU per GiB."""

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    size = len(keys) * OBJECT_BYTES
    before, began = cpu(), time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, keys))
    seconds = time.monotonic() - began
    return {"mb_per_s": round(size / seconds / 1e6, 1), "cpu_s_per_gib": round((cpu() - before) / size * 2**30, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--megabytes", type=int, default=1024)
    options = parser.parse_args()
    body = os.urandom(OBJECT_BYTES)
    result: dict[str, Any] = {}
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kubemotion-", dir=memory) as folder, embedded(Path(folder)) as bucket:
        clients: dict[str, Callable[[], Client]] = {
            "mover": lambda: mover(bucket),
            "boto3": lambda: boto(bucket, signed=False),
            "boto3, payload signed": lambda: boto(bucket, signed=True),
        }
        if importlib.util.find_spec("obstore"):
            clients["obstore"] = lambda: obstore(bucket)
        if importlib.util.find_spec("awscrt"):
            clients["boto3, Common Runtime"] = lambda: crt(bucket)
        for name, make in clients.items():
            put, get = make()
            try:
                put("clients/first", body)
            except Exception as error:
                # The Common Runtime knows no buckets in paths, for one.
                result[name] = {"cannot": str(error)}
                continue
            keys = [f"clients/{number}" for number in range((options.megabytes << 20) // OBJECT_BYTES)]
            # The first round connects, and makes the store's memory ready.
            for kept in (False, True):
                found = {"put": measured(lambda key, put=put: put(key, body), keys), "get": measured(get, keys)}
                bucket.empty("clients/")
                if kept:
                    result[name] = found
    text = json.dumps(result, indent=2) + "\n"
    print(text)
    if options.json:
        options.json.write_text(text)


if __name__ == "__main__":
    main()
