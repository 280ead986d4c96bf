"""Cancelling, and what is left behind after a verdict: a Migration that Stork has not ended must not go on alone."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.db import transaction

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.portworx.migration import GROUP, MIGRATIONS, read
from migrations_app import events, live, progress
from migrations_app.engines.portworx import asking
from migrations_app.engines.sides import destination_of, source_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, Status

Object = dict[str, Any]
SOON = timedelta(seconds=1)
# Of the kinds that Stork applies those that people look for; nothing is done to them.
LOOKED_FOR = (
    *("persistentvolumeclaims", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "services"),
    *("configmaps", "secrets", "routes.route.openshift.io", "ingresses.networking.k8s.io", "cronjobs.batch"),
    "deploymentconfigs.apps.openshift.io",
)


def clean_up(migration: Migration, lease: Lease) -> timedelta | None:
    """After the verdict: a Migration of ours that Stork has not ended is deleted; None when that is done."""
    said = "Stork's Migration stays on the source as the record of what it did"
    if not migration.imported:
        with source_of(migration.pair).asked() as connection:
            obj = asking.found(connection, migration)
            if obj is not None and not read(obj).is_over:
                _delete(connection, obj)
                return SOON
        if obj is None:
            said = "Stork's Migration is not on the source any more"
    with transaction.atomic():
        lease.renew()
        migration.data_key, migration.cleaned_up = "", True
        migration.save(update_fields=["data_key", "cleaned_up"])
        events.emit(migration, "CleanedUp", said)
        transaction.on_commit(lambda: live.state_changed(migration), robust=True)
    return None


def cancel(migration: Migration, lease: Lease) -> timedelta | None:
    """Delete the Migration, wait until Stork has let go of it, and say what remains on the destination."""
    with source_of(migration.pair).asked() as connection:
        obj = asking.found(connection, migration)
        if obj is not None and not read(obj).is_over:
            _delete(connection, obj)
            lease.renew()
            progress.note(migration, "Cancelling: the Migration is deleted, and Stork ends its transfers")
            return SOON
    remaining = _remaining(migration)
    with transaction.atomic():
        lease.renew()
        left = f"On the destination remain {remaining}." if remaining else "Nothing of it was found on the destination."
        for rows in (migration.volumes, migration.resources):
            rows.exclude(status__in=[Status.FAILED, Status.SUCCESSFUL]).update(
                status=Status.CANCELLED, reason="Cancelled"
            )
        migration.volumes.update(rate=None, eta_seconds=None)
        progress.finish(
            migration,
            Status.CANCELLED,
            f"Cancelled. Stork takes nothing back: what it had brought stays. {left} The source was not changed.",
        )
    return timedelta(0)


def _delete(connection: Connection, obj: Object) -> None:
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp"):
        connection.delete(MIGRATIONS, metadata["name"], metadata["namespace"], uid=metadata["uid"])


def _remaining(migration: Migration) -> str:
    """What on the destination bears the Migration's name, as `2 Service, 1 Route`."""
    name = migration.stork_object.get("name") or migration.name
    found: Counter[str] = Counter()
    with destination_of(migration.pair).asked() as connection:
        for resource in LOOKED_FOR:
            for namespace in migration.namespaces:
                try:
                    for each in connection.list(resource, namespace):
                        annotations = each["metadata"].get("annotations") or {}
                        found[each["kind"]] += annotations.get(f"{GROUP}/migrationName") == name
                except (errors.NotFound, errors.Forbidden):
                    continue
    return ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()) if count)
