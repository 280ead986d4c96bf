"""Pages of what a cluster's Portworx holds, asked when they are opened: volumes of claims, and credentials."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from clusters import storage
from clusters.models import Cluster
from teams import access
from teams.access import Action
from teams.refusals import Refusal


def _cluster(request: HttpRequest, pk: uuid.UUID) -> Cluster:
    # Opening one of these pages runs pxctl in the cluster.
    return access.get(Cluster.objects.select_related("team"), request.user, pk, Action.OPERATE)


@require_GET
def volumes(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    cluster = _cluster(request, pk)
    chosen, name = request.GET.getlist("namespace"), request.GET.get("name", "")
    context: dict[str, Any] = {"object": cluster, "chosen": chosen, "name": name}
    try:
        found = storage.volumes_of(
            cluster, namespaces=chosen, name=name, page=request.GET.get("page"), with_objects=True
        )
    except Refusal as refusal:
        context["trouble"] = str(refusal)
    else:
        context |= {"found": found, "page": found.page}
    return render(request, "clusters/volumes.html", context)


@require_GET
def credentials(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    cluster = _cluster(request, pk)
    context: dict[str, Any] = {"object": cluster}
    try:
        context["credentials"] = storage.credentials_of(cluster)
    except Refusal as refusal:
        context["trouble"] = str(refusal)
    return render(request, "clusters/credentials.html", context)


urlpatterns: list[URLPattern] = [
    path("clusters/<uuid:pk>/volumes/", volumes, name="cluster-volumes"),
    path("clusters/<uuid:pk>/credentials/", credentials, name="cluster-credentials"),
]
