"""Chromium before the whole product: how long a person waits with thousands of objects, and what flows meanwhile."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

Result = dict[str, Any]
PERSON, PASSWORD = "bench", "a-password-for-one-run"
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
MIGRATION_MS = 240_000
# The longest time in which the page did not answer, as the browser itself measures it.
LONG_TASKS = """() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) window.longest = Math.max(window.longest, each.duration);
  }).observe({ type: "longtask" });
}"""


@contextmanager
def served(root: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The product as one process; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "manage.py", "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=root, env=dict(environment)) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            for _try in range(600):
                try:
                    urllib.request.urlopen(f"{address}/login/", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def browse(root: Path, environment: Mapping[str, str], ids: dict[str, str], pictures: Path | None) -> Result:
    """Seconds of what a person does with a plan, a migration that is done, and one that is under way."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with served(root, environment) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = signed_in(browser, address)
        result = {
            "plan": _plan(page, f"{address}/plans/{ids['plan']}/"),
            "migration": _done(page, f"{address}/migrations/{ids['migration']}/"),
        }
        if pictures:
            _pictures(browser, address, ids, pictures)
        result["under way"] = _under_way(page, f"{address}/plans/{ids['plan']}/")
        browser.close()
    return result


def signed_in(browser: Browser, address: str, **look: Any) -> Page:
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **look})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{address}/login/")
    page.fill("#id_username", PERSON)
    page.fill("#id_password", PASSWORD)
    page.click("main button[type=submit]:visible >> nth=0")
    page.wait_for_url(f"{address}/")
    return page


def _took(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return round(time.monotonic() - began, 3)


def _plan(page: Page, at: str) -> Result:
    kind = page.locator("#kind-configmaps")

    def open_kind() -> None:
        kind.locator("summary").click()
        expect(kind.locator("tbody tr")).to_have_count(100)

    def filter_by_text() -> None:
        page.fill("#plan-text", "config-3")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=config-3**")
        expect(page.locator(".kmw-tree > li")).to_have_count(1)

    def choose(goes: bool) -> None:
        box = page.locator("#whole-configmaps")
        box.click()
        expect(page.locator("#whole-configmaps")).to_be_checked(checked=goes)
        expect(page.locator("#whole-configmaps")).to_be_enabled()

    told = {"open_page_s": _took(lambda: page.goto(at)), "open_kind_s": _took(open_kind)}
    told["filter_s"] = _took(filter_by_text)
    page.goto(at)
    told |= {"exclude_kind_s": _took(lambda: choose(False)), "include_kind_s": _took(lambda: choose(True))}
    return {**told, "elements": page.evaluate("document.querySelectorAll('*').length")}


def _done(page: Page, at: str) -> Result:
    def open_kind() -> None:
        page.locator("#kind-ConfigMap summary").click()
        expect(page.locator("#kind-ConfigMap tbody tr")).to_have_count(100)

    def filter_by_text() -> None:
        page.fill("#resource-text", "config-3")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=config-3**")
        expect(page.locator(".kmw-tree > li")).to_have_count(1)

    told = {"open_page_s": _took(lambda: page.goto(at)), "open_kind_s": _took(open_kind)}
    elements = page.evaluate("document.querySelectorAll('*').length")
    return {**told, "filter_s": _took(filter_by_text), "elements": elements}


def _under_way(page: Page, plan: str) -> Result:
    """From the plan's button to the verdict, with the page open: frames, bytes, and how long the page was busy."""
    frames: list[tuple[float, int]] = []
    asked: list[float] = []
    page.on(
        "websocket",
        lambda socket_: socket_.on("framereceived", lambda data: frames.append((time.monotonic(), len(data)))),
    )
    page.on("request", lambda request: asked.append(time.monotonic()) if "/resources/" in request.url else None)
    page.goto(plan)
    began = time.monotonic()
    page.locator("form[action$='/migrate/'] button[type=submit]").click()
    page.wait_for_url("**/migrations/**")
    page.evaluate(LONG_TASKS)
    expect(page.locator("#migration-facts")).to_contain_text("Successful", timeout=MIGRATION_MS)
    seconds = time.monotonic() - began
    expect(page.locator("#kind-ConfigMap summary")).to_be_visible()
    in_a_second = Counter(int(at - began) for at, _size in frames)
    return {
        "seconds": round(seconds, 2),
        "frames": len(frames),
        "frames_in_busiest_second": max(in_a_second.values(), default=0),
        "received_kib": round(sum(size for _at, size in frames) / 1024, 1),
        "fetches": len(asked),
        "longest_task_ms": round(page.evaluate("window.longest")),
        "elements": page.evaluate("document.querySelectorAll('*').length"),
    }


def _pictures(browser: Browser, address: str, ids: dict[str, str], folder: Path) -> None:
    """Plan and migration with a kind open: wide, on a phone, in the dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, width, scheme in (("wide", 1440, "light"), ("dark", 1440, "dark"), ("phone", 390, "light")):
        page = signed_in(browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
        for what, path, kind in (
            ("plan", f"/plans/{ids['plan']}/", "#kind-configmaps"),
            ("migration", f"/migrations/{ids['migration']}/", "#kind-ConfigMap"),
        ):
            page.goto(address + path)
            page.screenshot(path=folder / f"{what}-{name}.png", full_page=True)
            page.locator(f"{kind} summary").click()
            expect(page.locator(f"{kind} tbody tr")).to_have_count(100)
            page.locator(kind).scroll_into_view_if_needed()
            page.screenshot(path=folder / f"{what}-{name}-open.png")
        page.context.close()
