"""The API of the history: read, never written."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import mixins, serializers
from rest_framework.viewsets import GenericViewSet

from audit.filters import EntryFilter
from audit.models import Entry
from audit.reading import readable


class EntrySerializer(serializers.ModelSerializer[Entry]):
    actor = serializers.CharField(source="actor_name", read_only=True)
    team = serializers.UUIDField(source="team_id", read_only=True, allow_null=True)

    class Meta:
        model = Entry
        fields = (
            "id",
            "at",
            "actor",
            "address",
            "user_agent",
            "request_id",
            "team",
            "team_name",
            "action",
            "object_type",
            "object_id",
            "object_name",
            "before",
            "after",
        )
        read_only_fields = fields


class EntryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Entry]):
    """What was done: the entries of the caller's teams and the caller's own; all for platform staff."""

    serializer_class = EntrySerializer
    filterset_class = EntryFilter
    ordering_fields = ("at", "action", "actor_name", "object_name")
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Entry]:
        if getattr(self, "swagger_fake_view", False):
            return Entry.objects.none()
        return readable(self.request.user)
