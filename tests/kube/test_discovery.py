"""What a cluster serves, by every name that people use, and as it changes."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from clusters.kube import discovery
from clusters.kube.connection import Connection
from clusters.kube.errors import NotFound, Unavailable
from demo.cluster.server import ClusterHandle
from tests.kube.conftest import Misbehaving, until


def test_resources_by_their_names(connection: Connection) -> None:
    deployments = connection.resource("deployments.apps")
    assert connection.resource("deployments") == deployments
    assert (deployments.api_version, deployments.kind, deployments.namespaced) == ("apps/v1", "Deployment", True)
    assert {"get", "list", "create", "patch", "delete", "watch"} <= deployments.verbs
    assert connection.resource("events").group == ""
    assert connection.discovery().find("events", "events.k8s.io") is not None
    assert connection.discovery().find("deployments", "batch") is None
    assert connection.resource_of({"apiVersion": "v1", "kind": "Namespace"}).namespaced is False
    assert connection.discovery().versions_of("apps", "Deployment") == ["v1"]
    assert "storage.k8s.io" in connection.discovery().groups()
    names = [each.name for each in connection.discovery().resources()]
    assert len(names) == len(set(names)) > 30
    assert not [name for name in names if "/" in name]


@pytest.mark.parametrize("name", ["nothings", "deployments.batch", "", "Deployment"])
def test_what_is_not_served(name: str, connection: Connection) -> None:
    with pytest.raises(NotFound, match="does not serve"):
        connection.resource(name)


def test_a_kind_of_a_version_that_is_not_served(connection: Connection) -> None:
    with pytest.raises(NotFound, match="does not serve Deployment of extensions/v1beta1"):
        connection.resource_of({"apiVersion": "extensions/v1beta1", "kind": "Deployment"})


def definition(plural: str, kind: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": schema},
                {"name": "v1beta1", "served": True, "storage": False, "schema": schema},
            ],
        },
    }


def test_custom_resources_are_found_once_they_are_defined(served: ClusterHandle, connection: Connection) -> None:
    before = connection.discovery()
    assert before.find("sites.example.com") is None
    connection.apply(definition("sites", "Site"))
    until(lambda: connection.discovery(fresh=True).find("sites.example.com"))
    connection._discovery = (connection._discovery or (0.0, before))[0], before
    site = {"apiVersion": "example.com/v1", "kind": "Site", "metadata": {"name": "a", "namespace": "default"}}
    assert connection.apply(site)["kind"] == "Site"
    assert connection.get("sites", "a", "default")["apiVersion"] == "example.com/v1"
    assert connection.discovery().versions_of("example.com", "Site") == ["v1", "v1beta1"]
    older = connection.resource_of(site | {"apiVersion": "example.com/v1beta1"})
    assert connection.get(older, "a", "default")["apiVersion"] == "example.com/v1beta1"


def test_what_is_served_is_kept(served: ClusterHandle, connection: Connection) -> None:
    first = connection.discovery()
    served.faults.fail("/api", status=404, times=2)
    assert connection.discovery() is first
    with pytest.raises(NotFound):
        connection.discovery(fresh=True)
    assert connection.discovery() is first


# -- servers of other ages ---------------------------------------------------------------------------------------------


def documents(client: socket.socket, path: str, found: dict[str, Any]) -> None:
    status = "200 OK" if path in found else "503 Service Unavailable"
    body = json.dumps(found.get(path, {"kind": "Status", "message": "no endpoints available"}))
    client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())


def rows(*kinds: tuple[str, str]) -> dict[str, Any]:
    listed = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "list"]} for name, kind in kinds]
    return {"kind": "APIResourceList", "resources": [*listed, {"name": "x/status", "kind": "X", "verbs": ["get"]}]}


OLD = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": rows(("pods", "Pod")),
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "metrics.k8s.io",
                "versions": [{"groupVersion": "metrics.k8s.io/v1beta1", "version": "v1beta1"}],
                "preferredVersion": {"groupVersion": "metrics.k8s.io/v1beta1", "version": "v1beta1"},
            },
            {
                "name": "apps",
                "versions": [
                    {"groupVersion": "apps/v1beta1", "version": "v1beta1"},
                    {"groupVersion": "apps/v1", "version": "v1"},
                ],
                "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
            },
        ],
    },
    "/apis/apps/v1": rows(("deployments", "Deployment")),
    "/apis/apps/v1beta1": rows(("deployments", "Deployment"), ("scales", "Scale")),
}


def test_a_group_whose_own_server_is_down_hides_no_other(
    misbehaving: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.kube.requests.FIRST_PAUSE", 0.01)
    asked: list[str] = []

    def answer(client: socket.socket, head: bytes) -> None:
        asked.append(head.split()[1].decode())
        documents(client, asked[-1], OLD)

    with misbehaving(answer) as config, Connection(config) as connection:
        found = connection.discovery()
    assert found.unavailable == ["metrics.k8s.io/v1beta1"]
    assert [each.name for each in found.resources()] == ["pods", "deployments.apps", "scales.apps"]
    assert found.versions_of("apps", "Deployment") == ["v1", "v1beta1"]
    assert found.find("deployments") == found.by_kind("apps/v1", "Deployment")


def test_a_server_that_is_down_itself_is_an_error(misbehaving: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.kube.requests.FIRST_PAUSE", 0.01)
    with (
        misbehaving(lambda client, head: documents(client, "", {})) as config,
        Connection(config) as connection,
        pytest.raises(Unavailable),
    ):
        connection.discovery()


def test_aggregated_discovery_with_gaps() -> None:
    stale = {"version": "v1beta1", "freshness": "Stale"}
    rest = {
        "version": "v1",
        "resources": [
            {"resource": "things", "responseKind": {"kind": "Thing"}, "scope": "Cluster", "verbs": ["get"]},
            {"resource": "virtual", "responseKind": {"kind": "Virtual"}},
            {"resource": "kindless", "verbs": ["get"]},
        ],
    }
    document = {"items": [{"metadata": {"name": "a.io"}, "versions": [stale, rest]}, {"metadata": {"name": "b.io"}}]}
    found = discovery.from_aggregated({"items": None}, document, {"items": [{"metadata": {}, "versions": None}]})
    assert [each.name for each in found.resources()] == ["things.a.io"]
    assert found.unavailable == ["a.io/v1beta1"]
