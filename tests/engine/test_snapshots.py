"""Claims that one pod alone may mount: told beforehand, and read from a snapshot where one can be taken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from demo.trees import differences
from migrations_app import services
from migrations_app.models import Migration, Status
from migrations_app.verifications import services as verifications
from migrations_app.verifications.models import Verdict, VolumeVerification
from tests.engine.conftest import Estate, eventually, told

Object = dict[str, Any]
NAMESPACE, CLAIM = "exclusive", "data"
SNAPSHOTS = "volumesnapshots.snapshot.storage.k8s.io"
SNAPSHOT_CLASSES = "volumesnapshotclasses.snapshot.storage.k8s.io"
CLAIMS = "persistentvolumeclaims"
SIDES = ("dev", "prod")


def folder(estate: Estate, side: str) -> Path:
    return {"dev": estate.dev, "prod": estate.prod}[side].volume_path(NAMESPACE, CLAIM)


@pytest.fixture
def held(estate: Estate) -> Iterator[Path]:
    """The folder of a ReadWriteOncePod claim on the source that a running pod holds."""
    dev, prod = estate.on("dev"), estate.on("prod")
    dev.create("namespaces", {"metadata": {"name": NAMESPACE}})
    spec = {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": "gp3",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    dev.create(CLAIMS, {"metadata": {"name": CLAIM, "namespace": NAMESPACE}, "spec": spec})
    mounts = [{"name": "d", "mountPath": "/d"}]
    container = {"name": "main", "image": "example.com/app:1", "volumeMounts": mounts}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": CLAIM}}]
    pod = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1}
    dev.create("pods", {"metadata": {"name": "main", "namespace": NAMESPACE}, "spec": pod})
    eventually(lambda: dev.get("pods", "main", NAMESPACE)["status"].get("phase") == "Running")
    path = folder(estate, "dev")
    (path / "before.txt").write_text("written before\n" * 1000)
    yield path
    for connection in (dev, prod):
        connection.delete("namespaces", NAMESPACE)
        eventually(lambda c=connection: NAMESPACE not in {each["metadata"]["name"] for each in c.list("namespaces")})


def checks(estate: Estate, **choices: Any) -> dict[str, list[str]]:
    """The messages of the plan about volumes, by their status."""
    found: dict[str, list[str]] = {"failure": [], "warning": []}
    with translation.override("en"):
        for each in services.plan(estate.pair, [NAMESPACE], **choices).checks:
            if each["code"] == "volume-held" and each["status"] in found:
                found[each["status"]].append(each["message"])
    return found


def test_it_is_read_from_a_snapshot_which_is_told_beforehand_and_gone_afterwards(estate: Estate, held: Path) -> None:
    said = checks(estate)
    assert said["failure"] == []
    assert any("read from a snapshot of class csi-aws-vsc" in each for each in said["warning"]), said
    migration = estate.drive(
        estate.start(namespaces=[NAMESPACE]),
        until=lambda migration: migration.volumes.filter(status=Status.IN_PROGRESS).exists(),
    )
    # The application goes on, and what it writes now is not of that moment.
    (held / "later.txt").write_text("written later")
    volume = migration.volumes.get()
    assert volume.snapshot_class == "csi-aws-vsc"
    jobs = estate.objects("dev", "jobs.batch", NAMESPACE)
    mounted = jobs[volume.push_job]["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert mounted != CLAIM
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert (folder(estate, "prod") / "before.txt").read_text() == (held / "before.txt").read_text()
    assert not (folder(estate, "prod") / "later.txt").exists()
    assert estate.objects("dev", SNAPSHOTS, NAMESPACE) == {}
    assert (
        estate.objects("dev", CLAIMS, NAMESPACE).keys() == estate.objects("prod", CLAIMS, NAMESPACE).keys() == {CLAIM}
    )
    assert estate.on("dev").get("pods", "main", NAMESPACE)["status"]["phase"] == "Running"


def test_without_a_snapshot_class_it_is_refused_beforehand(estate: Estate, held: Path) -> None:
    dev = estate.on("dev")
    taken_out = dev.get(SNAPSHOT_CLASSES, "csi-aws-vsc")
    dev.delete(SNAPSHOT_CLASSES, "csi-aws-vsc")
    try:
        (said,) = checks(estate)["failure"]
        assert "ReadWriteOncePod and held by pod main" in said
        assert "no snapshot of it can be taken" in said
        migration = estate.drive(estate.start(namespaces=[NAMESPACE]))
        assert migration.status == Status.FAILED
        assert "Scale its workload to zero" in migration.reason
        assert estate.objects("dev", "jobs.batch", NAMESPACE) == {}
    finally:
        metadata = {"name": taken_out["metadata"]["name"]}
        dev.create(SNAPSHOT_CLASSES, {**taken_out, "metadata": metadata})


def test_when_nobody_holds_it_the_claim_itself_is_read(estate: Estate, held: Path) -> None:
    estate.on("dev").delete("pods", "main", NAMESPACE)
    eventually(lambda: estate.objects("dev", "pods", NAMESPACE) == {})
    assert checks(estate) == {"failure": [], "warning": []}
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.volumes.get().snapshot_class == ""
    assert differences(held, folder(estate, "prod")) == []


def test_a_cancelled_migration_leaves_no_snapshot(estate: Estate, held: Path) -> None:
    estate.s3.faults.latency = 0.2

    def started(migration: Migration) -> bool:
        return bool(migration.volumes.filter(status=Status.IN_PROGRESS))

    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=started)
    assert estate.objects("dev", SNAPSHOTS, NAMESPACE) != {}
    services.cancel(migration, by=estate.by)
    migration = estate.drive(migration)
    assert migration.status == Status.CANCELLED, told(migration)
    assert estate.objects("dev", SNAPSHOTS, NAMESPACE) == {}
    assert estate.objects("dev", CLAIMS, NAMESPACE).keys() == {CLAIM}
    assert held.is_dir()


def test_a_second_pod_cannot_mount_it(estate: Estate, held: Path) -> None:
    """The simulated scheduler's own rule, so that the tests above prove something."""
    pod = estate.on("dev").get("pods", "main", NAMESPACE)
    spec = {"containers": pod["spec"]["containers"], "volumes": pod["spec"]["volumes"]}
    estate.on("dev").create("pods", {"metadata": {"name": "second", "namespace": NAMESPACE}, "spec": spec})

    def refused() -> bool:
        conditions = estate.on("dev").get("pods", "second", NAMESPACE)["status"].get("conditions", ())
        return any("already in-use by another pod" in each.get("message", "") for each in conditions)

    eventually(refused)


