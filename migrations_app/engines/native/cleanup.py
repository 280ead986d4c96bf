"""What is left behind of movers and of data on its way: nothing."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import botocore.exceptions
from django.db import transaction

from clusters.addresses import AddressRefusedError
from clusters.object_storage import CaBundleError, client
from migrations_app import events, live
from migrations_app.engines import RetriableError
from migrations_app.engines.native import manifests, movers, snapshots
from migrations_app.engines.sides import both_sides
from migrations_app.lease import Lease
from migrations_app.models import Migration

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
    """End all Jobs, Secrets and snapshots of the migration; whether they and their pods are gone.

    Raises RetriableError.
    """
    gone = True
    for side in both_sides(migration.pair):
        for namespace in side.namespaces(migration):
            lease.renew()
            with side.asked() as connection:
                ended = movers.end(connection, migration, namespace)
                if side.role == "source":
                    ended = snapshots.remove(connection, migration, namespace) and ended
                gone = ended and gone
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
