"""Chromium, and a server of the product that the tests can make do things."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from demo.run import Demo
from tests.factories import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
# A machine that is busy with something else is no failure of a page.
PATIENCE = 30_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="there is no Chromium on this machine"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """The running server; `do` makes it act as a worker would."""

    address: str
    ids: dict[str, str]
    process: subprocess.Popen[str]

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @property
    def migration(self) -> str:
        return f"{self.address}/migrations/{self.ids['migration']}/"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    environment = {**os.environ, "KUBEMOTION_STATE_DIR": str(tmp_path / "state"), "KUBEMOTION_LOG_LEVEL": "ERROR"}
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.server", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (tmp_path / "server.log").read_text()
    try:
        yield Server(f"http://127.0.0.1:{port}", json.loads(line), process)
    finally:
        process.kill()
        process.wait()


# Playwright's loop counts as running until it stops, so it must be gone before another folder's asyncio tests.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        yield launched
        launched.close()


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Demo]:
    """The whole demo, in which a volume takes some seconds."""
    # Slow enough that there is something to watch, however fast the machine is.
    monkeypatch.setenv("KUBEMOTION_MOVER_BYTES_PER_SECOND", "20000000")
    running = Demo(tmp_path, port=0, megabytes=200, say=print)
    try:
        running.start()
        running.tree.keep_up()
        yield running
    finally:
        running.stop()


def sign_in(page: Page, address: str, name: str = "alice") -> None:
    page.goto(f"{address}/login/")
    page.fill("#id_username", name)
    page.fill("#id_password", PASSWORD)
    page.click("main button[type=submit]:visible >> nth=0")
    page.wait_for_url(f"{address}/")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light", locale="en-US")
    made.set_default_timeout(PATIENCE)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Page:
    """A page in which Alice is signed in. What the console complains about is kept in `page.complaints`."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.complaints = complaints  # type: ignore[attr-defined]
    sign_in(opened, server.address)
    return opened
