"""A finished migration is taken back: what it made goes, what it changed is as before, what is others' stays."""

from __future__ import annotations

import contextlib
import json
import tarfile
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from clusters.kube.requests import ApiConnection
from migrations_app import services
from migrations_app.lease import Lease
from migrations_app.models import Migration, Status
from migrations_app.plans import compute, export, reading
from migrations_app.plans import contents as plan_contents
from migrations_app.plans import services as plans
from migrations_app.plans.models import MigrationPlan, PlannedAction, PlanStatus
from migrations_app.reconcile import reconcile
from teams.refusals import Conflict
from tests.engine.conftest import Estate, Object, eventually, told
from tests.resources.objects import edit, make, workload

SHOP = "shop"
CANARY = "canary-purge-51b7"


@pytest.fixture
def shop(estate: Estate) -> Iterator[Estate]:
    """A small application without volumes on dev; prod has the namespace, with some objects of others."""
    dev, prod = estate.on("dev"), estate.on("prod")
    for cluster in (dev, prod):
        cluster.create("namespaces", make("Namespace", SHOP))
    for obj in (
        make("ConfigMap", "settings", SHOP, data={"colour": "red", "size": "1"}),
        make("ConfigMap", "shared", SHOP, data={"a": "ours"}),
        make("Secret", "password", SHOP, data={"key": "c2VzYW1l"}),
        make("Service", "web", SHOP, spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        workload("Deployment", "web", SHOP, spec={"replicas": 0}),
    ):
        dev.create(dev.resource_of(obj), obj)
    theirs = make("ConfigMap", "shared", SHOP, data={"a": "theirs", "b": "theirs"})
    theirs["metadata"] |= {"labels": {"team": "blue"}, "annotations": {"note": "keep"}}
    path = prod.resource("configmaps").path(SHOP)
    prod.json("POST", path, body=theirs, query={"fieldManager": "kubectl-create"})
    prod.create("secrets", make("Secret", "password", SHOP, data={"key": "dGhlaXJz", "other": "eA=="}))
    prod.create("configmaps", make("ConfigMap", "bystander", SHOP, data={"x": "y"}))
    yield estate
    for faults in (estate.dev.faults, estate.prod.faults):
        faults.clear()
    for name in ("dev", "prod"):
        estate.on(name).delete("namespaces", SHOP)
        eventually(lambda name=name: SHOP not in {e["metadata"]["name"] for e in estate.on(name).list("namespaces")})


def migrated(estate: Estate, **choices: Any) -> Migration:
    given = {"namespaces": [SHOP], "name": "shop", "include_volumes": False, "conflict_policy": "take-over"} | choices
    return estate.drive(estate.start(**given))


def contents(estate: Estate) -> dict[str, Object]:
    """Everything of the namespace on the destination, byte for byte but for what the server counts."""
    prod = estate.on("prod")
    found = {}
    for resource in ("configmaps", "secrets", "services", "deployments.apps", "serviceaccounts"):
        for obj in prod.list(resource, SHOP):
            metadata = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "generation")}
            found[f"{resource}/{metadata['name']}"] = {**obj, "metadata": metadata, "status": None}
    return found


def rolled_back(estate: Estate, migration: Migration) -> Migration:
    services.roll_back(migration, by=estate.by)
    return estate.drive(migration, until=lambda migration: migration.rolled_back_at is not None)


def test_everything_is_as_it_was(shop: Estate) -> None:
    before = contents(shop)
    migration = migrated(shop)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert shop.objects("prod", "configmaps", SHOP)["shared"]["data"] == {"a": "ours", "b": "theirs"}
    actions = {str(row): row.action for row in migration.resources.all()}
    assert actions["ConfigMap shop/settings"] == "created"
    assert actions["ConfigMap shop/shared"] == actions["Secret shop/password"] == "updated"

    foreseen = {str(each): each.action for each in services.foresee_roll_back(migration)}
    assert foreseen == {
        "ConfigMap shop/settings": "remove",
        "Service shop/web": "remove",
        "Deployment shop/web": "remove",
        "ConfigMap shop/shared": "restore",
        "Secret shop/password": "restore",
    }
    migration = rolled_back(shop, migration)
    # Field managers included: what kubectl-create held is in its hands again.
    assert contents(shop) == before, told(migration)
    assert migration.status == Status.SUCCESSFUL
    assert migration.events.filter(reason="RolledBack", type="Normal").count() == 1
    assert {row.action for row in migration.resources.all()} == {"removed", "restored"}
    assert services.roll_back(migration, by=shop.by).pk == migration.pk
    with pytest.raises(Conflict, match="rolled back already"):
        services.foresee_roll_back(migration)


