"""What a real API server was asked and answered, asked of a simulated cluster again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.comparison import Difference
from tests.conformance.conftest import STEPS
from tests.conformance.known_differences import KNOWN
from tests.conformance.replay import replaying
from tests.conformance.settings import SETTINGS, TRANSCRIPTS, transcript

RECORDED_STEPS = 272


def test_every_recorded_step_is_replayed() -> None:
    """No transcript lies about unused, and none was shortened."""
    assert set(SETTINGS) == {path.stem for path in TRANSCRIPTS.glob("*.json")}
    assert sum(len(transcript(scenario)["steps"]) for scenario in SETTINGS) == RECORDED_STEPS


def test_known_differences_name_steps_that_exist() -> None:
    for entry in KNOWN:
        steps = len(transcript(entry.scenario)["steps"])
        assert entry.step is None or 0 <= entry.step < steps, entry
        assert entry.reason, entry


@pytest.mark.parametrize("scenario", sorted(SETTINGS))
def test_answers_are_those_of_the_recording(scenario: str, record_property: Callable[[str, object], None]) -> None:
    """Only known differences, and each of them as long as it is listed."""
    entries = [entry for entry in KNOWN if entry.scenario == scenario]
    stale = {entry for entry in entries if entry.always}
    unknown: list[str] = []

    def accepts(step: int, difference: Difference, late: bool = True) -> bool:
        return any(entry.covers(scenario, step, difference) for entry in entries if late or entry.always)

    steps = whole = 0
    with replaying(scenario, accepts) as replay:
        for index, request, found in replay.run():
            steps += 1
            whole += not found
            for difference in found:
                stale -= {entry for entry in entries if entry.covers(scenario, index, difference)}
                if not accepts(index, difference):
                    place = f"{request.get('method', 'WS')} {request.get('path', request.get('websocket'))}"
                    unknown.append(f"step {index}: {place}\n    {difference}")
    record_property(STEPS, (whole, steps))
    assert steps == len(transcript(scenario)["steps"])
    assert not unknown, "\n".join([f"{len(unknown)} differences are not known:", *unknown])
    assert not stale, "\n".join(["these known differences are gone:", *map(str, stale)])
