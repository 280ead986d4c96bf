"""The API of clusters, object stores and pairs. Secrets go in and never come out."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from audit.actor import Actor
from clusters import services
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PairingJob, PortworxPairing
from clusters.pairing import documents, importing, jobs, options
from clusters.pairing.steps import State
from clusters.storage_api import AsksPortworx, InstallationSerializer
from teams.access import Action
from teams.api import StrictSerializer, TeamOwnedViewSet, VisibleField
from teams.models import Team
from teams.refusals import Refusal


class CheckSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    status = serializers.ChoiceField(choices=["ok", "warning", "failure", "skipped"])
    message = serializers.CharField()
    remedy = serializers.CharField(allow_blank=True)


class StorageClassSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    provisioner = serializers.CharField()
    default = serializers.BooleanField()
    binding_mode = serializers.CharField(required=False)
    reclaim_policy = serializers.CharField(required=False)
    expandable = serializers.BooleanField(required=False)
    claims = serializers.IntegerField(
        required=False, allow_null=True, help_text="How many claims use it; null where they may not be listed."
    )


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


class ClusterSerializer(OwnedSerializer):
    kubeconfig = serializers.CharField(
        write_only=True, trim_whitespace=False, help_text="Its current context is used. It is never shown again."
    )
    storage_classes = StorageClassSerializer(many=True, read_only=True)
    portworx = InstallationSerializer(read_only=True)

    class Meta:
        model = Cluster
        fields = (
            "id",
            "team",
            "name",
            "description",
            "kubeconfig",
            "server",
            "version",
            "distribution",
            "storage_classes",
            "portworx",
            *CHECKED,
            *OWNED,
        )
        read_only_fields = ("server", "version", "distribution", *CHECKED, *OWNED)
        validators: tuple[Any, ...] = ()


class ObjectStoreSerializer(OwnedSerializer):
    access_key_id = serializers.CharField(
        write_only=True, required=False, allow_blank=True, help_text="Of S3. Never shown again."
    )
    secret_access_key = serializers.CharField(
        write_only=True,
        trim_whitespace=False,
        help_text="Or Azure's account key, or Google's JSON key. Never shown again; an empty one keeps the old.",
    )
    gives_temporary_keys = serializers.BooleanField(
        read_only=True, help_text="Whether movers get temporary keys for their own volume's prefix, not the key pair."
    )

    class Meta:
        model = ObjectStore
        fields = (
            "id",
            "team",
            "name",
            "provider",
            "account",
            "endpoint",
            "region",
            "bucket",
            "prefix",
            "path_style",
            "ca_bundle",
            "access_key_id",
            "secret_access_key",
            "sts_role_arn",
            "sts_endpoint",
            "gives_temporary_keys",
            *CHECKED,
            *OWNED,
        )
        read_only_fields = ("gives_temporary_keys", *CHECKED, *OWNED)
        validators: tuple[Any, ...] = ()


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
    message = serializers.CharField(allow_blank=True)
    remedy = serializers.CharField(allow_blank=True)
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
        default=False, help_text="Write a ClusterPair that others made anew, as the pair's own."
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


class ClusterFilter(FilterSet):
    class Meta:
        model = Cluster
        fields = {"name": ["exact", "icontains"], "health": ["exact"], "team": ["exact"]}


class ObjectStoreFilter(FilterSet):
    class Meta:
        model = ObjectStore
        fields = {"name": ["exact", "icontains"], "health": ["exact"], "team": ["exact"]}


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


class CheckedViewSet(TeamOwnedViewSet):
    """What the API of all three does: list, show, add, change, check, remove. `noun` names the services."""

    noun: str
    ordering_fields = ("name", "health", "created_at", "checked_at")

    def _service(self, verb: str) -> Any:
        return getattr(services, f"{verb}_{self.noun}")

    def create(self, request: Request) -> Response:
        given = self.validated()
        team = self.team_for(given.pop("team", None), Action.ADMINISTER)
        return self.answer(self._service("add")(team, **given, by=Actor.of(request)), status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        row = self.object_for(Action.ADMINISTER)
        given = self.validated(partial=True)
        # What somebody owns does not change hands: the other team's members never agreed to it.
        if given.pop("team", row.team) != row.team:
            message = _("What a team owns stays with it. Add it to the other team.")
            raise Refusal(message, errors={"team": [message]})
        return self.answer(self._service("update")(row, **given, by=Actor.of(request)))

    def destroy(self, request: Request, pk: str) -> Response:
        self._service("remove")(self.object_for(Action.ADMINISTER), by=Actor.of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def check(self, request: Request, pk: str) -> Response:
        """Run the checks now; the answer has what they found."""
        return self.answer(self._service("check")(self.object_for(Action.OPERATE), by=Actor.of(request)))


@extend_schema_view(
    create=extend_schema(
        description="Add a cluster and check it. It is kept even where checks fail: `health` and `checks` say so.",
        examples=[
            OpenApiExample(
                "A cluster",
                request_only=True,
                value={
                    "name": "dev",
                    "description": "Development, Ohio",
                    "kubeconfig": "apiVersion: v1\nkind: Config\ncurrent-context: dev\n…",
                },
            )
        ],
    ),
    check=extend_schema(responses=ClusterSerializer),
)
class ClusterViewSet(AsksPortworx, CheckedViewSet):
    """Clusters of the caller's teams."""

    noun = "cluster"
    rows = Cluster.objects.select_related("team", "created_by").defer("kubeconfig")
    serializer_class = ClusterSerializer
    filterset_class = ClusterFilter

    @extend_schema(
        responses=inline_serializer("Namespaces", {"namespaces": serializers.ListField(child=serializers.CharField())})
    )
    @action(detail=True)
    def namespaces(self, request: Request, pk: str) -> Response:
        """The namespaces of the cluster, asked now."""
        return Response({"namespaces": services.namespaces_of(self.object_for(Action.OPERATE))})

    @extend_schema(
        responses=inline_serializer("StorageClasses", {"storage_classes": StorageClassSerializer(many=True)})
    )
    @action(detail=True, url_path="storage-classes")
    def storage_classes(self, request: Request, pk: str) -> Response:
        """The storage classes, as the last check found them."""
        return Response({"storage_classes": self.object_for(Action.VIEW).storage_classes})

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


@extend_schema_view(
    create=extend_schema(
        description="Add a store and check it. It is kept even where checks fail: `health` and `checks` say so.",
        examples=[
            OpenApiExample(
                "A store",
                request_only=True,
                value={
                    "name": "moves",
                    "endpoint": "https://s3.example.com",
                    "region": "us-east-1",
                    "bucket": "kubemotion",
                    "access_key_id": "AKIDEXAMPLE",
                    "secret_access_key": "…",
                },
            )
        ],
    ),
    check=extend_schema(responses=ObjectStoreSerializer),
)
class ObjectStoreViewSet(CheckedViewSet):
    """Object stores of the caller's teams."""

    noun = "object_store"
    rows = ObjectStore.objects.select_related("team", "created_by").defer("access_key_id", "secret_access_key")
    serializer_class = ObjectStoreSerializer
    filterset_class = ObjectStoreFilter


@extend_schema_view(check=extend_schema(responses=PairSerializer))
class PairViewSet(CheckedViewSet):
    """Cluster pairs of the caller's teams."""

    noun = "pair"
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
