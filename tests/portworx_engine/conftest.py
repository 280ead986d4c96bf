"""Two simulated clusters with Portworx and Stork, paired by hand, and our rows for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import yaml

from audit.actor import Actor
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PortworxPairing
from demo import portworx
from demo.cluster.api import APIError
from demo.cluster.server import ClusterHandle, running_clusters
from demo.estate.sites import SITES, cluster_objects
from demo.s3 import RunningS3, running_s3
from migrations_app.engines import sides
from teams.models import Role, Team
from tests.engine.conftest import Estate, eventually
from tests.factories import member
from tests.portworx_engine import nine
from tests.portworx_estate import hand

Sites = tuple[Mapping[str, ClusterHandle], RunningS3]


@pytest.fixture(scope="session")
def px_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The clusters and the store, which all tests share: the story's nine resources on dev, nothing on prod."""
    state = tmp_path_factory.mktemp("px")
    with (
        running_s3(state / "s3") as s3,
        running_clusters(state / "clusters") as clusters,
        portworx.installed(clusters),
    ):
        for name, cluster in clusters.items():
            for resource, obj in cluster_objects(SITES[name]):
                _ensure(cluster, resource, obj)
        nine.plant(clusters["dev"])
        hand.pair(clusters, s3, name="prod", namespace="kube-system")
        yield clusters, s3


def _ensure(cluster: ClusterHandle, resource: str, obj: hand.Object) -> None:
    try:
        cluster.call(lambda api: api.create(resource, obj, user="system:admin"))
    except APIError as refusal:
        if refusal.reason != "AlreadyExists":
            raise


@pytest.fixture
def px(px_sites: Sites, transactional_db: None) -> Iterator[Estate]:
    """The estate as at its beginning, with a pair of the engine portworx."""
    clusters, s3 = px_sites
    with paired(clusters, s3) as estate:
        yield estate
    for faults in (clusters["dev"].faults, clusters["prod"].faults, s3.faults):
        faults.clear()
    for namespace in ("cms", "kube-system"):
        for each in estate.on("dev").list("migrations.stork.libopenstorage.org", namespace):
            estate.on("dev").delete("migrations.stork.libopenstorage.org", each["metadata"]["name"], namespace)
    prod = estate.on("prod")
    prod.delete("namespaces", "cms")
    for each in prod.list("persistentvolumes"):
        prod.delete("persistentvolumes", each["metadata"]["name"])
    eventually(lambda: "cms" not in {each["metadata"]["name"] for each in prod.list("namespaces")})


@contextmanager
def paired(clusters: Mapping[str, ClusterHandle], s3: RunningS3) -> Iterator[Estate]:
    """The rows of team, clusters, store and pair."""
    team = Team.objects.create(name="Content platform")
    by = Actor(user=member("alice", team, Role.ADMIN), address="192.0.2.7")
    rows = {
        name: Cluster.objects.create(
            team=team, name=name, kubeconfig=yaml.safe_dump(handle.kubeconfig), server=handle.server
        )
        for name, handle in clusters.items()
    }
    store = ObjectStore.objects.create(
        team=team,
        name="moves",
        endpoint=s3.endpoint,
        region=s3.region,
        bucket=s3.bucket,
        access_key_id=s3.keys.access_key_id,
        secret_access_key=s3.keys.secret_access_key,
    )
    pair = ClusterPair.objects.create(
        team=team,
        name="dev-to-prod-portworx",
        source=rows["dev"],
        destination=rows["prod"],
        object_store=store,
        engine=Engine.PORTWORX,
    )
    PortworxPairing.objects.create(pair=pair, namespace="kube-system", object_name="prod")
    sides._kept.clear()
    yield Estate(clusters["dev"], clusters["prod"], s3, team, by, pair)
