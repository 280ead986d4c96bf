"""What a look at the volumes has to write down."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction

from migrations_app import events, live
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationVolume


@dataclass
class Notes:
    """What a look has to write down: the volumes that changed, and events."""

    changed: dict[int, MigrationVolume] = field(default_factory=dict)
    events: list[tuple[MigrationVolume, str, str, bool]] = field(default_factory=list)

    def change(self, volume: MigrationVolume) -> None:
        self.changed[volume.pk] = volume

    def event(self, volume: MigrationVolume, reason: str, message: str, *, warning: bool = False) -> None:
        self.events.append((volume, reason, message, warning))

    def write(self, migration: Migration, lease: Lease) -> None:
        """All of it in one transaction, which a worker that lost its lease cannot commit."""
        if not self.changed and not self.events:
            return
        changed = list(self.changed.values())
        with transaction.atomic():
            lease.renew()
            for volume in changed:
                volume.save()
            for volume, reason, message, warning in self.events:
                events.emit(migration, reason, message, warning=warning, regarding=f"PersistentVolumeClaim {volume}")
            transaction.on_commit(lambda: live.state_changed(migration, volumes=changed), robust=True)
