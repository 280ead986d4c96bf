"""Two simulated clusters with Portworx, the application of the story on one, and an object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from demo import estate, portworx
from demo.cluster.server import ClusterHandle, running_clusters
from demo.portworx import classes
from demo.s3 import RunningS3, running_s3


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    """The object store between the clusters."""
    with running_s3(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, ClusterHandle]]:
    """`dev` with the application of the story on Portworx volumes, and an empty `prod`."""
    with running_clusters(tmp_path_factory.mktemp("clusters")) as running, portworx.installed(running):
        for name, cluster in running.items():
            estate.plant_running(cluster, name, megabytes=2, claim_classes=(classes.BLOCK_CLASS, classes.SHARED_CLASS))
        yield running
