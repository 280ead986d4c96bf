"""What keeps Stork from going on. Stork tries for ever and says why only by events; we say it, and give up in time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from clusters.portworx import complaints
from clusters.portworx.migration import MigrationStatus
from migrations_app import progress
from migrations_app.engines import MigrationError
from migrations_app.models import Migration

Object = dict[str, Any]


def watch(migration: Migration, status: MigrationStatus, told: Iterable[Object]) -> None:
    """Say what Stork waits for while nothing changes. Raises MigrationError when it was patient for long enough.

    Stork takes back nothing by itself: a Migration that we give up is deleted (see `ending`), so that it does not
    begin some day when nobody expects it.
    """
    since = _unchanged_since(migration, status)
    if status.volumes and status.stage == "Volumes" and status.status != "Pending":
        # Volumes move: however slow they are, that is no standstill.
        return
    # What a warning was about has passed once the status changed after it.
    told = [each for each in told if str(each.get("lastTimestamp") or "") >= _second(since)]
    complaint = complaints.newest(told)
    waited = timezone.now() - since
    patience = timedelta(seconds=settings.STORK_PATIENCE_SECONDS)
    if complaint is not None:
        if waited > patience and status.stage != "Applications":
            raise MigrationError(str(complaint))
        progress.waiting(migration, str(complaint))
    elif status.is_blank and waited > patience:
        source = migration.pair.source.name
        raise MigrationError(
            f"Stork on the source cluster {source} has not begun, and says nothing. Check that its pods run "
            "(kubectl get pods -A -l name=stork), and its log."
        )


def note_change(migration: Migration, status: MigrationStatus) -> bool:
    """Remember when the status last changed, on the row's `stork_object`, which is not saved; whether it did."""
    digest = _digest(status)
    if migration.stork_object.get("seen") == digest:
        return False
    now = timezone.now().isoformat()
    migration.stork_object = {**migration.stork_object, "seen": digest, "changed_at": now}
    return True


def _unchanged_since(migration: Migration, status: MigrationStatus) -> datetime:
    assert migration.stork_object.get("seen") == _digest(status)
    return datetime.fromisoformat(migration.stork_object["changed_at"])


def _digest(status: MigrationStatus) -> str:
    """What of the status stays as long as nothing happens; its summary counts the time, and does not."""
    volumes = [(each.claim, each.status, each.reason) for each in status.volumes]
    resources = [(each.kind, each.name, each.status) for each in status.resources]
    text = json.dumps([status.stage, status.status, volumes, resources])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _second(moment: datetime) -> str:
    """One second earlier, as Kubernetes writes it: its times have no fractions, and clocks differ a little."""
    return (moment - timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
