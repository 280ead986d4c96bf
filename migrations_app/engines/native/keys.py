"""Movers' temporary keys: made with their Job, in a Secret of their own, and renewed there before they are over.

The kubelet brings a renewed Secret into the running pod within a minute or two, and the mover signs its next request
with what it finds there. So nothing is started again, however long a volume takes. A mover whose keys are over, because
nobody was there to renew them, waits for new ones for a while and is then started again by its Job.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters import temporary_keys
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.temporary_keys import LIFETIME, NoKeysError, TemporaryKeys
from migrations_app import events
from migrations_app.engines import RetriableError
from migrations_app.engines.native import manifests
from migrations_app.engines.native.manifests import EXPIRES_ANNOTATION, KEYS_LABEL
from migrations_app.engines.native.privileges import DIRECTIONS, Direction
from migrations_app.engines.sides import side_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationVolume, Status
from migrations_app.resources.marks import VOLUME_LABEL

Object = dict[str, Any]
# Half of their time is left for a store, a cluster or this server that is down meanwhile.
RENEW_WITHIN = LIFETIME / 2
LOOK_EVERY = LIFETIME / 12
AGAIN_AFTER_FAILURE = timedelta(minutes=1)


def make(direction: Direction, migration: Migration, volume: MigrationVolume) -> TemporaryKeys:
    """New keys for the volume's mover: to read and write below its prefix, or only to read. Raises RetriableError."""
    store = migration.pair.object_store
    prefix = manifests.prefix(migration, volume)
    name = manifests.own_name(direction, volume)
    try:
        return temporary_keys.keys_for(store, prefix, writing=direction == "push", name=name)
    except NoKeysError as error:
        raise RetriableError(
            f"The object store {store.name} gives no temporary keys for movers ({error}); it is tried again. "
            "Check the store: its page says what is wrong."
        ) from None


def renew_if_due(migration: Migration, lease: Lease, volumes: list[MigrationVolume]) -> None:
    """Renew what will be over before long, of the movers of these volumes. Raises as a Side's, LeaseLostError."""
    seen = migration.keys_looked_at
    if seen is not None and timezone.now() - seen < LOOK_EVERY:
        return
    looked_at, trouble = timezone.now(), ""
    try:
        for direction in DIRECTIONS:
            _renew(direction, migration, lease, volumes)
    except RetriableError as error:
        # The movers have their keys for a while yet; looks at them go on.
        looked_at, trouble = looked_at - LOOK_EVERY + AGAIN_AFTER_FAILURE, str(error)
    with transaction.atomic():
        lease.renew()
        migration.keys_looked_at = looked_at
        migration.save(update_fields=["keys_looked_at"])
        if trouble:
            events.emit(migration, "KeysNotRenewed", trouble, warning=True)


def renew_before_resuming(migration: Migration, lease: Lease, volumes: list[MigrationVolume]) -> None:
    """Renew what is over or will be before long, before the movers begin again. Raises as a Side's, LeaseLostError."""
    looked_at = timezone.now()
    for direction in DIRECTIONS:
        _renew(direction, migration, lease, volumes)
    lease.renew()
    migration.keys_looked_at = looked_at
    migration.save(update_fields=["keys_looked_at"])


def _renew(direction: Direction, migration: Migration, lease: Lease, volumes: list[MigrationVolume]) -> None:
    by_pk = {str(volume.pk): volume for volume in volumes if volume.status == Status.IN_PROGRESS}
    selector = f"{manifests.MIGRATION_LABEL}={migration.pk},{KEYS_LABEL}={direction}"
    with side_of(migration.pair, direction).asked() as connection:
        for namespace in sorted({volume.namespace_of(direction) for volume in volumes}):
            for secret in list(connection.list("secrets", namespace, label_selector=selector)):
                volume = by_pk.get(secret["metadata"]["labels"].get(VOLUME_LABEL, ""))
                if volume is not None and _ends_soon(secret):
                    lease.renew()
                    _replace(connection, secret, make(direction, migration, volume))


def _ends_soon(secret: Object) -> bool:
    try:
        expires = datetime.fromisoformat((secret["metadata"].get("annotations") or {})[EXPIRES_ANNOTATION])
    except (KeyError, ValueError):
        return True
    return expires - datetime.now(UTC) < RENEW_WITHIN


def _replace(connection: Connection, secret: Object, keys: TemporaryKeys) -> None:
    metadata = secret["metadata"]
    body = {"metadata": {"annotations": manifests.expiry(keys)}, "data": manifests.keys_data(keys)}
    try:
        connection.patch("secrets", metadata["name"], metadata["namespace"], body)
    except errors.NotFound:
        # It went with its Job in this moment.
        return