def test_former_contents_are_not_readable_where_they_are_kept(shop: Estate) -> None:
    migration = migrated(shop)
    row = migration.resources.get(kind="Secret", name="password")
    assert "dGhlaXJz" in row.former
    with connection.cursor() as cursor:
        cursor.execute("SELECT former FROM migrations_app_migrationresource WHERE former <> ''")
        assert not [text for (text,) in cursor.fetchall() if "dGhlaXJz" in text or "theirs" in text]
    assert "dGhlaXJz" not in told(migration)
    assert "theirs" not in told(migration)


def pass_a_second() -> None:
    """Managers' times are whole seconds."""
    second = int(time.time())
    eventually(lambda: int(time.time()) > second)


def test_what_others_changed_since_is_told_beforehand(shop: Estate) -> None:
    migration = migrated(shop)
    pass_a_second()
    edit(shop.on("prod"), "configmaps", "settings", SHOP, {"data": {"colour": "blue"}})
    edit(shop.on("prod"), "configmaps", "shared", SHOP, {"data": {"c": "new"}})
    foreseen = {str(each): each.changed for each in services.foresee_roll_back(migration)}
    assert foreseen["ConfigMap shop/settings"][0].startswith("kubectl-edit at ")
    assert foreseen["ConfigMap shop/shared"][0].startswith("kubectl-edit at ")
    assert foreseen["Service shop/web"] == ()


def test_what_was_made_anew_under_the_same_name_stays(shop: Estate) -> None:
    migration = migrated(shop)
    prod = shop.on("prod")
    prod.delete("configmaps", "settings", SHOP)
    prod.create("configmaps", make("ConfigMap", "settings", SHOP, data={"new": "one"}))
    rolled_back(shop, migration)
    assert shop.objects("prod", "configmaps", SHOP)["settings"]["data"] == {"new": "one"}


def test_what_a_later_migration_has_updated_stays_and_is_told(shop: Estate) -> None:
    first = migrated(shop)
    shop.on("dev").patch("configmaps", "settings", SHOP, {"data": {"colour": "green", "size": None}})
    second = migrated(shop, name="again", conflict_policy="refuse")
    assert second.status == Status.SUCCESSFUL, told(second)
    row = second.resources.get(kind="ConfigMap", name="settings")
    assert row.action == "updated"
    assert shop.objects("prod", "configmaps", SHOP)["settings"]["data"] == {"colour": "green"}
    assert second.resources.get(kind="Service").action == "unchanged"

    rolled_back(shop, second)
    assert shop.objects("prod", "configmaps", SHOP)["settings"]["data"] == {"colour": "red", "size": "1"}
    first = rolled_back(shop, first)
    assert "settings" not in shop.objects("prod", "configmaps", SHOP)
    assert shop.objects("prod", "configmaps", SHOP)["shared"]["data"] == {"a": "theirs", "b": "theirs"}


def test_the_order_of_roll_backs_is_minded(shop: Estate) -> None:
    first = migrated(shop)
    shop.on("dev").patch("configmaps", "settings", SHOP, {"data": {"colour": "green"}})
    migrated(shop, name="again", conflict_policy="refuse")
    first = rolled_back(shop, first)
    assert shop.objects("prod", "configmaps", SHOP)["settings"]["data"]["colour"] == "green"
    said = first.events.get(reason="Stays").message
    assert said == "ConfigMap shop/settings: a later migration has taken it over"


