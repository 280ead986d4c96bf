"""A schedule's life through the product: added, run, suspended, its applications over and back, and removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client

from audit.actor import Actor
from audit.models import Entry
from clusters.models import ClusterPair
from clusters.portworx.migration import MigrationSpec
from clusters.portworx.policies import Policy
from clusters.portworx.rules import Action
from demo.cluster.server import ClusterHandle
from migrations_app.schedules import services
from migrations_app.schedules.overview import Side, both_sides
from teams.refusals import Conflict, Refusal
from tests.portworx_estate import hand

Sites = Mapping[str, ClusterHandle]
SPEC = MigrationSpec(cluster_pair="both", namespaces=("cms",), start_applications=False)


def replicas(cluster: ClusterHandle) -> set[int]:
    return {each["spec"]["replicas"] for each in cluster.call(lambda api: api.list("deployments.apps", "cms"))}


def ended(pair: ClusterPair, side: int, name: str) -> str:
    """The status of an Action once it is over."""

    def look() -> str:
        found = next(each for each in both_sides(pair)[side].actions if each.name == name)
        return f"{found.status} {found.reason}".strip() if found.is_over else ""

    return hand.until(look, seconds=90)


def schedule(side: Side, name: str) -> Any:
    return next(each for each in side.schedules if each.name == name)


def test_the_whole_life_of_a_schedule(sites: Sites, pair: ClusterPair, by: Actor, client: Client) -> None:
    services.add_policy(pair, name="often", policy=Policy(interval_minutes=1), by=by)
    services.add_rule(
        pair, name="sync", namespace="cms", commands=[Action(selector={"app": "mysql"}, command="true")], by=by
    )
    spec = MigrationSpec(**{**vars(SPEC), "pre_exec_rule": "sync"})
    services.add_schedule(pair, name="away", namespace="cms", spec=spec, policy="often", by=by)
    hand.until(lambda: schedule(both_sides(pair)[0], "away").last_success)
    assert services.suspend(pair, "cms", "away", by=by) == "MigrationSchedule away suspended successfully"
    source, destination = both_sides(pair)
    assert schedule(source, "away").suspended
    assert [each.name for each in destination.copies] == ["away"]
    assert not destination.is_active(schedule(source, "away"))
    assert replicas(sites["prod"]) == {0}

    # Tried out on the destination, and stopped again.
    assert "Updated replicas for deployment cms/mysql to 1" in services.activate(pair, "cms", by=by)
    assert replicas(sites["prod"]) == {1}
    assert both_sides(pair)[1].is_active(schedule(source, "away"))
    services.activate(pair, "cms", active=False, by=by)
    assert replicas(sites["prod"]) == {0}

    name = services.fail_over(pair, "cms", "away", namespaces=[], by=by)
    assert ended(pair, 1, name) == "Successful"
    assert (replicas(sites["dev"]), replicas(sites["prod"])) == ({0}, {1})

    client.force_login(by.user)
    page = client.get(f"/pairs/{pair.pk}/schedules/").content.decode()
    assert name in page
    assert "applications run on the destination" in page
    assert "Scaled up Apps in : 1/1 namespaces" in page
    answer = client.get(f"/api/v1/pairs/{pair.pk}/schedules/").json()
    assert [each["name"] for each in answer["source"]["schedules"]] == ["away"]
    assert answer["destination"]["actions"][0]["stage_text"] == "Completed"

    services.remove(pair, "cms", "away", by=by)
    source, destination = both_sides(pair)
    assert not source.schedules
    assert not destination.copies
    done = list(Entry.objects.order_by("pk").values_list("action", flat=True))
    assert done == [
        "schedule_policy.add",
        "rule.add",
        "schedule.add",
        "schedule.suspend",
        "migrations.activate",
        "migrations.deactivate",
        "schedule.failover",
        "schedule.remove",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"namespace": "cms", "spec": {"namespaces": ("cms", "other")}}, "can migrate only that namespace"),
        ({"namespace": "cms", "spec": {"cluster_pair": "nosuch"}}, '"nosuch" not found'),
        ({"namespace": "cms", "spec": {"pre_exec_rule": "norule"}}, '"norule" not found'),
        ({"namespace": "cms", "policy": "nopolicy"}, "no schedule policy nopolicy on dev"),
        ({"namespace": "cms", "name": "No Name"}, "lower-case letters"),
    ],
)
def test_what_stork_would_say_in_events_only_is_refused_at_once(
    pair: ClusterPair, by: Actor, given: dict[str, Any], said: str
) -> None:
    spec = MigrationSpec(**{**vars(SPEC), **given.pop("spec", {})})
    wanted = {"name": "wrong", "policy": "default-migration-policy", **given}
    with pytest.raises(Refusal, match=said):
        services.add_schedule(pair, spec=spec, by=by, **wanted)
    assert not both_sides(pair)[0].schedules
    assert not Entry.objects.exists()


def test_a_taken_name_is_a_conflict_and_changes_nothing(pair: ClusterPair, by: Actor) -> None:
    services.add_policy(pair, name="daily", policy=Policy(daily="1:00AM"), by=by)
    with pytest.raises(Conflict, match="one named daily already"):
        services.add_policy(pair, name="daily", policy=Policy(daily="2:00AM"), by=by)
    rows = {each.name: each.policy for each in both_sides(pair)[0].policies}
    assert rows["daily"] == Policy(daily="1:00AM")


def test_failing_over_needs_a_copy_and_the_way_back(pair: ClusterPair, by: Actor) -> None:
    with pytest.raises(Refusal, match="unable to find the reference MigrationSchedule nosuch in the cms namespace"):
        services.fail_over(pair, "cms", "nosuch", namespaces=[], by=by)
    with pytest.raises(Refusal, match="unable to find the reference MigrationSchedule nosuch"):
        services.fail_back(pair, "cms", "nosuch", namespaces=[], by=by)
    services.add_schedule(pair, name="forth", namespace="cms", spec=SPEC, policy="default-migration-policy", by=by)
    with pytest.raises(Refusal, match="the pair that leads the other way"):
        services.fail_back(pair, "cms", "forth", namespaces=[], by=by)
    services.remove(pair, "cms", "forth", by=by)


def test_a_native_pair_has_no_schedules(pair: ClusterPair, by: Actor, client: Client) -> None:
    ClusterPair.objects.filter(pk=pair.pk).update(engine="native")
    pair.refresh_from_db()
    with pytest.raises(Refusal, match="engine is Portworx"):
        services.add_policy(pair, name="p", policy=Policy(interval_minutes=5), by=by)
    client.force_login(by.user)
    assert client.get(f"/pairs/{pair.pk}/schedules/").status_code == 404
    assert client.get(f"/api/v1/pairs/{pair.pk}/schedules/").status_code == 404


def test_the_forms_add_what_they_say(pair: ClusterPair, by: Actor, client: Client) -> None:
    client.force_login(by.user)
    home = f"/pairs/{pair.pk}/"
    wrong = client.post(f"{home}schedule-policies/add/", {"name": "weekly", "weekly": "1:00PM"})
    assert wrong.status_code == 422
    assert "Invalid day of the week" in wrong.content.decode()
    policy = {"name": "weekly", "weekly": "1:00PM", "weekly_day": "Sunday"}
    assert client.post(f"{home}schedule-policies/add/", policy).status_code == 302
    rule = {"name": "flush", "namespace": "cms", "selector": "app=mysql", "command": "sync"}
    assert client.post(f"{home}rules/add/", rule).status_code == 302
    given = {
        "name": "sundays",
        "pair": "cms/both",
        "policy": "weekly",
        "include_volumes": "on",
        "include_resources": "on",
        "selectors": "app=mysql",
        "post_exec_rule": "flush",
    }
    assert client.post(f"{home}schedules/add/", {**given, "selectors": "mysql"}).status_code == 422
    assert client.post(f"{home}schedules/add/", given).status_code == 302
    made = schedule(both_sides(pair)[0], "sundays")
    assert made.spec.selectors == {"app": "mysql"}
    assert (made.spec.start_applications, made.spec.post_exec_rule, made.auto_suspend) == (False, "flush", False)
    assert "sundays" in client.get(f"{home}schedules/").content.decode()
    asked = client.get(f"{home}schedules/cms/sundays/failover/").content.decode()
    assert "a last time" in asked
    assert client.post(f"{home}schedules/cms/sundays/remove/").status_code == 302
    assert not both_sides(pair)[0].schedules
