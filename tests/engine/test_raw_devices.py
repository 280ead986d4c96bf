"""Claims of raw devices (volumeMode Block): made anew, carried byte for byte, and their zeros left out."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from demo.cluster.controllers.devices import DEVICE
from migrations_app import services
from migrations_app.models import Status
from migrations_app.verifications import services as verifications
from mover.blocks import CHUNK_BYTES
from tests.engine.conftest import Estate, eventually, told

Object = dict[str, Any]
NAMESPACE, CLAIM = "disks", "image"
MIB = 1 << 20
SIZE = 64 * MIB


def device(estate: Estate, side: str) -> Path:
    handle = {"dev": estate.dev, "prod": estate.prod}[side]
    return handle.volume_path(NAMESPACE, CLAIM) / DEVICE


@pytest.fixture
def disk(estate: Estate) -> Iterator[Path]:
    """A bound raw claim on the source, with something at both ends and a hole between."""
    dev, prod = estate.on("dev"), estate.on("prod")
    dev.create("namespaces", {"metadata": {"name": NAMESPACE}})
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Block",
        "storageClassName": "gp3",
        "resources": {"requests": {"storage": "64Mi"}},
    }
    metadata = {
        "name": CLAIM,
        "namespace": NAMESPACE,
        # As its first pod, long gone, had it.
        "annotations": {"volume.kubernetes.io/selected-node": next(iter(dev.list("nodes")))["metadata"]["name"]},
    }
    dev.create("persistentvolumeclaims", {"metadata": metadata, "spec": spec})
    eventually(lambda: dev.get("persistentvolumeclaims", CLAIM, NAMESPACE)["status"].get("phase") == "Bound")
    path = device(estate, "dev")
    noise = random.Random(7)
    with path.open("r+b") as file:
        file.write(noise.randbytes(3 * MIB))
        file.seek(SIZE - MIB)
        file.write(noise.randbytes(MIB))
    yield path
    for connection in (dev, prod):
        connection.delete("namespaces", NAMESPACE)
        eventually(lambda c=connection: NAMESPACE not in {each["metadata"]["name"] for each in c.list("namespaces")})


def test_a_raw_device_arrives_byte_for_byte(estate: Estate, disk: Path) -> None:
    assert disk.stat().st_size == SIZE
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    arrived = device(estate, "prod")
    assert arrived.read_bytes() == disk.read_bytes()
    assert arrived.stat().st_blocks * 512 < 8 * MIB, "zeros were written"
    volume = migration.volumes.get()
    assert volume.volume_mode == "Block"
    assert volume.bytes_total == SIZE
    assert volume.bytes_sent < 5 * MIB, "zeros were sent"
    claim = estate.on("prod").get("persistentvolumeclaims", CLAIM, NAMESPACE)
    assert claim["spec"]["volumeMode"] == "Block"


def test_its_movers_get_the_device_and_no_capability(estate: Estate, disk: Path) -> None:
    def moving(migration: Any) -> bool:
        return bool(migration.volumes.filter(status=Status.IN_PROGRESS))

    migration = estate.drive(estate.start(namespaces=[NAMESPACE]), until=moving)
    for side, read_only in (("dev", True), ("prod", None)):
        (job,) = estate.objects(side, "jobs.batch", NAMESPACE).values()
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        (opened,) = container["volumeDevices"]
        assert container["args"][1:] == ["--path", opened["devicePath"]]
        assert [each["name"] for each in container["volumeMounts"]] == ["tmp"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        source = next(each for each in pod["volumes"] if each["name"] == opened["name"])
        assert source["persistentVolumeClaim"].get("readOnly") is read_only
    estate.drive(migration)


def test_the_plan_shows_it_and_warns_of_a_pod_that_may_write_to_it(estate: Estate, disk: Path) -> None:
    container = {"name": "vm", "image": "example.com/vm:1", "volumeDevices": [{"name": "d", "devicePath": "/dev/d"}]}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": CLAIM}}]
    pod = {"metadata": {"name": "vm", "namespace": NAMESPACE}, "spec": {"containers": [container], "volumes": volumes}}
    with translation.override("en"):
        plan = services.plan(estate.pair, [NAMESPACE])
        assert [claim["volume_mode"] for claim in plan.claims] == ["Block"]
        assert [each for each in plan.checks if each["status"] == "failure"] == []
        estate.on("dev").create("pods", pod)
        warnings = [each["message"] for each in services.plan(estate.pair, [NAMESPACE]).checks]
    assert any("is a raw device while Pod disks/vm writes to it" in each for each in warnings), warnings


def test_a_raw_volume_cannot_be_mounted_as_a_folder(estate: Estate, disk: Path) -> None:
    """The simulated kubelet's own rule, so that the tests above prove something."""
    container = {"name": "c", "image": "example.com/x:1", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": CLAIM}}]
    spec = {"containers": [container], "volumes": volumes}
    estate.on("dev").create("pods", {"metadata": {"name": "wrong", "namespace": NAMESPACE}, "spec": spec})

    def told_why() -> bool:
        said = [each.get("message", "") for each in estate.on("dev").list("events", NAMESPACE)]
        return any("has volumeMode Block, but is specified in volumeMounts" in each for each in said)

    eventually(told_why)
    assert os.path.getsize(disk) == SIZE


def test_a_raw_device_is_verified_byte_for_byte(estate: Estate, disk: Path) -> None:
    migration = estate.drive(estate.start(namespaces=[NAMESPACE]))
    assert migration.status == Status.SUCCESSFUL, told(migration)

    def verified() -> Any:
        verifications.verify(migration, by=estate.by)
        found = estate.drive(migration, until=lambda migration: not migration.is_verifying)
        return found.verification.volumes.get()

    row = verified()
    assert (row.status, row.source["bytes"]) == ("Same", SIZE), row.reason
    with device(estate, "prod").open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"!")
    row = verified()
    told_of = {"path": "device", "what": ["content"], "newer": "", "more_ranges": False}
    assert row.status == "Different"
    assert row.differences == [{**told_of, "ranges": [{"offset": SIZE // 2, "length": CHUNK_BYTES}]}]
    said = migration.events.get(reason="VolumeDifferent").message
    assert f"device (content; in it {CHUNK_BYTES} bytes from {SIZE // 2})" in said
