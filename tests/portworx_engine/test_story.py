"""Rows 10 to 13 of the story: Stork moves the project, and our rows and events say what it said."""

from __future__ import annotations

from migrations_app.models import Stage, Status
from tests.engine.conftest import Estate, told
from tests.portworx_engine import nine
from tests.portworx_estate import hand


def test_stork_moves_the_nine_resources_and_two_volumes(px: Estate) -> None:
    migration = px.drive(px.start(start_applications=True))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert not px.different_files()

    recorded = hand.get(px.dev, "migrations", "kube-system", "cmsmigration")
    assert recorded["spec"]["clusterPair"] == "prod"
    assert recorded["spec"]["namespaces"] == ["cms"]
    assert recorded["spec"]["startApplications"] is True

    volumes = {row.claim: row for row in migration.volumes.all()}
    assert set(volumes) == set(nine.CLAIMS)
    for row in volumes.values():
        assert (row.status, row.reason) == (Status.SUCCESSFUL, "Migration successful for volume")
        assert row.bytes_total == row.bytes_pulled > 0
        assert row.capacity_bytes == 2**30
        assert 0 < row.portworx["used"] < row.portworx["size"] == 2**30
    resources = list(migration.resources.all())
    assert len(resources) == 9
    assert {row.reason for row in resources} == {"Resource migrated successfully"}
    named = {(row.kind, row.name) for row in resources}
    assert named == nine.RESOURCES | {("PersistentVolume", row.volume) for row in volumes.values()}

    of_stork = list(migration.events.filter(source="stork"))
    uid = recorded["metadata"]["uid"]
    in_cluster = list(px.on("dev").list("events", "kube-system", field_selector=f"involvedObject.uid={uid}"))
    assert sum(each.count for each in of_stork) == sum(each["count"] for each in in_cluster)
    said, there = {each.message for each in of_stork}, {each["message"] for each in in_cluster}
    assert said >= there
    # The cluster keeps the last words only of those that it combines; who looks in between has also the earlier ones.
    assert all(message.startswith("(combined from similar events): ") for message in said - there)
    stages = [each.reason for each in migration.events.exclude(source="stork") if each.message.startswith("Stage ")]
    assert stages == ["Initial", "Volumes", "Applications", "Final"]
    about_volumes = [each.seq for each in of_stork if each.regarding.startswith("PersistentVolume/")][:2]
    applications = migration.events.get(reason=Stage.APPLICATIONS.value).seq
    assert all(seq < applications for seq in about_volumes), told(migration)
