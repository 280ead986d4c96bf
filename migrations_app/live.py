"""From stored rows to open browsers: each change is rendered once per language and fanned out by the channel layer.

Two kinds of messages go to the group of a migration. An `event` has a sequence number: the consumer lets it through
exactly once and in order, and fetches what it missed. A `state` replaces fragments of the page (header, timeline, a
volume's row, a resource's row) and needs no number: the latest wins.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Literal, TypedDict

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from migrations_app.models import Migration, MigrationEvent, MigrationResource, MigrationVolume
from migrations_app.resource_list import is_whole
from migrations_app.summary import Summary, summary_of
from migrations_app.verifications.models import Verification


class EventMessage(TypedDict):
    """One stored event, rendered; or, without text, the last of many that are to be fetched."""

    type: Literal["migration.event"]
    seq: int
    html: str


class StateMessage(TypedDict):
    """Fragments that replace those with the same ids in the page, and the last event's number at that moment."""

    type: Literal["migration.state"]
    seq: int
    html: str


def group_name(migration_id: uuid.UUID, language: str) -> str:
    """The channel-layer group of those who watch one migration in one language."""
    return f"migration.{migration_id.hex}.{language}"


def dashboard_group_name(team_id: uuid.UUID, language: str) -> str:
    """The channel-layer group of those who watch one team's list of migrations in one language."""
    return f"team.{team_id.hex}.{language}"


def render_event(event: MigrationEvent) -> str:
    """The row of the event table, as an out-of-band fragment."""
    return render_to_string("migrations_app/live/event.html", {"event": event})


def render_state(
    migration: Migration,
    volumes: Iterable[MigrationVolume] = (),
    resources: Iterable[MigrationResource] = (),
    totals: Summary | None = None,
    verification: Verification | None = None,
) -> str:
    """Header, timeline, totals and verification of the migration and the given rows, as out-of-band fragments."""
    return render_to_string(
        "migrations_app/live/state.html",
        {
            "migration": migration,
            "volumes": list(volumes),
            "resources": list(resources),
            "totals": totals or summary_of(migration),
            "verification": verification or last_verification(migration),
        },
    )


def last_verification(migration: Migration) -> Verification | None:
    """The migration's last verification with its volumes, as pages show it."""
    found = Verification.objects.filter(migration=migration).select_related("requested_by")
    return found.prefetch_related("volumes__volume").defer("key").first()


def event_stored(event: MigrationEvent) -> None:
    """Push a committed event."""
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            message: EventMessage = {"type": "migration.event", "seq": event.seq, "html": render_event(event)}
        _send(group_name(event.migration_id, language), message)


def events_stored(migration_id: uuid.UUID, seq: int) -> None:
    """Say that there are events up to `seq`: whoever watches fetches them, many in one frame."""
    for language, _name in settings.LANGUAGES:
        _send(group_name(migration_id, language), EventMessage(type="migration.event", seq=seq, html=""))


def state_changed(
    migration: Migration,
    volumes: Iterable[MigrationVolume] = (),
    resources: Iterable[MigrationResource] = (),
) -> None:
    """Push the migration's header, timeline and totals and the given rows as they now are.

    Of a migration with many resources pages show few at a time, and fetch those again themselves.
    """
    totals, verification = summary_of(migration), last_verification(migration)
    volumes, resources = list(volumes), list(resources) if is_whole(totals["resources_total"]) else []
    seq = migration.last_event_seq
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            html = render_state(migration, volumes, resources, totals, verification)
            row = render_to_string("migrations_app/live/list_row.html", {"migration": migration})
        _send(group_name(migration.pk, language), StateMessage(type="migration.state", seq=seq, html=html))
        _send(
            dashboard_group_name(migration.team_id, language), StateMessage(type="migration.state", seq=seq, html=row)
        )


def _send(group: str, message: Any) -> None:
    layer = get_channel_layer()
    if layer is not None:
        async_to_sync(layer.group_send)(group, message)
