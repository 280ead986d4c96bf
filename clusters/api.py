"""The API of clusters and object stores. Secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django_filters.rest_framework import FilterSet
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from clusters import cluster_services, store_services
from clusters.checked_api import CHECKED, OWNED, CheckedViewSet, OwnedSerializer
from clusters.models import Cluster, ObjectStore
from clusters.pair_api import HasClusterPairs
from clusters.storage_api import AsksPortworx, InstallationSerializer
from teams.access import Action


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


class ClusterFilter(FilterSet):
    class Meta:
        model = Cluster
        fields = {"name": ["exact", "icontains"], "health": ["exact"], "team": ["exact"]}


class ObjectStoreFilter(FilterSet):
    class Meta:
        model = ObjectStore
        fields = {"name": ["exact", "icontains"], "health": ["exact"], "team": ["exact"]}


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
class ClusterViewSet(AsksPortworx, HasClusterPairs, CheckedViewSet):
    """Clusters of the caller's teams."""

    services = cluster_services
    rows = Cluster.objects.select_related("team", "created_by").defer("kubeconfig")
    serializer_class = ClusterSerializer
    filterset_class = ClusterFilter

    @extend_schema(
        responses=inline_serializer("Namespaces", {"namespaces": serializers.ListField(child=serializers.CharField())})
    )
    @action(detail=True)
    def namespaces(self, request: Request, pk: str) -> Response:
        """The namespaces of the cluster, asked now."""
        return Response({"namespaces": cluster_services.namespaces_of(self.object_for(Action.OPERATE))})

    @extend_schema(
        responses=inline_serializer("StorageClasses", {"storage_classes": StorageClassSerializer(many=True)})
    )
    @action(detail=True, url_path="storage-classes")
    def storage_classes(self, request: Request, pk: str) -> Response:
        """The storage classes, as the last check found them."""
        return Response({"storage_classes": self.object_for(Action.VIEW).storage_classes})


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

    services = store_services
    rows = ObjectStore.objects.select_related("team", "created_by").defer("access_key_id", "secret_access_key")
    serializer_class = ObjectStoreSerializer
    filterset_class = ObjectStoreFilter
