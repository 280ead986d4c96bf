"""What stands in the way of volumes, provoked and read."""

from __future__ import annotations

from tests.kube.conftest import until
from tests.preflight.conftest import Lab


def test_a_class_that_is_not_there_is_named_with_those_that_are(lab: Lab) -> None:
    lab.claim()
    check = lab.failure(
        "storage-class",
        f"Claim {lab.namespace}/data needs the storage class premium, which the destination cluster prod does not have",
        "it has: efs-sc, gp3-csi, io2-retain",
        "Map the source's class",
        storage_class_mapping={"gp3-retain": "premium"},
    )
    assert check["objects"] == [f"PersistentVolumeClaim {lab.namespace}/data"]
    lab.passes("storage-class", "io2-retain")


def test_a_claim_without_a_class_needs_a_default_one(lab: Lab) -> None:
    lab.claim("plain", bound=False, storageClassName="")
    lab.passes("storage-class", "the default one")
    lab.prod.patch(
        "storageclasses.storage.k8s.io",
        "gp3-csi",
        None,
        {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": None}}},
    )
    try:
        lab.failure(
            "storage-class", "names no storage class", "no default one", "kubectl --context prod patch storageclass"
        )
    finally:
        lab.prod.patch(
            "storageclasses.storage.k8s.io",
            "gp3-csi",
            None,
            {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}},
        )


def test_a_class_in_a_stateful_sets_template_is_looked_at_too(lab: Lab) -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db:1"}]}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "gone",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    selector = {"matchLabels": {"app": "db"}}
    lab.on_dev(
        "StatefulSet",
        "db",
        spec={
            "replicas": 0,
            "serviceName": "db",
            "selector": selector,
            "template": template,
            "volumeClaimTemplates": [claim],
        },
    )
    lab.failure("storage-class", f"StatefulSet {lab.namespace}/db needs the storage class gone")


def test_a_shared_claim_on_a_class_of_single_nodes_would_never_bind(lab: Lab) -> None:
    lab.claim("uploads", storageClassName="efs-rwx", accessModes=["ReadWriteMany"])
    lab.passes("access-modes")
    lab.failure(
        "access-modes",
        f"Claim {lab.namespace}/uploads is ReadWriteMany, which the storage class gp3-csi (ebs.csi.aws.com)",
        "map its class to efs-sc",
        "map ReadWriteMany to ReadWriteOnce",
        storage_class_mapping={"efs-rwx": "gp3-csi"},
    )
    lab.passes(
        "access-modes",
        storage_class_mapping={"efs-rwx": "gp3-csi"},
        access_mode_mapping={"ReadWriteMany": "ReadWriteOnce"},
    )


def test_a_raw_device_on_a_class_of_files_cannot_be_made(lab: Lab) -> None:
    lab.claim("device", volumeMode="Block")
    lab.passes("volume-mode", "1 raw device")
    lab.failure("volume-mode", "is a raw device", "efs.csi.aws.com", storage_class_mapping={"gp3-retain": "efs-sc"})


def test_capacity_is_what_the_driver_says_is_free(lab: Lab) -> None:
    lab.claim("large", size="40Gi")
    lab.claim("small", size="30Gi")
    lab.passes("capacity", "do not say how much is free")
    space = {"storageClassName": "io2-retain", "namespace": "kube-system"}
    lab.on_prod("CSIStorageCapacity", "zone-a", capacity="100Gi", **space)
    try:
        lab.passes("capacity", "has 100.0 GiB free, and 2 claims need 70.0 GiB")
        _resize(lab, capacity="50Gi", maximumVolumeSize="35Gi")
        lab.failure("capacity", f"Claim {lab.namespace}/large needs 40.0 GiB", "the largest volume", "35.0 GiB")
        _resize(lab, capacity="50Gi", maximumVolumeSize=None)
        check = lab.failure("capacity", "need 70.0 GiB together", "has 50.0 GiB left")
        assert len(check["objects"]) == 2
    finally:
        lab.prod.delete("csistoragecapacities.storage.k8s.io", "zone-a", "kube-system")


def _resize(lab: Lab, **fields: str | None) -> None:
    lab.prod.patch("csistoragecapacities.storage.k8s.io", "zone-a", "kube-system", fields)


