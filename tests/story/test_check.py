"""`manage.py demo --check`: the whole story in one command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.story.conftest import DATABASE_URL, REDIS_URL, answers

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def check(**environment: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--check", "--megabytes", "40"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def assert_is_the_story(summary: dict[str, object]) -> None:
    assert summary["verified"] is True
    assert summary["differences"] == []
    assert summary["engine"] == "native"
    assert summary["volumes"] == 2
    assert summary["resources"] >= 9
    assert summary["bytes"] > 30 * 2**20


def test_the_story_happens_on_the_embedded_defaults() -> None:
    assert_is_the_story(check())


@pytest.mark.services
def test_the_story_happens_with_postgresql_and_redis() -> None:
    if not (answers(DATABASE_URL, 5432) and answers(REDIS_URL, 6379)):
        pytest.skip("PostgreSQL and Redis do not answer (TEST_DATABASE_URL, TEST_REDIS_URL)")
    assert_is_the_story(check(DATABASE_URL=DATABASE_URL, REDIS_URL=REDIS_URL))
