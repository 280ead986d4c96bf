"""What we say that Stork would take, beside what a real Stork took of the same objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from clusters.kube import kubeconfig
from clusters.kube.connection import Connection
from clusters.portworx.collecting import Taken, collect
from clusters.portworx.migration import MigrationSpec, read
from demo import portworx
from demo.cluster.server import running_clusters
from tests.portworx_estate import hand, replaying


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The recorded source, as a cluster without nodes; no volume of it holds anything."""
    with (
        running_clusters(tmp_path_factory.mktemp("c"), names=("dev",), nodes=False, extra=False) as clusters,
        portworx.installed(clusters),
    ):
        dev = clusters["dev"]
        dev.call(replaying.plant)

        def bound() -> bool:
            claims = dev.call(lambda api: api.list("persistentvolumeclaims", "cms"))
            return sum(each["status"].get("phase") == "Bound" for each in claims) == 2

        hand.until(bound)
        with Connection(kubeconfig.parse(yaml.safe_dump(dev.kubeconfig))) as connection:
            yield connection


def named(taken: Taken) -> set[tuple[str, str, str, str]]:
    return {
        (
            each["apiVersion"].rpartition("/")[0],
            each["kind"],
            each["metadata"].get("namespace", ""),
            each["metadata"]["name"],
        )
        for each in taken.objects
    }


@pytest.mark.parametrize("name", ["m1", "m4", "m7"])
def test_stork_would_take_what_it_took(source: Connection, name: str) -> None:
    recorded = replaying.documents(f"{name}-migration.yaml")[0]
    spec = MigrationSpec.of(recorded)
    expected = {(each.group, each.kind, each.namespace, each.name) for each in read(recorded).resources}
    if name == "m4":
        # Its annotations were lost in the real run, so that Stork took what a controller makes.
        expected.discard(("", "Endpoints", "cms", "mysql"))
    assert named(collect(source, spec, ["cms"])) == expected


def test_what_stays_behind_has_its_reason(source: Connection) -> None:
    spec = MigrationSpec(cluster_pair="p", exclude_resource_types=("secret",), exclude_selectors={"app": "mysql"})
    taken = collect(source, spec, ["cms"])
    reasons: dict[str, Any] = {str(each): each.reason for each in taken.left}
    assert not any(each["kind"] == "Secret" for each in taken.objects)
    assert reasons["Service cms/mysql"] == "a selector excludes it"
    assert reasons["ConfigMap cms/kube-root-ca.crt"] == "every cluster makes its own"
    assert any(reason == "Stork never takes autoscalers" for reason in reasons.values())
    assert any("ipBlock" in reason for reason in reasons.values())


def test_a_claim_without_a_volume_is_counted_as_stork_counts_it(source: Connection) -> None:
    taken = collect(source, MigrationSpec(cluster_pair="p"), ["cms"])
    phases = sorted((each.get("status") or {}).get("phase") for each in taken.claims)
    assert phases == ["Bound", "Bound", "Pending"]
