"""The page of the API in a real browser, under the same content security policy as every other page."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server


def test_it_shows_every_operation_and_the_policy_blocks_nothing_of_it(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/api/docs/")
    expect(page.locator(".opblock").first).to_be_visible()
    assert page.locator(".opblock").count() > 40
    assert not page.complaints, page.complaints  # type: ignore[attr-defined]


def test_whoever_is_signed_in_can_try_it_there(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/api/docs/")
    making = page.locator("#operations-tokens-tokens_create")
    making.locator(".opblock-summary").click()
    making.get_by_role("button", name="Try it out").click()
    making.locator("textarea").fill('{"name": "tried"}')
    making.get_by_role("button", name="Execute").click()
    expect(making.locator(".live-responses-table tbody .response-col_status")).to_contain_text("201")
    expect(making.locator(".live-responses-table tbody .response-col_description")).to_contain_text("kmw_")
    assert not page.complaints, page.complaints  # type: ignore[attr-defined]
