"""The product with thousands of objects: plan, migrate, and look at it, on simulated clusters.

    python benchmarks/pages.py --json benchmarks/results/pages.json [--pictures FOLDER]

A namespace with so many objects is planned and migrated as a worker does it, step by step, and then once more under
another name by the whole product (`manage.py serve`) while Chromium shows the page. Both clusters, the object store and
the product are processes of their own. Pages and API are asked without a browser as well, for the server's own time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support import applications
from benchmarks.support.browsing import browse
from benchmarks.support.cluster import Cluster, cluster
from benchmarks.support.measured import run
from benchmarks.support.store import embedded
from clusters.kube import kubeconfig
from clusters.kube.connection import Connection

Result = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
NAMESPACE = "bench-0"
WORKER = "benchmarks.support.working"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the result is kept")
    parser.add_argument("--count", type=int, default=5000, help="how many objects")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where pictures of the pages go")
    return parser.parse_args()


def plant(source: Cluster, count: int) -> None:
    """The objects into one namespace of the source, as somebody created them."""
    with Connection(kubeconfig.parse(source.kubeconfig.read_text())) as connection, ThreadPoolExecutor(8) as pool:
        namespace, *objects = applications.objects(count, 1)
        connection.create("namespaces", namespace)
        list(pool.map(lambda obj: connection.create(connection.resource_of(obj), obj), objects))


def main() -> None:
    options = arguments()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pages-")))
        source, destination = (stack.enter_context(cluster(folder / name, name)) for name in ("dev", "prod"))
        bucket = stack.enter_context(embedded(folder / "s3"))
        plant(source, options.count)
        environment = {"KUBEMOTION_STATE_DIR": str(folder / "state"), "KUBEMOTION_LOG_LEVEL": "ERROR"}
        given = {
            "namespace": NAMESPACE,
            "kubeconfigs": {"dev": str(source.kubeconfig), "prod": str(destination.kubeconfig)},
            "store": {
                "endpoint": bucket.endpoint,
                "bucket": bucket.name,
                "region": bucket.region,
                "access_key_id": bucket.access_key_id,
                "secret_access_key": bucket.secret_access_key,
            },
        }
        log = folder / "worker.log"
        used = run([sys.executable, "-m", WORKER, json.dumps(given)], log, environment, cwd=ROOT)
        worked: Result = json.loads(log.read_text().splitlines()[-1])
        if worked["migration"]["status"] != "Successful" or worked["plan"]["objects"] < options.count:
            raise SystemExit(f"not everything was carried: {worked}")
        browsed = browse(ROOT, {**os.environ, **environment}, worked["ids"], options.pictures)
    del worked["ids"]
    result: Result = {
        "objects": options.count,
        **worked,
        "worker_peak_mib": round(used.peak_mib, 1),
        "browser": browsed,
        "machine": {"python": platform.python_version(), "cores": len(os.sched_getaffinity(0))},
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
