"""Pictures of every page of a running demo, around a migration: wide, dark, on a phone, in Chinese."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

LISTS = {"clusters": "cluster", "object-stores": "object-store", "pairs": "pair", "migrations": "migration"}
# The longest that a migration of the demo's estate may take.
MIGRATION_MS = 300_000
TALLEST = 6000


@dataclass(frozen=True)
class Look:
    """A way of looking at the pages; its pictures go into a folder of its name."""

    name: str
    width: int
    dark: bool = False
    language: str = "en"


LOOKS = (
    Look("wide", 1440),
    Look("dark", 1440, dark=True),
    Look("phone", 390),
    Look("phone-dark", 390, dark=True),
    Look("chinese", 1440, language="zh-hans"),
)


def take(address: str, *, user: str, password: str, folder: Path) -> None:
    """Sign in at `address`, migrate as a person would, and put pictures of every page below `folder`."""
    # A distribution's browser is preferred: Playwright's own may not be there.
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        for look in LOOKS:
            with _signed_in(browser, address, look, user, password, folder / look.name) as (page, shoot):
                if look is LOOKS[0]:
                    _migrate(page, address, shoot)
                _every_page(page, address, shoot)
        browser.close()


@contextmanager
def _signed_in(
    browser: Browser, address: str, look: Look, user: str, password: str, into: Path
) -> Iterator[tuple[Page, Callable[[str], None]]]:
    context = browser.new_context(
        viewport={"width": look.width, "height": 900},
        color_scheme="dark" if look.dark else "light",
        locale=look.language,
    )
    page = context.new_page()
    into.mkdir(parents=True, exist_ok=True)

    def shoot(name: str) -> None:
        """A picture of the whole page: the window grows to what its scrolling part holds."""
        page.wait_for_timeout(200)
        needed = page.evaluate(
            "Math.max(900, ...[...document.querySelectorAll('main, .pf-v6-c-page__main-container')]"
            ".map(each => each.scrollHeight + 120))"
        )
        page.set_viewport_size({"width": look.width, "height": min(int(needed), TALLEST)})
        page.screenshot(path=into / f"{name}.png")
        page.set_viewport_size({"width": look.width, "height": 900})

    page.goto(f"{address}/login/")
    shoot("login")
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")
    yield page, shoot
    context.close()


def _migrate(page: Page, address: str, shoot: Callable[[str], None]) -> None:
    """What a person does: choose, look at the plan, press Migrate, watch."""
    shoot("dashboard-before")
    page.goto(f"{address}/migrations/new/")
    page.check("input[name=namespaces][value=cms]")
    page.wait_for_selector("#plan table")
    shoot("migration-new-plan")
    page.click("button[value=start]")
    deadline = time.monotonic() + MIGRATION_MS / 1000
    # Polled from here: the pages' policy lets no text run as a script, which waiting inside the page would need.
    while not page.evaluate("[...document.querySelectorAll('#volume-rows progress')].some(bar => bar.value > 25)"):
        if time.monotonic() > deadline:
            raise TimeoutError("no volume of the migration got anywhere")
        page.wait_for_timeout(50)
    shoot("migration-under-way")
    page.click("#migration-actions .pf-m-danger")
    page.wait_for_selector("dialog[open]")
    shoot("migration-cancel-question")
    page.keyboard.press("Escape")
    page.wait_for_selector("#migration-facts[data-status=Successful]", timeout=MIGRATION_MS)


def _every_page(page: Page, address: str, shoot: Callable[[str], None]) -> None:
    page.goto(f"{address}/")
    shoot("dashboard")
    for path, name in LISTS.items():
        page.goto(f"{address}/{path}/")
        shoot(f"{name}-list")
        page.click("tbody th a >> nth=0")
        page.wait_for_url(f"{address}/{path}/*-*/")
        shoot(f"{name}-detail")
        detail = page.url
        if name == "migration":
            page.goto(f"{detail}events/?fold=1")
            shoot("migration-events-folded")
            page.goto(f"{address}/migrations/new/")
            shoot("migration-new")
            continue
        for action in ("edit", "remove"):
            page.goto(f"{detail}{action}/")
            shoot(f"{name}-{action}")
        page.goto(f"{address}/{path}/add/")
        shoot(f"{name}-add")
    for path in ("history", "account", "teams"):
        page.goto(f"{address}/{path}/")
        shoot(path)
    page.click("tbody th a >> nth=0")
    shoot("team-detail")
    page.goto(f"{address}/nothing-here/")
    shoot("not-found")
    page.goto(f"{address}/api/docs/")
    page.wait_for_selector(".opblock")
    shoot("api-docs")
