"""The documentation has a row for every check, and none for others."""

from __future__ import annotations

import re
from pathlib import Path

from migrations_app.engines.native import checks
from migrations_app.engines.portworx import findings, storage
from migrations_app.resources.preflight.result import Check
from migrations_app.resources.preflight.run import CHECKS

PAGE = Path(__file__).parents[2] / "docs" / "preflight.md"


def test_every_check_has_its_row() -> None:
    codes = {check.code for check, _look in CHECKS}
    codes |= {each.code for each in vars(checks).values() if isinstance(each, Check)}
    codes |= {*findings.TITLES, *storage.TITLES}
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert {code for row in rows for code in re.findall("`([^`]+)`", row)} == codes
