"""MigrationSchedules migrate again and again, and their applications are taken over and taken back by Actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from demo.cluster.server import ClusterHandle
from demo.portworx import pace
from demo.s3 import RunningS3
from demo.trees import differences
from tests.portworx_estate import hand

Object = dict[str, Any]
CLAIMS = ("px-mysql-pvc", "px-wp-pvc")
GOOD = ("Successful", "PartialSuccess")


@pytest.fixture(autouse=True)
def quick_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MINUTE_SECONDS", 2.0)


@pytest.fixture(scope="module")
def paired(clusters: Mapping[str, ClusterHandle], store: RunningS3) -> Mapping[str, ClusterHandle]:
    """Both ways under one name, as `storkctl create clusterpair` leaves it."""
    hand.pair(clusters, store, name="both")
    dev, prod = clusters["dev"], clusters["prod"]
    if "cms" not in {each["metadata"]["name"] for each in prod.call(lambda api: api.list("namespaces"))}:
        prod.call(lambda api: api.create("namespaces", {"metadata": {"name": "cms"}}))
    hand.pair({"dev": prod, "prod": dev}, store, name="both")
    return clusters


def schedule_document(name: str, **spec: Any) -> Object:
    template = {"clusterPair": "both", "includeResources": True, "startApplications": False, "namespaces": ["cms"]}
    return {
        "apiVersion": f"{hand.STORK}/v1alpha1",
        "kind": "MigrationSchedule",
        "metadata": {"name": name, "namespace": "cms"},
        "spec": {"template": {"spec": template}, "schedulePolicyName": "each-minute", "suspend": False, **spec},
    }


def runs(cluster: ClusterHandle, name: str) -> list[Object]:
    items = (hand.get(cluster, "migrationschedules", "cms", name).get("status") or {}).get("items") or {}
    return [row for rows in items.values() for row in rows]


def replicas(cluster: ClusterHandle) -> dict[str, int]:
    found = cluster.call(lambda api: api.list("deployments.apps", "cms"))
    return {each["metadata"]["name"]: each["spec"]["replicas"] for each in found}


def act(cluster: ClusterHandle, kind: str, schedule: str) -> Object:
    name = f"{kind}-{schedule}"
    parameter = {"migrationScheduleReference": schedule, f"{kind}Namespaces": ["cms"]}
    action = {
        "apiVersion": f"{hand.STORK}/v1alpha1",
        "kind": "Action",
        "metadata": {"name": name, "namespace": "cms"},
        "spec": {"actionType": kind, "actionParameter": {f"{kind}Parameter": parameter}},
    }
    hand.create(cluster, "actions", action)

    def over() -> Object | None:
        found = hand.get(cluster, "actions", "cms", name)
        return found if (found.get("status") or {}).get("stage") == "Final" else None

    ended = hand.until(over, seconds=90)
    assert ended is not None
    return ended


def is_active(cluster: ClusterHandle, name: str) -> bool:
    """Whether Stork says of a schedule's copy that the applications run there."""
    return bool(hand.get(cluster, "migrationschedules", "cms", name)["status"]["applicationActivated"])


def policy(cluster: ClusterHandle) -> None:
    body = {"apiVersion": f"{hand.STORK}/v1alpha1", "kind": "SchedulePolicy"}
    each = {**body, "metadata": {"name": "each-minute"}, "policy": {"interval": {"intervalMinutes": 1}}}
    hand.create(cluster, "schedulepolicies", each)


def test_applications_move_over_and_back(paired: Mapping[str, ClusterHandle]) -> None:
    dev, prod = paired["dev"], paired["prod"]
    before = replicas(dev)
    assert set(before.values()) == {1}
    policy(dev)
    policy(prod)
    hand.create(dev, "migrationschedules", schedule_document("away", autoSuspend=True))
    hand.until(lambda: [row for row in runs(dev, "away") if row["status"] in GOOD])
    copy = hand.get(prod, "migrationschedules", "cms", "away")
    assert copy["metadata"]["annotations"]["stork.libopenstorage.org/static-copy"] == "true"
    assert copy["spec"]["suspend"] is True
    assert set(replicas(prod).values()) == {0}
    hand.until(lambda: any("completed successfully" in text for *_, text in hand.events(dev, "away")))

    done = act(prod, "failover", "away")
    assert done["status"]["status"] == "Successful", done["status"]
    assert done["status"]["summary"]["failoverSummary"] == [{"namespace": "cms", "status": "Successful", "reason": ""}]
    assert (replicas(prod), set(replicas(dev).values())) == (before, {0})
    assert hand.get(dev, "migrationschedules", "cms", "away")["spec"]["suspend"] is True
    assert is_active(prod, "away")
    for claim in CLAIMS:
        assert not differences(dev.volume_path("cms", claim), prod.volume_path("cms", claim))

    written = prod.volume_path("cms", CLAIMS[1]) / "written-on-prod"
    written.write_text("since the failover")
    hand.create(prod, "migrationschedules", schedule_document("home"))
    hand.until(lambda: [row for row in runs(prod, "home") if row["status"] in GOOD])
    back = act(dev, "failback", "home")
    assert back["status"]["status"] == "Successful", back["status"]
    assert (replicas(dev), set(replicas(prod).values())) == (before, {0})
    assert (is_active(prod, "away"), is_active(dev, "home")) == (False, True)
    assert (dev.volume_path("cms", CLAIMS[1]) / "written-on-prod").read_text() == "since the failover"


def test_a_failover_needs_the_copy_of_a_schedule(clusters: Mapping[str, ClusterHandle]) -> None:
    ended = act(clusters["prod"], "failover", "nosuch")
    assert ended["status"]["status"] == "Failed"
    assert ended["status"]["reason"] == "unable to find the reference MigrationSchedule nosuch in the cms namespace"


def test_a_policy_that_cannot_be_is_told_in_storks_words(paired: Mapping[str, ClusterHandle]) -> None:
    dev = paired["dev"]
    body = {"apiVersion": f"{hand.STORK}/v1alpha1", "kind": "SchedulePolicy", "metadata": {"name": "never"}}
    hand.create(dev, "schedulepolicies", {**body, "policy": {"interval": {"intervalMinutes": 0}}})
    hand.create(dev, "migrationschedules", schedule_document("wrong", schedulePolicyName="never"))
    said = hand.until(lambda: [text for *_, text in hand.events(dev, "wrong")])
    assert "Invalid intervalMinutes (0) in Interval policy" in said
