"""Claims, volumes and snapshots of a simulated cluster."""

from __future__ import annotations

from pathlib import Path

from tests.simulator.inside import bound, claim, cluster, folder, gone, plant_class, pod, reasons, until

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
SNAPSHOTS = "volumesnapshots.snapshot.storage.k8s.io"


async def test_a_claim_of_an_immediate_class_gets_a_volume_and_a_folder(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        api.create(CLAIMS, claim("c"))
        found = await until(lambda: bound(api, "c"))
        volume = api.get(VOLUMES, None, found["spec"]["volumeName"])
        assert found["spec"]["volumeName"] == f"pvc-{found['metadata']['uid']}"
        assert found["status"]["capacity"] == {"storage": "64Mi"}
        assert found["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
        assert volume["status"]["phase"] == "Bound"
        assert volume["spec"]["claimRef"]["uid"] == found["metadata"]["uid"]
        assert folder(api, "c").is_dir()
        assert sorted(reasons(api, "c")) == ["ExternalProvisioning", "Provisioning", "ProvisioningSucceeded"]


async def test_a_claim_that_waits_for_its_consumer_is_bound_where_that_runs(tmp_path: Path) -> None:
    async with cluster(tmp_path, count=3) as api:
        api.create(CLAIMS, claim("c", "late"))
        await until(lambda: "WaitForFirstConsumer" in reasons(api, "c"))
        assert bound(api, "c") is None
        api.create("pods", pod("p", claims=("c",)))
        found = await until(lambda: bound(api, "c"))
        consumer = await until(lambda: api.get("pods", "default", "p")["spec"].get("nodeName"))
        assert found["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == consumer
        volume = api.get(VOLUMES, None, found["spec"]["volumeName"])
        term = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]
        zone = api.get("nodes", None, consumer)["metadata"]["labels"]["topology.kubernetes.io/zone"]
        assert term["values"] == [zone]


async def test_the_next_consumer_follows_the_volume_to_its_zone(tmp_path: Path) -> None:
    async with cluster(tmp_path, count=3) as api:
        api.create(CLAIMS, claim("c", "late"))
        api.create("pods", pod("first", claims=("c",)))
        first = await until(lambda: api.get("pods", "default", "first")["spec"].get("nodeName"))
        for number in range(3):
            name = f"next-{number}"
            api.create("pods", pod(name, "true", claims=("c",)))
            assert await until(lambda name=name: api.get("pods", "default", name)["spec"].get("nodeName")) == first


async def test_what_keeps_a_claim_pending_is_said(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        plant_class(api, "nobody", provisioner="storage.invalid")
        api.create(CLAIMS, claim("absent", "absent"))
        api.create(CLAIMS, claim("nobody", "nobody"))
        api.create(CLAIMS, claim("static", ""))
        await until(lambda: "ProvisioningFailed" in reasons(api, "absent"))
        await until(lambda: "ExternalProvisioning" in reasons(api, "nobody"))
        await until(lambda: "FailedBinding" in reasons(api, "static"))
        assert all(each["status"]["phase"] == "Pending" for each in api.list(CLAIMS))
        # The class comes late; the claim gets its volume all the same.
        plant_class(api, "absent")
        await until(lambda: bound(api, "absent"))


async def test_a_volume_made_by_hand_is_bound_and_kept_after_release(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        for name, size in (("big", "10Gi"), ("small", "1Gi"), ("tiny", "1Mi")):
            spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "manual"}
            spec |= {"persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": f"/data/{name}"}}
            api.create(VOLUMES, {"metadata": {"name": name}, "spec": spec})
        api.create(CLAIMS, claim("c", "manual", "500Mi"))
        found = await until(lambda: bound(api, "c"))
        assert found["spec"]["volumeName"] == "small"
        (folder(api, "c") / "file").write_text("kept")
        api.delete(CLAIMS, "default", "c")
        await gone(api, CLAIMS, "default", "c")
        await until(lambda: api.get(VOLUMES, None, "small")["status"]["phase"] == "Released")
        api.delete(VOLUMES, None, "small")
        await gone(api, VOLUMES, None, "small")
        assert (tmp_path / "volumes/small/file").read_text() == "kept"


async def test_a_claim_in_use_outlives_its_deletion_and_then_takes_its_folder_along(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(CLAIMS, claim("c"))
        api.create("pods", pod("p", claims=("c",)))
        await until(lambda: api.get("pods", "default", "p")["status"].get("phase") == "Running")
        path, volume = folder(api, "c"), api.get(CLAIMS, "default", "c")["spec"]["volumeName"]
        api.delete(CLAIMS, "default", "c")
        assert "deletionTimestamp" in api.get(CLAIMS, "default", "c")["metadata"]
        api.create("pods", pod("too-late", claims=("c",)))
        message = 'persistentvolumeclaim "c" is being deleted'
        await until(lambda: message in str(api.get("pods", "default", "too-late")["status"].get("conditions")))
        assert path.is_dir()
        api.delete("pods", "default", "too-late")
        api.delete("pods", "default", "p")
        await gone(api, CLAIMS, "default", "c")
        await gone(api, VOLUMES, None, volume)
        assert not path.exists()


async def test_a_claim_can_grow(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        api.create(CLAIMS, claim("c"))
        await until(lambda: bound(api, "c"))
        api.patch(CLAIMS, "default", "c", {"spec": {"resources": {"requests": {"storage": "128Mi"}}}})
        await until(lambda: api.get(CLAIMS, "default", "c")["status"]["capacity"]["storage"] == "128Mi")


async def test_a_bound_claim_whose_volume_was_taken_away_is_lost(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        api.create(CLAIMS, claim("c"))
        found = await until(lambda: bound(api, "c"))
        volume = api.get(VOLUMES, None, found["spec"]["volumeName"])
        api.update(VOLUMES, {**volume, "metadata": {**volume["metadata"], "finalizers": []}})
        api.delete(VOLUMES, None, found["spec"]["volumeName"])
        await until(lambda: api.get(CLAIMS, "default", "c")["status"]["phase"] == "Lost")


async def test_a_snapshot_holds_the_moment_and_becomes_a_claim(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        api.create(
            "volumesnapshotclasses.snapshot.storage.k8s.io",
            {"metadata": {"name": "snaps"}, "driver": "ebs.csi.aws.com", "deletionPolicy": "Delete"},
        )
        api.create(CLAIMS, claim("c"))
        await until(lambda: bound(api, "c"))
        (folder(api, "c") / "file").write_text("then")
        source = {"persistentVolumeClaimName": "c"}
        metadata = {"name": "s", "namespace": "default"}
        api.create(SNAPSHOTS, {"metadata": metadata, "spec": {"volumeSnapshotClassName": "snaps", "source": source}})
        await until(lambda: api.get(SNAPSHOTS, "default", "s").get("status", {}).get("readyToUse"))
        (folder(api, "c") / "file").write_text("now")
        reference = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}
        api.create(CLAIMS, claim("clone", dataSource=reference))
        await until(lambda: bound(api, "clone"))
        assert (folder(api, "clone") / "file").read_text() == "then"
        assert (folder(api, "c") / "file").read_text() == "now"
        api.delete(SNAPSHOTS, "default", "s")
        await gone(api, SNAPSHOTS, "default", "s")
        assert list((tmp_path / "snapshots").iterdir()) == []


async def test_binding_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        api.create(CLAIMS, claim("c"))
        await until(lambda: bound(api, "c"))
        (folder(api, "c") / "file").write_text("kept")
    async with cluster(tmp_path, nodes=False) as api:
        assert (folder(api, "c") / "file").read_text() == "kept"
        api.create(CLAIMS, claim("another"))
        await until(lambda: bound(api, "another"))
