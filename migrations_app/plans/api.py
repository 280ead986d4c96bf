"""The API of plans: make, follow, read every object, choose, export, migrate."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.http import FileResponse
from django.shortcuts import get_object_or_404
from django_filters.rest_framework import FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actor import Actor
from clusters.checked_api import SaidField
from clusters.models import ClusterPair
from migrations_app import idempotency
from migrations_app.api import MigrationSerializer, PlanCheckSerializer, PlanClaimSerializer
from migrations_app.plans import contents, export, reading, services, suggesting
from migrations_app.plans.models import (
    MigrationPlan,
    PlannedAction,
    PlannedObject,
    PlanStatus,
    PlanStep,
    PlanSuggestion,
    SuggestionState,
)
from migrations_app.plans.reading import Filters
from migrations_app.spec_api import NAMES as SPEC_FIELDS
from migrations_app.spec_api import SpecSerializer, plain
from teams import access
from teams.access import Action
from teams.api import StrictSerializer, TeamOwnedViewSet, VisibleField

FILTERS = [
    OpenApiParameter("q", OpenApiTypes.STR, description="A part of the name, kind, namespace or reason."),
    OpenApiParameter("action", OpenApiTypes.STR, enum=PlannedAction.values),
    OpenApiParameter("namespace", OpenApiTypes.STR, description="Of the source or the destination."),
    OpenApiParameter("resource", OpenApiTypes.STR, description="A kind as `deployments.apps`."),
]


class PlanInput(SpecSerializer):
    """What a plan is asked for: as a migration."""

    pair = VisibleField(ClusterPair)
    name = serializers.CharField(
        required=False, allow_blank=True, max_length=63, help_text="Of the migration that is started from it."
    )


class MigrationPlanSerializer(SpecSerializer):
    """A plan. The mapping of storage classes includes the pair's as it was when the plan was made."""

    id = serializers.UUIDField()
    name = serializers.CharField(allow_blank=True)
    team = serializers.UUIDField(source="team_id")
    pair = serializers.UUIDField(source="pair_id")
    status = serializers.ChoiceField(choices=PlanStatus.choices)
    step = serializers.ChoiceField(choices=PlanStep.choices)
    reason = SaidField(allow_blank=True)
    objects_total = serializers.IntegerField(help_text="Objects that go along.")
    objects_done = serializers.IntegerField(help_text="Those that the destination was asked about.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True, source="created_by.username", default=None)
    computed_at = serializers.DateTimeField(allow_null=True)
    migration = serializers.UUIDField(
        source="migration_id", allow_null=True, help_text="The migration that was started from it."
    )

    def to_representation(self, instance: MigrationPlan) -> dict[str, Any]:
        own = [field for field in self._readable_fields if field.field_name not in SPEC_FIELDS]
        shown: dict[str, Any] = {str(field.field_name): self._shown(field, instance) for field in own}
        return {**shown, **instance.asked().to_dict()}

    @staticmethod
    def _shown(field: Any, instance: MigrationPlan) -> Any:
        value = field.get_attribute(instance)
        return None if value is None else field.to_representation(value)


class PlanDetailSerializer(MigrationPlanSerializer):
    """A plan with what was found."""

    counts = serializers.SerializerMethodField(help_text="Objects by what becomes of them.")
    kinds = serializers.DictField(child=serializers.IntegerField(), help_text="Kind to count, as the checks found it.")
    claims = PlanClaimSerializer(many=True)
    suggestions = serializers.SerializerMethodField(help_text="Suggestions by what was said to them.")
    obstacles = serializers.SerializerMethodField(help_text="Why no migration can be started from it now.")

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_counts(self, plan: MigrationPlan) -> dict[str, int]:
        return reading.counts(plan)

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_suggestions(self, plan: MigrationPlan) -> dict[str, int]:
        return suggesting.counts(plan)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_obstacles(self, plan: MigrationPlan) -> list[str]:
        return services.obstacles(plan)


class PlannedObjectSerializer(serializers.ModelSerializer[PlannedObject]):
    """One object of the source, and what would become of it."""

    action = serializers.CharField(source="shown_action", help_text="Empty until the destination was asked.")
    reason = SaidField(source="shown_reason")
    warnings = serializers.ListField(child=SaidField(), help_text="Of the destination's API server.")
    notes = serializers.ListField(child=SaidField())

    class Meta:
        model = PlannedObject
        fields = (
            "id",
            "resource",
            "group",
            "version",
            "kind",
            "source_namespace",
            "namespace",
            "name",
            "included",
            "action",
            "reason",
            "warnings",
            "notes",
        )


class FieldDiffSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    before = serializers.JSONField(allow_null=True, help_text="On the destination now; null where it is not there.")
    after = serializers.JSONField(allow_null=True, help_text="As it is to be; null where it goes.")


class LackSerializer(serializers.Serializer[Any]):
    """Something that is referred to and does not go along."""

    needed = serializers.CharField()
    reason = SaidField()
    optional = serializers.BooleanField(help_text="Whether those that refer to it can do without.")
    users = serializers.ListField(child=serializers.CharField())


class PlannedObjectDetailSerializer(PlannedObjectSerializer):
    """One object with the fields that would change; of a Secret's values only that they do."""

    diff = FieldDiffSerializer(many=True)
    lacks = serializers.SerializerMethodField(help_text="What it refers to and would not find.")

    class Meta(PlannedObjectSerializer.Meta):
        fields = (*PlannedObjectSerializer.Meta.fields, "diff", "lacks")  # type: ignore[assignment]

    @extend_schema_field(LackSerializer(many=True))
    def get_lacks(self, row: PlannedObject) -> Any:
        lacks = reading.lacking(row.plan, of=[row.pk]) if row.included else []
        return LackSerializer(lacks, many=True).data


class TextsSerializer(serializers.Serializer[Any]):
    """One object as YAML, asked of the clusters now; values of Secrets are not shown. Empty where it is not there."""

    source = serializers.CharField()  # type: ignore[assignment]  # taken out of the class before it is made
    wanted = serializers.CharField()
    present = serializers.CharField()
    changed_on_the_way = serializers.ListField(child=serializers.CharField(), help_text="As `diff -u` has it.")
    changed_on_the_destination = serializers.ListField(child=serializers.CharField())


class ChecksSerializer(serializers.Serializer[Any]):
    pair = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # taken out of the class before it is made
    destination = serializers.CharField()
    namespaces = serializers.ListField(child=serializers.CharField())
    checked_at = serializers.DateTimeField(allow_null=True)
    checks = PlanCheckSerializer(many=True)


class ChooseSerializer(StrictSerializer):
    """Single objects by their ids, and whole kinds."""

    objects = serializers.ListField(child=serializers.IntegerField(), required=False, max_length=10_000)
    kinds = serializers.ListField(child=serializers.CharField(max_length=253), required=False, max_length=1000)
    included = serializers.BooleanField()


class SuggestionSerializer(serializers.ModelSerializer[PlanSuggestion]):
    """A text that names a Service of a renamed namespace, and what it would become."""

    by_hand = serializers.BooleanField(help_text="A value of a Secret: it is not shown, and no rule may change it.")
    rule = serializers.SerializerMethodField(help_text="The rule that taking it over adds; null where by_hand.")

    class Meta:
        model = PlanSuggestion
        fields = (
            "id", "resource", "group", "kind", "source_namespace", "name", "path", "about", "before", "after",
            "by_hand", "state", "rule",
        )  # fmt: skip

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_rule(self, row: PlanSuggestion) -> Any:
        return None if row.by_hand else row.rule


class DecideSerializer(StrictSerializer):
    """What is said to suggestions: by their ids, or to all that are open."""

    state = serializers.ChoiceField(choices=SuggestionState.choices)
    suggestions = serializers.ListField(
        child=serializers.IntegerField(), required=False, max_length=10_000, help_text="Left out: all that are open."
    )


class MigrateSerializer(StrictSerializer):
    name = serializers.CharField(required=False, allow_blank=True, max_length=63, help_text="The plan's, if left out.")


class PlanFilter(FilterSet):
    class Meta:
        model = MigrationPlan
        fields = {"status": ["exact"], "team": ["exact"], "pair": ["exact"], "created_at": ["gte", "lte"]}


class ArchiveRenderer(BaseRenderer):
    """For who accepts the archive only; it is sent as it is."""

    media_type = "application/gzip"
    format = "tar.gz"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return JSONRenderer().render(data)


class PlanViewSet(TeamOwnedViewSet):
    """Plans of the caller's teams."""

    rows = MigrationPlan.objects.select_related("team", "created_by", "pair__source", "pair__destination").order_by(
        "-created_at"
    )
    serializer_class = MigrationPlanSerializer
    filterset_class = PlanFilter
    ordering_fields = ("status", "created_at", "computed_at")

    def get_serializer_class(self) -> Any:
        return MigrationPlanSerializer if self.action == "list" else PlanDetailSerializer

    @extend_schema(
        request=PlanInput,
        parameters=[idempotency.PARAMETER],
        responses={201: PlanDetailSerializer, 200: PlanDetailSerializer},
    )
    def create(self, request: Request) -> Response:
        """Make a plan. It is computed by itself: ask again until `status` is Ready or Failed."""
        given = self.validated(PlanInput)
        pair: ClusterPair = given.pop("pair")
        access.require(request.user, Action.OPERATE, pair.team)
        key = idempotency.key_of(request)
        known = key is not None and MigrationPlan.objects.filter(team=pair.team, idempotency_key=key).exists()
        made = services.make(pair.team, pair=pair, **plain(given), idempotency_key=key, by=Actor.of(request))
        return self.answer(made, status.HTTP_200_OK if known else status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        """Forget a plan that no migration was started from."""
        services.remove(self.object_for(Action.OPERATE), by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(parameters=FILTERS, responses=PlannedObjectSerializer(many=True), filters=False)
    @action(detail=True)
    def objects(self, request: Request, pk: str) -> Response:
        """The objects in the order in which they would be applied; those that stay behind come last."""
        plan = self.object_for(Action.VIEW)
        rows = reading.rows(plan, Filters.of(request.query_params), request.query_params.get("resource", ""))
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(PlannedObjectSerializer(page, many=True).data)

    @extend_schema(responses=PlannedObjectDetailSerializer, filters=False, operation_id="plans_objects_retrieve_one")
    @action(detail=True, url_path=r"objects/(?P<row>\d{1,18})")
    def object(self, request: Request, pk: str, row: str) -> Response:
        """One object with the fields that would change."""
        return Response(PlannedObjectDetailSerializer(self._row(row, Action.VIEW)).data)

    @extend_schema(responses=TextsSerializer, filters=False)
    @action(detail=True, url_path=r"objects/(?P<row>\d{1,18})/yaml")
    def yaml(self, request: Request, pk: str, row: str) -> Response:
        """One object as YAML: on the source, as it is to be, and on the destination."""
        texts = contents.texts(self._row(row, Action.OPERATE))
        return Response(TextsSerializer(dataclasses.asdict(texts)).data)

    def _row(self, row: str, wanted: Action) -> PlannedObject:
        plan = self.object_for(wanted)
        found = get_object_or_404(plan.objects_planned, pk=row)
        found.plan = plan
        return found

    @extend_schema(responses=LackSerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def lacks(self, request: Request, pk: str) -> Response:
        """What objects that go along refer to and would not find, as things are chosen now."""
        return Response(LackSerializer(reading.lacking(self.object_for(Action.VIEW)), many=True).data)

    @extend_schema(responses=ChecksSerializer, filters=False)
    @action(detail=True)
    def checks(self, request: Request, pk: str) -> Response:
        """The preflight."""
        return Response(ChecksSerializer(services.checks_document(self.object_for(Action.VIEW))).data)

    @extend_schema(request=ChooseSerializer, responses=PlanDetailSerializer)
    @action(detail=True, methods=["post"])
    def choose(self, request: Request, pk: str) -> Response:
        """Let objects and kinds go along, or not. The plan's selection changes; new ones are asked about."""
        plan = self.object_for(Action.OPERATE)
        return self.answer(services.choose(plan, **self.validated(ChooseSerializer), by=Actor.of(request)))

    @extend_schema(
        parameters=[OpenApiParameter("state", OpenApiTypes.STR, enum=SuggestionState.values)],
        responses=SuggestionSerializer(many=True),
        filters=False,
    )
    @action(detail=True)
    def suggestions(self, request: Request, pk: str) -> Response:
        """Texts that name Services of namespaces which are called differently on the destination."""
        rows = suggesting.shown(self.object_for(Action.VIEW), request.query_params.get("state", ""))
        page: Any = self.paginate_queryset(rows)
        return self.get_paginated_response(SuggestionSerializer(page, many=True).data)

    @extend_schema(request=DecideSerializer, responses=PlanDetailSerializer)
    @action(detail=True, methods=["post"], url_path="decide-suggestions")
    def decide(self, request: Request, pk: str) -> Response:
        """Take suggestions over as rules, dismiss them, or offer them again. Changed rules make the plan anew."""
        plan, given = self.object_for(Action.OPERATE), self.validated(DecideSerializer)
        asked, state = given.get("suggestions"), SuggestionState(given["state"])
        return self.answer(suggesting.decide(plan, state, suggestions=asked, by=Actor.of(request)))

    @extend_schema(request=None, responses=PlanDetailSerializer)
    @action(detail=True, methods=["post"], url_path="look-again")
    def look_again(self, request: Request, pk: str) -> Response:
        """Check both clusters and ask about every object once more."""
        return self.answer(services.look_again(self.object_for(Action.OPERATE), by=Actor.of(request)))

    @extend_schema(request=MigrateSerializer, responses={201: MigrationSerializer, 200: MigrationSerializer})
    @action(detail=True, methods=["post"])
    def migrate(self, request: Request, pk: str) -> Response:
        """Start a migration with exactly what the plan says. 200 with the one that was started before, if one was."""
        plan = self.object_for(Action.OPERATE)
        made = services.migrate(plan, **self.validated(MigrateSerializer), by=Actor.of(request))
        code = status.HTTP_201_CREATED if plan.migration_id is None else status.HTTP_200_OK
        return Response(MigrationSerializer(made, context=self.get_serializer_context()).data, status=code)

    @extend_schema(
        parameters=[
            OpenApiParameter("secrets", OpenApiTypes.BOOL, description="With Secrets; for admins of the team.")
        ],
        responses={(200, "application/gzip"): OpenApiTypes.BINARY},
        filters=False,
    )
    @action(detail=True, renderer_classes=[ArchiveRenderer, JSONRenderer])
    def export(self, request: Request, pk: str) -> Any:
        """A tar.gz with a folder of YAML files that `kubectl apply` takes in order; without Secrets unless asked."""
        secrets = request.query_params.get("secrets", "").lower() in ("1", "true")
        plan = self.object_for(Action.ADMINISTER if secrets else Action.OPERATE)
        file = export.archive(plan, secrets=secrets, by=Actor.of(request))
        name = f"{export.folder_name(plan)}.tar.gz"
        return FileResponse(file, as_attachment=True, filename=name, content_type="application/gzip")
