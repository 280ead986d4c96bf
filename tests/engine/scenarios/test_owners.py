"""Who belongs to whom: claims and what they own, claims of a StatefulSet, custom resources that nobody looks after.

Stork gives claims their owners back and takes all other references away, and leaves out what a claim owns; it takes
off others' finalizers by force. Velero takes all references away (velero#4707), or the claims are collected at once.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from migrations_app import services
from migrations_app.models import Migration, Status
from migrations_app.reconcile import reconcile
from tests.engine.conftest import eventually, told
from tests.engine.scenarios.conftest import Scenario
from tests.engine.scenarios.test_operator import CACHES, GROUP, OPERATOR, cache, definition, plant
from tests.resources.objects import Object, make, workload

SHOP = "belongings"
CLAIMS = "persistentvolumeclaims"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


def claim(name: str) -> Object:
    resources = {"requests": {"storage": "64Mi"}}
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": "efs-rwx", "resources": resources}
    return make("PersistentVolumeClaim", name, SHOP, spec=spec)


def owner(obj: Object, api_version: str, kind: str) -> Object:
    metadata = obj["metadata"]
    return {"apiVersion": api_version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}


def owners_there(scenario: Scenario, resource: str, name: str) -> list[tuple[str, str, str]]:
    references = scenario.there(resource, name, SHOP)["metadata"].get("ownerReferences") or ()
    return [(each["kind"], each["name"], each["uid"]) for each in references]


def test_what_a_claim_owns_goes_along_and_belongs_to_the_new_claim(scenario: Scenario) -> None:
    scenario.plant(claim("data"))
    of_claim = owner(scenario.dev.get(CLAIMS, "data", SHOP), "v1", "PersistentVolumeClaim")
    owned = {"ownerReferences": [of_claim]}
    scenario.plant(
        make("ConfigMap", "layout", SHOP, metadata=owned, data={"a": "1"}),
        make("Service", "export", SHOP, metadata=owned, spec={"ports": [{"port": 2049}]}),
    )
    scenario.fill(SHOP, "data", 11)
    scenario.migrate(SHOP)
    there = scenario.there(CLAIMS, "data", SHOP)["metadata"]["uid"]
    for resource, name in (("configmaps", "layout"), ("services", "export")):
        assert owners_there(scenario, resource, name) == [("PersistentVolumeClaim", "data", there)]
    assert scenario.same_files(SHOP, "data")
    # They end with it, as on the source.
    scenario.prod.delete(CLAIMS, "data", SHOP)
    eventually(lambda: "layout" not in scenario.names_there("configmaps", SHOP))
    eventually(lambda: "export" not in scenario.names_there("services", SHOP))


def stateful_set() -> Object:
    found = workload("StatefulSet", "db", SHOP, spec={"replicas": 1})
    template = claim("data")
    found["spec"] |= {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": template["spec"]}],
    }
    mount = {"name": "data", "mountPath": "/data"}
    found["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [mount]
    return found


def test_claims_that_are_to_go_with_their_stateful_set_belong_to_the_new_one(scenario: Scenario) -> None:
    scenario.plant(stateful_set())
    scenario.until_running("statefulsets.apps", "db", SHOP, 1)
    (reference,) = scenario.dev.get(CLAIMS, "data-db-0", SHOP)["metadata"]["ownerReferences"]
    assert reference["kind"] == "StatefulSet"
    scenario.fill(SHOP, "data-db-0", 12)
    # Stopped, so that nobody but the migration can have given it its owner before the controller looks.
    scenario.migrate(SHOP, start_applications=False)
    there = scenario.there("statefulsets.apps", "db", SHOP)["metadata"]["uid"]
    assert owners_there(scenario, CLAIMS, "data-db-0") == [("StatefulSet", "db", there)]
    assert scenario.same_files(SHOP, "data-db-0")
    scenario.prod.delete("statefulsets.apps", "db", SHOP)
    eventually(lambda: scenario.names_there(CLAIMS, SHOP) == set())


def test_a_claim_of_a_custom_resource_belongs_to_the_new_one(scenario: Scenario) -> None:
    scenario.plant(definition())
    scenario.until_condition(DEFINITIONS, CACHES, None, {"Established": "True"})
    mine = cache("mine", 3)
    mine["metadata"]["namespace"] = SHOP
    scenario.plant(mine)
    of_cache = owner(scenario.dev.get(CACHES, "mine", SHOP), f"{GROUP}/v1", "Cache")
    data = claim("data")
    data["metadata"]["ownerReferences"] = [of_cache]
    scenario.plant(data)
    scenario.fill(SHOP, "data", 13)
    scenario.migrate(SHOP)
    there = scenario.there(CACHES, "mine", SHOP)["metadata"]["uid"]
    assert owners_there(scenario, CLAIMS, "data") == [("Cache", "mine", there)]
    assert scenario.same_files(SHOP, "data")


# -- custom resources whose operator is not there

FINALIZER = {"metadata": {"finalizers": [f"{GROUP}/data"]}}


def test_finalizers_of_an_operator_that_is_not_there_hold_nothing(scenario: Scenario) -> None:
    plant(scenario)
    for name in ("small", "large"):
        scenario.dev.patch(CACHES, name, OPERATOR, FINALIZER)
    # Somebody gave it up, and the operator is not done with it: no part of the application any more.
    scenario.dev.delete(CACHES, "large", OPERATOR)
    assert scenario.dev.get(CACHES, "large", OPERATOR)["metadata"]["deletionTimestamp"]
    selection = {"exclude_objects": [f"deployments.apps/{OPERATOR}/operator"]}
    migration = scenario.migrate(OPERATOR, include_volumes=False, selection=selection)
    assert scenario.names_there(CACHES, OPERATOR) == {"small"}
    assert "finalizers" not in scenario.there(CACHES, "small", OPERATOR)["metadata"]
    services.roll_back(migration, by=scenario.estate.by)
    migration = scenario.estate.drive(migration, until=lambda each: each.rolled_back_at is not None)
    assert not migration.events.filter(reason="Stays").exists(), told(migration)
    left = {each["metadata"]["name"] for each in scenario.prod.list("namespaces")}
    assert OPERATOR not in left
    for name in ("small", "large"):
        scenario.dev.patch(CACHES, name, OPERATOR, {"metadata": {"finalizers": None}})


def asked_before(migration: Migration, ago: timedelta) -> Migration:
    """The roll-back was asked for so long ago; the migration after another look."""
    Migration.objects.filter(pk=migration.pk).update(
        rollback_requested_at=timezone.now() - ago, next_look_at=timezone.now()
    )
    reconcile(migration.pk)
    return Migration.objects.get(pk=migration.pk)


def test_a_roll_back_names_the_finalizer_that_holds_it_and_takes_off_none(scenario: Scenario) -> None:
    plant(scenario)
    migration = scenario.migrate(OPERATOR, include_volumes=False)
    # As the operator on the destination does with what it looks after. Then it is gone.
    scenario.prod.patch(CACHES, "small", OPERATOR, FINALIZER)
    services.roll_back(migration, by=scenario.estate.by)
    migration = asked_before(migration, timedelta(minutes=1))
    migration = asked_before(migration, timedelta(minutes=1))
    assert migration.rolled_back_at is None
    (said,) = migration.events.filter(reason="Waiting").values_list("message", flat=True)
    assert said == (
        f"Cache {OPERATOR}/small: it is being deleted, and waits for whoever set its finalizer {GROUP}/data to take "
        "that off"
    )
    for _look in range(5):
        migration = asked_before(migration, timedelta(minutes=11))
    assert migration.rolled_back_at is not None, told(migration)
    staying = list(migration.events.filter(reason="Stays").values_list("message", flat=True))
    assert said in staying
    assert any(each.startswith(f"CustomResourceDefinition {CACHES}: ") for each in staying)
    assert scenario.there(CACHES, "small", OPERATOR)["metadata"]["finalizers"] == [f"{GROUP}/data"]
    assert migration.status == Status.SUCCESSFUL
    scenario.prod.patch(CACHES, "small", OPERATOR, {"metadata": {"finalizers": None}})
    eventually(lambda: CACHES not in {each["metadata"]["name"] for each in scenario.prod.list(DEFINITIONS)})
