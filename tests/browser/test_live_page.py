"""The live migration page in a real browser: what is pushed shows, in order, once, whatever reconnects."""

from __future__ import annotations

import re

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Server
from tests.factories import MEBIBYTE


def opened(page: Page, server: Server) -> Page:
    page.goto(server.migration)
    expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    return page


def numbers(page: Page) -> list[int]:
    return [int(row) for row in page.eval_on_selector_all("#event-rows tr", "rows => rows.map(r => r.dataset.order)")]


def test_an_event_shows_without_reloading(page: Page, server: Server) -> None:
    opened(page, server)
    page.evaluate("window.stillHere = true")
    seq = server.do("emit", message="Service created")["seq"]
    row = page.locator(f"#event-{seq}")
    expect(row).to_contain_text("Service created")
    expect(row).to_contain_text("Service/cms/wordpress")
    assert numbers(page) == list(range(1, seq + 1))
    assert page.evaluate("window.stillHere")


def test_bars_totals_and_stages_move(page: Page, server: Server) -> None:
    opened(page, server)
    row = page.locator("tr", has_text="px-mysql-pvc").first
    bar = row.locator("progress").first
    expect(bar).to_have_attribute("value", "43")
    server.do("pull", claim="px-mysql-pvc", bytes_pulled=105 * MEBIBYTE)
    expect(bar).to_have_attribute("value", "75")
    expect(page.locator("#migration-totals")).to_contain_text("169 MiB")
    server.do("enter", stage="Applications")
    expect(page.locator(".kmw-timeline li[aria-current=step]")).to_contain_text("Applications")
    expect(page.locator("#announcement")).to_contain_text("Applications")


def test_a_resource_that_the_page_did_not_know_takes_its_place(page: Page, server: Server) -> None:
    opened(page, server)
    made = server.do("resource", kind="ConfigMap", name="settings", order=1)["id"]
    expect(page.locator(f"#resource-{made}")).to_contain_text("ConfigMap")
    orders = page.eval_on_selector_all("#resource-rows tr", "rows => rows.map(r => Number(r.dataset.order))")
    assert orders == [0, 1, 1, 2, 3]


def test_the_end_shows_and_cancel_goes(page: Page, server: Server) -> None:
    opened(page, server)
    expect(page.get_by_role("link", name="Cancel")).to_be_visible()
    server.do("finish", status="Successful", reason="Everything verified")
    expect(page.locator("#migration-facts")).to_contain_text("Successful")
    expect(page.locator("#migration-facts")).to_contain_text("Everything verified")
    expect(page.get_by_role("link", name="Cancel")).to_have_count(0)
    expect(page.get_by_role("link", name="Migrate again")).to_be_visible()


def test_nothing_is_missing_and_nothing_doubled_after_reconnecting(page: Page, server: Server) -> None:
    sockets: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        sockets.append(route)

    page.route_web_socket(re.compile("/ws/migrations/"), through)
    opened(page, server)
    # A server that restarts, one that stops in order, and a connection that is closed for no given reason.
    for round_, code in enumerate((1012, 1001, 1000)):
        server.do("emit", message=f"before cut {round_}")
        sockets[-1].close(code=code)
        expect(page.locator("#connection")).to_have_attribute("data-state", "connecting")
        server.do("emit", message=f"while cut off {round_}")
        server.do("lose", message=f"lost {round_}")
        expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    last = server.do("emit", message="the last")["seq"]
    expect(page.locator(f"#event-{last}")).to_be_visible()
    assert numbers(page) == list(range(1, last + 1))
    assert len(sockets) == 4


def test_a_script_in_a_message_is_text(page: Page, server: Server) -> None:
    opened(page, server)
    seq = server.do("emit", message="<img src=x onerror=window.harmed=1><script>window.harmed=1</script>")["seq"]
    expect(page.locator(f"#event-{seq}")).to_contain_text("<script>window.harmed=1</script>")
    assert page.evaluate("window.harmed") is None


def test_rows_are_filtered_by_text_and_status_and_stay_filtered_when_more_arrive(page: Page, server: Server) -> None:
    opened(page, server)
    visible = page.locator("#resource-rows tr:visible")
    page.keyboard.press("/")
    page.keyboard.type("mysql")
    expect(visible).to_have_count(2)
    page.select_option("#resource-status", "Successful")
    expect(visible).to_have_count(1)
    server.do("resource", kind="ConfigMap", name="other", order=8)
    server.do("resource", kind="ConfigMap", name="mysql-settings", order=9)
    expect(visible).to_have_count(2)
    expect(page.locator("[data-filter-count]")).to_have_text("2 / 6")


