"""The API of migrations: plan, start, watch, cancel, remove."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from django_filters.rest_framework import FilterSet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actor import Actor
from clusters.checked_api import SaidField
from clusters.models import ClusterPair
from migrations_app import events, idempotency, live, manifest, services
from migrations_app.models import Migration, MigrationEvent, MigrationResource, MigrationVolume
from migrations_app.pauses import services as pauses
from migrations_app.pauses.api import NAMES as PAUSE_FIELDS
from migrations_app.pauses.api import PauseActions, PausedSerializer
from migrations_app.spec_api import NAMES as SPEC_FIELDS
from migrations_app.spec_api import SpecSerializer, plain
from migrations_app.summary import Summary, summaries_of, summary_of
from migrations_app.verifications import services as verifications
from migrations_app.verifications.api import VerificationSerializer, VerificationSummarySerializer
from migrations_app.verifications.models import VolumeVerification
from migrations_app.yaml_api import MEDIA_TYPE, YAMLParser, YAMLRenderer
from teams import access
from teams.access import Action
from teams.api import StrictSerializer, VisibleField
from teams.refusals import Refusal


class SummarySerializer(serializers.Serializer[Any]):
    volumes_total = serializers.IntegerField()
    volumes_done = serializers.IntegerField()
    resources_total = serializers.IntegerField()
    resources_done = serializers.IntegerField()
    bytes_total = serializers.IntegerField(help_text="Bytes of file content.")
    bytes_done = serializers.IntegerField(help_text="Bytes of file content that are restored.")
    last_event_seq = serializers.IntegerField(help_text="Number of the last event.")


class Choice(SpecSerializer):
    """What moves: a pair, namespaces of its source, and whatever else a migration can be asked for."""

    pair = VisibleField(ClusterPair)


class PlanClaimSerializer(serializers.Serializer[Any]):
    namespace = serializers.CharField()
    name = serializers.CharField()
    capacity_bytes = serializers.IntegerField()
    source_class = serializers.CharField(allow_blank=True)
    destination_class = serializers.CharField(allow_blank=True)
    access_modes = serializers.ListField(child=serializers.CharField())
    volume_mode = serializers.ChoiceField(choices=["Filesystem", "Block"])
    phase = serializers.CharField()
    read_from = serializers.ChoiceField(
        choices=["snapshot", "live", ""],
        default="",
        help_text="From a VolumeSnapshot, of one moment, or as it is used.",
    )
    snapshot_class = serializers.CharField(allow_blank=True, default="")
    why_live = serializers.CharField(allow_blank=True, default="", help_text="Why it is not read from a snapshot.")
    portworx = serializers.DictField(
        required=False, allow_null=True, help_text="By the engine portworx: what pxctl volume inspect says of it."
    )


class PlanCheckSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Which check it is; docs/preflight.md has them all.")
    status = serializers.ChoiceField(choices=["pass", "warning", "failure"])
    title = SaidField(help_text="What was looked at.")
    message = SaidField(help_text="What was found.")
    objects = serializers.ListField(child=serializers.CharField(), help_text="What it concerns: Kind namespace/name.")
    why = SaidField(allow_blank=True, help_text="What would happen.")
    remedy = SaidField(allow_blank=True, help_text="What to do.")
    command = serializers.CharField(allow_blank=True, help_text="A shell command that does or shows it.")


class PlanSerializer(serializers.Serializer[Any]):
    """What would move. Nothing has been touched."""

    namespaces = serializers.ListField(child=serializers.CharField())
    claims = PlanClaimSerializer(many=True)
    objects = serializers.DictField(child=serializers.IntegerField(), help_text="Kind to count.")
    checks = PlanCheckSerializer(many=True)


class MigrationListSerializer(serializers.ListSerializer[Any]):
    """Counts once for the whole page."""

    summaries: dict[uuid.UUID, Summary]

    def to_representation(self, data: Any) -> list[Any]:
        rows = list(data)
        self.summaries = summaries_of(rows)
        return super().to_representation(rows)


class MigrationSerializer(SpecSerializer, PausedSerializer, serializers.ModelSerializer[Migration]):
    pair = VisibleField(ClusterPair)
    name = serializers.CharField(
        required=False, allow_blank=True, max_length=63, help_text="Made from the first namespace if left out."
    )
    stage_times = serializers.DictField(child=serializers.DateTimeField(), read_only=True)
    created_by = serializers.CharField(read_only=True, allow_null=True, source="created_by.username", default=None)
    summary = serializers.SerializerMethodField()
    verification = VerificationSummarySerializer(read_only=True, allow_null=True, default=None)

    class Meta:
        model = Migration
        list_serializer_class = MigrationListSerializer
        fields = (
            "id",
            "name",
            "team",
            "pair",
            *SPEC_FIELDS,
            "stage",
            "status",
            "reason",
            "stage_times",
            "created_at",
            "created_by",
            "started_at",
            "finished_at",
            *PAUSE_FIELDS,
            "cancel_requested_at",
            "rollback_requested_at",
            "rolled_back_at",
            "cleaned_up",
            "looked_at",
            "summary",
            "verification",
        )
        read_only_fields = (
            "team",
            "stage",
            "status",
            "reason",
            "created_at",
            "started_at",
            "finished_at",
            "cancel_requested_at",
            "rollback_requested_at",
            "rolled_back_at",
            "cleaned_up",
            "looked_at",
        )
        validators: tuple[Any, ...] = ()

    @extend_schema_field(SummarySerializer)
    def get_summary(self, migration: Migration) -> Summary:
        if isinstance(self.parent, MigrationListSerializer):
            return self.parent.summaries[migration.pk]
        return summary_of(migration)


class VolumeSerializer(serializers.ModelSerializer[MigrationVolume]):
    percent = serializers.IntegerField(read_only=True)
    access_modes = serializers.ListField(child=serializers.CharField(), read_only=True)
    unkept = serializers.ListField(child=serializers.DictField(), read_only=True)
    portworx = serializers.DictField(
        read_only=True, help_text="By the engine portworx: what pxctl volume inspect said when it began; else empty."
    )

    class Meta:
        model = MigrationVolume
        exclude = ("migration", "source_claim", "measured_at")


class ResourceSerializer(serializers.ModelSerializer[MigrationResource]):
    class Meta:
        model = MigrationResource
        exclude = ("migration", "order", "created_uid", "former")


class EventSerializer(serializers.ModelSerializer[MigrationEvent]):
    class Meta:
        model = MigrationEvent
        exclude = ("id", "migration", "origin")


class CancelSerializer(StrictSerializer):
    remove = serializers.BooleanField(
        default=True, help_text="Also remove from the destination exactly what this migration created."
    )


class UndoingSerializer(serializers.Serializer[Any]):
    """What a roll-back would do with one object of the destination."""

    kind = serializers.CharField()
    namespace = serializers.CharField(allow_blank=True)
    name = serializers.CharField()
    action = serializers.ChoiceField(
        choices=["remove", "restore", "make", "stay"], help_text="`make`: it was purged, and is made again."
    )
    reason = serializers.CharField(allow_blank=True)
    changed = serializers.ListField(
        child=serializers.CharField(), help_text="Who changed it since the migration did, as `manager at time`."
    )


class MigrationFilter(FilterSet):
    class Meta:
        model = Migration
        fields = {
            "name": ["exact", "icontains"],
            "status": ["exact"],
            "stage": ["exact"],
            "team": ["exact"],
            "pair": ["exact"],
            "created_at": ["gte", "lte"],
            "paused_at": ["isnull"],
        }


class MigrationViewSet(PauseActions):
    """Migrations of the caller's teams."""

    rows = (
        Migration.objects.select_related("team", "created_by", "paused_by", "verification__requested_by")
        .defer("data_key", "verification__key")
        .prefetch_related(Prefetch("verification__volumes", VolumeVerification.objects.only("verification", "status")))
        .order_by("-created_at")
    )
    serializer_class = MigrationSerializer
    filterset_class = MigrationFilter
    ordering_fields = ("name", "status", "stage", "created_at", "started_at", "finished_at")

    def _pair(self, given: dict[str, Any]) -> ClusterPair:
        pair: ClusterPair = given.pop("pair")
        access.require(self.request.user, Action.OPERATE, pair.team)
        return pair

    @extend_schema(
        parameters=[idempotency.PARAMETER],
        responses={201: MigrationSerializer, 200: MigrationSerializer},
        examples=[
            OpenApiExample(
                "One namespace with its data",
                request_only=True,
                value={
                    "pair": "6f1c3f7e-0c0d-4a3e-9d8e-3f3c1a1f2b10",
                    "name": "cmsmigration",
                    "namespaces": ["cms"],
                },
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Start a migration. 200 instead of 201 where this Idempotency-Key had started it before."""
        given = self.validated()
        pair = self._pair(given)
        key = idempotency.key_of(request)
        known = key is not None and Migration.objects.filter(team=pair.team, idempotency_key=key).exists()
        made = services.start(pair.team, pair=pair, **plain(given), idempotency_key=key, by=Actor.of(request))
        return self.answer(made, status.HTTP_200_OK if known else status.HTTP_201_CREATED)

    @extend_schema(
        request=OpenApiTypes.OBJECT,
        responses={201: MigrationSerializer, 200: MigrationSerializer},
        examples=[
            OpenApiExample(
                "A manifest",
                request_only=True,
                value={
                    "apiVersion": manifest.API_VERSION,
                    "kind": manifest.KIND,
                    "metadata": {"name": "cmsmigration"},
                    "spec": {"pair": "dev-to-prod", "namespaces": ["cms"], "namespaceMapping": {"cms": "cms-blue"}},
                },
            )
        ],
    )
    @action(detail=False, methods=["post"], parser_classes=[YAMLParser, JSONParser])
    def apply(self, request: Request) -> Response:
        """Start the migration of a manifest, in YAML or JSON. 200 where it is there already as the manifest says."""
        given = manifest.read(request.data, request.user)
        pair, paused = given.pop("pair"), given.pop("paused", None)
        serializer = self.get_serializer(data={**given, "pair": pair.pk})
        try:
            serializer.is_valid(raise_exception=True)
            values = plain({key: value for key, value in serializer.validated_data.items() if key != "pair"})
            # Both or neither: what cannot be paused is not started for it.
            with transaction.atomic():
                made, is_new = services.apply(pair.team, pair=pair, **values, by=Actor.of(request))
                made = pauses.apply(made, paused, by=Actor.of(request))
        except serializers.ValidationError as error:
            detail: Any = error.detail
            raise serializers.ValidationError(manifest.placed(detail)) from None
        except Refusal as refusal:
            refusal.errors = manifest.placed(refusal.errors)
            raise
        return self.answer(made, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)

    @extend_schema(responses={(200, MEDIA_TYPE): OpenApiTypes.OBJECT, 200: OpenApiTypes.OBJECT}, filters=False)
    @action(detail=True, renderer_classes=[YAMLRenderer, JSONRenderer])
    def manifest(self, request: Request, pk: str) -> Response:
        """The migration in declarative form, as `apply` takes it back: YAML, or JSON where that is accepted only."""
        return Response(manifest.document(self.object_for(Action.VIEW)))

    @extend_schema(request=Choice, responses=PlanSerializer)
    @action(detail=False, methods=["post"])
    def plan(self, request: Request) -> Response:
        """What a migration would move, and what stands in its way. Nothing is touched."""
        given = self.validated(Choice)
        plan = services.plan(self._pair(given), **plain(given))
        return Response(PlanSerializer(asdict(plan)).data)

    @extend_schema(request=CancelSerializer, responses=MigrationSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Stop the migration."""
        migration = self.object_for(Action.OPERATE)
        return self.answer(services.cancel(migration, **self.validated(CancelSerializer), by=Actor.of(request)))

    @extend_schema(request=None, responses=MigrationSerializer)
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, pk: str) -> Response:
        """Take a finished migration back: remove what it made on the destination, restore what it changed there.

        Data written to its claims there since is lost. `GET` tells beforehand what will be done.
        """
        return self.answer(services.roll_back(self.object_for(Action.OPERATE), by=Actor.of(request)))

    @extend_schema(responses=UndoingSerializer(many=True), filters=False)
    @roll_back.mapping.get
    def foresee_roll_back(self, request: Request, pk: str) -> Response:
        """What a roll-back would do with each object. Nothing is changed."""
        found = services.foresee_roll_back(self.object_for(Action.OPERATE))
        return Response(UndoingSerializer([asdict(each) for each in found], many=True).data)

    @extend_schema(request=None, responses=MigrationSerializer)
    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Read every volume anew on both sides, and compare. Nothing is changed on either.

        While that is under way, asking again changes nothing. `GET` tells what was found, `DELETE` stops it.
        """
        return self.answer(verifications.verify(self.object_for(Action.OPERATE), by=Actor.of(request)))

    @extend_schema(responses=VerificationSerializer, filters=False)
    @verify.mapping.get
    def verification(self, request: Request, pk: str) -> Response:
        """The last verification: of each volume whether both sides are the same, or which paths differ."""
        found = live.last_verification(self.object_for(Action.VIEW))
        if found is None:
            raise Http404
        return Response(VerificationSerializer(found).data)

    @extend_schema(request=None, responses=MigrationSerializer)
    @verify.mapping.delete
    def stop_verification(self, request: Request, pk: str) -> Response:
        """Stop the verification under way. What it has found so far stays."""
        return self.answer(verifications.stop(self.object_for(Action.OPERATE), by=Actor.of(request)))

    def destroy(self, request: Request, pk: str) -> Response:
        """Forget a finished migration. Nothing happens on the clusters."""
        services.remove(self.object_for(Action.OPERATE), by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses=VolumeSerializer(many=True), filters=False)
    @action(detail=True)
    def volumes(self, request: Request, pk: str) -> Response:
        """The claims, and how far their data has come."""
        return self._page(self.object_for(Action.VIEW).volumes.all(), VolumeSerializer)

    @extend_schema(responses=ResourceSerializer(many=True), filters=False)
    @action(detail=True)
    def resources(self, request: Request, pk: str) -> Response:
        """The Kubernetes objects, and what became of each."""
        return self._page(self.object_for(Action.VIEW).resources.all(), ResourceSerializer)

    @extend_schema(
        responses=EventSerializer(many=True),
        filters=False,
        parameters=[
            OpenApiParameter("after", OpenApiTypes.INT, description="Only events with a higher number than this.")
        ],
    )
    @action(detail=True)
    def events(self, request: Request, pk: str) -> Response:
        """The events in the order of their numbers, which have no gaps."""
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            message = _("This is not the number of an event.")
            raise Refusal(message, errors={"after": [message]})
        return self._page(events.since(self.object_for(Action.VIEW), int(after)), EventSerializer)

    def _page(self, rows: QuerySet[Any], serializer: type[serializers.ModelSerializer[Any]]) -> Response:
        page: Iterable[Any] = self.paginate_queryset(rows) or []
        return self.get_paginated_response(serializer(page, many=True).data)
