"""Suggestions on the pages of a plan: shown, taken over, dismissed, offered again."""

from __future__ import annotations

from django.test import Client

from audit.models import Entry
from migrations_app.plans import suggesting
from migrations_app.plans.models import MigrationPlan, PlanStatus, PlanStep
from migrations_app.resources import rules
from tests import factories


def shown(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return response.content.decode()


def test_a_plan_without_renamed_namespaces_says_nothing_of_them(company: factories.Company, alice: Client) -> None:
    assert 'id="suggestions"' not in shown(alice, f"/plans/{company.plan.pk}/")


def test_each_is_shown_with_object_path_and_both_texts(company: factories.Company, alice: Client) -> None:
    open_, secret = factories.suggestions(company.plan)
    deployment = company.plan.objects_planned.get(kind="Deployment", name="wordpress")
    page = shown(alice, f"/plans/{company.plan.pk}/")
    card = page[page.index('id="suggestions"') :]
    assert f'href="{deployment.get_absolute_url()}"' in card
    assert open_.path in card
    assert "-mysql.cms.svc:3306</del>" in card
    assert "+mysql.web.svc:3306</ins>" in card
    assert f'name="take" value="{open_.pk}"' in card
    assert f'name="take" value="{secret.pk}"' not in card, "no rule may change a Secret"
    assert f'name="dismiss" value="{secret.pk}"' in card


def test_one_is_taken_over_and_its_object_is_asked_about_again(company: factories.Company, alice: Client) -> None:
    open_, _secret = factories.suggestions(company.plan)
    response = alice.post(f"/plans/{company.plan.pk}/suggestions/", {"take": open_.pk, "back": "plan"})
    assert response["Location"] == f"/plans/{company.plan.pk}/#suggestions"
    plan = MigrationPlan.objects.get(pk=company.plan.pk)
    assert (plan.status, plan.step) == (PlanStatus.IN_PROGRESS, PlanStep.CHECKS)
    (given,) = plan.asked().transformations
    assert (given["name"], given["rules"]) == (suggesting.RULES, [open_.rule])
    assert rules.transformations(plan.asked().transformations)
    waiting = plan.objects_planned.filter(included=True, action="")
    assert [row.name for row in waiting] == ["wordpress"]
    assert Entry.objects.get(action="plan.suggestions").after["texts"][0]["after"] == "mysql.web.svc:3306"


def test_dismissed_ones_stay_so_until_they_are_offered_again(company: factories.Company, alice: Client) -> None:
    open_, _secret = factories.suggestions(company.plan)
    at = f"/plans/{company.plan.pk}/suggestions/"
    assert alice.post(at, {"dismiss": "all"})["Location"] == at
    company.plan.refresh_from_db()
    assert company.plan.status == PlanStatus.READY, "no rule has changed"
    assert "Each has been taken over or dismissed." in shown(alice, f"/plans/{company.plan.pk}/")
    assert "Nothing is left to decide." in shown(alice, at)
    page = shown(alice, f"{at}?state=dismissed")
    assert f'name="offer" value="{open_.pk}"' in page
    alice.post(at, {"offer": open_.pk, "state": "dismissed"})
    assert suggesting.counts(company.plan) == {"open": 1, "taken": 0, "dismissed": 1}


def test_what_was_taken_over_can_be_taken_back(company: factories.Company, alice: Client) -> None:
    open_, _secret = factories.suggestions(company.plan)
    at = f"/plans/{company.plan.pk}/suggestions/"
    alice.post(at, {"take": "all"})
    MigrationPlan.objects.update(status=PlanStatus.READY)
    alice.post(at, {"offer": open_.pk})
    company.plan.refresh_from_db()
    assert company.plan.asked().transformations == ()
    assert suggesting.counts(company.plan)["open"] == 2


def test_of_what_stays_behind_nothing_is_suggested(company: factories.Company, alice: Client) -> None:
    factories.suggestions(company.plan)
    company.plan.objects_planned.filter(name="wordpress", kind="Deployment").update(included=False)
    assert suggesting.counts(company.plan)["open"] == 1
    assert "mysql.cms.svc" not in shown(alice, f"/plans/{company.plan.pk}/suggestions/")


def test_a_viewer_sees_them_without_buttons(company: factories.Company, client: Client) -> None:
    client.force_login(company.bob)
    factories.suggestions(company.plan)
    page = shown(client, f"/plans/{company.plan.pk}/suggestions/")
    assert "mysql.web.svc:3306" in page
    assert 'name="take"' not in page


def test_a_plan_that_was_migrated_is_not_changed(company: factories.Company, alice: Client) -> None:
    factories.suggestions(company.plan)
    MigrationPlan.objects.update(migration=company.migration)
    page = alice.post(f"/plans/{company.plan.pk}/suggestions/", {"take": "all"}, follow=True).content.decode()
    assert "A migration was started from this plan" in page
    assert suggesting.counts(company.plan)["taken"] == 0
