"""What the API of clusters, object stores and pairs begins with: rows that a team owns and that are checked."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import (
    extend_schema,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actor import Actor
from clusters.translation import SentenceField, translated
from teams.access import Action
from teams.api import StrictSerializer, TeamOwnedViewSet, VisibleField
from teams.models import Team
from teams.refusals import Refusal


class SaidField(serializers.CharField):
    """A text that is said in the caller's language, where it can be."""

    def to_representation(self, value: Any) -> str:
        return super().to_representation(translated(value))


# What serializers of models make of it by themselves.
serializers.ModelSerializer.serializer_field_mapping[SentenceField] = SaidField


class CheckSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    status = serializers.ChoiceField(choices=["ok", "warning", "failure", "skipped"])
    message = SaidField()
    remedy = SaidField(allow_blank=True)


CHECKED = ("health", "checks", "checked_at")
OWNED = ("created_at", "created_by")


class OwnedSerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """What every row that is checked says beside its own fields."""

    team = VisibleField(Team, required=False, help_text="Needed where you administer several teams; set once.")
    created_by = serializers.CharField(read_only=True, allow_null=True, source="created_by.username", default=None)
    checks = CheckSerializer(many=True, read_only=True)

    class Meta:
        model: Any = None
        fields: tuple[str, ...] = ()


class CheckedViewSet(TeamOwnedViewSet):
    """What the API of all three does: list, show, add, change, check, remove. `services` is the module that does it."""

    services: ModuleType
    ordering_fields = ("name", "health", "created_at", "checked_at")

    def create(self, request: Request) -> Response:
        given = self.validated()
        team = self.team_for(given.pop("team", None), Action.ADMINISTER)
        return self.answer(self.services.add(team, **given, by=Actor.of(request)), status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        row = self.object_for(Action.ADMINISTER)
        given = self.validated(partial=True)
        # What somebody owns does not change hands: the other team's members never agreed to it.
        if given.pop("team", row.team) != row.team:
            message = _("What a team owns stays with it. Add it to the other team.")
            raise Refusal(message, errors={"team": [message]})
        return self.answer(self.services.update(row, **given, by=Actor.of(request)))

    def destroy(self, request: Request, pk: str) -> Response:
        self.services.remove(self.object_for(Action.ADMINISTER), by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Run the checks now; the answer has what they found."""
        return self.answer(self.services.check(self.object_for(Action.OPERATE), by=Actor.of(request)))
