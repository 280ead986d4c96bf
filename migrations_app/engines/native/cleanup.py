"""What is left behind: nothing. And what a cancelled migration takes back: exactly what it had made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import botocore.exceptions
from django.db import transaction

from clusters.addresses import AddressRefusedError
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.kube.discovery import Resource
from clusters.object_storage import CaBundleError, client
from migrations_app import events, live
from migrations_app.engines import RetriableError
from migrations_app.engines.native import manifests, movers
from migrations_app.engines.native.claims import CLAIMS
from migrations_app.engines.native.sides import both_sides, destination_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationResource, Status
from migrations_app.resources.belonging import OWN_PREFIX
from migrations_app.resources.collect import collect
from migrations_app.resources.marks import migration_of
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
AGAIN_SOON = timedelta(seconds=1)
SLICE_SECONDS = 15.0
KEYS_PER_REQUEST = 1000
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def step(migration: Migration, lease: Lease) -> timedelta | None:
    """Remove movers, credentials and the data in the bucket, and destroy the key; None when done."""
    if not stop_movers(migration, lease):
        return AGAIN_SOON
    if not _empty_bucket(migration, lease):
        return timedelta(0)
    with transaction.atomic():
        lease.renew()
        migration.data_key, migration.cleaned_up = "", True
        migration.save(update_fields=["data_key", "cleaned_up"])
        events.emit(
            migration,
            "CleanedUp",
            "Movers, credentials and the data in the object store are removed; the key is destroyed",
        )
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)
    return None


def stop_movers(migration: Migration, lease: Lease) -> bool:
    """End all Jobs and Secrets of the migration on both sides; whether their pods are gone. Raises RetriableError."""
    gone = True
    for side in both_sides(migration.pair):
        for namespace in side.namespaces(migration):
            lease.renew()
            with side.asked() as connection:
                gone = movers.end(connection, migration, namespace) and gone
    return gone


def _empty_bucket(migration: Migration, lease: Lease) -> bool:
    """Delete everything below the migration's prefix; whether there was time for all of it. Raises RetriableError."""
    store, prefix = migration.pair.object_store, manifests.prefix(migration) + "/"
    deadline = time.monotonic() + SLICE_SECONDS
    try:
        s3 = client(store)
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=store.bucket, Prefix=prefix, PaginationConfig={"PageSize": KEYS_PER_REQUEST}
        )
        for page in pages:
            if time.monotonic() > deadline:
                return False
            if keys := [{"Key": each["Key"]} for each in page.get("Contents", ())]:
                lease.renew()
                done = s3.delete_objects(Bucket=store.bucket, Delete={"Objects": keys, "Quiet": True})
                if refused := done.get("Errors"):
                    raise RetriableError(_not_cleaned(store.name, str(refused[0].get("Code"))))
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=store.bucket, Prefix=prefix):
            for upload in page.get("Uploads", ()):
                s3.abort_multipart_upload(Bucket=store.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    except botocore.exceptions.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code == "NoSuchBucket":
            return True
        raise RetriableError(_not_cleaned(store.name, code)) from None
    except (botocore.exceptions.BotoCoreError, AddressRefusedError, CaBundleError) as error:
        raise RetriableError(_not_cleaned(store.name, type(error).__name__)) from None
    return True


def _not_cleaned(store: str, code: str) -> str:
    return f"The migration's data in the object store {store} could not be deleted ({code}); it is tried again."


# -- the way back of a cancelled migration


def take_back(migration: Migration, lease: Lease) -> list[str]:
    """Delete on the destination what this migration made there, the last first; what is still there or stays, and why.

    An empty list means that all is gone. Repeating is safe. Raises RetriableError.
    """
    left: list[str] = []
    with destination_of(migration.pair).asked() as connection:
        for row in migration.resources.filter(action="created").order_by("-order", "-pk"):
            lease.renew()
            if row.kind != "PersistentVolumeClaim" and (resource := _resource_of(connection, row)):
                _remove(connection, migration, resource, row.name, row.namespace or None)
        for namespace in migration.spec().destination_namespaces():
            lease.renew()
            # By their marks, as a worker may have been killed before it wrote down what it had made.
            for resource, obj in _ours(connection, migration, namespace):
                if resource.name == CLAIMS:
                    _do_not_retain(connection, obj)
                _remove(connection, migration, resource, obj["metadata"]["name"], namespace)
                left.append(f"{obj['kind']} {namespace}/{obj['metadata']['name']}")
    return left


def _resource_of(connection: Connection, row: MigrationResource) -> Resource | None:
    api_version = f"{row.group}/{row.version}" if row.group else row.version
    try:
        return connection.resource_of({"apiVersion": api_version, "kind": row.kind})
    except errors.NotFound:
        return None


def _ours(connection: Connection, migration: Migration, namespace: str) -> Iterator[tuple[Resource, Object]]:
    """What carries our mark in the namespace, of every kind that can be deleted."""
    selector = f"{manifests.MIGRATION_LABEL}={migration.pk}"
    for resource in connection.discovery().resources():
        if not (resource.namespaced and {"list", "create", "delete"} <= resource.verbs):
            continue
        try:
            for obj in connection.list(resource, namespace, label_selector=selector):
                # What has an owner goes with it, and gets our mark from it.
                if not obj["metadata"].get("ownerReferences"):
                    yield resource, obj
        except (errors.NotFound, errors.Forbidden, errors.Invalid):
            continue


def _remove(connection: Connection, migration: Migration, resource: Resource, name: str, namespace: str | None) -> None:
    """Delete the object if it carries our mark, and just that one."""
    try:
        found = connection.get(resource, name, namespace)
    except errors.NotFound:
        return
    if migration_of(found) == str(migration.pk) and not found["metadata"].get("deletionTimestamp"):
        connection.delete(resource, name, namespace, uid=found["metadata"]["uid"])


def _do_not_retain(connection: Connection, claim: Object) -> None:
    """A disk that was provisioned for our claim goes with it, even where its class would keep it."""
    name = claim["spec"].get("volumeName")
    if not name:
        return
    try:
        volume = connection.get("persistentvolumes", name)
    except errors.NotFound:
        return
    provisioned = PROVISIONED_BY in (volume["metadata"].get("annotations") or {})
    bound_to_ours = (volume["spec"].get("claimRef") or {}).get("uid") == claim["metadata"]["uid"]
    if provisioned and bound_to_ours and volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain":
        body = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
        connection.patch("persistentvolumes", name, None, body)


def remove_namespaces(migration: Migration, lease: Lease) -> list[str]:
    """Delete the namespaces that this migration made, unless somebody else has put something there; those that stay."""
    staying = []
    with destination_of(migration.pair).asked() as connection:
        for name in migration.spec().destination_namespaces():
            lease.renew()
            try:
                namespace = connection.get("namespaces", name)
            except errors.NotFound:
                continue
            if migration_of(namespace) != str(migration.pk):
                continue
            foreign = list(
                dict.fromkeys(f"{obj['kind']} {obj['metadata']['name']}" for obj in _foreign(connection, name))
            )
            if foreign:
                staying.append(f"{name} (it holds {', '.join(foreign[:5])})")
            elif not namespace["metadata"].get("deletionTimestamp"):
                connection.delete("namespaces", name, uid=namespace["metadata"]["uid"])
    return staying


def _foreign(connection: Connection, namespace: str) -> Iterator[Object]:
    """What is in the namespace that neither we made nor the cluster makes in every namespace."""
    for obj in collect(connection, Spec(namespaces=(namespace,))).objects:
        # What has an owner is there as long as that is.
        if not obj["metadata"].get("ownerReferences"):
            yield obj
    yield from connection.list(CLAIMS, namespace)
    # Not migrated, the Jobs among them that have ended, but somebody's.
    for kind in ("pods", "jobs.batch"):
        for obj in connection.list(kind, namespace):
            metadata = obj["metadata"]
            if not metadata.get("ownerReferences") and not metadata["name"].startswith(OWN_PREFIX):
                yield obj


def mark_cancelled(migration: Migration, *, removed: bool) -> None:
    """The rows of volumes and resources as they are after the cancellation. To be called in a transaction."""
    volumes = migration.volumes.exclude(status=Status.FAILED)
    resources = migration.resources.exclude(status=Status.FAILED)
    if not removed:
        volumes, resources = volumes.exclude(status=Status.SUCCESSFUL), resources.exclude(status=Status.SUCCESSFUL)
    said = "Cancelled, and removed again" if removed else "Cancelled"
    volumes.update(status=Status.CANCELLED, reason=said, eta_seconds=None, rate=None)
    resources.filter(action__in=["created", "provisioned", ""]).update(status=Status.CANCELLED, reason=said)
