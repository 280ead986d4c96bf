"""What has to be on the destination before anything else can come: namespaces and claims."""

from __future__ import annotations

from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines import RetriableError
from migrations_app.engines.claims import CLAIMS
from migrations_app.engines.native import manifests
from migrations_app.models import Migration, MigrationVolume

Object = dict[str, Any]


def ensure_namespace(destination: Connection, migration: Migration, original: Object) -> None:
    """The namespace for one of the source's; an existing one is left alone. Raises KubeError."""
    name = migration.spec().namespace_for(original["metadata"]["name"])
    try:
        found = destination.get("namespaces", name)
    except errors.NotFound:
        try:
            destination.create("namespaces", manifests.namespace(migration, original))
        except errors.AlreadyExists:
            return
        return
    if found["metadata"].get("deletionTimestamp"):
        raise RetriableError(f"The namespace {name} is being deleted on the destination; waiting until it is gone.")


def ensure_claim(destination: Connection, migration: Migration, volume: MigrationVolume) -> Object:
    """The volume's claim; one that was there before was found fit by the survey. Raises KubeError."""
    try:
        return destination.create(CLAIMS, manifests.claim(migration, volume))
    except errors.AlreadyExists:
        return destination.get(CLAIMS, volume.claim, volume.destination_namespace)
