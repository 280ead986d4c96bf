"""A store and a pair of clusters that really answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from audit.actor import Actor
from demo.cluster.server import running_clusters
from demo.estate import plant_running
from demo.s3 import RunningS3, running_s3
from teams.models import Role, Team
from tests.factories import member


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningS3]:
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running_clusters(tmp_path_factory.mktemp("clusters")) as running:
        for name in ("dev", "prod"):
            plant_running(running[name], name, megabytes=1)
        yield running


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(name="Content platform")


@pytest.fixture
def by(team: Team) -> Actor:
    return Actor(user=member("alice", team, Role.ADMIN), address="192.0.2.7")
