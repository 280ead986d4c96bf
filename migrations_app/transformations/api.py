"""The API of transformations."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actor import Actor
from clusters.models import Cluster
from migrations_app.transformations import services
from migrations_app.transformations.models import ResourceTransformation
from migrations_app.transformations.preview import preview
from teams import access
from teams.access import Action
from teams.api import StrictSerializer, TeamOwnedViewSet, VisibleField
from teams.models import Team
from teams.refusals import Refusal

RULES = "A list of rules, each with `conditions` and one of `patches`, `mergePatches`, `strategicPatches`."
SOURCE = "Rules as text instead: YAML or JSON, ours, Velero's resource modifiers or Stork's ResourceTransformation."


class TransformationSerializer(StrictSerializer, serializers.ModelSerializer[ResourceTransformation]):
    """Rules under a name; either `rules` or `source` is given."""

    team = VisibleField(Team, required=False, help_text="Needed where you operate several teams; set once.")
    rules = serializers.ListField(child=serializers.JSONField(), required=False, help_text=RULES)
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, trim_whitespace=False, help_text=SOURCE
    )
    created_by = serializers.CharField(read_only=True, allow_null=True, source="created_by.username", default=None)

    class Meta:
        model = ResourceTransformation
        fields = ("id", "team", "name", "description", "source", "rules", "created_at", "created_by", "changed_at")
        read_only_fields = ("created_at", "changed_at")
        validators: tuple[Any, ...] = ()


class PreviewSerializer(StrictSerializer):
    """Rules as text, and the object to try them on."""

    cluster = VisibleField(Cluster)
    source = serializers.CharField(trim_whitespace=False, help_text=SOURCE)  # type: ignore[assignment]
    resource = serializers.CharField(help_text="Plural and group, such as `deployments.apps` or `secrets`.")
    namespace = serializers.CharField(required=False, allow_blank=True, default="")
    name = serializers.CharField()


class PreviewAnswer(serializers.Serializer[Any]):
    before = serializers.CharField(help_text="As it would arrive without the rules, as YAML.")
    after = serializers.CharField(help_text="As it would arrive with them.")
    diff = serializers.CharField(help_text="What differs, as `diff -u` has it; empty for nothing.")
    matching = serializers.ListField(child=serializers.CharField(), help_text="The rules that are about the object.")


class TransformationFilter(FilterSet):
    class Meta:
        model = ResourceTransformation
        fields = {"name": ["exact", "icontains"], "team": ["exact"]}


EXAMPLE = {
    "name": "small-web",
    "rules": [
        {
            "conditions": {"kinds": ["deployments.apps"], "names": ["web-*"]},
            "patches": [{"op": "replace", "path": "/spec/replicas", "value": 1}],
        }
    ],
}


@extend_schema_view(
    create=extend_schema(examples=[OpenApiExample("One replica", value=EXAMPLE, request_only=True)]),
)
class TransformationViewSet(TeamOwnedViewSet):
    """Transformations of the caller's teams: rules that a migration can be given."""

    rows = ResourceTransformation.objects.select_related("team", "created_by")
    serializer_class = TransformationSerializer
    filterset_class = TransformationFilter
    ordering_fields = ("name", "created_at", "changed_at")

    def create(self, request: Request) -> Response:
        given = self.validated()
        team = self.team_for(given.pop("team", None), Action.OPERATE)
        return self.answer(services.add(team, **given, by=Actor.of(request)), status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        row = self.object_for(Action.OPERATE)
        given = self.validated(partial=True)
        if given.pop("team", row.team) != row.team:
            message = _("What a team owns stays with it. Add it to the other team.")
            raise Refusal(message, errors={"team": [message]})
        return self.answer(services.update(row, **given, by=Actor.of(request)))

    def destroy(self, request: Request, pk: str) -> Response:
        services.remove(self.object_for(Action.OPERATE), by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=PreviewSerializer, responses=PreviewAnswer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What rules do to an object of a cluster, asked now. Values of Secrets are replaced beforehand."""
        access.require_somewhere(request.user, Action.OPERATE)
        given = self.validated(PreviewSerializer)
        cluster = access.get(
            Cluster.objects.select_related("team"), request.user, given.pop("cluster").pk, Action.OPERATE
        )
        found = preview(cluster, given.pop("source"), **given)
        return Response(
            {"before": found.before, "after": found.after, "diff": "\n".join(found.lines), "matching": found.matching}
        )
