"""Text in columns as Go's tabwriter lays it out, and the table of `storkctl get migration`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from clusters.portworx import durations
from clusters.portworx.migration import MigrationStatus, read

Object = dict[str, Any]
NOTHING = "No resources found.\n"
MIGRATION_COLUMNS = (
    *("NAME", "CLUSTERPAIR", "STAGE", "STATUS", "VOLUMES", "RESOURCES", "CREATED", "ELAPSED"),
    "TOTAL BYTES TRANSFERRED",
)


def aligned(text: str, *, minimum: int, padding: int) -> str:
    """The text with its tabs replaced by spaces (text/tabwriter of Go, flags 0).

    A column is a block of neighbouring lines that all have a tab after that cell; it is as wide as its widest cell
    and `padding`, and at least `minimum`. The last cell of a line counts for no column.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[] for _line in lines]
    _measure(lines, 0, len(lines), 0, widths, minimum, padding)
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(line, own, strict=False)) + line[-1]
        for line, own in zip(lines, widths, strict=True)
    )


def _measure(
    lines: list[list[str]], first: int, end: int, column: int, widths: list[list[int]], minimum: int, padding: int
) -> None:
    at = first
    while at < end:
        block = at
        while block < end and column < len(lines[block]) - 1:
            block += 1
        if block == at:
            at += 1
            continue
        width = max(minimum, *(len(line[column]) + padding for line in lines[at:block]))
        for own in widths[at:block]:
            own.append(width)
        _measure(lines, at, block, column + 1, widths, minimum, padding)
        at = block


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Rows as kubectl and storkctl print them, columns three spaces apart; `No resources found.` without any."""
    lines = ["\t".join(row) for row in rows]
    if not lines:
        return NOTHING
    return aligned("\n".join(["\t".join(columns), *lines, ""]), minimum=6, padding=3)


def migrations(objects: Iterable[Object], *, now: datetime | None = None, namespaces: bool = False) -> str:
    """What `storkctl get migration` of Stork 24 prints; with `namespaces` as for `--all-namespaces`."""
    now = now or datetime.now(UTC)
    columns = (*(("NAMESPACE",) if namespaces else ()), *MIGRATION_COLUMNS)
    return table(columns, (_migration(obj, now, namespaces) for obj in objects))


def _migration(obj: Object, now: datetime, with_namespace: bool) -> list[str]:
    metadata, spec, status = obj.get("metadata") or {}, obj.get("spec") or {}, read(obj)
    namespace = [str(metadata.get("namespace", ""))] if with_namespace else []
    return [
        *namespace,
        str(metadata.get("name", "")),
        str(spec.get("clusterPair") or ""),
        status.stage,
        status.status,
        *_counts(spec, status),
        created(metadata.get("creationTimestamp")),
        *_elapsed(status, durations.moment(metadata.get("creationTimestamp")), now),
    ]


def _counts(spec: Object, status: MigrationStatus) -> tuple[str, str]:
    """Successful of all; a version without a summary counts for itself, and says N/A where a part is not included."""
    if (summary := status.summary) is not None:
        return (
            f"{summary.volumes_migrated}/{summary.volumes_total}",
            f"{summary.resources_migrated}/{summary.resources_total}",
        )
    found = []
    for field, rows in (("includeVolumes", status.volumes), ("includeResources", status.resources)):
        done = sum(each.status == "Successful" for each in rows)
        found.append("N/A" if spec.get(field) is False else f"{done}/{len(rows)}")
    return found[0], found[1]


def _elapsed(status: MigrationStatus, began: datetime | None, now: datetime) -> tuple[str, str]:
    if (summary := status.summary) is not None:
        parts = f"Volumes ({summary.elapsed_for_volumes}) Resources ({summary.elapsed_for_resources})"
        return parts, str(summary.bytes_total)
    if began is None:
        return "", ""
    if status.stage == "Final":
        return (durations.to_go(status.finished - began) if status.finished else ""), ""
    return durations.to_go(now - began), ""


def created(text: object) -> str:
    """A moment as storkctl shows it (RFC 822, to the minute): `23 Nov 26 05:11 UTC`."""
    found = durations.moment(text)
    return found.astimezone(UTC).strftime("%d %b %y %H:%M UTC") if found else ""
