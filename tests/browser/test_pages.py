"""Every page in a real browser: no complaint in the console, no overflow on a phone, dark, Chinese, without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Server, sign_in


def paths(server: Server) -> list[str]:
    ids = server.ids
    nouns = {"clusters": ids["cluster"], "object-stores": ids["store"], "pairs": ids["pair"]}
    return [
        "/",
        "/migrations/",
        "/migrations/new/",
        f"/migrations/{ids['migration']}/",
        f"/migrations/{ids['migration']}/events/",
        f"/migrations/{ids['migration']}/events/?fold=1",
        f"/migrations/{ids['migration']}/cancel/",
        "/plans/",
        f"/plans/{ids['plan']}/",
        f"/plans/{ids['plan']}/?resource=configmaps",
        *(f"/{noun}/" for noun in nouns),
        *(f"/{noun}/add/" for noun in nouns),
        *(f"/{noun}/{each}/" for noun, each in nouns.items()),
        *(f"/{noun}/{each}/edit/" for noun, each in nouns.items()),
        *(f"/{noun}/{each}/remove/" for noun, each in nouns.items()),
        "/history/",
        "/teams/",
        f"/teams/{ids['team']}/",
        "/account/",
    ]


def test_no_page_makes_the_console_complain(page: Page, server: Server) -> None:
    for path in paths(server):
        page.goto(server.address + path)
        page.wait_for_load_state("networkidle")
        assert page.locator("h1").count() == 1, path
        assert not page.complaints, (path, page.complaints)  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_no_page_is_wider_than_its_window(page: Page, server: Server, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for path in paths(server):
        page.goto(server.address + path)
        wide = page.evaluate(
            "Math.max(...[...document.querySelectorAll('html, main, .pf-v6-c-page__main-container')]"
            ".map(each => each.scrollWidth - each.clientWidth))"
        )
        assert wide <= 0, f"{path} is {wide} px wider than {width}"


def test_the_theme_follows_the_system_until_somebody_chooses(browser: Browser, server: Server) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    sign_in(page, server.address)
    html = page.locator("html")
    expect(html).to_have_class("pf-v6-theme-dark")
    page.get_by_role("button", name="Dark or light").click()
    expect(html).not_to_have_class("pf-v6-theme-dark")
    page.goto(f"{server.address}/clusters/")
    expect(html).not_to_have_class("pf-v6-theme-dark")
    context.close()


def test_the_language_can_be_switched_and_stays(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/account/")
    page.select_option("#language", "zh-hans")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    page.goto(server.migration)
    expect(page.get_by_role("heading", name="事件")).to_be_visible()
    seq = server.do("emit", message="a message stays as it is")["seq"]
    expect(page.locator(f"#event-{seq}")).to_contain_text("普通")


def test_keys_reach_the_content_the_filter_and_the_help(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/clusters/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url(f"{server.address}/migrations/")


def test_the_navigation_opens_on_a_phone(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server.address}/clusters/")
    link = page.get_by_role("link", name="Object stores")
    expect(link).not_to_be_in_viewport()
    button = page.get_by_role("button", name="Navigation")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    link.click()
    page.wait_for_url(f"{server.address}/object-stores/")


@pytest.fixture
def without_scripts(browser: Browser) -> BrowserContext:
    return browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})


def test_without_scripts_everything_can_be_read_and_forms_can_be_sent(
    without_scripts: BrowserContext, server: Server
) -> None:
    page = without_scripts.new_page()
    sign_in(page, server.address)
    page.get_by_role("link", name="Migrations", exact=True).click()
    page.get_by_role("link", name="cmsmigration").click()
    expect(page.get_by_text("px-mysql-pvc").first).to_be_visible()
    expect(page.locator("#event-5")).to_contain_text("The object store throttles")
    page.get_by_role("link", name="Equal ones folded").click()
    expect(page.locator("tbody")).to_contain_text("x2 over")
    page.goto(f"{server.address}/account/")
    page.get_by_label("Name").fill("pipeline")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#new-token")).to_contain_text("kmw_")
    without_scripts.close()


def test_another_source_brings_its_own_storage_classes(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/pairs/add/")
    page.get_by_label("Name").fill("back")
    mapping = page.locator("#class-mapping")
    expect(mapping).to_contain_text("gp3 becomes")
    page.get_by_label("Source").select_option(label="prod")
    expect(mapping).to_contain_text("gp3-csi becomes")
    page.get_by_label("Destination").select_option(label="dev")
    expect(mapping.get_by_label("gp3-csi becomes").locator("option", has_text="efs-rwx")).to_have_count(1)
    expect(page.get_by_label("Name")).to_have_value("back")
    assert "csrf" not in page.url
