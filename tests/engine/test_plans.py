"""Plans on simulated clusters: what would become of every object, asked of the destination, in slices."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.models import Migration
from migrations_app.plans import compute, contents, services, suggesting
from migrations_app.plans.models import MigrationPlan, PlannedAction, PlanStatus, PlanStep, SuggestionState
from tests.engine.conftest import MAPPED, Estate


def made(estate: Estate, **fields: Any) -> MigrationPlan:
    return services.make(estate.team, pair=estate.pair, by=estate.by, **{"namespaces": ["cms"]} | fields)


def computed(plan: MigrationPlan) -> MigrationPlan:
    for _look in range(20):
        if not compute.look(plan.pk):
            break
    plan.refresh_from_db()
    return plan


def actions(plan: MigrationPlan) -> dict[str, str]:
    return {f"{row.resource}/{row.name}": row.action for row in plan.objects_planned.all()}


def test_every_object_is_foreseen_and_nothing_is_changed(estate: Estate) -> None:
    before = {each["metadata"]["name"] for each in estate.on("prod").list("namespaces")}
    plan = computed(made(estate))
    assert (plan.status, plan.reason) == (PlanStatus.READY, "")
    found = actions(plan)
    assert found["deployments.apps/mysql"] == found["secrets/mysql-root"] == PlannedAction.CREATE
    assert found["replicasets.apps/" + next(iter(estate.objects("dev", "replicasets.apps")))] == PlannedAction.LEFT_OUT
    included = plan.objects_planned.filter(included=True)
    assert (plan.objects_total, plan.objects_done) == (included.count(), included.count())
    assert {claim["name"]: claim["destination_class"] for claim in plan.claims} == {
        "px-mysql-pvc": "gp3-csi",
        "px-wp-pvc": "efs-sc",
    }
    assert {each["metadata"]["name"] for each in estate.on("prod").list("namespaces")} == before
    assert not Migration.objects.exists()


def test_no_value_of_a_secret_is_in_the_rows_of_a_plan(estate: Estate) -> None:
    value = estate.on("dev").get("secrets", "mysql-root", "cms")["data"]
    estate.on("prod").create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cms"}})
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mysql-root", "namespace": "cms"}}
    estate.on("prod").create("secrets", other | {"stringData": dict.fromkeys(value, "sesame-on-prod")})
    plan = computed(made(estate))
    rows = json.dumps([plan.spec, plan.checks, plan.claims, *plan.objects_planned.values()], default=str)
    assert plan.objects_planned.get(resource="secrets", name="mysql-root").action == PlannedAction.CONFLICT
    for text in (*value.values(), *(b64decode(each).decode() for each in value.values())):
        assert text not in rows
    assert "sesame" not in rows
    assert b64encode(b"sesame-on-prod").decode() not in rows


def test_a_plan_whose_worker_was_killed_is_taken_up_where_it_was(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = made(estate)
    assert compute.look(plan.pk)
    written = compute.Answers.write

    class Killed(BaseException):
        pass

    def killed(self: compute.Answers) -> None:
        self._answered = self._answered[:5]
        written(self)
        raise Killed

    monkeypatch.setattr(compute.Answers, "write", killed)
    with pytest.raises(Killed):
        compute.look(plan.pk)
    monkeypatch.undo()
    plan.refresh_from_db()
    assert (plan.status, plan.objects_done) == (PlanStatus.IN_PROGRESS, 5)
    assert not compute.look(plan.pk), "the dead worker's lease still holds"
    MigrationPlan.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    asked = []
    noted = compute.Answers.note
    monkeypatch.setattr(
        compute.Answers, "note", lambda self, planned: (asked.append(planned.name), noted(self, planned))[1]
    )
    plan = computed(plan)
    assert plan.status == PlanStatus.READY
    assert len(asked) == plan.objects_total - 5
    assert plan.objects_done == plan.objects_total


def test_a_cluster_that_does_not_answer_is_waited_for(estate: Estate) -> None:
    plan = made(estate)
    estate.dev.faults.fail(".*", status=503, times=8)
    assert not compute.look(plan.pk)
    plan.refresh_from_db()
    assert plan.status == PlanStatus.IN_PROGRESS
    assert "Source cluster dev" in plan.reason
    assert plan.next_look_at is not None
    assert plan.next_look_at > timezone.now()


def test_what_is_taken_out_stays_and_can_come_back(estate: Estate) -> None:
    plan = computed(made(estate))
    secret = plan.objects_planned.get(resource="secrets", name="mysql-root")
    plan = services.choose(plan, objects=[secret.pk], kinds=["configmaps"], included=False, by=estate.by)
    assert plan.status == PlanStatus.READY, "what was answered needs not be asked again"
    assert plan.asked().selection.exclude_objects == ("secrets/cms/mysql-root",)
    assert plan.asked().selection.exclude_kinds == ("configmaps",)
    plan = computed(services.look_again(plan, by=estate.by))
    secret = plan.objects_planned.get(resource="secrets", name="mysql-root")
    assert (secret.included, secret.action, secret.reason) == (False, PlannedAction.LEFT_OUT, "is left out by name")
    mysql = plan.objects_planned.get(resource="deployments.apps", name="mysql")
    assert {each["needed"] for each in mysql.missing} == {"Secret cms/mysql-root", "ConfigMap cms/mysql-config"}
    plan = services.choose(plan, objects=[secret.pk], kinds=["configmaps"], included=True, by=estate.by)
    assert (plan.status, plan.step) == (PlanStatus.IN_PROGRESS, PlanStep.OBJECTS)
    plan = computed(plan)
    assert plan.asked().selection == type(plan.asked().selection)()
    assert actions(plan)["secrets/mysql-root"] == PlannedAction.CREATE
    assert actions(plan)["configmaps/mysql-config"] == PlannedAction.CREATE
    assert actions(plan)["configmaps/kube-root-ca.crt"] == PlannedAction.LEFT_OUT


def test_what_a_controller_would_make_again_goes_along_when_it_is_named(estate: Estate) -> None:
    plan = computed(made(estate))
    account = plan.objects_planned.get(resource="serviceaccounts", name="builder")
    plan = computed(services.choose(plan, objects=[account.pk], included=True, by=estate.by))
    assert plan.asked().selection.include_objects == ("serviceaccounts/cms/builder",)
    assert plan.status == PlanStatus.READY
    assert plan.objects_planned.get(pk=account.pk).action != PlannedAction.LEFT_OUT


def test_a_migration_does_exactly_what_its_plan_said(estate: Estate) -> None:
    plan = computed(made(estate, include_volumes=False, start_applications=False, name="planned"))
    route = plan.objects_planned.get(resource="routes.route.openshift.io")
    services.choose(plan, objects=[route.pk], included=False, by=estate.by)
    migration = services.migrate(plan, by=estate.by)
    assert services.migrate(plan, by=estate.by) == migration
    done = estate.drive(migration)
    assert done.name == "planned"
    assert estate.objects("prod", "routes.route.openshift.io") == {}
    said = {(row.kind, row.name) for row in plan.objects_planned.filter(included=True).exclude(name="wp")}
    assert {(row.kind, row.name) for row in done.resources.exclude(kind="PersistentVolumeClaim")} == said


def named(plan: MigrationPlan) -> dict[str, Any]:
    """What preflight says of names of Services."""
    return next(each for each in plan.checks if each["code"] == "service-names")


def test_suggestions_are_found_taken_over_and_migrated_with(estate: Estate) -> None:
    """The blog's database is named with its namespace, which is called differently on the destination."""
    deployment = estate.on("dev").get("deployments.apps", "wordpress", "cms")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    env = [*container["env"], {"name": "SEARCH", "value": "http://search.cms.svc:9200"}]
    body = {"spec": {"template": {"spec": {"containers": [container | {"env": env}]}}}}
    estate.on("dev").patch("deployments.apps", "wordpress", "cms", body)
    mapped = {"namespace_mapping": {"cms": MAPPED}}
    plan = computed(made(estate, **mapped))
    found = {row.before: row for row in plan.suggestions.all()}
    row = found["http://search.cms.svc:9200"]
    assert (row.kind, row.name, row.after) == ("Deployment", "wordpress", f"http://search.{MAPPED}.svc:9200")
    others = [each.pk for text, each in found.items() if text != row.before]
    assert named(plan)["status"] == "warning"
    assert "Deployment cms/wordpress" in named(plan)["objects"]

    suggesting.decide(plan, SuggestionState.DISMISSED, suggestions=others, by=estate.by)
    plan = suggesting.decide(plan, SuggestionState.TAKEN, suggestions=[row.pk], by=estate.by)
    plan = computed(plan)
    assert plan.status == PlanStatus.READY
    assert named(plan)["status"] == ("warning" if others else "pass"), "the plan was checked again"
    assert {each.pk: each.state for each in plan.suggestions.all()} == {
        row.pk: "taken", **dict.fromkeys(others, "dismissed")
    }  # fmt: skip
    deployed = plan.objects_planned.get(resource="deployments.apps", name="wordpress")
    texts = contents.texts(deployed)
    assert f"http://search.{MAPPED}.svc:9200" in texts.wanted
    assert "http://search.cms.svc:9200" in texts.source

    plan = computed(services.look_again(plan, by=estate.by))
    assert suggesting.counts(plan) == {"open": 0, "taken": 1, "dismissed": len(others)}
    again = computed(made(estate, **mapped, transformations=plan.spec["transformations"]))
    assert row.before not in {each.before for each in again.suggestions.all()}, "a rule changes it already"


def test_against_the_destination_only_what_applying_changes_is_shown(estate: Estate) -> None:
    """Not its uid, status and the like, nor what controllers there have added."""
    here = estate.on("dev").get("configmaps", "mysql-config", "cms")
    prod = estate.on("prod")
    prod.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cms"}})
    metadata = {"name": "mysql-config", "namespace": "cms", "annotations": {"controller.example.com/revision": "1"}}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": here["data"] | {"colour": "blue"}}
    name = next(iter(here["data"]))
    prod.create("configmaps", other | {"data": other["data"] | {name: "otherwise"}})
    plan = computed(made(estate))
    row = plan.objects_planned.get(resource="configmaps", name="mysql-config")
    assert row.action == PlannedAction.CONFLICT
    texts = contents.texts(row)
    changed = [line for line in texts.changed_on_the_destination if line[0] in "+-"]
    assert changed[0] == f"-  {name}: otherwise"
    assert {line[0] for line in changed[1:]} == {"+"}
    assert "colour" not in "".join(changed)
    assert "revision" not in "".join(changed)
