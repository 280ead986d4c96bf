"""Two simulated clusters with Portworx and Stork, the story's application on one, and connections to both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import pytest
import yaml

from audit.actor import Actor
from clusters import cluster_services, pair_services, store_services
from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.models import Engine
from clusters.portworx import pods
from clusters.portworx.credentials import S3Keys
from clusters.portworx.pods import Portworx
from demo import estate as planted
from demo import portworx
from demo.cluster.api import APIError
from demo.cluster.server import ClusterHandle, running_clusters
from demo.portworx import classes
from demo.portworx.storage import storage_of
from demo.s3 import RunningS3, running_s3
from teams.models import Role, Team
from tests.factories import member
from tests.portworx.estate import Estate
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
            planted.plant_running(cluster, name, megabytes=1, claim_classes=(classes.BLOCK_CLASS, classes.SHARED_CLASS))
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


@pytest.fixture
def estate(db: None, sites: Mapping[str, ClusterHandle], store: RunningS3) -> Iterator[Estate]:
    team = Team.objects.create(name="Content platform")
    by = Actor(user=member("alice", team, Role.ADMIN))
    rows = {
        name: cluster_services.add(team, name=name, kubeconfig=yaml.safe_dump(sites[name].kubeconfig), by=by)
        for name in ("dev", "prod")
    }
    bucket = store_services.add(
        team,
        name="moves",
        endpoint=store.endpoint,
        region=store.region,
        bucket=store.bucket,
        access_key_id=store.keys.access_key_id,
        secret_access_key=store.keys.secret_access_key,
        by=by,
    )
    pair = pair_services.add(
        team,
        name="dev-to-prod",
        source=rows["dev"],
        destination=rows["prod"],
        object_store=bucket,
        engine=Engine.PORTWORX,
        portworx={"namespace": "cms", "object_name": "prodcluster"},
        by=by,
    )
    made = Estate(pair, by, sites["dev"], sites["prod"], store)
    yield made
    for cluster in (made.dev, made.prod):
        for each in cluster.call(lambda api: api.list(f"clusterpairs.{hand.STORK}")):
            cluster.call(
                lambda api, each=each: api.delete(
                    f"clusterpairs.{hand.STORK}", each["metadata"]["namespace"], each["metadata"]["name"]
                )
            )
        hand.until(lambda cluster=cluster: not cluster.call(lambda api: api.list(f"clusterpairs.{hand.STORK}")))
        storage = cluster.call(storage_of)
        for each in storage.credentials:
            cluster.call(lambda api, each=each: storage_of(api).remove_credential(each["name"]))
    with contextlib.suppress(APIError):
        made.prod.call(lambda api: api.delete("namespaces", None, "cms"))
    hand.until(
        lambda: "cms" not in {each["metadata"]["name"] for each in made.prod.call(lambda api: api.list("namespaces"))}
    )
