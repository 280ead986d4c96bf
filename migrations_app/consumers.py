"""Live pages. Somebody who subscribes is checked here, then gets what they missed, then what happens.

The page opens the socket and says `{"after": N}`, the number of the last event that it shows. The consumer joined the
group before, so whatever is committed from then on is either in the database when it reads or comes as a message; a
number seen twice is dropped, a number that skips is filled from the database. No gap, no duplicate.

The channel layer may lose messages (its queues are bounded, Redis may restart). A lost event is noticed by the next
one, by the next state, which carries the last number, or by what the page says again every few seconds.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.http import Http404
from django.utils import translation

from migrations_app import events, live
from migrations_app.models import Migration
from migrations_app.resource_list import is_whole
from migrations_app.summary import summary_of
from teams import access

# Close codes of our own (RFC 6455 leaves 4000 to 4999 to applications), by the HTTP statuses that they stand for.
NOT_SIGNED_IN = 4401
NOT_FOUND = 4404

# Events sent in one frame when a page catches up.
CATCH_UP_BATCH = 200


def language_of(scope: dict[str, Any]) -> str:
    """The language in which the page that opens this socket was rendered."""
    cookie = scope.get("cookies", {}).get(settings.LANGUAGE_COOKIE_NAME, "")
    headers = {name: value.decode("latin-1") for name, value in scope.get("headers", [])}
    for candidate in [cookie, *headers.get(b"accept-language", "").replace(";", ",").split(",")]:
        try:
            return translation.get_supported_language_variant(candidate.strip())
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


class MigrationConsumer(AsyncJsonWebsocketConsumer):
    """One open migration page."""

    async def connect(self) -> None:
        self.seen: int | None = None
        self.groups_joined: list[str] = []
        user = self.scope["user"]
        await self.accept()
        if not user.is_authenticated:
            await self.close(code=NOT_SIGNED_IN)
            return
        if not await self._fetch():
            await self.close(code=NOT_FOUND)
            return
        self.language = language_of(self.scope)
        group = live.group_name(self.migration.pk, self.language)
        await self.channel_layer.group_add(group, self.channel_name)
        self.groups_joined.append(group)

    async def disconnect(self, code: int) -> None:
        for group in getattr(self, "groups_joined", []):
            await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        after = content.get("after") if isinstance(content, dict) else None
        if not self.groups_joined:
            return
        if self.seen is not None and not await self._fetch():
            await self.close(code=NOT_FOUND)
            return
        if self.seen is None:
            self.seen = _number(after)
            await self._send_html(await self._render_state())
            await self._catch_up()
        elif await self._catch_up():
            await self._send_html(await self._render_state())

    async def migration_event(self, message: live.EventMessage) -> None:
        if self.seen is None or message["seq"] <= self.seen:
            return
        if message["seq"] > self.seen + 1 or not message["html"]:
            await self._catch_up()
            return
        self.seen = message["seq"]
        await self._send_html(message["html"])

    async def migration_state(self, message: live.StateMessage) -> None:
        if self.seen is None:
            return
        if message["seq"] > self.seen:
            await self._catch_up()
        await self._send_html(message["html"])

    async def _catch_up(self) -> bool:
        """Send what the database holds beyond the last number that the page has; whether there was anything."""
        missed = False
        while True:
            rows = await self._missed()
            if not rows:
                return missed
            missed = True
            self.seen = rows[-1][0]
            await self._send_html("".join(html for _seq, html in rows))

    @database_sync_to_async
    def _fetch(self) -> bool:
        """Get the migration as this viewer may see it; asked again now and then, as somebody may leave the team."""
        try:
            self.migration = access.get(
                Migration.objects.only("pk"), self.scope["user"], self.scope["url_route"]["kwargs"]["pk"]
            )
        except Http404:
            return False
        return True

    async def _send_html(self, html: str) -> None:
        await self.send(text_data=html)

    @database_sync_to_async
    def _missed(self) -> list[tuple[int, str]]:
        with translation.override(self.language):
            missed = events.since(self.migration, self.seen or 0)[:CATCH_UP_BATCH]
            return [(event.seq, live.render_event(event)) for event in missed]

    @database_sync_to_async
    def _render_state(self) -> str:
        with translation.override(self.language):
            found = Migration.objects.select_related("pair__source", "pair__destination", "team")
            secrets = ("data_key", "pair__source__kubeconfig", "pair__destination__kubeconfig")
            migration = found.defer(*secrets).get(pk=self.migration.pk)
            totals = summary_of(migration)
            resources = migration.resources.all() if is_whole(totals["resources_total"]) else ()
            return live.render_state(migration, migration.volumes.all(), resources, totals)


def _number(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError, OverflowError):
        return 0


class DashboardConsumer(AsyncJsonWebsocketConsumer):
    """An open list of migrations: rows of every team that the viewer belongs to, as they change."""

    async def connect(self) -> None:
        self.groups_joined: list[str] = []
        user = self.scope["user"]
        await self.accept()
        if not user.is_authenticated:
            await self.close(code=NOT_SIGNED_IN)
            return
        language = language_of(self.scope)
        for team_id in await self._team_ids(user):
            group = live.dashboard_group_name(team_id, language)
            await self.channel_layer.group_add(group, self.channel_name)
            self.groups_joined.append(group)

    async def disconnect(self, code: int) -> None:
        for group in getattr(self, "groups_joined", []):
            await self.channel_layer.group_discard(group, self.channel_name)

    async def migration_state(self, message: live.StateMessage) -> None:
        await self.send(text_data=message["html"])

    @staticmethod
    @database_sync_to_async
    def _team_ids(user: Any) -> list[UUID]:
        return list(access.teams_for(user).values_list("pk", flat=True))
