"""What cannot work says what is wrong, where, and what to do, and leaves both clusters as they were."""

from __future__ import annotations

import re
import socket
from typing import Any

import yaml

from migrations_app import services
from migrations_app.models import Migration, Stage, Status
from tests.engine.conftest import Estate, told


def namespaces_on_prod(estate: Estate) -> set[str]:
    return {each["metadata"]["name"] for each in estate.on("prod").list("namespaces")}


def assert_failed(estate: Estate, migration: Migration, *words: str, untouched: bool = True) -> None:
    assert migration.status == Status.FAILED, told(migration)
    for word in words:
        assert word in migration.reason, told(migration)
    assert estate.leftovers() == []
    assert migration.data_key == ""
    if untouched:
        assert "cms" not in namespaces_on_prod(estate)
        assert not migration.resources.exists()


def kubeconfig_of(estate: Estate, name: str) -> dict[str, Any]:
    found = {"dev": estate.dev, "prod": estate.prod}[name].kubeconfig
    return yaml.safe_load(yaml.safe_dump(found))


def test_an_absent_namespace_is_named_with_a_close_one(estate: Estate) -> None:
    migration = estate.drive(estate.start(namespaces=["cmss"]))
    assert_failed(estate, migration, "source cluster dev has no namespace cmss", "Did you mean cms?")


def test_a_cluster_out_of_reach_is_waited_for(estate: Estate) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        config = kubeconfig_of(estate, "prod")
        right = yaml.safe_dump(config)
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{taken.getsockname()[1]}"
        estate.change(estate.pair.destination, kubeconfig=yaml.safe_dump(config))
        migration = estate.drive(estate.start(), until=lambda migration: bool(migration.reason))
    assert not migration.is_finished
    assert "Destination cluster prod" in migration.reason
    assert "refuses connections" in migration.reason
    estate.change(estate.pair.destination, kubeconfig=right)
    assert estate.drive(migration).status == Status.SUCCESSFUL


def test_an_expired_token_ends_it_before_it_begins(estate: Estate) -> None:
    config = kubeconfig_of(estate, "dev")
    config["users"][0]["user"] = {"token": "expired"}
    estate.change(estate.pair.source, kubeconfig=yaml.safe_dump(config))
    migration = estate.drive(estate.start(), until=lambda migration: migration.is_finished)
    assert migration.status == Status.FAILED, told(migration)
    assert "Source cluster dev" in migration.reason
    assert "does not accept the credentials" in migration.reason
    assert "expired" in migration.reason


def test_an_untrusted_certificate_ends_it_before_it_begins(estate: Estate) -> None:
    config = kubeconfig_of(estate, "prod")
    config["clusters"][0]["cluster"]["certificate-authority-data"] = kubeconfig_of(estate, "dev")["clusters"][0][
        "cluster"
    ]["certificate-authority-data"]
    estate.change(estate.pair.destination, kubeconfig=yaml.safe_dump(config))
    migration = estate.drive(estate.start(), until=lambda migration: migration.is_finished)
    assert migration.status == Status.FAILED, told(migration)
    assert "Destination cluster prod" in migration.reason
    assert "is signed by an authority that the kubeconfig does not name" in migration.reason


def test_a_missing_permission_is_named(estate: Estate) -> None:
    dev = estate.on("dev")
    rules = [
        {"apiGroups": [""], "resources": ["namespaces", "persistentvolumeclaims", "pods"], "verbs": ["get", "list"]}
    ]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"}}
    dev.create("clusterroles.rbac.authorization.k8s.io", {**role, "rules": rules})
    dev.create(
        "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}, "default"
    )
    dev.create(
        "clusterrolebindings.rbac.authorization.k8s.io",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}],
        },
    )
    config = kubeconfig_of(estate, "dev")
    token = estate.dev.call(lambda api: api.service_account_token("default", "reader"))
    config["users"][0]["user"] = {"token": token}
    estate.change(estate.pair.source, kubeconfig=yaml.safe_dump(config))
    migration = estate.drive(estate.start(), until=lambda migration: migration.is_finished)
    assert migration.status == Status.FAILED, told(migration)
    assert "The account of the source cluster dev may not create jobs.batch, delete jobs.batch" in migration.reason
    assert "in namespace cms" in migration.reason
    assert "Grant it a role" in migration.reason


def test_a_storage_class_that_is_not_there_is_named_with_those_that_are(estate: Estate) -> None:
    migration = estate.drive(estate.start(storage_class_mapping={"gp3": "premium"}))
    assert_failed(
        estate,
        migration,
        "Claim cms/px-mysql-pvc needs the storage class premium, which the destination cluster prod does not have",
        "it has: efs-sc, gp3-csi, io2-retain",
    )


def namespace_on_prod(estate: Estate) -> None:
    estate.on("prod").create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cms"}})


