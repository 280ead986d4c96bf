"""The page of a plan in a real browser: open, filter, leave out, look at a difference, migrate."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, sign_in


@pytest.fixture
def plan(page: Page, server: Server) -> Page:
    page.goto(f"{server.address}/plans/{server.ids['plan']}/")
    return page


def opened(page: Page, kind: str) -> None:
    page.locator(f"#kind-{kind} > details > summary").click()
    expect(page.locator(f"#rows-of-{kind}")).to_be_visible()


def test_a_plan_is_read_chosen_from_and_migrated(plan: Page, server: Server) -> None:
    expect(plan.locator("#kind-configmaps")).to_contain_text("1 create")
    opened(plan, "configmaps")
    expect(plan.locator("#rows-configmaps tbody tr")).to_have_count(2)
    plan.evaluate("window.neverReloaded = true")

    opened(plan, "secrets")
    box = plan.get_by_role("checkbox", name="Secret cms/mysql-pass goes along")
    box.focus()
    plan.keyboard.press("Space")
    lacks = plan.locator("#plan-lacks")
    expect(lacks).to_contain_text("Secret cms/mysql-pass is left out by name. Would not work without it:")
    expect(lacks).to_contain_text("Deployment cms/wordpress")
    expect(box).not_to_be_checked()
    expect(box).to_be_focused()
    expect(plan.locator("#kind-secrets > details > summary")).to_contain_text("1 left out")
    expect(plan.locator("#plan-summary")).to_contain_text("2")
    assert plan.evaluate("window.neverReloaded")

    lacks.get_by_role("link", name="Deployment cms/mysql", exact=True).click()
    dialog = plan.get_by_role("dialog")
    expect(dialog).to_contain_text("It refers to Secret cms/mysql-pass, which is left out by name.")
    plan.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    plan.get_by_role("checkbox", name="Deployment: all go along").uncheck()
    expect(lacks).to_be_hidden()
    expect(plan.locator("#kind-deployments_apps > details > summary")).to_contain_text("2 left out")

    plan.get_by_role("button", name="Migrate", exact=True).click()
    plan.wait_for_url("**/migrations/*/")
    plan.get_by_role("link", name="Plan", exact=True).click()
    expect(plan.locator("#plan-actions")).to_contain_text("was started from this plan")
    expect(plan.get_by_role("checkbox")).to_have_count(0)
    assert not plan.complaints  # type: ignore[attr-defined]


def test_filters_are_in_the_address_and_reached_by_a_key(plan: Page, server: Server) -> None:
    plan.locator("#main").focus()
    plan.keyboard.press("/")
    expect(plan.get_by_label("Filter", exact=False).first).to_be_focused()
    plan.keyboard.type("mysql")
    plan.keyboard.press("Enter")
    plan.wait_for_url("**/?q=mysql&action=**")
    expect(plan.locator(".kmw-kind")).to_have_count(4)
    plan.get_by_label("Action").select_option("create")
    plan.wait_for_url("**/?q=mysql&action=create**")
    expect(plan.locator(".kmw-kind")).to_have_count(2)
    opened(plan, "deployments_apps")
    expect(plan.locator("#rows-deployments_apps tbody tr")).to_have_count(1)
    plan.get_by_role("link", name="Clear").click()
    expect(plan.locator(".kmw-kind")).to_have_count(7)


def test_the_difference_of_an_object_opens_over_the_page(plan: Page) -> None:
    opened(plan, "services")
    plan.get_by_role("link", name="wordpress").click()
    dialog = plan.get_by_role("dialog")
    expect(dialog).to_contain_text("spec.type")
    expect(dialog.locator("del")).to_have_text("ClusterIP")
    dialog.get_by_role("link", name="YAML").click()
    # The clusters of this server are none; that is said where the object would be.
    expect(dialog).to_contain_text("The object could not be read.")
    dialog.get_by_role("link", name="Differences").click()
    expect(dialog.locator("ins")).to_have_text("NodePort")
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_progress_is_followed_until_the_plan_is_there(page: Page, server: Server) -> None:
    server.do("plan", status="InProgress", done=2)
    page.goto(f"{server.address}/plans/{server.ids['plan']}/")
    progress = page.locator("#plan-progress")
    expect(progress).to_contain_text("2 / 8")
    expect(page.get_by_role("button", name="Migrate", exact=True)).to_be_disabled()
    server.do("plan", status="InProgress", done=5)
    expect(progress).to_contain_text("5 / 8")
    server.do("plan", status="Ready", done=8)
    expect(page.get_by_role("button", name="Migrate", exact=True)).to_be_enabled()
    expect(progress).to_have_count(0)
    assert not page.complaints  # type: ignore[attr-defined]


def test_without_scripts_objects_are_opened_and_left_out(browser: Browser, server: Server) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    sign_in(page, server.address)
    page.goto(f"{server.address}/plans/{server.ids['plan']}/")
    page.locator("#kind-secrets > details > summary").click()
    page.locator("#kind-secrets").get_by_role("link", name="Show the objects").click()
    page.get_by_role("checkbox", name="Secret cms/mysql-pass goes along").uncheck()
    page.get_by_role("button", name="Keep this choice").click()
    expect(page.locator("#plan-lacks")).to_contain_text("Secret cms/mysql-pass is left out by name.")
    page.get_by_role("link", name="mysql-pass").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Secret cms/mysql-pass")
    context.close()