def test_purged_objects_go_and_come_back(shop: Estate) -> None:
    first = migrated(shop)
    assert first.status == Status.SUCCESSFUL
    dev, prod = shop.on("dev"), shop.on("prod")
    dev.delete("configmaps", "settings", SHOP)
    dev.delete("services", "web", SHOP)
    second = migrated(shop, name="again", purge_deleted_resources=True, selection={"exclude_kinds": ["secrets"]})
    assert second.status == Status.SUCCESSFUL, told(second)
    purged = {str(row) for row in second.resources.filter(action="purged")}
    # What was left out is on the source still; what others made is theirs.
    assert purged == {"ConfigMap shop/settings", "Service shop/web"}
    assert {"shared", "bystander"} <= shop.objects("prod", "configmaps", SHOP).keys()
    assert "settings" not in shop.objects("prod", "configmaps", SHOP)
    assert "password" in shop.objects("prod", "secrets", SHOP)
    rolled_back(shop, second)
    assert shop.objects("prod", "configmaps", SHOP)["settings"]["data"] == {"colour": "red", "size": "1"}
    assert prod.get("services", "web", SHOP)["spec"]["ports"][0]["port"] == 80


def planned(plan: MigrationPlan) -> MigrationPlan:
    while compute.look(plan.pk):
        pass
    plan.refresh_from_db()
    assert plan.status == PlanStatus.READY, plan.reason
    return plan


def test_a_plan_tells_what_would_be_purged_and_it_can_be_kept(shop: Estate) -> None:
    dev = shop.on("dev")
    dev.create("secrets", make("Secret", "token", SHOP, data={"key": b64encode(CANARY.encode()).decode()}))
    migrated(shop)
    for resource, name in (("configmaps", "settings"), ("services", "web"), ("secrets", "token")):
        dev.delete(resource, name, SHOP)
    made = plans.make(
        shop.team, pair=shop.pair, namespaces=[SHOP], by=shop.by, include_volumes=False, purge_deleted_resources=True
    )
    plan = planned(made)
    rows = {f"{row.kind} {row.name}": row for row in plan.objects_planned.filter(action=PlannedAction.PURGE)}
    assert rows.keys() == {"ConfigMap settings", "Service web", "Secret token"}
    assert all(row.included for row in rows.values())
    assert reading.counts(plan)["purge"] == 3
    assert {each["path"]: each["before"] for each in rows["ConfigMap settings"].diff}["data"] == {
        "colour": "red", "size": "1"
    }  # fmt: skip
    gone = plan_contents.texts(rows["ConfigMap settings"])
    assert (gone.source, gone.wanted) == ("", "")
    assert "-  colour: red" in gone.changed_on_the_destination
    hidden = plan_contents.texts(rows["Secret token"])
    encoded = b64encode(CANARY.encode()).decode()
    said = json.dumps([*plan.objects_planned.values("diff", "reason"), *hidden.changed_on_the_destination])
    assert CANARY not in said
    assert encoded not in said
    readme = export.archive(plan, secrets=False, by=shop.by)
    with tarfile.open(fileobj=readme) as tar:
        text = next(tar.extractfile(each) for each in tar if each.name.endswith("README.txt"))
        assert f"kubectl delete configmaps settings -n {SHOP}" in text.read().decode()

    plan = plans.choose(plan, objects=[rows["ConfigMap settings"].pk], included=False, by=shop.by)
    assert reading.counts(plan)["purge"] == 2
    plan = planned(plans.look_again(plan, by=shop.by))
    kept = plan.objects_planned.get(resource="configmaps", name="settings")
    assert (kept.included, kept.action, kept.reason) == (False, PlannedAction.LEFT_OUT, "is left out by name")
    plan = planned(plans.choose(plan, objects=[kept.pk], included=True, by=shop.by))
    assert reading.counts(plan)["purge"] == 3
    plan = plans.choose(plan, objects=[kept.pk], included=False, by=shop.by)
    migration = shop.drive(plans.migrate(plan, by=shop.by))
    assert {str(row) for row in migration.resources.filter(action="purged")} == {
        "Service shop/web",
        "Secret shop/token",
    }
    assert "settings" in shop.objects("prod", "configmaps", SHOP)


