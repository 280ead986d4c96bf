"""What the API gives of Stork's side: a Migration as text, and those that can be imported."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from audit.actor import Actor
from clusters.models import ClusterPair
from migrations_app.models import Migration
from migrations_app.stork import importing
from migrations_app.stork.texts import texts_of
from teams import access
from teams.access import Action
from teams.api import StrictSerializer
from teams.refusals import Refusal


class StorkTextsSerializer(serializers.Serializer[Any]):
    """The Migration as Stork's users know it, from the object as it is now."""

    namespace = serializers.CharField()
    name = serializers.CharField()
    get = serializers.CharField(help_text="What `storkctl get migration` prints.")
    describe = serializers.CharField(help_text="What `kubectl describe migration` prints.")


class FoundMigrationSerializer(serializers.Serializer[Any]):
    """A Migration of the source that nothing here follows yet. Stage and status are Stork's, and may be blank."""

    namespace = serializers.CharField()
    name = serializers.CharField()
    uid = serializers.CharField()
    stage = serializers.CharField(allow_blank=True)
    status = serializers.CharField(allow_blank=True)
    namespaces = serializers.ListField(child=serializers.CharField())
    created = serializers.CharField()


class ImportSerializer(StrictSerializer):
    uids = serializers.ListField(
        child=serializers.CharField(max_length=64), min_length=1, max_length=500, help_text="Which of those found."
    )


class ImportedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class StorkMigrationViewSet(GenericViewSet[ClusterPair]):
    """Migrations of a pair's source that others made, with kubectl or storkctl."""

    serializer_class = FoundMigrationSerializer
    pagination_class = None
    filter_backends = ()

    def _pair(self) -> ClusterPair:
        pairs = ClusterPair.objects.select_related("team", "source", "destination", "portworx")
        return access.get(pairs, self.request.user, self.kwargs["pk"], Action.OPERATE)

    @extend_schema(responses=FoundMigrationSerializer(many=True))
    def list(self, request: Request, pk: str) -> Response:
        """Those that nothing here follows yet."""
        return Response(FoundMigrationSerializer(importing.found(self._pair()), many=True).data)

    @extend_schema(request=ImportSerializer, responses={201: ImportedSerializer(many=True)})
    def create(self, request: Request, pk: str) -> Response:
        """Follow them from now on. Nothing is changed on the clusters."""
        given = ImportSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = importing.import_(self._pair(), given.validated_data["uids"], by=Actor.of(request))
        if not made:
            message = _("None of these is there to be imported.")
            raise Refusal(message, {"uids": [message]})
        return Response(ImportedSerializer(made, many=True).data, status=status.HTTP_201_CREATED)


class StorkTextsViewSet(GenericViewSet[Migration]):
    """A migration over Stork as its users know it."""

    serializer_class = StorkTextsSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(responses=StorkTextsSerializer)
    def list(self, request: Request, pk: str) -> Response:
        """What `storkctl get migration` and `kubectl describe migration` print now."""
        rows = Migration.objects.select_related("team", "pair__source", "pair__destination", "pair__portworx")
        return Response(StorkTextsSerializer(texts_of(access.get(rows, request.user, pk))).data)
