"""Tables as storkctl prints them, beside recorded ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from clusters.portworx import tables
from clusters.portworx.migration import MigrationSpec, manifest

RECORDINGS = Path(__file__).parents[1] / "portworx_estate" / "recordings"
NOW = datetime(2026, 11, 23, 5, 20, tzinfo=UTC)


def recorded(first: str, lines: int) -> str:
    """A table of the recorded session, from its heading on."""
    text = (RECORDINGS / "storkctl.txt").read_text().splitlines(keepends=True)
    start = text.index(f"{first}\n")
    return "".join(text[start : start + lines])


def test_columns_are_as_wide_as_storkctl_makes_them() -> None:
    heading = "NAME          STORAGE-STATUS   SCHEDULER-STATUS   CREATED"
    rows = [
        ("badkube", "NotProvided", "Error", "23 Nov 26 05:10 UTC"),
        ("badpair", "Error", "Ready", "23 Nov 26 05:10 UTC"),
        ("c1", "NotProvided", "Ready", "23 Nov 26 05:21 UTC"),
        ("prodcluster", "NotProvided", "Ready", "23 Nov 26 05:03 UTC"),
        ("pxpair", "Ready", "Ready", "23 Nov 26 05:10 UTC"),
    ]
    assert tables.table(heading.split(), rows) == recorded(heading, 6)


def test_cells_without_content_keep_their_columns() -> None:
    heading = "NAME     POLICYNAME   CLUSTERPAIR   SUSPEND   LAST-SUCCESS-TIME   LAST-SUCCESS-DURATION"
    row = ("sched1", "sched1", "pxpair", "false", "", "")
    assert tables.table(heading.split(), [row]) == recorded(heading, 2)


def test_a_recorded_migration_is_shown_with_its_summary() -> None:
    migration = yaml.safe_load((RECORDINGS / "m4-migration.yaml").read_text())
    assert tables.migrations([migration], now=NOW) == (
        "NAME   CLUSTERPAIR   STAGE   STATUS           VOLUMES   RESOURCES   CREATED               "
        "ELAPSED                       TOTAL BYTES TRANSFERRED\n"
        "m4     pxpair        Final   PartialSuccess   1/1       4/5         23 Nov 26 05:14 UTC   "
        "Volumes (4s) Resources (1s)   104857600\n"
    )


def test_a_migration_that_stork_has_not_touched_shows_blanks() -> None:
    migration = manifest("m", "cms", MigrationSpec(cluster_pair="p", namespaces=("cms",), include_volumes=False))
    migration["metadata"]["creationTimestamp"] = "2026-11-23T05:18:55Z"
    heading, row = tables.migrations([migration], now=NOW, namespaces=True).splitlines()
    assert heading.split()[:3] == ["NAMESPACE", "NAME", "CLUSTERPAIR"]
    assert row.split() == ["cms", "m", "p", "N/A", "0/0", "23", "Nov", "26", "05:18", "UTC", "1m5s"]


def test_without_rows_storkctl_says_so() -> None:
    assert tables.migrations([]) == recorded("No resources found.", 1)


@pytest.mark.parametrize("damage", [{}, {"metadata": None}, {"status": "x", "spec": None}])
def test_a_damaged_object_is_a_row_all_the_same(damage: dict[str, object]) -> None:
    assert len(tables.migrations([damage], now=NOW).splitlines()) == 2