def test_volumes_made_by_hand_have_to_be_there(lab: Lab) -> None:
    lab.on_prod("StorageClass", "by-hand", provisioner="kubernetes.io/no-provisioner")
    lab.claim(size="5Gi")
    mapping = {"gp3-retain": "by-hand"}
    lab.failure("static-volumes", "needs a volume of 5.0 GiB", "has none free", storage_class_mapping=mapping)
    spec = {
        "capacity": {"storage": "6Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "by-hand",
        "hostPath": {"path": "/srv/data"},
    }
    lab.on_prod("PersistentVolume", "disk-1", spec=spec)
    lab.prod.patch("persistentvolumes", "disk-1", None, {"status": {"phase": "Available"}}, subresource="status")
    lab.passes("static-volumes", storage_class_mapping=mapping)


def test_a_driver_has_to_run_on_nodes(lab: Lab) -> None:
    lab.claim()
    lab.silent("csi-driver")
    nodes = [each["metadata"]["name"] for each in lab.prod.list("nodes")]
    node_id = {"nodeID": "i-1"}
    for name in nodes[:2]:
        lab.on_prod("CSINode", name, spec={"drivers": [{"name": "efs.csi.aws.com", **node_id}]})
    lab.failure("csi-driver", "ebs.csi.aws.com runs on no node of the destination cluster prod")
    both = [{"name": name, **node_id} for name in ("efs.csi.aws.com", "ebs.csi.aws.com")]
    lab.prod.patch("csinodes.storage.k8s.io", nodes[0], None, {"spec": {"drivers": both}})
    lab.warning("csi-driver", "runs on 1 of 2 nodes")
    lab.prod.patch("csinodes.storage.k8s.io", nodes[1], None, {"spec": {"drivers": both}})
    lab.passes("csi-driver", "runs on all 2 nodes")


def test_a_claim_that_is_written_to_is_warned_of_and_a_quiet_one_is_not(lab: Lab) -> None:
    lab.claim()
    lab.passes("volume-consistency", "Nobody writes to 1 claim")
    lab.pod("reader", "data", read_only=True)
    lab.passes("volume-consistency")
    mounts = [{"name": "data", "mountPath": "/data"}]
    lab.deployment(
        container={"volumeMounts": mounts},
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    )
    pods: list[str] = []

    def started() -> bool:
        pods[:] = [each["metadata"]["name"] for each in lab.dev.list("pods", lab.namespace, label_selector="app=web")]
        return bool(pods)

    until(started)
    lab.warning(
        "volume-consistency",
        f"Claim {lab.namespace}/data is read file by file while Pod {lab.namespace}/{pods[0]} writes to it",
        "Its driver can take snapshots (class csi-aws-vsc)",
        f"kubectl --context dev scale deployment web --replicas=0 -n {lab.namespace}",
    )


def test_a_claim_for_one_pod_alone_cannot_be_read_beside_it(lab: Lab) -> None:
    lab.claim("sole", accessModes=["ReadWriteOncePod"], storageClassName="efs-rwx")
    lab.silent("volume-held")
    lab.pod("holder", "sole")
    lab.failure("volume-held", "is ReadWriteOncePod and held by pod holder", "Scale its workload to zero")


def test_a_claim_for_one_pod_alone_is_read_from_a_snapshot_where_its_driver_takes_some(lab: Lab) -> None:
    lab.claim("sole", accessModes=["ReadWriteOncePod"])
    lab.pod("holder", "sole")
    lab.warning("volume-held", "held by pod holder: it is read from a snapshot of class csi-aws-vsc")


def test_an_unbound_claim_comes_empty_and_that_is_said(lab: Lab) -> None:
    lab.claim("late", bound=False, storageClassName="gp3")
    check = next(each for each in lab.of("unbound-claims"))
    assert check["status"] == "warning"
    assert "is not bound: it has no data, and an empty claim is made for it" in check["message"]


def test_claims_in_the_way_are_judged_by_whether_they_fit(lab: Lab) -> None:
    lab.claim(size="3Gi")
    lab.there()
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "io2-retain",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    lab.on_prod("PersistentVolumeClaim", "data", spec=spec)
    lab.failure("claims-in-the-way", "it is too small: it has 1Gi, the source's has 3Gi", "Expand it")
    lab.prod.delete("persistentvolumeclaims", "data", lab.namespace)
    lab.on_prod("PersistentVolumeClaim", "data", spec={**spec, "resources": {"requests": {"storage": "4Gi"}}})
    lab.passes("claims-in-the-way", "unused and large enough")
