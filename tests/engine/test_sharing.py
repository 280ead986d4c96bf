"""Small volumes share a Job where one pod can hold them, and stay volumes of their own in everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.trees import differences
from migrations_app.engines.native.sharing import MOST_IN_ONE, Company
from migrations_app.models import Migration, MigrationVolume, Status
from migrations_app.pauses import services as pauses
from migrations_app.verifications import services as verifications
from migrations_app.verifications.models import Verdict, VolumeVerification
from tests.engine.conftest import Estate, eventually, told

Object = dict[str, Any]
NAMESPACE = "small"
GIB = 1 << 30


def claim(name: str, mode: str = "ReadWriteOnce", node: str = "") -> Object:
    spec = {
        "accessModes": [mode],
        "storageClassName": "gp3" if mode == "ReadWriteOnce" else "efs-rwx",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    # As the scheduler writes it when the first pod comes.
    chosen = {"annotations": {"volume.kubernetes.io/selected-node": node}} if node else {}
    return {"metadata": {"name": name, "namespace": NAMESPACE, **chosen}, "spec": spec}


def pod(name: str, *claims: str, node: str) -> Object:
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    mounts = [{"name": each, "mountPath": f"/{each}"} for each in claims]
    container = {"name": "main", "image": "example.com/app:1", "volumeMounts": mounts}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1, "nodeName": node},
    }


def path_of(estate: Estate, side: str, name: str) -> Path:
    return {"dev": estate.dev, "prod": estate.prod}[side].volume_path(NAMESPACE, name)


@pytest.fixture
def small(estate: Estate) -> Iterator[list[str]]:
    """Three claims that one running pod uses, one that another pod on another node uses, and a shared one."""
    dev, prod = estate.on("dev"), estate.on("prod")
    dev.create("namespaces", {"metadata": {"name": NAMESPACE}})
    here, there = [each["metadata"]["name"] for each in dev.list("nodes")][-2:]
    together = ["a", "b", "c"]
    for name in [*together, "far"]:
        dev.create("persistentvolumeclaims", claim(name, node=there if name == "far" else here))
    for name in ("files", "more-files"):
        dev.create("persistentvolumeclaims", claim(name, "ReadWriteMany"))
    dev.create("pods", pod("main", *together, node=here))
    dev.create("pods", pod("other", "far", node=there))
    names = [*together, "far", "files", "more-files"]

    def running() -> bool:
        claims = {each["metadata"]["name"]: each for each in dev.list("persistentvolumeclaims", NAMESPACE)}
        bound = all(claims[name]["status"].get("phase") == "Bound" for name in names)
        return bound and all(each["status"].get("phase") == "Running" for each in dev.list("pods", NAMESPACE))

    eventually(running)
    for name in names:
        (path_of(estate, "dev", name) / "content.txt").write_text(f"of {name}\n" * 1000)
    yield names
    for connection in (dev, prod):
        connection.delete("namespaces", NAMESPACE)
        eventually(lambda c=connection: NAMESPACE not in {each["metadata"]["name"] for each in c.list("namespaces")})


def jobs(estate: Estate, side: str) -> list[list[str]]:
    """The claims of each mover's Job, in order."""
    found = estate.objects(side, "jobs.batch", NAMESPACE).values()
    return sorted(
        sorted(each["persistentVolumeClaim"]["claimName"] for each in job["spec"]["template"]["spec"]["volumes"][:-1])
        for job in found
    )


def moving(migration: Migration) -> bool:
    return not migration.volumes.filter(status=Status.PENDING).exists() and migration.volumes.exists()


def test_volumes_that_one_pod_can_hold_share_a_job_and_arrive(estate: Estate, small: list[str]) -> None:
    estate.s3.faults.latency = 0.05
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=moving)
    # On the source those of one node, and those that no node holds; on the destination those of one consumer, too.
    assert jobs(estate, "dev") == [["a", "b", "c"], ["far"], ["files", "more-files"]]
    assert jobs(estate, "prod") == [["a", "b", "c"], ["far"], ["files", "more-files"]]
    estate.s3.faults.latency = 0
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    for name in small:
        assert differences(path_of(estate, "dev", name), path_of(estate, "prod", name)) == []
    for volume in migration.volumes.all():
        assert volume.source_digest == volume.destination_digest != ""
        assert volume.percent == 100
        assert volume.bytes_pulled == volume.bytes_pushed == volume.bytes_total == 1000 * len(f"of {volume.claim}\n")
    assert estate.leftovers() == []


