"""What is installed, where, and what stays over a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from demo import portworx
from demo.cluster.server import running_clusters
from demo.clusters import plant
from demo.estate.sites import SITES
from demo.portworx.storage import storage_of
from tests.portworx_estate import hand


def test_identity_and_credentials_stay(tmp_path: Path) -> None:
    fields = {"name": "c", "provider": "s3", "access_key": "a", "secret_key": "b", "region": "r", "endpoint": "e"}
    seen = []
    for start in range(2):
        with (
            running_clusters(tmp_path, names=("dev",), nodes=False) as clusters,
            portworx.installed(clusters, namespace="portworx"),
        ):
            storage = clusters["dev"].call(storage_of)
            if start == 0:
                storage.add_credential(fields)
            seen.append((storage.uuid, storage.token, storage.credentials))
    assert seen[0] == seen[1]
    assert seen[0][2][0]["name"] == "c"
    state = tmp_path / "dev" / "portworx.json"
    assert state.stat().st_mode & 0o777 == 0o600


def test_what_is_there(tmp_path: Path) -> None:
    with (
        running_clusters(tmp_path, names=("dev", "prod"), nodes=False) as clusters,
        portworx.installed({"dev": clusters["dev"]}, namespace="portworx"),
    ):
        dev = clusters["dev"]
        service = dev.call(lambda api: api.get("services", "portworx", "portworx-service"))
        assert 9001 in {each["port"] for each in service["spec"]["ports"]}
        for name in ("stork", "stork-scheduler"):
            dev.call(lambda api, name=name: api.get("deployments.apps", "portworx", name))
        assert dev.api.registry.get(hand.STORK, "v1alpha1", "clusterpairs") is not None
        # Nothing of it is in a cluster that nobody installed it in.
        assert clusters["prod"].api.registry.get(hand.STORK, "v1alpha1", "clusterpairs") is None


def test_each_portworx_of_the_estate_is_behind_a_load_balancer_of_its_region(tmp_path: Path) -> None:
    with running_clusters(tmp_path) as clusters:
        handles = list(clusters.values())
        planting = plant([each.api for each in handles], 0.5)
        try:
            asyncio.run_coroutine_threadsafe(planting, handles[0].loop).result(60)
            for name, cluster in clusters.items():
                assert hand.load_balancer(cluster).endswith(f".{SITES[name].region}.elb.amazonaws.com")
        finally:
            for each in handles:
                asyncio.run_coroutine_threadsafe(portworx.stop(each.api), each.loop).result(30)
