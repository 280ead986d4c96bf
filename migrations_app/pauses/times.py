"""How long a migration was paused: of its row alone, which its model itself asks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrations_app.models import Migration


def paused_seconds(migration: Migration, now: datetime) -> float:
    """Seconds for which it has been paused since it began, the present pause included."""
    return float(sum(migration.pauses.values())) + seconds_of_this_pause(migration, now)


def paused_in(migration: Migration, stage: str) -> float:
    """Seconds for which it was paused in the stage, in pauses that are over."""
    return float(migration.pauses.get(stage, 0.0))


def seconds_of_this_pause(migration: Migration, now: datetime) -> float:
    # One that has not begun loses no time.
    if migration.paused_at is None or migration.started_at is None:
        return 0.0
    return max(0.0, (now - max(migration.paused_at, migration.started_at)).total_seconds())
