"""Says at the end how many recorded steps were answered as the real server answered them."""

from __future__ import annotations

import pytest

STEPS = "steps that match whole"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == STEPS and getattr(report, "when", "") == "call"
    ]
    if counts:
        whole, steps = (sum(column) for column in zip(*counts, strict=True))
        terminalreporter.write_line(f"conformance: {whole} of {steps} recorded steps match whole")