def test_shared_jobs_are_paused_and_go_on(estate: Estate, small: list[str]) -> None:
    estate.s3.faults.latency = 0.3
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=moving)
    pauses.pause(migration, by=estate.by)
    migration = estate.drive(migration, until=lambda migration: migration.stands_still_at is not None)
    found = [job for side in ("dev", "prod") for job in estate.objects(side, "jobs.batch", NAMESPACE).values()]
    assert len(found) == 6
    assert all(job["spec"]["suspend"] or job["status"].get("succeeded") for job in found)
    pods = [pod for side in ("dev", "prod") for pod in estate.objects(side, "pods", NAMESPACE).values()]
    movers = [pod for pod in pods if pod["metadata"]["name"].startswith("kubemotion-")]
    assert {pod["status"]["phase"] for pod in movers} <= {"Succeeded"}
    estate.s3.faults.latency = 0
    pauses.resume(migration, by=estate.by)
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    for name in small:
        assert differences(path_of(estate, "dev", name), path_of(estate, "prod", name)) == []
    assert estate.leftovers() == []


def test_each_container_has_its_own_volume_secret_and_voice(estate: Estate, small: list[str]) -> None:
    estate.s3.faults.latency = 0.05
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=moving)
    estate.s3.faults.latency = 0
    shared = [
        job
        for job in estate.objects("dev", "jobs.batch", NAMESPACE).values()
        if job["metadata"]["annotations"]["kubemotion.io/claims"] == "a, b, c"
    ]
    (job,) = shared
    secrets = estate.objects("dev", "secrets", NAMESPACE)
    seen = set()
    for container in job["spec"]["template"]["spec"]["containers"]:
        mounted = [each for each in container["volumeMounts"] if each["mountPath"] == "/data"]
        secret = container["envFrom"][0]["secretRef"]["name"]
        assert len(mounted) == 1
        assert mounted[0]["readOnly"] is True
        assert secrets[secret]["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
        seen |= {(mounted[0]["name"], secret)}
    assert len(seen) == 3
    estate.drive(migration)


def test_a_failure_is_the_volumes_own_and_names_it(estate: Estate, small: list[str]) -> None:
    """What one of them says at its end is nobody else's reason, and what others have done counts."""
    full = path_of(estate, "dev", "b") / "large"
    full.write_bytes(b"x" * 3_000_000)
    estate.prod.faults.disk_limit_bytes[f"{NAMESPACE}/b"] = 65536
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]))
    assert migration.status == Status.FAILED, told(migration)
    (failed,) = migration.volumes.filter(status=Status.FAILED)
    assert failed.claim == "b"
    assert "it is full" in failed.reason
    assert "b could not be moved" in migration.reason
    assert estate.leftovers() == []


def test_a_pod_that_is_lost_is_made_again_for_all_of_them(estate: Estate, small: list[str]) -> None:
    estate.s3.faults.latency = 0.1
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=moving)
    for side in ("dev", "prod"):
        for name, job in estate.objects(side, "jobs.batch", NAMESPACE).items():
            if "a, b, c" in json.dumps(job["metadata"]["annotations"]):
                estate.on(side).delete("jobs.batch", name, NAMESPACE)
    estate.s3.faults.latency = 0
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    for name in small:
        assert differences(path_of(estate, "dev", name), path_of(estate, "prod", name)) == []