def test_nothing_is_purged_unless_asked(shop: Estate) -> None:
    migrated(shop)
    shop.on("dev").delete("configmaps", "settings", SHOP)
    migrated(shop, name="again")
    assert "settings" in shop.objects("prod", "configmaps", SHOP)


def test_a_skipped_object_stays_as_it_is_and_is_no_failure(shop: Estate) -> None:
    migration = migrated(shop, conflict_policy="skip")
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.resources.get(name="shared").action == "skipped"
    assert shop.objects("prod", "configmaps", SHOP)["shared"]["data"] == {"a": "theirs", "b": "theirs"}


# -- cut short


class Killed(BaseException):
    """The worker dies."""


def cut_short(estate: Estate, monkeypatch: pytest.MonkeyPatch, migration: Migration, until: Any) -> int:
    """Drive the migration with a worker that dies at its first write, then at its second, and so on; how often."""
    kills = calls = survives = 0
    original = Lease.renew

    def renew(self: Lease) -> None:
        nonlocal calls
        calls += 1
        if calls > survives:
            raise Killed
        original(self)

    while survives < 200:
        calls, survives = 0, survives + 1
        with monkeypatch.context() as patched:
            patched.setattr(Lease, "renew", renew)
            try:
                for _look in range(40):
                    migration.refresh_from_db()
                    if until(migration):
                        return kills
                    reconcile(migration.pk)
            except Killed:
                kills += 1
        Migration.objects.filter(pk=migration.pk).update(lease_token=None, lease_expires_at=None)
    raise AssertionError(told(migration))


def test_a_take_over_that_is_killed_at_every_write_can_be_rolled_back_whole(
    shop: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(shop)
    migration = shop.start(namespaces=[SHOP], name="shop", include_volumes=False, conflict_policy="take-over")
    assert cut_short(shop, monkeypatch, migration, lambda migration: migration.is_finished) > 3
    migration = shop.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.resources.get(name="shared").action == "updated"
    services.roll_back(migration, by=shop.by)
    kills = cut_short(shop, monkeypatch, migration, lambda migration: migration.rolled_back_at is not None)
    assert kills > 2
    assert contents(shop) == before


@pytest.mark.parametrize("after", [1, 2, 4, 6, 9])
def test_a_cancelled_take_over_puts_back_what_a_killed_worker_had_changed(
    shop: Estate, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    before = contents(shop)
    migration = shop.start(namespaces=[SHOP], name="shop", include_volumes=False, conflict_policy="take-over")
    writes = 0

    def request(self: Any, method: str, path: str, **options: Any) -> Any:
        nonlocal writes
        if method == "PATCH" and SHOP in path and (options.get("query") or {}).get("dryRun") != "All":
            writes += 1
            if writes == after + 1:
                raise Killed
        return original(self, method, path, **options)

    original = ApiConnection.request
    with monkeypatch.context() as patched:
        patched.setattr(ApiConnection, "request", request)
        with contextlib.suppress(Killed):
            shop.drive(migration)
    Migration.objects.filter(pk=migration.pk).update(lease_token=None, lease_expires_at=None)
    migration.refresh_from_db()
    if not migration.is_finished:
        services.cancel(migration, remove=True, by=shop.by)
        migration = shop.drive(migration)
        assert migration.status == Status.CANCELLED, told(migration)
    else:
        migration = rolled_back(shop, migration)
    assert contents(shop) == before, told(migration)


def test_a_roll_back_is_refused_while_another_migration_works_there(shop: Estate) -> None:
    migration = migrated(shop)
    shop.start(namespaces=[SHOP], name="other", include_volumes=False)
    with pytest.raises(Conflict, match="Migration other is under way onto namespace shop"):
        services.roll_back(migration, by=shop.by)


def test_a_roll_back_waits_for_a_cluster_that_is_down(shop: Estate) -> None:
    before = contents(shop)
    migration = migrated(shop)
    services.roll_back(migration, by=shop.by)
    shop.prod.faults.fail(".*", status=503, times=40)
    migration = shop.drive(migration, until=lambda migration: migration.rolled_back_at is not None)
    assert contents(shop) == before
    assert migration.events.filter(reason="RollBackDelayed").exists()
