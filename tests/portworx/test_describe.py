"""Our `kubectl describe`, beside what kubectl itself prints of the same objects in a simulated cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.portworx.describe import describe, label_for
from demo.cluster.server import ClusterHandle, running_clusters
from demo.portworx import crds

RECORDINGS = Path(__file__).parents[1] / "portworx_estate" / "recordings"
KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl on this machine")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHandle]:
    """A cluster that serves Stork's kinds, without nodes and without Stork."""
    with running_clusters(tmp_path_factory.mktemp("clusters"), names=("dev",), nodes=False) as clusters:
        cluster = clusters["dev"]
        for each in crds.definitions():
            cluster.call(lambda api, each=each: api.create("customresourcedefinitions.apiextensions.k8s.io", each))
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cms"}}
        cluster.call(lambda api: api.create("namespaces", namespace))
        yield cluster


def planted(dev: ClusterHandle, obj: dict[str, Any]) -> dict[str, Any]:
    own = ("name", "namespace", "annotations", "labels", "finalizers")
    metadata = {key: value for key, value in obj["metadata"].items() if key in own}
    return dev.call(lambda api: api.create(crds.resource("migrations"), {**obj, "metadata": metadata}))


def event(about: dict[str, Any], name: str, first: timedelta, last: timedelta, message: str, **more: Any) -> Any:
    now = datetime.now(UTC)
    involved = {key: about["metadata"][key] for key in ("name", "namespace", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "cms"},
        "involvedObject": {**involved, "kind": "Migration", "apiVersion": about["apiVersion"]},
        "type": "Normal",
        "reason": "Successful",
        "source": {"component": "stork"},
        "firstTimestamp": (now - first).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lastTimestamp": (now - last).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": message,
        "count": 1,
        **more,
    }


def kubectl(dev: ClusterHandle, *arguments: str) -> str:
    assert KUBECTL is not None
    command = [KUBECTL, "--kubeconfig", str(dev.kubeconfig_path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@needs_kubectl
@pytest.mark.parametrize("name", ["m1", "m3", "m4", "m7", "m9"])
def test_a_recorded_migration_is_described_as_kubectl_describes_it(dev: ClusterHandle, name: str) -> None:
    recorded = yaml.safe_load((RECORDINGS / f"{name}-migration.yaml").read_text())
    stored = planted(dev, recorded)
    assert describe(stored) == kubectl(dev, "describe", "migrations", stored["metadata"]["name"], "-n", "cms")


@needs_kubectl
def test_events_are_folded_and_aged_as_kubectl_does(dev: ClusterHandle) -> None:
    recorded = yaml.safe_load((RECORDINGS / "m4-migration.yaml").read_text())
    recorded["metadata"] |= {
        "name": "told",
        "labels": {"b": "2", "a": "1"},
        "annotations": {"long": "x" * 200, "short": "y", "several": "one\ntwo\n"},
    }
    stored = planted(dev, recorded)
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    told = [
        event(stored, "a", 5 * hour, 4 * hour, "Volume pvc-1 migrated successfully", count=2),
        event(stored, "b", 30 * hour, 30 * hour, "Volume pvc-2 migrated successfully"),
        event(stored, "c", 90 * hour, 30 * minute, "clusterPair cannot be empty", type="Warning", reason="Failed"),
        event(stored, "d", 400 * hour, 200 * minute, "long ago", count=7),
    ]
    for each in told:
        dev.call(lambda api, each=each: api.create("events", each))
    assert describe(stored, told) == kubectl(dev, "describe", "migrations", "told", "-n", "cms")


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("includeNetworkPolicyWithCIDR", "Include Network Policy With CIDR"),
        ("uid", "UID"),
        ("apiVersion", "API Version"),
        ("numOfMigratedVolumes", "Num Of Migrated Volumes"),
        ("stork.libopenstorage.org/x", "stork.libopenstorage.org/x"),
        ("px-options", "Px - Options"),
    ],
)
def test_field_names_are_split_into_words(field: str, label: str) -> None:
    assert label_for(field) == label


def test_an_object_that_holds_nothing_is_described_too() -> None:
    text = describe({"metadata": None, "spec": None})
    assert text.startswith("Name:         \n")
    assert text.endswith("Events:       <none>\n")