def test_where_no_snapshots_are_wanted_none_is_taken(estate: Estate, held: Path) -> None:
    (said,) = checks(estate, volume_snapshots="never")["failure"]
    assert "no snapshot of it can be taken (the migration takes no snapshots)" in said


def test_volumes_are_read_from_snapshots_whenever_that_is_possible(estate: Estate) -> None:
    wanted = {"volume_snapshots": "whenever-possible"}
    with translation.override("en"):
        plan = services.plan(estate.pair, ["cms"], **wanted)
    claims = {each["name"]: each for each in plan.claims}
    assert (claims["px-mysql-pvc"]["read_from"], claims["px-mysql-pvc"]["snapshot_class"]) == (
        "snapshot",
        "csi-aws-vsc",
    )
    # Shared files, of whose driver nobody takes snapshots.
    assert claims["px-wp-pvc"]["read_from"] == "live"
    assert "no VolumeSnapshotClass is of its driver" in claims["px-wp-pvc"]["why_live"]
    said = {(each["status"], each["message"]) for each in plan.checks if each["code"] == "volume-consistency"}
    assert any(status == "pass" and "1 claim is read from a snapshot" in message for status, message in said), said
    assert any(status == "warning" and "px-wp-pvc" in message for status, message in said), said
    assert not any(status == "warning" and "px-mysql-pvc" in message for status, message in said), said

    migration = estate.drive(
        estate.start(include_resources=False, **wanted),
        until=lambda migration: migration.volumes.filter(status=Status.IN_PROGRESS).count() == 2,
    )
    later = estate.dev.volume_path("cms", "px-mysql-pvc") / "written later"
    later.write_bytes(b"x")
    try:
        migration = estate.drive(migration)
    finally:
        later.unlink()
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert {row.claim: row.snapshot_class for row in migration.volumes.all()} == {
        "px-mysql-pvc": "csi-aws-vsc",
        "px-wp-pvc": "",
    }
    assert not (estate.prod.volume_path("cms", "px-mysql-pvc") / "written later").exists()
    assert (estate.prod.volume_path("cms", "px-mysql-pvc") / "wordpress").is_dir()
    assert estate.objects("dev", SNAPSHOTS, "cms") == {}
    assert estate.objects("dev", CLAIMS, "cms").keys() == {"px-mysql-pvc", "px-wp-pvc"}


