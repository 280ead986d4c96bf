"""A person pauses a migration in the middle of its volumes, sees it stand still, and resumes it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.run import PASSWORD, USER, Demo

WHOLE_STORY_MS = 150_000
SOME_BYTES = """() => {
    const values = [...document.querySelectorAll('#volume-rows progress')].map(bar => bar.value);
    return values.some(value => value >= 10 && value <= 60);
}"""
# Every change of a bar from now on.
COUNT_MOVES = """() => {
    const bars = () => [...document.querySelectorAll('#volume-rows progress')].map(bar => bar.value).join(' ');
    let before = bars();
    window.moves = 0;
    const look = () => { const now = bars(); if (now !== before) { window.moves += 1; before = now; } };
    new MutationObserver(look).observe(document.getElementById('volume-rows'), {childList: true, subtree: true});
}"""


def numbers(page: Page) -> list[int]:
    return page.eval_on_selector_all("#event-rows tr", "rows => rows.map(row => Number(row.dataset.order))")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_person_pauses_it_sees_it_stand_still_and_resumes_it(browser: Browser, demo: Demo) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-US")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(demo.address)
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="New migration").first.click()
    page.get_by_label("cms", exact=True).check()
    expect(page.locator("#plan")).to_contain_text("cms/px-mysql-pvc", timeout=60_000)
    page.get_by_label("Name", exact=True).fill("paused")
    page.get_by_role("button", name="Migrate", exact=True).click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    page.wait_for_function(SOME_BYTES, timeout=WHOLE_STORY_MS)

    page.get_by_role("link", name="Pause", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("the line is needed for the backup")
    dialog.get_by_role("button", name="Pause", exact=True).click()
    facts = page.locator("#migration-facts")
    expect(facts).to_contain_text("Paused by", timeout=60_000)
    expect(facts).to_contain_text("the line is needed for the backup")
    expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    page.evaluate("window.neverReloaded = true")
    page.evaluate(COUNT_MOVES)
    # Longer than a bar that moves stays as it is: movers report every second.
    page.wait_for_timeout(4000)
    assert page.evaluate("window.moves") == 0
    page.goto(f"{demo.address}/migrations/")
    expect(page.locator("#migration-rows tr", has_text="paused")).to_contain_text("Paused")
    page.go_back()

    page.get_by_role("link", name="Resume", exact=True).click()
    dialog.get_by_role("button", name="Resume", exact=True).click()
    expect(facts).to_contain_text("In progress")
    expect(facts).to_contain_text("Successful", timeout=WHOLE_STORY_MS)
    for claim in ("px-mysql-pvc", "px-wp-pvc"):
        expect(page.locator("#volume-rows tr", has_text=claim)).to_contain_text("Digests equal")
    events = page.locator("#event-rows")
    for reason in ("Pausing", "Paused", "Resumed"):
        expect(events.locator("tr", has_text=reason)).not_to_have_count(0)
    assert numbers(page) == list(range(1, len(numbers(page)) + 1))
    assert not complaints
    context.close()
