"""How the API shows pauses, and asks for them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actor import Actor
from migrations_app.pauses import services
from migrations_app.pauses.fields import MOST_REASON
from teams.access import Action
from teams.api import StrictSerializer, TeamOwnedViewSet

NAMES = ("paused_at", "paused_by", "pause_reason", "stands_still_at", "paused_seconds")


class PausedSerializer(serializers.Serializer[Any]):
    """What a migration's representation has of its pauses."""

    paused_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Since when somebody wants it to stand still; null unless paused."
    )
    paused_by = serializers.CharField(read_only=True, allow_null=True, source="paused_by.username", default=None)
    pause_reason = serializers.CharField(read_only=True)
    stands_still_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Since when nothing of it runs any more; null until then."
    )
    paused_seconds = serializers.FloatField(
        read_only=True, help_text="How long it has been paused since it began, this pause included."
    )


class ReasonSerializer(StrictSerializer):
    reason = serializers.CharField(
        default="", allow_blank=True, max_length=MOST_REASON, help_text="For the history, and for whoever looks."
    )


class PauseActions(TeamOwnedViewSet):
    """`pause/` and `resume/` of a migration."""

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Let the migration stand still until it is resumed: its movers are stopped, no further step begins.

        What was transferred stays. Pausing again changes nothing. 409 where the pair's engine has no pause.
        """
        migration = self.object_for(Action.OPERATE)
        return self.answer(services.pause(migration, **self.validated(ReasonSerializer), by=Actor.of(request)))

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Let a paused migration go on where it was. One that is not paused is left as it is."""
        migration = self.object_for(Action.OPERATE)
        return self.answer(services.resume(migration, **self.validated(ReasonSerializer), by=Actor.of(request)))
