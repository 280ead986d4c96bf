"""Simulated clusters for this folder: one without nodes, over HTTPS, for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.cluster.server import ClusterHandle, running_clusters


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster without nodes."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",), nodes=False) as clusters:
        yield clusters["dev"]
