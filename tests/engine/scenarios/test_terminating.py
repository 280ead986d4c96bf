"""A namespace that is still being deleted on the destination: told beforehand, and waited for in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_app.models import Migration, Stage, Status
from migrations_app.reconcile import reconcile
from tests.engine.conftest import eventually, told
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import make

SHOP = "leaving"
HELD = {"finalizers": ["example.com/keep"]}


@pytest.fixture
def leaving(scenario: Scenario) -> Iterator[Scenario]:
    """An application on dev; whatever hangs on prod is let go afterwards."""
    scenario.plant(make("ConfigMap", "settings", SHOP, data={"a": "1"}))
    yield scenario
    let_go(scenario)


def hang(scenario: Scenario) -> None:
    """The namespace is on prod, and cannot go for something in it."""
    scenario.prod.create("namespaces", make("Namespace", SHOP))
    scenario.prod.create("configmaps", make("ConfigMap", "held", SHOP, metadata=HELD))
    scenario.prod.delete("namespaces", SHOP)


def let_go(scenario: Scenario) -> None:
    if any(each["metadata"]["name"] == "held" for each in scenario.prod.list("configmaps", SHOP)):
        scenario.prod.patch("configmaps", "held", SHOP, {"metadata": {"finalizers": None}})
        eventually(lambda: SHOP not in {each["metadata"]["name"] for each in scenario.prod.list("namespaces")})


def test_it_is_told_before_anything_is_begun(leaving: Scenario) -> None:
    hang(leaving)
    migration = leaving.estate.start(namespaces=[SHOP], name="leaving", include_volumes=False)
    migration = leaving.estate.drive(migration, until=lambda each: each.is_finished)
    assert migration.status == Status.FAILED, told(migration)
    assert f"The namespace {SHOP} is being deleted on the destination" in migration.reason
    assert not migration.resources.exists()


def test_it_is_waited_for_in_the_middle_and_then_made_anew(leaving: Scenario) -> None:
    migration = leaving.estate.start(namespaces=[SHOP], name="leaving", include_volumes=False)
    migration = leaving.estate.drive(migration, until=lambda each: each.stage == Stage.APPLICATIONS)
    hang(leaving)

    def says_so(each: Migration) -> bool:
        return f"The namespace {SHOP} is being deleted on the destination; waiting until it is gone" in each.reason

    migration = leaving.estate.drive(migration, until=says_so)
    assert not migration.is_finished
    let_go(leaving)
    Migration.objects.filter(pk=migration.pk).update(next_look_at=timezone.now() - timedelta(seconds=1))
    reconcile(migration.pk)
    migration = leaving.estate.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert leaving.there("configmaps", "settings", SHOP)["data"] == {"a": "1"}
