"""A transfer's result for people."""

from __future__ import annotations

from typing import Any

PEERS = ("restic", "rclone", "tar")


def of(result: dict[str, Any]) -> str:
    """Trees, second passes and ceilings, as text."""
    lines = ["", _row("tree", "ours s", *(f"{peer} s" for peer in PEERS), "x best", "ceiling", "peak MiB", "proof s")]
    for name, tree in result["trees"].items():
        peers = tree["peers"]
        times = [
            f"{peers[f'{peer}_s']}"
            if f"{peer}_s" in peers
            else f"> {peers[f'{peer}_given_up_after_s']}"
            if f"{peer}_given_up_after_s" in peers
            else "-"
            for peer in PEERS
        ]
        ratio = tree["ratio_best_peer"]
        share = f"{tree['ceiling_share']:.2f}"
        lines.append(_row(name, tree["ours_s"], *times, ratio or "-", share, tree["peak_mib"], tree["proof_s"]))
    passes = result.get("passes")
    if passes:
        changed, unchanged = passes["changed_1_percent"], passes["unchanged"]
        lines += [
            "",
            f"1 % of the database changed: ours {_pass(changed, 'ours')}"
            + (f"; restic {_pass(changed, 'restic')}" if "restic_s" in changed else ""),
            f"{unchanged['files']} unchanged files: ours {unchanged['ours_s']} s",
        ]
    ceilings = result["ceilings"]
    lines += ["", "MB/s: " + ", ".join(f"{name} {value}" for name, value in ceilings.items())]
    return "\n".join(lines)


def _pass(changed: dict[str, Any], name: str) -> str:
    to_bucket, both = changed[f"{name}_bytes_to_bucket"] / 1e6, changed[f"{name}_bytes_both_ways"] / 1e6
    return f"{changed[f'{name}_s']} s, {to_bucket:.0f} MB stored, {both:.0f} MB over the wire"


def _row(*cells: Any) -> str:
    return "".join(str(cell).ljust(16) if at == 0 else str(cell).rjust(10) for at, cell in enumerate(cells))
