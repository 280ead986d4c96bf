"""`python -m demo.s3`: serve the embedded object store until told to stop."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import threading
from pathlib import Path

from demo.s3.server import S3Server
from demo.s3.signatures import KeyPair
from demo.s3.store import Store


def main() -> None:
    """Parse the command line, serve, and stop cleanly on SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m demo.s3", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder in which objects and keys are kept")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--bucket", default="kubemotion", help="bucket that exists from the start")
    parser.add_argument("--region", default="us-east-1")
    options = parser.parse_args()

    options.state.mkdir(parents=True, exist_ok=True)
    keys = _keys(options.state / "keys.json")
    store = Store(options.state)
    store.create_bucket(options.bucket)
    known = {pair.access_key_id: pair for pair in keys.values()}
    server = S3Server(("127.0.0.1", options.port), store, known, region=options.region)

    def stop(*_: object) -> None:
        # shutdown() waits for the loop that this handler interrupts.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # Standard output goes to the process that started this one, and to nobody else.
    ready = {
        "ready": True,
        "endpoint": f"http://127.0.0.1:{server.server_port}",
        "region": options.region,
        "bucket": options.bucket,
        "access_key_id": keys["full"].access_key_id,
        "secret_access_key": keys["full"].secret_access_key,
        "keys": str(options.state / "keys.json"),
    }
    print(json.dumps(ready), flush=True)
    server.serve_forever()
    server.close_connections()
    server.server_close()
    store.close()


def _keys(path: Path) -> dict[str, KeyPair]:
    """The pairs of keys of this store, made at the first start and kept where only their owner reads them."""
    if not path.exists():
        made = {
            "full": {"access_key_id": "AKIAEMBEDDEDFULL0000", "secret_access_key": secrets.token_urlsafe(30)},
            "read_only": {
                "access_key_id": "AKIAEMBEDDEDREADONLY",
                "secret_access_key": secrets.token_urlsafe(30),
                "read_only": True,
            },
        }
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file, indent=1)
    return {name: KeyPair(**pair) for name, pair in json.loads(path.read_text()).items()}


if __name__ == "__main__":
    main()
