"""Prints every difference of the named scenarios (of all when none is named)."""

from __future__ import annotations

import sys

from tests.conformance.known_differences import KNOWN
from tests.conformance.replay import replaying
from tests.conformance.settings import SETTINGS


def main(scenarios: list[str]) -> None:
    for scenario in scenarios or sorted(SETTINGS):
        whole = steps = 0
        with replaying(scenario, lambda _step, _difference: False) as replay:
            for index, request, found in replay.run():
                steps += 1
                whole += not found
                if found:
                    path = request.get("path", request.get("websocket"))
                    print(f"{scenario} {index}: {request.get('method', 'WS')} {path}")
                for each in found:
                    known = any(entry.covers(scenario, index, each) for entry in KNOWN)
                    print(f"    {'(known) ' if known else ''}{each}")
        print(f"{scenario}: {whole} of {steps} steps match whole")


if __name__ == "__main__":
    main(sys.argv[1:])
