"""What a real Stork made of some sixty objects, and what the native engine makes of them: the same, or better.

The recording's first migration: no volumes, applications stopped. Its source is planted on a simulated cluster,
migrated by the whole engine, and compared with the recorded destination object by object, field by field. Whatever
differs stands below with the reason; what stands there and does not differ fails the test as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.kube.errors import NotFound
from demo.cluster.server import running_clusters
from demo.s3 import running_s3
from migrations_app.models import Stage, Status
from tests.engine.conftest import Estate, eventually, made, told
from tests.portworx_estate import replaying
from tests.portworx_estate.replaying import PREFIX

Object = dict[str, Any]
Key = tuple[str, str, str]

# -- the destination has it, and Stork's had not

MORE: dict[Key, str] = {
    ("PersistentVolumeClaim", "cms", "unbound-pvc"): "A claim without a volume is a claim: it comes empty (defect 2).",
    ("Secret", "cms", "app-sa-token"): "Somebody asked for a token: the Secret is filled anew there (defect 4).",
    ("NetworkPolicy", "cms", "np-cidr"): "A policy with addresses keeps others out; without it the pods stand open.",
    ("Job", "cms", "init-db"): "A Job that has not ended belongs to the application.",
    ("HorizontalPodAutoscaler", "cms", "wp-hpa"): "Stork never takes these (defect 11).",
}
# -- Stork's had it, and the destination has not

LESS: dict[Key, str] = {
    ("PersistentVolume", "", "pvc-ac60362f-0170-11ea-8418-06c5879a6a7a"): "The destination's storage makes its own.",
    ("PersistentVolume", "", "pvc-c5dd1955-0170-11ea-a393-02fec625b80a"): "The destination's storage makes its own.",
    ("StorageClass", "", "other"): "Classes are mapped to the destination's, not carried.",
}
# -- both have it, and differ at these paths

DIFFERENT: dict[tuple[Key, str], str] = {
    (
        ("ClusterRoleBinding", "", "cms-crb"),
        ".subjects",
    ): "The group of the namespace's accounts has its rights there as well (defect 3).",
    (
        ("PersistentVolumeClaim", "cms", "px-mysql-pvc"),
        ".spec.volumeName",
    ): "It is bound by the destination's storage, to a volume of another name.",
    (("PersistentVolumeClaim", "cms", "px-wp-pvc"), ".spec.volumeName"): "The same.",
    (
        ("PersistentVolumeClaim", "cms", "px-mysql-pvc"),
        ".metadata.annotations",
    ): "That it was bound, and by whom it was provisioned, are the destination's to say.",
    (("PersistentVolumeClaim", "cms", "px-wp-pvc"), ".metadata.annotations"): "The same.",
    (
        ("DaemonSet", "cms", "agent"),
        ".metadata.annotations",
    ): "A count of the API server's own, which every server begins anew.",
    (
        ("Cache", "cms", "c1"),
        ".spec.replicas",
    ): "Stork was told by a registration how to stop this kind; ours stops those that Stork knows by itself.",
    (("Cache", "cms", "c1"), ".metadata.annotations"): "The note that goes with it.",
}
# -- neither has it, although the source had

NEITHER: tuple[Key, ...] = (
    ("ClusterRole", "", "unrelated-cr"),
    ("ConfigMap", "cms", "skip-me"),
    ("RoleBinding", "cms", "system:deployers"),
    ("Secret", "cms", "default-dockercfg-abcde"),
    ("Service", "cms", "owned-svc"),
    ("Pod", "cms", "bare-pod"),
)
STORKS_MARKS = {PREFIX + name for name in ("migrated", "migrationName", "migrationNamespace", "migrationTime")}
STORKS_MARKS |= {PREFIX + "resource-hash"}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "px-repl2"},
    "provisioner": "pxd.portworx.com",
    "volumeBindingMode": "WaitForFirstConsumer",
}


def of_the_application(obj: Object) -> bool:
    """Whether somebody brought the object, rather than a controller or the server made it there."""
    kind, namespace, name = replaying.key(obj)
    annotations = obj["metadata"].get("annotations") or {}
    if kind in ("Namespace", "Pod") or obj["metadata"].get("ownerReferences"):
        return False
    if "endpoints.kubernetes.io/last-change-trigger-time" in annotations:
        return False
    if name in replaying.MADE_BY_CONTROLLERS or "stork.libopenstorage.org" in name:
        return False
    # What the comparison needs there beforehand, and what is no part of the application.
    return (kind, name) != ("StorageClass", "px-repl2") and namespace in ("", "cms")


def without_marks(obj: Object) -> Object:
    """What of the object both should agree on: not whose migration it was, nor kubectl's note about the source."""
    obj = replaying.comparable(obj)
    for name in ("annotations", "labels"):
        given = obj["metadata"].pop(name, None) or {}
        kept = {key: value for key, value in given.items() if key not in {*STORKS_MARKS, LAST_APPLIED}}
        kept = {key: value for key, value in kept.items() if not key.startswith("kubemotion.io/")}
        if kept:
            obj["metadata"][name] = kept
    return obj


@pytest.fixture
def estate(tmp_path: Any, transactional_db: None) -> Iterator[Estate]:
    """The recorded source on dev, an empty prod; no nodes, as there."""
    with (
        running_s3(tmp_path / "s3") as s3,
        running_clusters(tmp_path / "clusters", nodes=False, extra=False) as clusters,
    ):
        clusters["dev"].call(replaying.plant)
        estate = made(clusters["dev"], clusters["prod"], s3)
        estate.on("prod").create("storageclasses.storage.k8s.io", CLASS)
        estate.change(estate.pair, storage_class_mapping={})
        yield estate


def test_the_native_engine_makes_of_the_recorded_source_what_stork_made_or_better(estate: Estate) -> None:
    migration = estate.start(include_volumes=False, start_applications=False)
    # Nobody looks after a DeploymentConfig there, as in the recording: it never becomes ready.
    migration = estate.drive(migration, until=lambda each: each.stage == Stage.FINAL)
    assert not migration.resources.exclude(status=Status.SUCCESSFUL).exists(), told(migration)
    recorded = {replaying.key(obj): obj for obj in replaying.objects("m1-dest.json") if of_the_application(obj)}
    assert len(recorded) > 40
    brought = {(row.kind, row.namespace, row.name) for row in migration.resources.all()}
    assert brought - set(recorded) - {("ServiceAccount", "cms", "default")} == set(MORE)
    absent, different = set(), {}
    for key, was in recorded.items():
        try:
            found = found_there(estate, was)
        except NotFound:
            absent.add(key)
            continue
        for line in replaying.changes(without_marks(was), without_marks(found)):
            different[key, line.partition(":")[0]] = line
    assert absent == set(LESS)
    assert set(different) == set(DIFFERENT), different
    for kind, namespace, name in NEITHER:
        source = next(
            each for each in replaying.objects("source.json") if replaying.key(each) == (kind, namespace, name)
        )
        with pytest.raises(NotFound):
            found_there(estate, source)

    def token_is_there() -> bool:
        secret = estate.on("prod").get("secrets", "app-sa-token", "cms")
        return "token" in (secret.get("data") or {})

    eventually(token_is_there)


def found_there(estate: Estate, like: Object) -> Object:
    """The object of this kind and name on the destination. Raises NotFound."""
    connection = estate.on("prod")
    metadata = like["metadata"]
    found = connection.get(connection.resource_of(like), metadata["name"], metadata.get("namespace"))
    return {**found, "kind": like["kind"], "apiVersion": like["apiVersion"]}
