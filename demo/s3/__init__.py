"""The embedded object store: an S3 server that keeps its objects on disk.

`python -m demo.s3 --state DIR --port N` serves it for the demo; tests use `running_s3`. It speaks path-style S3 with
Signature Version 4 as far as clients of object storage use it: buckets, objects with ranges and conditions, listing,
copies, uploads in parts, and temporary keys with a session policy. Objects survive restarts, memory does not grow with
them.
"""

from __future__ import annotations

import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.s3.faults import Faults
from demo.s3.server import S3Server
from demo.s3.signatures import KeyPair
from demo.s3.store import Store
from demo.s3.sts import Sessions

__all__ = ["Faults", "KeyPair", "RunningS3", "running_s3"]


@dataclass(frozen=True)
class RunningS3:
    """A server that runs in this process: where it is, its bucket, and the pairs of keys it knows."""

    endpoint: str
    bucket: str
    keys: KeyPair
    read_only_keys: KeyPair
    faults: Faults
    sessions: Sessions
    connections: Callable[[], int]
    region: str = "us-east-1"


@contextmanager
def running_s3(
    state_dir: Path,
    *,
    bucket: str = "kubemotion",
    port: int = 0,
    faults: Faults | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[RunningS3]:
    """Serve the objects below `state_dir` from threads of this process while the context lasts."""
    full = KeyPair("AKIAEMBEDDEDFULL0000", secrets.token_urlsafe(30))
    reader = KeyPair("AKIAEMBEDDEDREADONLY", secrets.token_urlsafe(30), read_only=True)
    state_dir.mkdir(parents=True, exist_ok=True)
    store = Store(state_dir)
    store.create_bucket(bucket)
    faults = faults or Faults()
    keys = {pair.access_key_id: pair for pair in (full, reader)}
    server = S3Server(("127.0.0.1", port), store, keys, faults=faults, tls=tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    scheme = "https" if tls else "http"
    try:
        endpoint = f"{scheme}://127.0.0.1:{server.server_port}"
        yield RunningS3(endpoint, bucket, full, reader, faults, server.sessions, server.connections)
    finally:
        server.shutdown()
        server.close_connections()
        server.server_close()
        thread.join()
        store.close()
