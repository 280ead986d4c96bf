"""The story by hand: two clusters are paired with pxctl's help, and the project cms moves with its files."""

from __future__ import annotations

import json
from collections.abc import Mapping

from demo.cluster.server import ClusterHandle
from demo.s3 import RunningS3
from demo.trees import differences
from tests.portworx_estate import hand

CLAIMS = ("px-mysql-pvc", "px-wp-pvc")


def test_the_project_moves(clusters: Mapping[str, ClusterHandle], store: RunningS3) -> None:
    dev, prod = clusters["dev"], clusters["prod"]
    status = json.loads(hand.pxctl(prod, "status", "-j")[0])
    assert status["cluster_uuid"] == hand.uuid_of(prod) != hand.uuid_of(dev)
    assert len(status["cluster"]["Nodes"]) == 3
    volume = dev.call(lambda api: api.get("persistentvolumeclaims", "cms", CLAIMS[0]))["spec"]["volumeName"]
    inspected = hand.pxctl(dev, "volume", "inspect", volume)[0]
    assert f"Name              :  {volume}" in inspected
    assert "HA                :  3" in inspected

    hand.pair(clusters, store)
    assert {(kind, reason, text) for kind, reason, _, text in hand.events(dev, "prodcluster")} == {
        ("Normal", "Ready", "Storage successfully paired"),
        ("Normal", "Ready", "Scheduler successfully paired"),
    }
    over = hand.migrate(
        dev,
        "cmsmigration",
        clusterPair="prodcluster",
        includeResources=True,
        startApplications=True,
        namespaces=["cms"],
    )
    assert over["status"]["status"] == "Successful", over["status"]
    assert {(each["persistentVolumeClaim"], each["status"], each["reason"]) for each in over["status"]["volumes"]} == {
        (name, "Successful", "Migration successful for volume") for name in CLAIMS
    }
    kinds = [each["kind"] for each in over["status"]["resources"]]
    for kind, count in {"PersistentVolume": 2, "PersistentVolumeClaim": 2, "Deployment": 2, "Route": 1}.items():
        assert kinds.count(kind) == count
    assert "HorizontalPodAutoscaler" not in kinds
    summary = over["status"]["summary"]
    assert summary["numOfMigratedVolumes"] == summary["totalNumberOfVolumes"] == 2
    assert summary["numOfMigratedResources"] == summary["totalNumberOfResources"] == len(kinds)
    assert summary["totalBytesMigrated"] > 1_000_000
    for name in CLAIMS:
        assert not differences(dev.volume_path("cms", name), prod.volume_path("cms", name))
    told = hand.events(dev, "cmsmigration")
    assert ("Normal", "Successful", 1, f"Volume {volume} migrated successfully") in told
    assert any(text.startswith("(combined from similar events): ") for *_, text in told)
    assert sum(count for _, _, count, _ in told) <= 25

    def runs() -> bool:
        deployment = prod.call(lambda api: api.get("deployments.apps", "cms", "wordpress"))
        return bool(deployment["status"].get("readyReplicas") == 1)

    hand.until(runs)
    tasks = hand.pxctl(dev, "cloudmigrate", "status")[0]
    assert f"CLUSTER UUID: {hand.uuid_of(prod)}" in tasks
    assert tasks.count("Complete") == 2
