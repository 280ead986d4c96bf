"""What every test may use. Tests never touch the state folder of a demo."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest
from django.utils import translation

os.environ.setdefault("KUBEMOTION_STATE_DIR", tempfile.mkdtemp(prefix="kubemotion-tests-"))
# Tests of the embedded layout must not pick up a developer's services; tests of the others say so themselves.
os.environ.pop("DATABASE_URL", None)
os.environ.pop("REDIS_URL", None)


@pytest.fixture(autouse=True)
def _one_language_each() -> Iterator[None]:
    """A test that speaks another language leaves none of it to the next one of its process."""
    yield
    translation.deactivate()
