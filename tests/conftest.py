"""What every test may use. Tests never touch the state folder of a demo."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("KUBEMOTION_STATE_DIR", tempfile.mkdtemp(prefix="kubemotion-tests-"))
# Tests of the embedded layout must not pick up a developer's services; tests of the others say so themselves.
os.environ.pop("DATABASE_URL", None)
os.environ.pop("REDIS_URL", None)
