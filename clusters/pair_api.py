"""The API of pairs and of ClusterPairs on clusters. Secrets go in, and come out only where an admin asks for them."""

from __future__ import annotations

from typing import Any, ClassVar

from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actor import Actor
from clusters import pair_services
from clusters.checked_api import CHECKED, OWNED, CheckedViewSet, OwnedSerializer, SaidField
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PairingJob, PortworxPairing
from clusters.pairing import documents, importing, jobs, options
from clusters.pairing.steps import State
from teams.access import Action
from teams.api import StrictSerializer, TeamOwnedViewSet, VisibleField

PAIR_STATUS = (
    "made_by_others",
    "storage_status",
    "scheduler_status",
    "back_storage_status",
    "back_scheduler_status",
    "remote_storage_id",
    "endpoint",
    "endpoint_reason",
    "endpoints",
    "looked_at",
)


class EndpointSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    host = serializers.CharField()
    port = serializers.IntegerField()


class PairingSerializer(StrictSerializer, serializers.ModelSerializer[PortworxPairing]):
    """The Portworx part of a pair. The destination's token is not kept, so it is not here."""

    endpoints = EndpointSerializer(many=True, read_only=True)

    class Meta:
        model = PortworxPairing
        fields = (*options.FIELDS, *PAIR_STATUS)
        read_only_fields = PAIR_STATUS
        # Left out, the ClusterPair is named like the destination.
        extra_kwargs: ClassVar[dict[str, dict[str, Any]]] = {"object_name": {"required": False}}


class StepSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=[each.value for each in State])
    message = SaidField(allow_blank=True)
    remedy = SaidField(allow_blank=True)
    said = serializers.CharField(allow_blank=True, help_text="The words of pxctl or Stork.")
    cause = serializers.CharField(allow_blank=True)
    at = serializers.CharField(allow_blank=True)
    commands = serializers.CharField(allow_blank=True, help_text="What one would type; secrets are left to fill in.")


class ProgressSerializer(serializers.ModelSerializer[PortworxPairing]):
    """How far the last job of the pair is; the steps of setting up, all waiting, where there was none."""

    steps = serializers.SerializerMethodField()
    endpoints = EndpointSerializer(many=True, read_only=True)

    class Meta:
        model = PortworxPairing
        fields = ("job", "is_working", "is_ready", "started_at", "finished_at", *PAIR_STATUS, "steps")

    @extend_schema_field(StepSerializer(many=True))
    def get_steps(self, pairing: PortworxPairing) -> list[dict[str, Any]]:
        return documents.steps_of(pairing)


class SetUpSerializer(StrictSerializer):
    replace_credentials = serializers.BooleanField(
        default=False, help_text="Replace credentials that are there already with the object store's keys."
    )
    take_over = serializers.BooleanField(
        default=False,
        help_text="Write a ClusterPair that others made anew, as the pair's own, and what storkctl made for it.",
    )


class TakeDownSerializer(StrictSerializer):
    credentials = serializers.BooleanField(
        default=False, help_text="Delete the object-store credentials too, unless another pair needs them."
    )
    forget = serializers.BooleanField(default=False, help_text="Remove the pair afterwards.")
    named = serializers.CharField(
        default="", allow_blank=True, help_text="namespace/name: needed where others made the ClusterPair."
    )


class DocumentSerializer(serializers.Serializer[Any]):
    document = serializers.CharField(help_text="The ClusterPair as YAML.")


class PairSerializer(OwnedSerializer):
    source = VisibleField(Cluster)  # type: ignore[assignment]
    destination = VisibleField(Cluster)
    object_store = VisibleField(ObjectStore)
    engine = serializers.ChoiceField(choices=Engine.choices, default=Engine.NATIVE)
    storage_class_mapping = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="Source class to destination class."
    )
    portworx = PairingSerializer(required=False, allow_null=True, help_text="For the engine portworx; null for others.")

    class Meta:
        model = ClusterPair
        fields = (
            "id",
            "team",
            "name",
            "source",
            "destination",
            "object_store",
            "engine",
            "storage_class_mapping",
            "portworx",
            *CHECKED,
            *OWNED,
        )
        read_only_fields = (*CHECKED, *OWNED)
        validators: tuple[Any, ...] = ()


class FoundPairSerializer(serializers.Serializer[Any]):
    """A ClusterPair as it is on a cluster, without its secrets."""

    uid = serializers.CharField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    made_by_others = serializers.BooleanField()
    server = serializers.CharField(source="state.server", allow_blank=True, help_text="Where its kubeconfig leads.")
    storage_status = serializers.CharField(source="state.storage_status", allow_blank=True)
    scheduler_status = serializers.CharField(source="state.scheduler_status", allow_blank=True)
    remote_storage_id = serializers.CharField(source="state.remote_storage_id", allow_blank=True)
    options = serializers.DictField(source="state.options", child=serializers.CharField(), help_text="But the token.")
    destination = serializers.UUIDField(source="destination.pk", default=None, help_text="The cluster it leads to.")
    pair = serializers.UUIDField(source="pair.pk", default=None, help_text="The pair that has it already.")