def test_a_flood_of_objects_is_shown_kind_by_kind_and_followed(page: Page, server: Server) -> None:
    opened(page, server)
    page.evaluate("window.stillHere = true")
    last = server.do("flood", kind="ConfigMap", count=250)["seq"]
    line = page.locator("#kind-ConfigMap")
    expect(line.locator("summary")).to_contain_text("250 Successful")
    assert numbers(page) == list(range(1, last + 1))
    line.locator("summary").click()
    rows = line.locator("tbody tr")
    expect(rows).to_have_count(100)
    server.do("flood", kind="Role", count=3)
    expect(page.locator("#kind-Role summary")).to_contain_text("3 Successful")
    # What is open stays open, with the page that is shown of it.
    line.get_by_role("link", name="Next").click()
    expect(rows.first).to_contain_text("configmap-100")
    server.do("flood", kind="Secret", count=2)
    expect(page.locator("#kind-Secret summary")).to_contain_text("3 Successful")
    expect(rows.first).to_contain_text("configmap-100")
    assert page.evaluate("window.stillHere")
    page.fill("#resource-text", "configmap-24")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=configmap-24**")
    expect(line.locator("summary")).to_contain_text("11 Successful")
    expect(page.locator("#resource-kinds > li")).to_have_count(1)


def test_the_event_table_keeps_no_more_than_it_can_show(page: Page, server: Server) -> None:
    opened(page, server)
    expect(page.locator("#earlier-events")).to_be_hidden()
    last = server.do("flood", kind="ConfigMap", count=1200)["seq"]
    expect(page.locator(f"#event-{last}")).to_have_count(1)
    expect(page.locator("#earlier-events")).to_be_visible()
    assert numbers(page) == list(range(last - 999, last + 1))


def test_the_cancel_question_opens_over_the_live_page(page: Page, server: Server) -> None:
    opened(page, server)
    page.get_by_role("link", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("the application goes on running there")
    expect(dialog.get_by_role("checkbox")).to_be_checked()
    seq = server.do("emit", message="behind the dialog")["seq"]
    expect(page.locator(f"#event-{seq}")).to_have_count(1)
    dialog.get_by_role("link", name="Let it go on").click()
    expect(dialog).to_be_hidden()
    assert page.url == server.migration


def test_lists_follow_their_migrations(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/")
    row = page.locator("#migration-rows tr")
    expect(row).to_contain_text("In progress")
    page.wait_for_timeout(300)
    server.do("finish", status="Failed", reason="The destination is out of space")
    expect(row).to_contain_text("Failed")
    failed = page.locator("#counts div", has_text="Failed or partial").last
    expect(failed).to_contain_text("1")


def test_a_finished_migration_is_verified_from_its_page_and_the_verification_stopped(
    page: Page, server: Server
) -> None:
    opened(page, server)
    expect(page.get_by_role("link", name="Verify", exact=True)).to_have_count(0)
    server.do("finish", status="Successful", reason="Everything verified")
    page.get_by_role("link", name="Verify", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("read anew on dev and on prod")
    dialog.get_by_role("button", name="Verify", exact=True).click()
    section = page.locator("#migration-verification")
    expect(section).to_contain_text("In progress")
    expect(section.locator("tbody tr")).not_to_have_count(0)
    page.get_by_role("link", name="Stop the verification").click()
    dialog.get_by_role("button", name="Stop the verification").click()
    expect(section).to_contain_text("Is being stopped")
    assert not page.complaints  # type: ignore[attr-defined]


def test_a_migration_is_paused_and_resumed_from_its_page(page: Page, server: Server) -> None:
    opened(page, server)
    page.get_by_role("link", name="Pause", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("no further step begins")
    dialog.get_by_label("Reason").fill("the network is needed")
    dialog.get_by_role("button", name="Pause", exact=True).click()
    facts = page.locator("#migration-facts")
    expect(facts).to_contain_text("Pause asked for by alice")
    expect(facts).to_contain_text("the network is needed")
    expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    server.do("stand_still")
    expect(facts).to_contain_text("Paused by alice")
    expect(page.locator("#announcement")).to_contain_text("Paused")
    expect(page.locator("#volume-rows tr", has_text="px-mysql-pvc")).to_contain_text("Paused")
    expect(page.locator("time[data-elapsed]")).to_have_count(0)
    expect(page.get_by_role("link", name="Cancel")).to_be_visible()
    page.get_by_role("link", name="Resume", exact=True).click()
    expect(dialog).to_contain_text("goes on where it was")
    dialog.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("link", name="Pause", exact=True)).to_be_visible()
    expect(facts).not_to_contain_text("Paused")
    expect(facts).to_contain_text("In progress")
    assert not page.complaints  # type: ignore[attr-defined]
