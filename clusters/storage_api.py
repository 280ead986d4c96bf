"""The API of what a cluster's Portworx holds, asked now: volumes of claims, and credentials."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import storage
from clusters.checked_api import SaidField
from teams.access import Action
from teams.api import TeamOwnedViewSet


class StorkSerializer(serializers.Serializer[Any]):
    is_present = serializers.BooleanField(required=False)
    version = serializers.CharField(required=False)
    namespace = serializers.CharField(required=False)
    admin_namespace = serializers.CharField(required=False)
    replicas = serializers.IntegerField(required=False)
    ready = serializers.IntegerField(required=False)
    kinds = serializers.ListField(child=serializers.CharField(), required=False, help_text="Those that are served.")


class InstallationSerializer(serializers.Serializer[Any]):
    """What the last check found of Portworx and Stork. Sizes in bytes; only `is_present` where there is nothing."""

    is_present = serializers.BooleanField(required=False)
    can_migrate = serializers.BooleanField(required=False)
    version = serializers.CharField(required=False)
    namespace = serializers.CharField(required=False)
    pods = serializers.IntegerField(required=False)
    ready_pods = serializers.IntegerField(required=False)
    cluster_uuid = serializers.CharField(required=False)
    cluster_name = serializers.CharField(required=False)
    status = serializers.CharField(required=False)
    is_operational = serializers.BooleanField(required=False)
    licence = serializers.CharField(required=False)
    licence_allows = serializers.BooleanField(required=False, allow_null=True, help_text="null: it does not tell.")
    used = serializers.IntegerField(required=False, allow_null=True)
    capacity = serializers.IntegerField(required=False, allow_null=True)
    nodes = serializers.ListField(child=serializers.DictField(), required=False)
    pools = serializers.ListField(child=serializers.DictField(), required=False)
    stork = StorkSerializer(required=False)
    problem = SaidField(required=False)
    remedy = SaidField(required=False)


class ConsumerSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    namespace = serializers.CharField()
    node = serializers.CharField(allow_blank=True)
    owner = serializers.CharField(allow_blank=True)


class PortworxVolumeSerializer(serializers.Serializer[Any]):
    """What `pxctl volume inspect` says; null where it does not tell. Sizes in bytes."""

    id = serializers.CharField()
    name = serializers.CharField()
    size = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField(allow_null=True)
    replicas = serializers.IntegerField(allow_null=True)
    shared = serializers.BooleanField()
    status = serializers.CharField(allow_blank=True)
    attached_on = serializers.CharField(allow_blank=True, help_text="The node's address or id; empty while detached.")
    attached_to = serializers.CharField(allow_blank=True, help_text="The node's name, as far as it is known.")
    format = serializers.CharField(allow_blank=True)
    priority = serializers.CharField(allow_blank=True)
    replica_nodes = serializers.ListField(child=serializers.CharField())
    labels = serializers.DictField(child=serializers.CharField())
    consumers = ConsumerSerializer(many=True)


class ClaimVolumeSerializer(serializers.Serializer[Any]):
    namespace = serializers.CharField()
    claim = serializers.CharField()
    phase = serializers.CharField()
    storage_class = serializers.CharField(allow_blank=True)
    access_modes = serializers.ListField(child=serializers.CharField())
    capacity = serializers.CharField(allow_blank=True)
    persistent_volume = serializers.CharField(allow_blank=True)
    problem = SaidField(allow_blank=True, help_text="Why there is no volume; empty where there is.")
    volume = PortworxVolumeSerializer(allow_null=True)


class VolumesSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    pages = serializers.IntegerField()
    problem = SaidField(allow_blank=True, help_text="Why Portworx told nothing of the volumes.")
    remedy = SaidField(allow_blank=True)
    results = ClaimVolumeSerializer(many=True)


class CredentialSerializer(serializers.Serializer[Any]):
    uuid = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    provider = serializers.CharField()
    bucket = serializers.CharField(allow_blank=True)
    region = serializers.CharField(allow_blank=True)
    endpoint = serializers.CharField(allow_blank=True)
    account = serializers.CharField(allow_blank=True, help_text="Azure's account or Google's project.")
    pairs = serializers.ListField(child=serializers.CharField(), help_text="The team's pairs that need them.")


class CredentialsSerializer(serializers.Serializer[Any]):
    credentials = CredentialSerializer(many=True)


class ObjectLineSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField(allow_blank=True, help_text="What `oc get all` shows first of it.")


class ObjectsSerializer(serializers.Serializer[Any]):
    objects = ObjectLineSerializer(many=True)
    unreadable = serializers.ListField(child=serializers.CharField(), help_text="Kinds that may not be listed.")


class AsksPortworx(TeamOwnedViewSet):
    """Mixin for the API of clusters."""

    @extend_schema(
        responses=VolumesSerializer,
        filters=False,
        parameters=[
            OpenApiParameter("namespace", str, many=True, description="All namespaces without one."),
            OpenApiParameter("name", str, description="Part of the claim's name."),
            OpenApiParameter("page", int),
        ],
    )
    @action(detail=True, pagination_class=None)
    def volumes(self, request: Request, pk: str) -> Response:
        """The claims on Portworx volumes, 50 at a time, each with what `pxctl volume inspect` says of it now."""
        given = request.query_params
        found = storage.volumes_of(
            self.object_for(Action.OPERATE),
            namespaces=given.getlist("namespace"),
            name=given.get("name", ""),
            page=given.get("page"),
        )
        return Response(
            {
                "count": found.page.paginator.count,
                "pages": found.page.paginator.num_pages,
                "problem": found.problem,
                "remedy": found.remedy,
                "results": list(found.page),
            }
        )

    @extend_schema(
        responses=ObjectsSerializer, filters=False, parameters=[OpenApiParameter("namespace", str, required=True)]
    )
    @action(detail=True, pagination_class=None)
    def objects(self, request: Request, pk: str) -> Response:
        """What is in a namespace now, as `oc get all` shows it: a line for each object."""
        cluster = self.object_for(Action.OPERATE)
        namespace = request.query_params.get("namespace", "")
        if not namespace:
            raise serializers.ValidationError({"namespace": [_("Give a namespace.")]})
        found = storage.objects_of(cluster, namespace)
        return Response({"objects": found.rows, "unreadable": found.unreadable})

    @extend_schema(responses=CredentialsSerializer, filters=False)
    @action(detail=True, pagination_class=None)
    def credentials(self, request: Request, pk: str) -> Response:
        """The object-store credentials that the cluster's Portworx keeps, ours and others', without keys."""
        return Response({"credentials": storage.credentials_of(self.object_for(Action.OPERATE))})