class FoundPairsSerializer(serializers.Serializer[Any]):
    cluster_pairs = FoundPairSerializer(many=True)


class ImportPairSerializer(StrictSerializer):
    uid = serializers.CharField()
    name = serializers.CharField(help_text="What the pair is called here.")
    destination = VisibleField(Cluster)
    object_store = VisibleField(ObjectStore)


class PairFilter(FilterSet):
    class Meta:
        model = ClusterPair
        fields = {
            "name": ["exact", "icontains"],
            "health": ["exact"],
            "team": ["exact"],
            "source": ["exact"],
            "destination": ["exact"],
        }


@extend_schema_view(check=extend_schema(responses=PairSerializer))
class PairViewSet(CheckedViewSet):
    """Cluster pairs of the caller's teams."""

    services = pair_services
    rows = ClusterPair.objects.select_related(
        "team", "created_by", "source", "destination", "object_store", "portworx"
    ).defer(
        "source__kubeconfig",
        "destination__kubeconfig",
        "object_store__access_key_id",
        "object_store__secret_access_key",
    )
    serializer_class = PairSerializer
    filterset_class = PairFilter

    @extend_schema(request=SetUpSerializer, responses={202: ProgressSerializer})
    @action(detail=True, methods=["post"], url_path="set-up")
    def set_up(self, request: Request, pk: str) -> Response:
        """Make the ClusterPair and all it needs on both clusters, or repair it. Workers do it: read the steps."""
        return self._ask(Action.ADMINISTER, PairingJob.SET_UP, SetUpSerializer)

    @extend_schema(request=None, responses={202: ProgressSerializer})
    @action(detail=True, methods=["post"])
    def validate(self, request: Request, pk: str) -> Response:
        """Go through the same steps without changing anything."""
        return self._ask(Action.OPERATE, PairingJob.VALIDATE)

    @extend_schema(request=TakeDownSerializer, responses={202: ProgressSerializer})
    @action(detail=True, methods=["post"], url_path="take-down")
    def take_down(self, request: Request, pk: str) -> Response:
        """Delete the ClusterPair on the clusters."""
        return self._ask(Action.ADMINISTER, PairingJob.TEAR_DOWN, TakeDownSerializer)

    def _ask(
        self, wanted: Action, job: PairingJob, body: type[serializers.BaseSerializer[Any]] | None = None
    ) -> Response:
        pair = self.object_for(wanted)
        given = self.validated(body) if body is not None else {}
        pairing = jobs.request(pair, job, by=Actor.of(self.request), **given)
        return Response(ProgressSerializer(pairing).data, status.HTTP_202_ACCEPTED)

    @extend_schema(responses=ProgressSerializer)
    @action(detail=True)
    def steps(self, request: Request, pk: str) -> Response:
        """The steps of the last job, what to do where one failed, and what Stork says of storage and scheduler."""
        return Response(ProgressSerializer(jobs.pairing_of(self.object_for(Action.VIEW))).data)

    @extend_schema(responses=DocumentSerializer, parameters=[OpenApiParameter("secrets", bool)])
    @action(detail=True)
    def document(self, request: Request, pk: str) -> Response:
        """The ClusterPair as YAML, every secret masked; with `secrets=true`, for admins, with token and kubeconfig."""
        if request.query_params.get("secrets") != "true":
            pairing = jobs.pairing_of(self.object_for(Action.VIEW))
            return Response({"document": documents.masked_document(pairing)})
        pairing = jobs.pairing_of(self.object_for(Action.ADMINISTER))
        text = documents.whole_document(pairing, by=Actor.of(request))
        return Response({"document": text}, headers={"Cache-Control": "no-store"})


class HasClusterPairs(TeamOwnedViewSet):
    """Mixin for the API of clusters: the ClusterPairs that are on one."""

    @extend_schema(responses=FoundPairsSerializer, filters=False)
    @action(detail=True, url_path="cluster-pairs", pagination_class=None)
    def cluster_pairs(self, request: Request, pk: str) -> Response:
        """The ClusterPairs that are on the cluster now, ours and others'."""
        found = importing.found_on(self.object_for(Action.OPERATE))
        return Response(FoundPairsSerializer({"cluster_pairs": found}).data)

    @extend_schema(request=ImportPairSerializer, responses={201: PairSerializer})
    @cluster_pairs.mapping.post
    def import_pair(self, request: Request, pk: str) -> Response:
        """Make one of them a pair here. Nothing is changed on the clusters; workers look at it next."""
        cluster = self.object_for(Action.ADMINISTER)
        pair = importing.import_(cluster, **self.validated(ImportPairSerializer), by=Actor.of(request))
        return Response(PairSerializer(pair, context=self.get_serializer_context()).data, status.HTTP_201_CREATED)
