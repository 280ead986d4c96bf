"""Migrated applications are started and stopped over the Kubernetes API, as `storkctl activate` does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.portworx.activation import activate
from demo import portworx
from demo.cluster.server import running_clusters

MIGRATED = {"stork.libopenstorage.org/migrated": "true"}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with (
        running_clusters(tmp_path_factory.mktemp("clusters"), names=("prod",), nodes=False) as clusters,
        portworx.installed(clusters),
        Connection(kubeconfig.parse(yaml.safe_dump(clusters["prod"].kubeconfig))) as opened,
    ):
        opened.create("namespaces", {"metadata": {"name": "cms"}})
        for resource, obj in planted():
            opened.create(resource, {**obj, "metadata": {"namespace": "cms", **obj["metadata"]}})
        yield opened


def planted() -> Iterator[tuple[str, dict[str, Any]]]:
    labels = {"app": "a"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    workload = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    for name, note in (
        ("mysql", {"stork.libopenstorage.org/migrationReplicas": "1"}),
        ("old", {"stork.openstorage.org/migrationReplicas": "3"}),
        ("own", {}),
    ):
        yield "deployments.apps", {"metadata": {"name": name, "annotations": note}, "spec": workload}
    job = {"schedule": "0 0 * * *", "suspend": True}
    job |= {"jobTemplate": {"spec": {"template": {"spec": {**pod["spec"], "restartPolicy": "Never"}}}}}
    yield "cronjobs.batch", {"metadata": {"name": "backup", "annotations": MIGRATED}, "spec": job}
    yield "cronjobs.batch", {"metadata": {"name": "own"}, "spec": job}
    schedule = {"template": {"spec": {"clusterPair": "p"}}, "schedulePolicyName": "x", "suspend": True}
    copy = {"stork.libopenstorage.org/static-copy": "true"}
    body = {"apiVersion": "stork.libopenstorage.org/v1alpha1", "kind": "MigrationSchedule"}
    yield (
        "migrationschedules.stork.libopenstorage.org",
        {**body, "metadata": {"name": "sched1", "annotations": copy}, "spec": schedule},
    )


def test_what_was_migrated_starts_and_stops_and_all_else_is_left_alone(connection: Connection) -> None:
    assert activate(connection, "cms", active=True) == [
        "Updated replicas for deployment cms/mysql to 1",
        "Updated replicas for deployment cms/old to 3",
        "Updated suspend option for cronjob cms/backup to false",
        "Setting the ApplicationActivated status in the MigrationSchedule cms/sched1 to true",
    ]
    replicas = {
        each["metadata"]["name"]: each["spec"]["replicas"] for each in connection.list("deployments.apps", "cms")
    }
    assert replicas == {"mysql": 1, "old": 3, "own": 0}
    assert connection.get("cronjobs.batch", "own", "cms")["spec"]["suspend"] is True
    schedule = connection.get("migrationschedules.stork.libopenstorage.org", "sched1", "cms")
    assert schedule["status"] == {"applicationActivated": True}

    assert activate(connection, "cms", active=True) == []
    assert len(activate(connection, "cms", active=False)) == 4
    assert activate(connection, "cms", active=False) == []


def test_custom_resources_are_started_by_their_note(connection: Connection) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"kind": "PerconaXtraDBCluster", "plural": "perconaxtradbclusters", "singular": "perconaxtradbcluster"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definition = {
        "metadata": {"name": "perconaxtradbclusters.pxc.percona.com"},
        "spec": {"group": "pxc.percona.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    connection.create("customresourcedefinitions.apiextensions.k8s.io", definition)
    connection.discovery(fresh=True)
    made = {
        "apiVersion": "pxc.percona.com/v1",
        "kind": "PerconaXtraDBCluster",
        "metadata": {
            "name": "db",
            "namespace": "cms",
            "annotations": {"stork.libopenstorage.org/spec.pause": "false,"},
        },
        "spec": {"pause": True},
    }
    connection.create("perconaxtradbclusters.pxc.percona.com", made)
    assert "Updated CR for perconaxtradbcluster cms/db" in activate(connection, "cms", active=True)
    found = connection.get("perconaxtradbclusters.pxc.percona.com", "db", "cms")
    assert found["spec"]["pause"] is False
    assert activate(connection, "cms", active=True) == []
    activate(connection, "cms", active=False)
    found = connection.get("perconaxtradbclusters.pxc.percona.com", "db", "cms")
    assert found["spec"]["pause"] is True
