"""The product with nothing in it, beside two simulated clusters with Portworx and an empty bucket.

The product is its own process, with worker, sweep and watcher, as `manage.py serve` runs it: what a test does it does
over HTTP. The clusters and the store run in the test's process, so that it can look at them with eyes of its own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from demo import portworx
from demo.check import Api
from demo.cluster.server import ClusterHandle, running_clusters
from demo.estate.sites import SITES, cluster_objects
from demo.ports import wanted_or_free
from demo.processes import Part, Tree
from demo.s3 import RunningS3, running_s3
from tests.portworx_engine import nine
from tests.portworx_estate import hand

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "alice", "a-long-enough-passphrase"


@dataclass
class Beginning:
    """What an administrator has before anything is registered; `api` acts as that administrator."""

    clusters: Mapping[str, ClusterHandle]
    store: RunningS3
    address: str
    api: Api
    tree: Tree

    @property
    def dev(self) -> ClusterHandle:
        return self.clusters["dev"]

    @property
    def prod(self) -> ClusterHandle:
        return self.clusters["prod"]

    def kubeconfig(self, name: str) -> str:
        return yaml.safe_dump(self.clusters[name].kubeconfig)

    def clear_faults(self) -> None:
        for faults in (self.dev.faults, self.prod.faults, self.store.faults):
            faults.clear()


@contextmanager
def beginning(state: Path, *, megabytes: float = 4) -> Iterator[Beginning]:
    """The story's application runs on dev, with some megabytes in its volumes; prod is empty."""
    tree = Tree()
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(running_s3(state / "s3"))
        clusters = stack.enter_context(running_clusters(state / "clusters"))
        for name, cluster in clusters.items():
            for resource, obj in cluster_objects(SITES[name]):
                cluster.call(lambda api, at=(resource, obj): api.create(*at, user="system:admin"))
        stack.enter_context(portworx.installed(clusters))
        nine.plant(clusters["dev"], megabytes=megabytes)
        for cluster in clusters.values():
            # Portworx answers, and its load balancer has a name.
            hand.uuid_of(cluster)
            hand.load_balancer(cluster)
        stack.callback(tree.stop)
        address, token = _product(tree, state)
        yield Beginning(clusters, store, address, Api(address, token), tree)


def _product(tree: Tree, state: Path) -> tuple[str, str]:
    """Start it with one superuser, who has a token. Its address and the token."""
    environment = {
        "KUBEMOTION_STATE_DIR": str(state / "app"),
        "KUBEMOTION_ALLOW_LOOPBACK": "true",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }

    def manage(*words: str) -> str:
        command = [sys.executable, str(ROOT / "manage.py"), *words]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    manage("migrate", "--verbosity", "0")
    manage("createsuperuser", "--noinput", "--username", USER, "--email", "alice@example.com")
    port = wanted_or_free(0)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    arguments = [str(ROOT / "manage.py"), "serve", "--port", str(port)]
    tree.start(Part("product", arguments, state / "product.log", environment=environment, ready=answers))
    return address, manage("create_token", USER, "story")
