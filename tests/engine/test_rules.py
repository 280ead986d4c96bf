"""Rules of users: one that fits nothing or cannot be applied is told beforehand, and fails no other object."""

from __future__ import annotations

from typing import Any

from migrations_app.engines import engine_for
from migrations_app.models import Stage, Status
from migrations_app.plans import compute, contents, services
from migrations_app.plans.models import PlannedAction, PlanStatus
from tests.engine.conftest import Estate, told

SMALLER = {
    "conditions": {"kinds": ["services"], "names": ["mysql"]},
    "patches": [{"op": "remove", "path": "/metadata/annotations/size"}],
}
NOBODY = {
    "conditions": {"kinds": ["deployments.apps"], "names": ["wordpres"]},
    "mergePatches": [{"spec": {"replicas": 2}}],
}


def rules(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "ours", "rules": list(given)}]


def annotate(estate: Estate, value: str | None) -> None:
    estate.on("dev").patch("services", "mysql", "cms", {"metadata": {"annotations": {"size": value}}})


def test_a_rule_that_is_about_nothing_is_warned_of(estate: Estate) -> None:
    spec = services.choosing.asked_of(estate.pair, estate.team, ["cms"], {"transformations": rules(NOBODY)})
    found = [each for each in engine_for(estate.pair).plan(estate.pair, spec).checks if each["code"] == "rules"]
    assert [(each["status"], each["message"]) for each in found] == [
        ("warning", "Rule 1 of ours is about none of the objects that go along: it changes nothing.")
    ]


def test_a_rule_that_cannot_be_applied_is_told_of_its_object_in_the_plan(estate: Estate) -> None:
    plan = services.make(
        estate.team, pair=estate.pair, namespaces=["cms"], by=estate.by, transformations=rules(SMALLER)
    )
    while compute.look(plan.pk):
        pass
    plan.refresh_from_db()
    assert plan.status == PlanStatus.READY
    row = plan.objects_planned.get(resource="services", name="mysql")
    assert (row.action, row.included) == (PlannedAction.REFUSED, True)
    assert "Rule 1 of ours" in row.reason
    assert "/metadata/annotations/size" in row.reason
    assert plan.objects_planned.filter(action=PlannedAction.REFUSED).count() == 1
    (failing,) = plan.failing_checks()
    assert failing["objects"] == ["Service cms/mysql"]
    texts = contents.texts(row)
    assert "name: mysql" in texts.source
    assert texts.wanted == ""


def test_a_rule_that_fits_no_more_when_it_is_applied_fails_its_object_alone(estate: Estate) -> None:
    annotate(estate, "large")
    migration = estate.start(include_volumes=False, transformations=rules(SMALLER))
    migration = estate.drive(migration, until=lambda each: each.stage != Stage.INITIAL)
    annotate(estate, None)
    migration = estate.drive(migration)
    assert migration.status == Status.PARTIAL_SUCCESS, told(migration)
    (failed,) = migration.resources.filter(status=Status.FAILED)
    assert (failed.kind, failed.namespace, failed.name) == ("Service", "cms", "mysql")
    assert "Rule 1 of ours" in failed.reason
    assert "deployments.apps/mysql" in {
        f"deployments.apps/{name}" for name in estate.objects("prod", "deployments.apps")
    }
