"""What the API does, as a program sees it."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from audit.models import Entry
from clusters.models import Cluster, ClusterPair, ObjectStore
from migrations_app.models import Migration
from teams.models import ApiToken, Membership, Role, Team
from tests import factories
from tests.api.conftest import Caller, as_user
from tests.api.test_access import KUBECONFIG, STORE
from tests.factories import Company

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]


def pointers(answer: Any) -> set[str]:
    return {row["pointer"] for row in answer.json()["errors"]}


def actions() -> list[str]:
    return list(Entry.objects.order_by("pk").values_list("action", flat=True))


def test_the_way_of_the_story_from_clusters_to_a_migration(world: Company) -> None:
    team = Team.objects.create(name="New")
    alice = as_user(factories.member("anna", team, Role.ADMIN))
    dev, prod = (alice.post("/clusters/", {"name": name, "kubeconfig": KUBECONFIG}).json() for name in ("dev", "prod"))
    assert dev["server"] == "https://192.0.2.1:6443"
    assert dev["team"] == str(team.pk)
    store = alice.post("/object-stores/", STORE).json()
    pair = alice.post(
        "/pairs/",
        {
            "name": "dev-to-prod",
            "source": dev["id"],
            "destination": prod["id"],
            "object_store": store["id"],
            "storage_class_mapping": {"gp3": "gp3-csi"},
        },
    ).json()
    assert pair["engine"] == "native"
    plan = alice.post("/migrations/plan/", {"pair": pair["id"], "namespaces": ["cms"]}).json()
    assert plan == {"namespaces": ["cms"], "claims": [], "objects": {"Deployment": 2}, "checks": []}
    answer = alice.post("/migrations/", {"pair": pair["id"], "namespaces": ["cms"], "start_applications": False})
    assert answer.status_code == 201
    migration = answer.json()
    assert (migration["stage"], migration["status"], migration["start_applications"]) == ("Initial", "Pending", False)
    assert migration["summary"]["last_event_seq"] == 1
    assert alice.get(f"/migrations/{migration['id']}/events/").json()["results"][0]["reason"] == "Created"
    assert alice.post(f"/migrations/{migration['id']}/cancel/", {"remove": False}).status_code == 200
    row = Migration.objects.get(pk=migration["id"])
    assert row.cancel_requested_at is not None
    assert row.remove_when_cancelled is False
    assert actions() == [
        "cluster.add",
        "cluster.add",
        "object_store.add",
        "pair.add",
        "migration.start",
        "migration.cancel",
    ]
    entries = as_user(world.staff).get("/audit/?action=migration").json()["results"]
    assert [entry["action"] for entry in entries] == ["migration.cancel", "migration.start"]
    assert entries[0]["actor"] == "anna"
    assert entries[0]["address"] == "127.0.0.1"


def test_an_idempotency_key_starts_one_migration(world: Company, alice: Caller) -> None:
    body = {"pair": str(world.pair.pk), "namespaces": ["shop"]}
    first = alice.post("/migrations/", body, **{"Idempotency-Key": "k1"})
    again = alice.post("/migrations/", body, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = alice.post("/migrations/", {**body, "namespaces": ["blog"]}, **{"Idempotency-Key": "k1"})
    assert other.status_code == 409
    long = alice.post("/migrations/", body, **{"Idempotency-Key": "k" * 101})
    assert long.status_code == 400
    assert actions().count("migration.start") == 1


def test_events_are_given_in_order_after_the_number_asked_for(world: Company, alice: Caller) -> None:
    path = f"/migrations/{world.migration.pk}/events/"
    every = alice.get(path).json()["results"]
    assert [event["seq"] for event in every] == list(range(1, len(every) + 1))
    assert every[0].keys() == {"seq", "at", "type", "reason", "source", "regarding", "message", "count"}
    later = alice.get(f"{path}?after={len(every) - 1}").json()["results"]
    assert later == every[-1:]
    for wrong in ("x", "-1", "9" * 30, "²"):
        answer = alice.get(f"{path}?after={wrong}")
        assert answer.status_code == 400
        assert pointers(answer) == {"/after"}


def test_a_migration_says_how_far_it_is(world: Company, alice: Caller) -> None:
    listed = alice.get("/migrations/").json()["results"][0]
    shown = alice.get(f"/migrations/{world.migration.pk}/").json()
    assert listed == shown
    volumes = alice.get(f"/migrations/{world.migration.pk}/volumes/").json()["results"]
    assert shown["summary"] == {
        "volumes_total": 2,
        "volumes_done": 1,
        "resources_total": 4,
        "resources_done": 2,
        "bytes_total": sum(volume["bytes_total"] for volume in volumes),
        "bytes_done": sum(volume["bytes_pulled"] for volume in volumes),
        "last_event_seq": world.migration.last_event_seq,
    }
    assert not {"source_claim", "measured_at", "migration"} & volumes[0].keys()
    resources = alice.get(f"/migrations/{world.migration.pk}/resources/").json()["results"]
    assert [row["kind"] for row in resources] == ["Secret", "Service", "Deployment", "Route"]
    assert "created_uid" not in resources[0]


def test_a_list_of_migrations_takes_as_many_queries_for_many_as_for_one(
    world: Company, alice: Caller, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        factories.migration_under_way(world.pair, f"m{number}")
    with django_assert_max_num_queries(10):
        assert alice.get("/migrations/").json()["count"] == 21


def test_lists_are_filtered_sorted_and_paged(world: Company, alice: Caller) -> None:
    factories.migration(world.pair, "blogmigration", status="Successful")

    def names(query: str) -> list[str]:
        return [row["name"] for row in alice.get(f"/migrations/?{query}").json()["results"]]

    assert names("status=Successful") == ["blogmigration"]
    assert names("name__icontains=CMS") == ["cmsmigration"]
    assert names("ordering=name") == ["blogmigration", "cmsmigration"]
    assert names("ordering=-name&page_size=1") == ["cmsmigration"]
    assert names("ordering=-name&page_size=1&page=2") == ["blogmigration"]
    assert alice.get("/migrations/?status=Nonsense").status_code == 400
    assert alice.get("/migrations/?page=99").status_code == 404


def test_a_change_with_an_empty_or_left_out_secret_keeps_the_old_one(world: Company, alice: Caller) -> None:
    path = f"/object-stores/{world.store.pk}/"
    assert alice.patch(path, {"bucket": "other-bucket"}).json()["bucket"] == "other-bucket"
    kept = ObjectStore.objects.get(pk=world.store.pk)
    assert (kept.access_key_id, kept.secret_access_key) == ("AKIDSESAME", "sesame-secret")


def test_nothing_changes_hands_to_another_team(world: Company, alice: Caller) -> None:
    Membership.objects.create(team=world.other_team, user=world.alice, role=Role.ADMIN)
    for path, row in (("clusters", world.source), ("object-stores", world.store), ("pairs", world.pair)):
        answer = alice.patch(f"/{path}/{row.pk}/", {"team": str(world.other_team.pk)})
        assert answer.status_code == 400
        assert pointers(answer) == {"/team"}
        row.refresh_from_db()
        assert row.team_id == world.team.pk


def test_a_pair_cannot_borrow_a_cluster_of_another_of_the_callers_teams(world: Company, alice: Caller) -> None:
    Membership.objects.create(team=world.other_team, user=world.alice, role=Role.ADMIN)
    foreign = factories.cluster(world.other_team, "foreign")
    answer = alice.patch(f"/pairs/{world.pair.pk}/", {"destination": str(foreign.pk)})
    assert answer.status_code == 400
    assert pointers(answer) == {"/destination"}


def test_whoever_administers_two_teams_has_to_say_which(world: Company, alice: Caller) -> None:
    Membership.objects.create(team=world.other_team, user=world.alice, role=Role.ADMIN)
    answer = alice.post("/clusters/", {"name": "new", "kubeconfig": KUBECONFIG})
    assert answer.status_code == 400
    assert pointers(answer) == {"/team"}


def test_mistakes_are_named_at_their_fields(world: Company, alice: Caller) -> None:
    answer = alice.post("/clusters/", {"name": "new", "kubeconfig": "nonsense"})
    assert answer.status_code == 400
    assert pointers(answer) == {"/kubeconfig"}
    assert pointers(alice.post("/clusters/", {})) == {"/name", "/kubeconfig"}
    taken = alice.post("/clusters/", {"name": "dev", "kubeconfig": KUBECONFIG})
    assert taken.status_code == 409
    assert pointers(taken) == {"/name"}
    bad = alice.post("/migrations/", {"pair": str(world.pair.pk), "namespaces": ["kube-system"]})
    assert pointers(bad) == {"/namespaces"}
    assert pointers(alice.post("/migrations/", {"pair": "x", "namespaces": []})) == {"/pair", "/namespaces"}


def test_a_field_that_there_is_not_is_refused_and_not_passed_over(world: Company, alice: Caller) -> None:
    team, pair = str(world.team.pk), str(world.pair.pk)
    for path, body in (
        ("/clusters/", {"name": "new", "kubeconfig": KUBECONFIG}),
        ("/object-stores/", STORE),
        ("/pairs/", {"name": "new"}),
        ("/migrations/", {"pair": pair, "namespaces": ["cms"]}),
        ("/migrations/plan/", {"pair": pair, "namespaces": ["cms"]}),
        (f"/migrations/{world.migration.pk}/cancel/", {}),
        ("/tokens/", {"name": "new"}),
    ):
        answer = alice.post(path, {**body, "start_aplications": False})
        assert answer.status_code == 400, path
        assert pointers(answer) == {"/start_aplications"}
    assert alice.put(f"/teams/{team}/members/charlie/", {"role": "viewer", "rule": "x"}).status_code == 400
    assert not ApiToken.objects.filter(name="new").exists()


def test_what_was_read_can_be_sent_back_with_a_change(world: Company, alice: Caller) -> None:
    for path, row in (("clusters", world.source), ("object-stores", world.store), ("pairs", world.pair)):
        read = alice.get(f"/{path}/{row.pk}/").json()
        answer = alice.patch(f"/{path}/{row.pk}/", {**read, "name": "renamed"})
        assert answer.status_code == 200, answer.content
        assert answer.json()["name"] == "renamed"


def test_a_key_that_is_lost_keeps_nobody_from_the_list(world: Company, alice: Caller, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    for path in ("/clusters/", "/object-stores/", "/pairs/", "/migrations/", f"/clusters/{world.source.pk}/"):
        assert alice.get(path).status_code == 200, path


def test_what_is_in_use_is_not_removed(world: Company, alice: Caller) -> None:
    for path in (f"/clusters/{world.source.pk}/", f"/object-stores/{world.store.pk}/", f"/pairs/{world.pair.pk}/"):
        assert alice.delete(path).status_code == 409
    assert alice.delete(f"/migrations/{world.migration.pk}/").status_code == 409
    assert (Cluster.objects.count(), ObjectStore.objects.count(), ClusterPair.objects.count()) == (2, 1, 1)


def test_a_finished_migration_is_not_cancelled(world: Company, alice: Caller) -> None:
    done = factories.migration(world.pair, "done", status="Successful")
    answer = alice.post(f"/migrations/{done.pk}/cancel/", {})
    assert answer.status_code == 409
    assert "finished" in answer.json()["detail"]


def test_a_team_keeps_an_admin(world: Company, alice: Caller) -> None:
    assert alice.put(f"/teams/{world.team.pk}/members/alice/", {"role": "viewer"}).status_code == 409
    assert alice.delete(f"/teams/{world.team.pk}/members/alice/").status_code == 409
    assert alice.put(f"/teams/{world.team.pk}/members/charlie/", {"role": "admin"}).status_code == 200
    assert alice.delete(f"/teams/{world.team.pk}/members/alice/").status_code == 204
    assert alice.get(f"/teams/{world.team.pk}/").status_code == 404


def test_a_token_is_shown_once_and_ends_when_it_is_revoked(world: Company, alice: Caller) -> None:
    answer = alice.post("/tokens/", {"name": "robot", "days": 30})
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()
    robot = Caller({"Authorization": f"Bearer {made['token']}"})
    listed = robot.get("/tokens/")
    assert made["token"] not in listed.content.decode()
    assert {row["name"] for row in listed.json()["results"]} == {"test", "robot"}
    assert robot.delete(f"/tokens/{made['id']}/").status_code == 204
    refused = robot.get("/tokens/")
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"] == "Bearer"


def test_a_session_without_a_csrf_token_changes_nothing(world: Company) -> None:
    from django.test import Client

    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.alice)
    assert browser.get("/api/v1/clusters/").status_code == 200
    answer = browser.post("/api/v1/tokens/", {"name": "x"}, content_type="application/json")
    assert answer.status_code == 403
    assert not ApiToken.objects.filter(name="x").exists()


@pytest.mark.parametrize("path", ["/api/v1/nowhere/", "/api/v2/clusters/", "/api/v1/clusters/1/", "/api/"])
def test_an_address_that_is_not_served_is_a_problem_and_not_a_page(world: Company, alice: Caller, path: str) -> None:
    for caller in (alice, Caller({})):
        answer = caller.get(path)
        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["title"] == "Not found"


def test_a_body_that_is_not_json_and_a_verb_that_is_not_served_are_problems(world: Company, alice: Caller) -> None:
    from django.test import Client

    broken = Client().post("/api/v1/clusters/", "{", content_type="application/json", headers=alice.headers)
    assert (broken.status_code, broken["Content-Type"]) == (400, "application/problem+json")
    answer = alice.put(f"/clusters/{world.source.pk}/", {})
    assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json")
    assert "PATCH" in answer["Allow"]