def test_a_worker_that_died_between_assignment_and_jobs_goes_on_with_the_same_jobs(
    estate: Estate, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object) -> None:
        raise RuntimeError("the worker dies here")

    with monkeypatch.context() as patch:
        patch.setattr("migrations_app.engines.native.movers.ensure", dying)
        migration = estate.drive(
            estate.start(namespaces=[NAMESPACE]),
            until=lambda migration: migration.volumes.exclude(push_job="").count() == len(small),
        )
    assigned = dict(migration.volumes.values_list("claim", "push_job"))
    assert assigned["a"] == assigned["b"] == assigned["c"] != assigned["far"]
    Migration.objects.filter(pk=migration.pk).update(next_look_at=migration.started_at)
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert dict(migration.volumes.values_list("claim", "push_job")) == assigned


def test_a_limit_of_zero_gives_every_volume_a_job_of_its_own(estate: Estate, small: list[str], settings: Any) -> None:
    settings.MOVER_SHARED_BYTES = 0
    settings.MOVERS_PER_CLUSTER = settings.MOVERS_PER_NODE = 20
    estate.s3.faults.latency = 0.05
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=moving)
    assert jobs(estate, "dev") == jobs(estate, "prod") == [[name] for name in sorted(small)]
    estate.s3.faults.latency = 0
    estate.drive(migration)


def test_disks_of_different_applications_do_not_come_into_being_in_one_place(estate: Estate, small: list[str]) -> None:
    """On the source one node holds all; on the destination each is first consumed where its own pods can run."""
    dev = estate.on("dev")
    node = dev.get("pods", "main", NAMESPACE)["spec"]["nodeName"]
    dev.delete("pods", "main", NAMESPACE)
    eventually(lambda: "main" not in estate.objects("dev", "pods", NAMESPACE))
    dev.create("pods", pod("third", "a", node=node))
    dev.create("pods", pod("fourth", "b", "c", node=node))
    eventually(lambda: all(each["status"].get("phase") == "Running" for each in dev.list("pods", NAMESPACE)))
    estate.s3.faults.latency = 0.05
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=moving)
    assert ["a", "b", "c"] in jobs(estate, "dev")
    on_destination = [each for each in jobs(estate, "prod") if "files" not in each]
    assert on_destination == [["a"], ["b", "c"], ["far"]]
    estate.s3.faults.latency = 0
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)


# -- the rule by itself


def sized(gib: float) -> MigrationVolume:
    return MigrationVolume(capacity_bytes=int(gib * GIB))


def test_company_ends_at_the_limit_of_bytes_and_of_volumes(settings: Any) -> None:
    settings.MOVER_SHARED_BYTES = 4 * GIB
    company = Company()
    company.open("n", "here", sized(2), "first")
    assert company.join("n", "here", sized(1.5)) == "first"
    assert company.join("n", "here", sized(1)) == ""
    company.open("n", "there", sized(0.1), "second")
    joined = [company.join("n", "there", sized(0.1)) for _ in range(MOST_IN_ONE)]
    assert joined == ["second"] * (MOST_IN_ONE - 1) + [""]


def test_nobody_joins_elsewhere_or_without_a_place(settings: Any) -> None:
    settings.MOVER_SHARED_BYTES = 4 * GIB
    company = Company()
    company.open("n", "", sized(1), "alone")
    company.open("n", "here", sized(5), "large")
    assert company.join("n", "", sized(1)) == ""
    assert company.join("n", "here", sized(1)) == ""
    company.open("n", "here", sized(1), "first")
    assert company.join("other", "here", sized(1)) == ""
    assert company.join("n", "here", sized(1)) == "first"


def test_readers_of_one_node_are_as_many_as_it_takes(estate: Estate, small: list[str], settings: Any) -> None:
    migration = estate.drive(estate.start(namespaces=[NAMESPACE], include_resources=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    settings.MOVERS_PER_NODE, settings.MOVERS_PER_CLUSTER = 1, 20
    verifications.verify(migration, by=estate.by)
    held = {"a", "b", "c"}
    most = 0

    def over(migration: Migration) -> bool:
        nonlocal most
        rows = VolumeVerification.objects.filter(verification__migration=migration, status=Verdict.IN_PROGRESS)
        most = max(most, rows.filter(volume__claim__in=held).count())
        return not migration.is_verifying

    estate.drive(migration, until=over)
    assert most == 1
    found = VolumeVerification.objects.filter(verification__migration=migration)
    assert {row.status for row in found} == {Verdict.SAME}
