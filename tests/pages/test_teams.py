"""Teams: making, renaming, members and roles."""

from __future__ import annotations

from django.test import Client

from audit.models import Entry
from teams.models import Membership, Role, Team
from tests import factories


def test_staff_make_teams(company: factories.Company, client: Client) -> None:
    client.force_login(company.staff)
    response = client.post("/teams/add/", {"name": "Search"})
    team = Team.objects.get(name="Search")
    assert response["Location"] == f"/teams/{team.pk}/"
    assert Entry.objects.get().action == "team.add"


def test_a_taken_name_is_refused_at_its_field(company: factories.Company, client: Client) -> None:
    client.force_login(company.staff)
    response = client.post("/teams/add/", {"name": "payments"})
    assert response.status_code == 422
    assert "There is already a team named payments." in response.content.decode()


def test_an_admin_adds_a_member_and_changes_the_role(company: factories.Company, alice: Client) -> None:
    at = f"/teams/{company.team.pk}/members/"
    alice.post(at, {"username": "charlie", "role": "viewer"})
    alice.post(at, {"username": "charlie", "role": "operator"})
    assert Membership.objects.get(user=company.charlie).role == Role.OPERATOR
    assert [entry.action for entry in Entry.objects.all()] == ["member.change", "member.add"]
    assert Entry.objects.first().before == {"role": "viewer"}  # type: ignore[union-attr]


def test_an_unknown_person_is_refused_at_the_field(company: factories.Company, alice: Client) -> None:
    response = alice.post(f"/teams/{company.team.pk}/members/", {"username": "nobody", "role": "viewer"})
    assert response.status_code == 422
    assert "Nobody signs in as nobody." in response.content.decode()


def test_the_last_admin_can_neither_leave_nor_step_down(company: factories.Company, alice: Client) -> None:
    own = Membership.objects.get(user=company.alice)
    page = alice.post(f"/teams/{company.team.pk}/members/{own.pk}/remove/", follow=True).content.decode()
    assert "alice is the last admin of team Content platform." in page
    page = alice.post(f"/teams/{company.team.pk}/members/", {"username": "alice", "role": "viewer"}).content.decode()
    assert "alice is the last admin of team Content platform." in page
    own.refresh_from_db()
    assert own.role == Role.ADMIN


def test_a_removed_member_sees_nothing_any_more(company: factories.Company, alice: Client) -> None:
    bob = Membership.objects.get(user=company.bob)
    alice.post(f"/teams/{company.team.pk}/members/{bob.pk}/remove/")
    alice.force_login(company.bob)
    assert alice.get(f"/migrations/{company.migration.pk}/").status_code == 404


def test_a_member_of_another_team_cannot_be_removed_through_ours(company: factories.Company, alice: Client) -> None:
    theirs = Membership.objects.get(user=company.mallory)
    assert alice.post(f"/teams/{company.team.pk}/members/{theirs.pk}/remove/").status_code == 404
    assert Membership.objects.filter(pk=theirs.pk).exists()


def test_what_staff_do_in_the_administration_stands_in_the_history(company: factories.Company, client: Client) -> None:
    company.staff.is_superuser = True
    company.staff.save()
    client.force_login(company.staff)
    bob = Membership.objects.get(user=company.bob)
    rows = Membership.objects.filter(team=company.team).order_by("pk")
    given: dict[str, object] = {"name": "Content", "memberships-TOTAL_FORMS": 3, "memberships-INITIAL_FORMS": 3}
    for number, row in enumerate(rows):
        given |= {f"memberships-{number}-{key}": value for key, value in (
            ("id", row.pk), ("team", row.team_id), ("user", row.user_id),
            ("role", "operator" if row == bob else row.role))}  # fmt: skip
    assert client.post(f"/admin/teams/team/{company.team.pk}/change/", given).status_code == 302
    assert {entry.action for entry in Entry.objects.all()} == {"team.rename", "member.change"}
    assert Entry.objects.get(action="member.change").after == {"role": "operator"}
