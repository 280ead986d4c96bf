"""The timeline of a migration, and how durations and sizes read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from kubemotion_web.templatetags import ui
from migrations_app.models import Migration, Stage, Status

START = timezone.now() - timedelta(minutes=5)


def looks(migration: Migration) -> list[str]:
    return [row["look"] for row in ui.stages(migration)]


def at(**seconds: int) -> dict[str, str]:
    return {name: (START + timedelta(seconds=after)).isoformat() for name, after in seconds.items()}


def test_before_the_start_every_stage_waits() -> None:
    assert looks(Migration()) == ["waiting"] * 6


def test_a_rule_stage_that_was_passed_had_no_rule() -> None:
    migration = Migration(status=Status.IN_PROGRESS, stage=Stage.VOLUMES, stage_times=at(Initial=0, Volumes=3))
    rows = ui.stages(migration)
    assert [row["look"] for row in rows] == ["done", "skipped", "current", "waiting", "waiting", "waiting"]
    assert rows[1]["no_rule"]
    assert rows[0]["length"] == timedelta(seconds=3)


def test_a_success_is_done_from_end_to_end() -> None:
    times = at(Initial=0, Volumes=1, Applications=60, Final=72)
    end = START + timedelta(seconds=72)
    migration = Migration(status=Status.SUCCESSFUL, stage=Stage.FINAL, stage_times=times, finished_at=end)
    assert looks(migration) == ["done", "skipped", "done", "skipped", "done", "done"]


def test_a_failure_shows_what_was_not_reached() -> None:
    end = START + timedelta(seconds=9)
    migration = Migration(
        status=Status.FAILED, stage=Stage.FINAL, stage_times=at(Initial=0, Volumes=1, Final=9), finished_at=end
    )
    rows = ui.stages(migration)
    assert [row["look"] for row in rows] == ["done", "skipped", "done", "skipped", "skipped", "failed"]
    assert [row["no_rule"] for row in rows] == [False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (192, "3m12s"), (599, "9m59s"), (600, "10m"), (10799, "179m"),
     (10800, "3h"), (11400, "3h10m"), (86400, "24h"), (172800, "2d"), (180000, "2d2h"), (700000, "8d")],
)  # fmt: skip
def test_ages_read_as_kubectl_prints_them(seconds: int, words: str) -> None:
    assert ui.human_duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (200 * 1024**2, "200 MiB"),
     (252.59e6, "241 MiB"), (1.99 * 1024**3, "2.0 GiB"),
     (3 * 1024**4, "3.0 TiB")],
)  # fmt: skip
def test_sizes_are_in_binary_units(size: int | None, words: str) -> None:
    assert ui.binary_size(size) == words


@pytest.mark.parametrize(("value", "words"), [(None, "–"), (9, "0:09"), (72.9, "1:12"), (3753, "1:02:33")])
def test_durations_read_as_a_clock(value: float | None, words: str) -> None:
    assert ui.duration(value) == words
