"""Against the simulated clusters, over real HTTPS and exec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.portworx import credentials, discovery, endpoint, inspection, pods, pxctl, status, volumes
from clusters.portworx.credentials import Outcome, S3Keys
from clusters.portworx.errors import NotInstalledError, PxctlError
from clusters.portworx.pods import Portworx
from demo.cluster.server import ClusterHandle, running_clusters
from demo.portworx.storage import storage_of
from tests.portworx_estate import hand


def test_what_is_installed_is_discovered(
    connections: Mapping[str, Connection], sites: Mapping[str, ClusterHandle]
) -> None:
    found = discovery.discover(connections["prod"])
    assert found.is_present
    assert found.can_migrate(), found
    assert found.cluster_uuid == hand.uuid_of(sites["prod"])
    assert (found.namespace, found.version) == ("kube-system", "3.5.0.0-7f2a1c4")
    assert len(found.nodes) == 3 == found.pods
    assert found.capacity == 300 * 2**30
    assert found.licence_allows is True
    assert found.stork.version == "24.3.2"
    assert {"ClusterPair", "Migration", "MigrationSchedule"} <= set(found.stork.kinds)
    assert [each.status for each in discovery.checks(found)] == ["ok", "ok"]


def test_text_and_json_of_pxctl_say_the_same(px: Mapping[str, Portworx], connections: Mapping[str, Connection]) -> None:
    text, data = (status.from_text(px["dev"].pxctl("status")), status.from_json(px["dev"].pxctl("status", "-j")))
    assert (text.uuid, text.name, text.licence, text.version) == (data.uuid, data.name, data.licence, data.version)
    assert [(node.ip, node.name, node.capacity) for node in text.nodes] == [
        (node.ip, node.name, node.capacity) for node in data.nodes
    ]
    assert text.is_operational
    assert data.is_operational
    assert text.capacity == data.capacity
    handle = connections["dev"].get("persistentvolumeclaims", "px-wp-pvc", "cms")["spec"]["volumeName"]
    [as_text] = inspection.from_text(px["dev"].pxctl("volume", "inspect", handle))
    [as_json] = inspection.from_json(px["dev"].pxctl("volume", "inspect", handle, "-j"))
    for name in ("id", "name", "size", "replicas", "shared", "status", "attached_on", "format", "replica_nodes"):
        assert getattr(as_text, name) == getattr(as_json, name), name
    assert [(each.name, each.namespace) for each in as_text.consumers] == [
        (each.name, each.namespace) for each in as_json.consumers
    ]


def test_a_namespace_is_shown_with_the_facts_of_its_volumes(connections: Mapping[str, Connection]) -> None:
    found = volumes.objects(connections["dev"], "cms")
    assert {"Pod", "Service", "Deployment", "ReplicaSet", "Route"} <= {each["kind"] for each in found.rows}
    listed = volumes.claims(connections["dev"], "cms")
    volumes.inspect(pods.find(connections["dev"]), connections["dev"], listed)
    claims = {claim.name: claim for claim in listed}
    mysql, wordpress = claims["px-mysql-pvc"].volume, claims["px-wp-pvc"].volume
    assert mysql is not None
    assert wordpress is not None
    assert (mysql.shared, wordpress.shared) == (False, True)
    assert mysql.replicas == 3
    assert mysql.used
    assert mysql.size
    assert mysql.used < mysql.size
    assert not any(claim.problem for claim in listed)


def test_credentials_are_made_kept_replaced_and_deleted(px: Mapping[str, Portworx], keys: S3Keys) -> None:
    name = credentials.name_for("00000000-0000-4000-8000-000000000000")
    assert credentials.ensure(px["dev"], name, keys) == Outcome.MADE
    assert credentials.ensure(px["dev"], name, keys) == Outcome.KEPT
    assert credentials.ensure(px["dev"], name, keys, replace=True) == Outcome.REPLACED
    [found] = [each for each in credentials.listed(px["dev"]) if each.name == name]
    assert found.provider == "s3"
    assert credentials.delete(px["dev"], name)
    assert not credentials.delete(px["dev"], name)


def test_a_wrong_key_pair_is_told_in_the_words_of_pxctl_and_can_be_corrected(
    px: Mapping[str, Portworx], keys: S3Keys
) -> None:
    name = "clusterPair_wrong"
    wrong = replace(keys, secret_key='not "the" $secret\\')
    with pytest.raises(PxctlError, match="SignatureDoesNotMatch") as refused:
        credentials.ensure(px["dev"], name, wrong)
    assert wrong.secret_key not in str(refused.value)
    assert credentials.ensure(px["dev"], name, keys) == Outcome.REPLACED
    credentials.delete(px["dev"], name)


def test_working_credentials_for_another_store_are_not_touched(px: Mapping[str, Portworx], keys: S3Keys) -> None:
    name = "clusterPair_other"
    credentials.ensure(px["dev"], name, keys)
    with pytest.raises(credentials.DifferentError, match="region"):
        credentials.ensure(px["dev"], name, replace(keys, region="mars-north-1"))
    credentials.delete(px["dev"], name)


def test_the_endpoint_is_found_and_tried_from_the_source(
    px: Mapping[str, Portworx], connections: Mapping[str, Connection], sites: Mapping[str, ClusterHandle]
) -> None:
    found = endpoint.candidates(connections["prod"], "kube-system")
    best, *others = endpoint.choices(found)
    assert best == endpoint.Endpoint(endpoint.Kind.LOAD_BALANCER, hand.load_balancer(sites["prod"]), 9001)
    assert {each.kind for each in found} >= {endpoint.Kind.LOAD_BALANCER, endpoint.Kind.NODE_PORT}
    assert endpoint.reach(px["dev"], best).reached is True
    [typed] = endpoint.choices(found, host="nobody.example.com")
    nowhere = endpoint.reach(px["dev"], typed)
    assert nowhere.reached is False
    assert "Could not resolve host" in nowhere.message
    [closed] = endpoint.choices(found, host=best.host, port=9002)
    refused = endpoint.reach(px["dev"], closed)
    assert refused.reached is False
    assert "Failed to connect" in refused.message
    taken = endpoint.take(px["dev"], [best, *others])
    assert (taken.endpoint, taken.reach.reached) == (best, True)
    assert "load balancer comes first. Not tried: node port" in taken.reason
    route = endpoint.Endpoint(endpoint.Kind.ROUTE, best.host, 9001)
    second = endpoint.take(px["dev"], [endpoint.Endpoint(best.kind, best.host, 9002), route])
    assert second.endpoint == route
    assert "The Route is the first that answers. Not reached: load balancer" in second.reason
    third = endpoint.take(px["dev"], [closed, typed])
    assert (third.endpoint, third.reach.reached) == (closed, False)
    assert endpoint.take(px["dev"], [typed]).reason == "It was typed in by hand."


def test_the_token_is_read(px: Mapping[str, Portworx], sites: Mapping[str, ClusterHandle]) -> None:
    token = sites["prod"].call(storage_of).token
    assert pxctl.token(px["prod"].pxctl("cluster", "token", "show")) == token


def test_a_cluster_without_portworx_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_clusters(tmp_path_factory.mktemp("bare"), names=("dev",), nodes=False) as running:
        config = kubeconfig.parse(yaml.safe_dump(running["dev"].kubeconfig))
        with Connection(config) as connection:
            found = discovery.discover(connection)
            assert not found.is_present
            assert not list(discovery.checks(found))
            with pytest.raises(NotInstalledError):
                pods.find(connection)
