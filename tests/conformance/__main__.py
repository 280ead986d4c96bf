"""Prints every difference of the named scenarios (of all when none is named)."""

from __future__ import annotations

import sys

from tests.conformance.comparison import Difference
from tests.conformance.known_differences import KNOWN
from tests.conformance.replay import replaying
from tests.conformance.settings import SETTINGS


def main(scenarios: list[str]) -> None:
    for scenario in scenarios or sorted(SETTINGS):
        whole = steps = 0

        def is_known(step: int, difference: Difference, late: bool = True, scenario: str = scenario) -> bool:
            return any(entry.covers(scenario, step, difference) for entry in KNOWN if late or entry.always)

        with replaying(scenario, is_known) as replay:
            for index, request, found in replay.run():
                steps += 1
                whole += not found
                if found:
                    path = request.get("path", request.get("websocket"))
                    print(f"{scenario} {index}: {request.get('method', 'WS')} {path}")
                for each in found:
                    print(f"    {'(known) ' if is_known(index, each) else ''}{each}")
        print(f"{scenario}: {whole} of {steps} steps match whole")


if __name__ == "__main__":
    main(sys.argv[1:])
