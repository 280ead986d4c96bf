"""Simulated clusters for this folder, over HTTPS, each for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo import estate
from demo.cluster.server import ClusterHandle, running_clusters
from tests.simulator.inside import pod
from tests.simulator.running import wait_for

SCRIPT = (
    "echo line 1; echo line 2; echo line 3; hostname > /www/hostname; echo out; echo err >&2; httpd -f -p 8080 -h /www"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster without nodes."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",), nodes=False) as clusters:
        yield clusters["dev"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster with the estate, a pod that answers and one that cannot start."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",)) as clusters:
        cluster = clusters["dev"]
        estate.plant_running(cluster, "dev", megabytes=2)
        cluster.call(lambda api: api.create("pods", pod("p", SCRIPT)))
        cluster.call(lambda api: api.create("pods", pod("pend", "true", nodeSelector={"zone": "moon"})))
        wait_for(cluster, "default", "p")
        yield cluster
