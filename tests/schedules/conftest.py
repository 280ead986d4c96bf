"""Two simulated clusters that Stork pairs both ways, and a Portworx pair of a team between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import yaml

from audit.actor import Actor
from clusters.models import Cluster, ClusterPair
from demo import estate, portworx
from demo.cluster.server import ClusterHandle, running_clusters
from demo.portworx import classes, pace
from demo.s3 import running_s3
from teams.models import Role, Team
from tests import factories
from tests.portworx_estate import hand


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, ClusterHandle]]:
    """`dev` with the application of the story on Portworx volumes, paired with `prod` under one name both ways."""
    with (
        running_s3(tmp_path_factory.mktemp("store")) as store,
        running_clusters(tmp_path_factory.mktemp("clusters")) as running,
        portworx.installed(running),
    ):
        for name, cluster in running.items():
            estate.plant_running(cluster, name, megabytes=2, claim_classes=(classes.BLOCK_CLASS, classes.SHARED_CLASS))
        running["prod"].call(lambda api: api.create("namespaces", {"metadata": {"name": "cms"}}))
        hand.pair(running, store, name="both")
        hand.pair({"dev": running["prod"], "prod": running["dev"]}, store, name="both")
        yield running


@pytest.fixture(autouse=True)
def quick_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MINUTE_SECONDS", 2.0)


@pytest.fixture
def by(transactional_db: None) -> Actor:
    team = Team.objects.create(name="Content platform")
    return Actor(user=factories.member("alice", team, Role.ADMIN), address="192.0.2.7")


@pytest.fixture
def pair(sites: Mapping[str, ClusterHandle], by: Actor) -> ClusterPair:
    team = Team.objects.get(name="Content platform")
    rows = {
        name: Cluster.objects.create(
            team=team, name=name, kubeconfig=yaml.safe_dump(handle.kubeconfig), server=handle.server
        )
        for name, handle in sites.items()
    }
    return ClusterPair.objects.create(
        team=team,
        name="dev-to-prod",
        source=rows["dev"],
        destination=rows["prod"],
        object_store=factories.object_store(team),
        engine="portworx",
    )
