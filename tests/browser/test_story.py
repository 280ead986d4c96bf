"""The reference story as a person performs it: from signing in to Successful, with real clusters' answers and bytes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from demo.run import PASSWORD, USER, Demo

WHOLE_STORY_MS = 150_000
# What the bars showed at any time: progress has to come while bytes move, not at the end.
KEEP_BARS = """() => {
    window.bars = [];
    const rows = document.getElementById('volume-rows');
    const keep = () => window.bars.push(...[...rows.querySelectorAll('progress')].map(bar => bar.value));
    new MutationObserver(keep).observe(rows, {childList: true, subtree: true});
}"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_person_moves_the_cms_and_watches_it_arrive(browser: Browser, demo: Demo) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-US")
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(demo.address)
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    for healthy in ("dev", "prod"):
        expect(page.locator(".kmw-health", has_text=healthy).get_by_text("Healthy")).to_be_visible()

    page.get_by_role("link", name="New migration").first.click()
    page.get_by_label("cms", exact=True).check()
    plan = page.locator("#plan")
    expect(plan).to_contain_text("cms/px-mysql-pvc", timeout=30_000)
    expect(plan).to_contain_text("cms/px-wp-pvc")
    expect(plan).to_contain_text("Deployment")
    page.get_by_label("Name", exact=True).fill("cmsmigration")
    page.get_by_role("button", name="Migrate", exact=True).click()

    expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    page.evaluate("window.neverReloaded = true")
    at_first = page.locator("#event-rows tr").count()
    page.evaluate(KEEP_BARS)
    expect(page.locator("#migration-facts")).to_contain_text("Successful", timeout=WHOLE_STORY_MS)

    assert page.evaluate("window.neverReloaded")
    assert any(0 < value < 100 for value in page.evaluate("window.bars"))
    numbers = page.eval_on_selector_all("#event-rows tr", "rows => rows.map(row => Number(row.dataset.order))")
    assert len(numbers) > at_first
    assert numbers == list(range(1, len(numbers) + 1))
    expect(page.locator("#migration-totals")).to_contain_text("2 / 2")
    for claim in ("px-mysql-pvc", "px-wp-pvc"):
        expect(page.locator("#volume-rows tr", has_text=claim)).to_contain_text("Digests equal")
    for kind in ("PersistentVolumeClaim", "Deployment", "Service", "Route", "Secret", "ConfigMap"):
        row = page.locator("#resource-rows tr", has_text=kind).first
        expect(row).to_contain_text("Successful")
    expect(page.locator(".kmw-timeline li[data-look=done]")).to_have_count(4)
    expect(page.locator(".kmw-timeline li", has_text="no rule")).to_have_count(2)
    page.get_by_role("link", name="History").click()
    expect(page.locator("tbody")).to_contain_text("migration.start")
    assert complaints == []
    context.close()
