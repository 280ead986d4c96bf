"""What a migration comes to, in numbers: pages, live fragments and the API show the same."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TypedDict

from django.db.models import Count, Q, Sum

from migrations_app.models import Migration, MigrationResource, MigrationVolume, Status


class Summary(TypedDict):
    """Counts of volumes and resources, bytes of file content, and the number of the last event."""

    volumes_total: int
    volumes_done: int
    resources_total: int
    resources_done: int
    bytes_total: int
    bytes_done: int
    last_event_seq: int


def summary_of(migration: Migration) -> Summary:
    """The numbers as they are in the database now; `done` means that it ended well."""
    return summaries_of([migration])[migration.pk]


def summaries_of(migrations: Iterable[Migration]) -> dict[uuid.UUID, Summary]:
    """The numbers of each migration by its id, in two queries for all of them."""
    found: dict[uuid.UUID, Summary] = {
        migration.pk: {
            "volumes_total": 0,
            "volumes_done": 0,
            "resources_total": 0,
            "resources_done": 0,
            "bytes_total": 0,
            "bytes_done": 0,
            "last_event_seq": migration.last_event_seq,
        }
        for migration in migrations
    }
    done = Count("pk", filter=Q(status=Status.SUCCESSFUL))
    volumes = MigrationVolume.objects.filter(migration__in=found).order_by().values("migration_id")
    volumes = volumes.annotate(total=Count("pk"), done=done, in_all=Sum("bytes_total"), restored=Sum("bytes_pulled"))
    for each in volumes:
        summary = found[each["migration_id"]]
        summary["volumes_total"], summary["volumes_done"] = each["total"], each["done"]
        summary["bytes_total"], summary["bytes_done"] = each["in_all"] or 0, each["restored"] or 0
    resources = MigrationResource.objects.filter(migration__in=found).order_by().values("migration_id")
    for row in resources.annotate(total=Count("pk"), done=done):
        summary = found[row["migration_id"]]
        summary["resources_total"], summary["resources_done"] = row["total"], row["done"]
    return found
