"""One simulated cluster without nodes for the folder, and a namespace of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from demo.cluster.server import ClusterHandle, running_clusters
from tests.resources.objects import make

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster without nodes."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",), nodes=False) as clusters:
        yield clusters["dev"]


@pytest.fixture(scope="package")
def shared_connection(served: ClusterHandle) -> Iterator[Connection]:
    with Connection(kubeconfig.parse(yaml.safe_dump(served.kubeconfig))) as connection:
        yield connection


@pytest.fixture
def connection(served: ClusterHandle, shared_connection: Connection) -> Iterator[Connection]:
    """The cluster's API as its administrator sees it; faults end with the test."""
    yield shared_connection
    served.faults.clear()


@pytest.fixture
def namespace(connection: Connection) -> str:
    """A namespace that no other test uses."""
    name = f"shop-{next(_numbers)}"
    connection.create("namespaces", make("Namespace", name))
    return name