def test_plan_says_why_volumes_are_read_live(estate: Estate) -> None:
    with translation.override("en"):
        claims = services.plan(estate.pair, ["cms"]).claims
    assert {each["why_live"] for each in claims} == {"snapshots are taken only where a pod holds a volume alone"}


def holding_on_both_sides(estate: Estate) -> Migration:
    """A migration after which a pod holds the claim on the destination too."""
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    prod = estate.on("prod")
    if not estate.objects("prod", "pods", NAMESPACE):
        pod = estate.on("dev").get("pods", "main", NAMESPACE)
        spec = {name: pod["spec"][name] for name in ("containers", "volumes", "terminationGracePeriodSeconds")}
        prod.create("pods", {"metadata": {"name": "main", "namespace": NAMESPACE}, "spec": spec})
    eventually(lambda: prod.get("pods", "main", NAMESPACE)["status"].get("phase") == "Running")
    return migration


def asked_beforehand(estate: Estate, client: Client, migration: Migration) -> str:
    client.force_login(estate.by.user)
    return client.get(reverse("migration-verify", args=[migration.pk])).content.decode()


def verified(estate: Estate, migration: Migration) -> VolumeVerification:
    estate.drive(migration, until=lambda migration: not migration.is_verifying)
    return VolumeVerification.objects.get(verification__migration=migration)


def test_a_verification_reads_it_from_snapshots_on_both_sides(estate: Estate, held: Path, client: Client) -> None:
    migration = holding_on_both_sides(estate)
    said = asked_beforehand(estate, client, migration)
    assert said.count("read from a snapshot of class csi-aws-vsc") == 2, said
    (folder(estate, "prod") / "before.txt").write_text("changed there")
    verifications.verify(migration, by=estate.by)
    estate.drive(migration, until=lambda _: all(estate.objects(each, "jobs.batch", NAMESPACE) for each in SIDES))
    for side in SIDES:
        (job,) = estate.objects(side, "jobs.batch", NAMESPACE).values()
        data = job["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        assert data != CLAIM
        assert data in estate.objects(side, SNAPSHOTS, NAMESPACE)
    row = verified(estate, migration)
    assert row.status == Verdict.DIFFERENT, row.reason
    assert "before.txt" in {each["path"] for each in row.differences}
    assert row.used_by == [("source", "main"), ("destination", "main")]
    for side in SIDES:
        assert estate.objects(side, SNAPSHOTS, NAMESPACE) == {}
        assert estate.objects(side, CLAIMS, NAMESPACE).keys() == {CLAIM}
        assert estate.on(side).get("pods", "main", NAMESPACE)["status"]["phase"] == "Running"


def test_a_stopped_verification_leaves_no_snapshot(estate: Estate, held: Path) -> None:
    migration = holding_on_both_sides(estate)
    verifications.verify(migration, by=estate.by)
    estate.drive(migration, until=lambda _: bool(estate.objects("prod", SNAPSHOTS, NAMESPACE)))
    verifications.stop(migration, by=estate.by)
    estate.drive(migration, until=lambda migration: not migration.is_verifying)
    for side in SIDES:
        assert estate.objects(side, SNAPSHOTS, NAMESPACE) == {}
        assert estate.objects(side, CLAIMS, NAMESPACE).keys() == {CLAIM}


def test_a_verification_that_cannot_have_a_snapshot_says_so_beforehand(
    estate: Estate, held: Path, client: Client
) -> None:
    migration = holding_on_both_sides(estate)
    prod = estate.on("prod")
    taken_out = prod.get(SNAPSHOT_CLASSES, "csi-aws-vsc")
    prod.delete(SNAPSHOT_CLASSES, "csi-aws-vsc")
    try:
        why = (
            "Pod main holds claim exclusive/data on the destination cluster prod alone (ReadWriteOncePod), and no "
            "snapshot of it can be taken: the cluster has no VolumeSnapshotClass that the account may see."
        )
        assert why in asked_beforehand(estate, client, migration)
        verifications.verify(migration, by=estate.by)
        row = verified(estate, migration)
        assert row.status == Verdict.UNREADABLE
        assert row.reason == f"{why} Scale its workload to zero and verify again."
        assert estate.objects("dev", SNAPSHOTS, NAMESPACE) == {}
    finally:
        prod.create(SNAPSHOT_CLASSES, {**taken_out, "metadata": {"name": taken_out["metadata"]["name"]}})


def test_nothing_is_said_beforehand_where_nobody_holds_a_claim_alone(estate: Estate, client: Client) -> None:
    migration = estate.drive(estate.start(include_resources=False))
    assert "ReadWriteOncePod" not in asked_beforehand(estate, client, migration)