def test_a_different_object_of_the_same_name_ends_it_before_anything_is_changed(estate: Estate) -> None:
    namespace_on_prod(estate)
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "mysql-config"},
        "data": {"my.cnf": "theirs"},
    }
    estate.on("prod").create("configmaps", theirs, "cms")
    before = {name: estate.objects("prod", name).keys() for name in ("configmaps", "secrets", "persistentvolumeclaims")}
    migration = estate.drive(estate.start())
    assert_failed(
        estate,
        migration,
        "ConfigMap cms/mysql-config on the destination cluster prod",
        "already has a different object of this name",
        "rename or delete it",
        untouched=False,
    )
    assert estate.objects("prod", "configmaps")["mysql-config"]["data"] == {"my.cnf": "theirs"}
    assert before == {name: estate.objects("prod", name).keys() for name in before}
    assert "Volumes" not in migration.stage_times


def claim_on_prod(estate: Estate, size: str) -> None:
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gp3-csi",
        "resources": {"requests": {"storage": size}},
    }
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "px-mysql-pvc"}, "spec": spec}
    estate.on("prod").create("persistentvolumeclaims", claim, "cms")


def test_a_claim_that_is_too_small_is_named_with_both_sizes(estate: Estate) -> None:
    namespace_on_prod(estate)
    claim_on_prod(estate, "1Gi")
    migration = estate.drive(estate.start())
    assert_failed(
        estate,
        migration,
        "already has a claim cms/px-mysql-pvc, and it is too small: it has 1Gi, the source's has 8Gi",
        untouched=False,
    )


def test_an_empty_claim_that_fits_is_used_and_is_not_removed_with_the_rest(estate: Estate) -> None:
    namespace_on_prod(estate)
    claim_on_prod(estate, "9Gi")
    migration = estate.drive(estate.start())
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.resources.get(kind="PersistentVolumeClaim", name="px-mysql-pvc").action == "unchanged"
    assert estate.different_files() == []


def test_a_bucket_that_is_missing_is_said_by_the_mover(estate: Estate) -> None:
    estate.change(estate.pair.object_store, bucket="nowhere")
    migration = estate.drive(estate.start())
    assert_failed(estate, migration, "Volume cms/", "could not be moved: pu", "nowhere", untouched=False)
    assert estate.objects("prod", "deployments.apps") == {}


def test_a_wrong_key_pair_is_said_by_the_mover(estate: Estate) -> None:
    estate.change(estate.pair.object_store, secret_access_key="wrong-sesame")
    migration = estate.drive(estate.start(), until=lambda migration: migration.is_finished)
    assert migration.status == Status.FAILED, told(migration)
    # Whichever of push and pull asks first.
    assert re.search("could not be moved: pu(sh|ll): .*check the object store's key pair", migration.reason), (
        migration.reason
    )
    assert "wrong-sesame" not in told(migration)
    # The data cannot be cleared away with this key pair either: that is said, and tried again.
    migration = estate.drive(
        migration, until=lambda migration: migration.events.filter(reason="CleanUpDelayed").exists()
    )
    assert migration.status == Status.FAILED
    estate.change(estate.pair.object_store, secret_access_key=estate.s3.keys.secret_access_key)
    migration = estate.drive(migration)
    assert migration.status == Status.FAILED
    assert estate.leftovers() == []


def test_a_bucket_that_may_only_be_read_is_said_by_the_mover(estate: Estate) -> None:
    keys = estate.s3.read_only_keys
    estate.change(estate.pair.object_store, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)
    migration = estate.drive(estate.start(), until=lambda migration: migration.is_finished)
    assert migration.status == Status.FAILED, told(migration)
    assert "could not be moved: push:" in migration.reason
    assert not migration.resources.exists()


def test_a_full_disk_on_the_destination_is_said_by_the_mover(estate: Estate) -> None:
    estate.prod.faults.disk_limit_bytes["cms/px-mysql-pvc"] = 512 * 1024
    migration = estate.drive(estate.start())
    assert_failed(estate, migration, "Volume cms/px-mysql-pvc could not be moved: pull:", "pace", untouched=False)
    assert estate.objects("prod", "deployments.apps") == {}
    assert not migration.resources.exists()
    assert {volume.status for volume in migration.volumes.all()} <= {
        Status.FAILED,
        Status.CANCELLED,
        Status.SUCCESSFUL,
    }


def test_a_store_that_stops_midway_is_waited_for(estate: Estate) -> None:
    estate.s3.faults.stopped = True
    migration = estate.drive(
        estate.start(),
        until=lambda migration: migration.volumes.filter(measured_at__isnull=False).count() == 2,
    )
    assert migration.stage == Stage.VOLUMES
    estate.s3.faults.stopped = False
    migration = estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert estate.different_files() == []


def test_a_plan_says_the_same_without_changing_anything(estate: Estate) -> None:
    namespace_on_prod(estate)
    claim_on_prod(estate, "1Gi")
    plan = services.plan(estate.pair, ["cms"], storage_class_mapping={"efs-rwx": "nfs"})
    assert [claim["name"] for claim in plan.claims] == ["px-mysql-pvc", "px-wp-pvc"]
    assert plan.objects["Deployment"] == 2
    said = " ".join(check["message"] for check in plan.checks if check["status"] == "failure")
    assert "too small" in said
    assert "needs the storage class nfs" in said
    assert not Migration.objects.exists()
