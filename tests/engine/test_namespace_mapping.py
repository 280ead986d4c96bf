"""Volumes arrive in the namespace that theirs is mapped to, and nothing appears in one of the source's name."""

from __future__ import annotations

import pytest

from demo.trees import differences
from migrations_app import services
from migrations_app.models import Migration, Status
from teams.refusals import Refusal
from tests.engine.conftest import CLAIMS, MAPPED, Estate, eventually, told


def namespaces_on_prod(estate: Estate) -> set[str]:
    return {each["metadata"]["name"] for each in estate.on("prod").list("namespaces")}


def test_data_arrives_in_the_mapped_namespace(estate: Estate) -> None:
    migration = estate.drive(estate.start(namespace_mapping={"cms": MAPPED}, include_resources=False))
    assert migration.status == Status.SUCCESSFUL, told(migration)
    for claim in CLAIMS:
        there = estate.prod.volume_path(MAPPED, claim)
        assert differences(estate.dev.volume_path("cms", claim), there) == []
    assert "cms" not in namespaces_on_prod(estate)
    places = {(row.namespace, row.name) for row in migration.resources.filter(kind="PersistentVolumeClaim")}
    assert places == {(MAPPED, claim) for claim in CLAIMS}
    assert estate.objects("prod", "jobs.batch", MAPPED) == {}
    assert estate.stored() == []


def test_a_cancelled_migration_takes_the_mapped_namespace_back(estate: Estate) -> None:
    migration = estate.start(namespace_mapping={"cms": MAPPED}, include_resources=False)
    moving = estate.drive(migration, until=lambda each: each.volumes.filter(status=Status.IN_PROGRESS).exists())
    assert MAPPED in namespaces_on_prod(estate)

    services.cancel(moving, remove=True, by=estate.by)
    cancelled = estate.drive(moving)
    assert cancelled.status == Status.CANCELLED, told(cancelled)
    eventually(lambda: MAPPED not in namespaces_on_prod(estate))


def test_a_different_access_mode_can_be_asked_for(estate: Estate) -> None:
    modes = {"ReadWriteOnce": "ReadWriteMany"}
    classes = {"gp3": "efs-sc"}
    migration = estate.drive(
        estate.start(access_mode_mapping=modes, storage_class_mapping=classes, include_resources=False)
    )
    assert migration.status == Status.SUCCESSFUL, told(migration)
    claim = estate.objects("prod", "persistentvolumeclaims")["px-mysql-pvc"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize(
    ("namespaces", "mapping", "said"),
    [
        (["cms"], {"shop": "store"}, "not among the namespaces"),
        (["cms"], {"cms": "kube-system"}, "belongs to the cluster"),
        (["cms"], {"cms": "No Name"}, "not a namespace's name"),
        (["cms", "shop"], {"cms": "one", "shop": "one"}, "the same one"),
        (["cms", "shop"], {"cms": "shop"}, "the same one"),
    ],
)
def test_mappings_that_cannot_be_are_refused(
    estate: Estate, namespaces: list[str], mapping: dict[str, str], said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        estate.start(namespaces=namespaces, namespace_mapping=mapping)
    assert not Migration.objects.exists()
