"""Pictures of every page of a running demo, around a migration: wide, dark, on a phone, in Chinese."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from demo.planted import GUESTBOOK

# As the demo names them.
PORTWORX_PAIR = "dev-to-prod-portworx"
LISTS = {
    "clusters": "cluster",
    "object-stores": "object-store",
    "pairs": "pair",
    "transformations": "transformation",
    "migrations": "migration",
}
# What the pages of a pair that Portworx and Stork serve are called below its address.
OF_PORTWORX = {
    "schedules/": "schedules",
    "schedules/add/": "schedule-add",
    "schedule-policies/add/": "schedule-policy-add",
    "rules/add/": "rule-add",
    "import-migrations/": "migration-import",
    "take-down/": "pair-take-down",
}
RULES = """\
- conditions: {kinds: [deployments.apps], namespaces: [cms]}
  mergePatches:
    - spec: {revisionHistoryLimit: 3}
- conditions: {kinds: [configmaps], names: [nowhere]}
  mergePatches:
    - data: {colour: blue}
"""
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
                    _write_rules(page, address, shoot)
                    _migrate(page, address, shoot)
                    _migrate_by_stork(page, address)
                    _plan(page, address, shoot)
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


def _migrate_by_stork(page: Page, address: str) -> None:
    """An application without volumes over the pair that Portworx and Stork serve."""
    page.goto(f"{address}/pairs/")
    page.click(f"tbody th a:text-is('{PORTWORX_PAIR}')")
    page.wait_for_url(f"{address}/pairs/*-*/")
    page.goto(f"{address}/migrations/new/?pair={page.url.rstrip('/').rpartition('/')[2]}")
    page.check(f"input[name=namespaces][value={GUESTBOOK}]")
    page.evaluate("document.querySelectorAll('#migration-form details').forEach(each => each.open = true)")
    page.fill("#id_name", GUESTBOOK)
    page.click("button[value=start]")
    page.wait_for_selector("#migration-facts[data-status=Successful]", timeout=MIGRATION_MS)


def _write_rules(page: Page, address: str, shoot: Callable[[str], None]) -> None:
    """Rules under a name, tried on an object of the source."""
    page.goto(f"{address}/transformations/")
    shoot("transformation-list-empty")
    page.goto(f"{address}/transformations/add/")
    page.fill("#id_name", "moved")
    page.fill("#id_source", RULES)
    for name, value in (
        ("cluster", "dev"),
        ("namespace", "cms"),
        ("resource", "deployments.apps"),
        ("object", "mysql"),
    ):
        place = page.locator(f"#preview-{name}")
        place.wait_for()
        place.select_option(label=value)
    page.wait_for_selector("#preview .kmw-unified")
    shoot("transformation-preview")
    page.click("form[method=post] button[type=submit].pf-m-primary >> nth=0")
    page.wait_for_url(f"{address}/transformations/*-*/")


def _plan(page: Page, address: str, shoot: Callable[[str], None]) -> None:
    """Plans after the migration: one that would change what it brought, and one into a namespace of another name."""
    for name, mapping in (("again", ""), ("elsewhere", "cms = cms-blue")):
        page.goto(f"{address}/migrations/new/")
        page.check("input[name=namespaces][value=cms]")
        page.evaluate("document.querySelectorAll('#migration-form details').forEach(each => each.open = true)")
        page.fill("#id_name", name)
        page.fill("#id_namespace_mapping", mapping)
        page.check("input[name=transformations][value=moved]")
        shoot(f"migration-new-options-{name}")
        page.click("button[value=plan-objects]")
        page.wait_for_url(f"{address}/plans/*-*/")
        page.wait_for_selector("#plan-progress", state="detached", timeout=MIGRATION_MS)


def _plans(page: Page, address: str, shoot: Callable[[str], None]) -> None:
    page.goto(f"{address}/plans/")
    shoot("plan-list")
    page.click("tbody th a:text-is('elsewhere')")
    page.wait_for_url(f"{address}/plans/*-*/")
    shoot("plan-elsewhere")
    elsewhere = page.url
    page.goto(f"{elsewhere}suggestions/")
    shoot("plan-suggestions")
    page.goto(f"{elsewhere}?action=conflict&resource=configmaps")
    shoot("plan-conflict")
    page.goto(f"{address}{page.get_attribute('.kmw-rows tbody th a >> nth=0', 'href')}")
    shoot("plan-conflict-object")
    page.goto(f"{address}/plans/")
    page.click("tbody th a:text-is('again')")
    page.wait_for_url(f"{address}/plans/*-*/")
    plan = page.url
    page.goto(f"{plan}?resource=deployments.apps")
    shoot("plan-detail")
    page.goto(f"{address}{page.get_attribute('.kmw-rows tbody th a >> nth=0', 'href')}")
    shoot("plan-object")
    page.goto(f"{page.url}yaml/")
    shoot("plan-object-yaml")
    page.goto(f"{plan}remove/")
    shoot("plan-remove")


def _pair_by_portworx(page: Page, address: str, shoot: Callable[[str], None]) -> None:
    page.goto(f"{address}/pairs/import/")
    shoot("pair-import")
    page.goto(f"{address}/pairs/")
    page.click(f"tbody th a:text-is('{PORTWORX_PAIR}')")
    page.wait_for_url(f"{address}/pairs/*-*/")
    shoot("pair-by-portworx")
    pair = page.url
    for path, name in OF_PORTWORX.items():
        page.goto(f"{pair}{path}")
        shoot(name)
    page.goto(f"{address}/migrations/new/?pair={pair.rstrip('/').rpartition('/')[2]}")
    page.evaluate("document.querySelectorAll('#migration-form details').forEach(each => each.open = true)")
    shoot("migration-new-by-portworx")


def _every_page(page: Page, address: str, shoot: Callable[[str], None]) -> None:
    page.goto(f"{address}/")
    shoot("dashboard")
    for path, name in LISTS.items():
        page.goto(f"{address}/{path}/")
        shoot(f"{name}-list")
        page.click(f"tbody th a:not(:text-is('{GUESTBOOK}')) >> nth=0")
        page.wait_for_url(f"{address}/{path}/*-*/")
        shoot(f"{name}-detail")
        detail = page.url
        if name == "migration":
            page.goto(f"{detail}events/?fold=1")
            shoot("migration-events-folded")
            for action in ("roll-back", "remove"):
                page.goto(f"{detail}{action}/")
                shoot(f"migration-{action}-question")
            page.goto(f"{address}/migrations/new/")
            shoot("migration-new")
            page.goto(f"{address}/migrations/")
            page.click(f"tbody th a:text-is('{GUESTBOOK}')")
            page.wait_for_url(f"{address}/migrations/*-*/")
            shoot("migration-by-portworx")
            page.goto(f"{page.url}stork/")
            page.wait_for_selector("pre")
            shoot("migration-stork")
            continue
        for action in ("edit", "remove"):
            page.goto(f"{detail}{action}/")
            shoot(f"{name}-{action}")
        page.goto(f"{address}/{path}/add/")
        shoot(f"{name}-add")
        for part in ("volumes", "credentials") if name == "cluster" else ():
            page.goto(f"{detail}{part}/")
            shoot(f"cluster-{part}")
    _plans(page, address, shoot)
    _pair_by_portworx(page, address, shoot)
    for path in ("history", "account", "teams"):
        page.goto(f"{address}/{path}/")
        shoot(path)
    page.goto(f"{address}/teams/add/")
    shoot("team-add")
    page.goto(f"{address}/teams/")
    page.click("tbody th a >> nth=0")
    shoot("team-detail")
    page.goto(f"{address}/nothing-here/")
    shoot("not-found")
    page.goto(f"{address}/api/docs/")
    page.wait_for_selector(".opblock")
    shoot("api-docs")
