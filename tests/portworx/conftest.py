"""Two simulated clusters with Portworx and Stork, the story's application on one, and connections to both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.portworx import pods
from clusters.portworx.credentials import S3Keys
from clusters.portworx.pods import Portworx
from demo import estate, portworx
from demo.cluster.server import ClusterHandle, running_clusters
from demo.portworx import classes
from demo.s3 import RunningS3, running_s3
from tests.portworx_estate import hand


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    with running_s3(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="package")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, ClusterHandle]]:
    """`dev` with the application of the story on Portworx volumes, and an empty `prod`."""
    with running_clusters(tmp_path_factory.mktemp("clusters")) as running, portworx.installed(running):
        for name, cluster in running.items():
            estate.plant_running(cluster, name, megabytes=1, claim_classes=(classes.BLOCK_CLASS, classes.SHARED_CLASS))
            # Its pods are ready.
            hand.uuid_of(cluster)
            hand.load_balancer(cluster)
        yield running


@pytest.fixture(scope="package")
def connections(sites: Mapping[str, ClusterHandle]) -> Iterator[Mapping[str, Connection]]:
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(Connection(kubeconfig.parse(yaml.safe_dump(cluster.kubeconfig))))
            for name, cluster in sites.items()
        }


@pytest.fixture
def px(connections: Mapping[str, Connection]) -> Mapping[str, Portworx]:
    return {name: pods.find(connection) for name, connection in connections.items()}


@pytest.fixture
def keys(store: RunningS3) -> S3Keys:
    return S3Keys(
        region=store.region,
        access_key=store.keys.access_key_id,
        secret_key=store.keys.secret_access_key,
        endpoint=store.endpoint.partition("://")[2],
        bucket=store.bucket,
        disable_ssl=store.endpoint.startswith("http://"),
    )
