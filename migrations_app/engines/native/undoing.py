"""The way back: what a migration made on the destination is removed, and what it changed or purged is put back.

A cancelled migration and one that is rolled back go the same way. Everything here looks at what is there first, so
that it can be repeated and may be cut short anywhere: what is gone is gone, what is as it was is left as it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.kube import errors
from clusters.kube.connection import Connection
from migrations_app.engines.claims import CLAIMS
from migrations_app.engines.native.records import CHANGING, PURGING
from migrations_app.engines.sides import destination_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, MigrationResource, Status
from migrations_app.resources import purge, removing, restoring
from migrations_app.resources.belonging import OWN_PREFIX
from migrations_app.resources.collect import collect
from migrations_app.resources.marks import migration_of
from migrations_app.resources.meeting import NOT_ABOUT_THE_OBJECT
from migrations_app.resources.ownership import made_by
from migrations_app.resources.present import Present
from migrations_app.resources.removing import Fate, Made
from migrations_app.resources.restoring import Former
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
SLICE_SECONDS = 15.0
WORKERS = 8
AT_ONCE = 64
# An operator gets so long to let go of its custom resources before it is removed itself.
OPERATORS_PATIENCE = timedelta(minutes=2)
# What somebody's finalizer still holds after the one is told, and after the other left to its end.
FINALIZERS_TOLD, FINALIZERS_PATIENCE = timedelta(seconds=30), timedelta(minutes=10)
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MADE, CHANGED, PURGED = ("created",), ("updated", CHANGING), ("purged", PURGING)
REMOVED, RESTORED = "removed", "restored"
REASONS = {REMOVED: "Removed again", RESTORED: "As it was before"}


@dataclass
class Undone:
    """How far the way back is: what is still there and going, what holds some of that, and what stays and why."""

    waiting: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    staying: list[str] = field(default_factory=list)


def undo(migration: Migration, lease: Lease, *, since: timedelta) -> Undone:
    """Take back what can be taken back now; all is done when nothing is waited for. Repeating is safe.

    `since` is how long ago it was asked for. Raises RetriableError, MigrationError, LeaseLostError.
    """
    undone = Undone()
    stop_at = time.monotonic() + SLICE_SECONDS
    with destination_of(migration.pair).asked() as connection, ThreadPoolExecutor(WORKERS) as pool:
        work = _Work(migration, lease, connection, pool, undone, stop_at, since)
        work.remove_made()
        if undone.waiting:
            return undone
        work.put_back()
        work.remove_marked()
    return undone


class _Work:
    """One look at what is still to be taken back."""

    def __init__(
        self,
        migration: Migration,
        lease: Lease,
        connection: Connection,
        pool: ThreadPoolExecutor,
        undone: Undone,
        stop_at: float,
        since: timedelta,
    ) -> None:
        self._migration, self._lease, self._connection = migration, lease, connection
        self._pool, self._undone, self._stop_at, self._since = pool, undone, stop_at, since

    def remove_made(self) -> None:
        """What was created, but for claims: custom resources, and when they are gone all else, the last first."""
        patient = self._since < OPERATORS_PATIENCE
        rows = {made.uid: row for row, made in made_by_migration(self._migration)}
        for part in removing.in_reverse(made for _row, made in made_by_migration(self._migration)):
            present = Present(self._connection, [made.stub for made in part])
            before = len(self._undone.waiting)
            for batch in _batches(part):
                if time.monotonic() > self._stop_at:
                    self._undone.waiting.append(f"{len(part)} objects")
                    return
                self._lease.renew()
                gone = []
                for made, (fate, reason) in zip(batch, self._pool.map(self._remover(present), batch), strict=True):
                    name = named(made.stub)
                    if fate == Fate.GONE:
                        gone.append(rows[made.uid])
                    elif fate == Fate.STAYS:
                        self._undone.staying.append(f"{name}: {reason}")
                    else:
                        self._wait_for(name, reason)
                self._done(gone, REMOVED)
            if patient and len(self._undone.waiting) > before and removing.is_custom(part[0].stub):
                return

    def _wait_for(self, name: str, held: str) -> None:
        """Once more, unless somebody's finalizer has held it for too long."""
        if held and self._since >= FINALIZERS_PATIENCE:
            self._undone.staying.append(f"{name}: {held}")
            return
        self._undone.waiting.append(name)
        if held and self._since >= FINALIZERS_TOLD:
            self._undone.held.append(f"{name}: {held}")

    def _remover(self, present: Present) -> Any:
        def removed(made: Made) -> tuple[Fate, str]:
            try:
                fate, reason, _obj = removing.fate_of(self._connection, made, present, str(self._migration.pk))
                if fate == Fate.REMOVED:
                    removing.remove(self._connection, made)
            except NOT_ABOUT_THE_OBJECT:
                raise
            except errors.KubeError as error:
                return Fate.STAYS, error.message
            return fate, reason

        return removed

    def put_back(self) -> None:
        """What was changed is as it was before, and what was purged is there again."""
        for row in self._migration.resources.filter(action__in=(*CHANGED, *PURGED)).order_by("order", "pk"):
            if time.monotonic() > self._stop_at:
                self._undone.waiting.append("objects that are put back")
                return
            self._lease.renew()
            reason = self._put_back(row)
            if reason:
                self._undone.staying.append(f"{row}: {reason}")
            self._done([row], RESTORED, reason)

    def _put_back(self, row: MigrationResource) -> str:
        former = Former.from_text(row.former)
        put_back = restoring.recreate if row.action in PURGED else restoring.restore
        try:
            return put_back(self._connection, former)
        except (*NOT_ABOUT_THE_OBJECT, errors.Conflict):
            raise
        except errors.KubeError as error:
            return error.message

    def remove_marked(self) -> None:
        """By their marks: claims, and what a worker had made that was killed before it wrote that down."""
        migration_id = str(self._migration.pk)
        namespaces = self._migration.spec().destination_namespaces()
        for resource, obj in purge.marked(self._connection, namespaces, migration_id, beyond=True):
            if not made_by(obj, migration_id) or removing.why_kept(self._connection, obj, migration_id):
                continue
            self._lease.renew()
            metadata = obj["metadata"]
            if resource.name == CLAIMS:
                _do_not_retain(self._connection, obj)
            if not metadata.get("deletionTimestamp"):
                self._connection.delete(resource, metadata["name"], metadata.get("namespace"), uid=metadata["uid"])
            told = any(each.startswith(f"{named(obj)}: ") for each in self._undone.staying)
            if not told:
                self._wait_for(named(obj), removing.held_by(obj))

    def _done(self, rows: list[MigrationResource], action: str, reason: str = "") -> None:
        if not rows:
            return
        with transaction.atomic():
            self._lease.renew()
            MigrationResource.objects.filter(pk__in=[row.pk for row in rows]).update(
                action=action, reason=reason or REASONS[action], updated_at=timezone.now()
            )


def made_by_migration(migration: Migration) -> Iterator[tuple[MigrationResource, Made]]:
    """What the migration created and told of, in the order in which it was applied; claims are found by their mark."""
    rows = migration.resources.filter(action__in=MADE).exclude(created_uid="").exclude(kind="PersistentVolumeClaim")
    for row in rows.order_by("order", "pk"):
        yield row, Made(stub_of(row), row.created_uid)


def stub_of(row: MigrationResource) -> Object:
    """What tells which object a row is about."""
    metadata = {"name": row.name, **({"namespace": row.namespace} if row.namespace else {})}
    api_version = f"{row.group}/{row.version}" if row.group else row.version
    return {"apiVersion": api_version, "kind": row.kind, "metadata": metadata}


def named(stub: Object) -> str:
    metadata = stub["metadata"]
    place = f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
    return f"{stub['kind']} {place}"


def _batches(made: list[Made]) -> Iterable[list[Made]]:
    return (made[start : start + AT_ONCE] for start in range(0, len(made), AT_ONCE))


def _do_not_retain(connection: Connection, claim: Object) -> None:
    """A disk that was provisioned for our claim goes with it, even where its class would keep it."""
    name = claim["spec"].get("volumeName")
    if not name:
        return
    try:
        volume = connection.get("persistentvolumes", name)
    except (errors.NotFound, errors.Forbidden):
        # Who may not see disks leaves them as their class says.
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
            objects, unread = inside(connection, name)
            others = list(dict.fromkeys(f"{obj['kind']} {obj['metadata']['name']}" for obj in objects))
            if unread:
                staying.append(f"Namespace {name}: {unseen(unread)}")
            elif others:
                staying.append(f"Namespace {name}: others have put something there ({', '.join(others[:5])})")
            elif not namespace["metadata"].get("deletionTimestamp"):
                connection.delete("namespaces", name, uid=namespace["metadata"]["uid"])
    return staying


def inside(connection: Connection, namespace: str) -> tuple[list[Object], list[str]]:
    """What is in the namespace that neither we nor the cluster itself made; and the kinds that may not be listed."""
    found = collect(connection, Spec(namespaces=(namespace,)))
    # What has an owner is there as long as that is.
    others = [obj for obj in found.objects if not obj["metadata"].get("ownerReferences")]
    others += connection.list(CLAIMS, namespace)
    # Not migrated, the Jobs among them that have ended, but somebody's.
    for kind in ("pods", "jobs.batch"):
        for obj in connection.list(kind, namespace):
            metadata = obj["metadata"]
            if not metadata.get("ownerReferences") and not metadata["name"].startswith(OWN_PREFIX):
                others.append(obj)
    served = ((each.resource, connection.discovery().find(each.resource)) for each in found.skipped)
    hidden = {
        name
        for name, resource in served
        if resource and resource.namespaced and _is_hidden(connection, name, namespace)
    }
    return others, sorted(hidden)


def _is_hidden(connection: Connection, resource: str, namespace: str) -> bool:
    """Whether objects of the kind cannot be seen, rather than gone together with their definition just now."""
    try:
        return any(True for _ in connection.list(resource, namespace))
    except errors.NotFound:
        return False
    except errors.Forbidden:
        return True


def unseen(unread: list[str]) -> str:
    """Why a namespace stays in which not everything can be seen: what is there would go with it."""
    more = f" and {len(unread) - 3} more kinds" if len(unread) > 3 else ""
    return (
        f"it cannot be seen whether others have put something there ({', '.join(unread[:3])}{more} may not be listed)"
    )


def mark_cancelled(migration: Migration, *, removed: bool) -> None:
    """The rows of volumes and resources as they are after the cancellation. To be called in a transaction."""
    volumes = migration.volumes.exclude(status=Status.FAILED)
    resources = migration.resources.exclude(status=Status.FAILED)
    if not removed:
        volumes, resources = volumes.exclude(status=Status.SUCCESSFUL), resources.exclude(status=Status.SUCCESSFUL)
    said = "Cancelled, and removed again" if removed else "Cancelled"
    volumes.update(status=Status.CANCELLED, reason=said, eta_seconds=None, rate=None)
    resources.filter(action__in=["created", "provisioned", REMOVED, ""]).update(status=Status.CANCELLED, reason=said)
    resources.filter(action=RESTORED).update(status=Status.CANCELLED)


def mark_rolled_back(migration: Migration) -> None:
    """The rows of volumes as they are after the roll-back. To be called in a transaction."""
    migration.volumes.update(reason="Removed again by the roll-back")
    migration.resources.filter(action="provisioned").update(action=REMOVED, reason=REASONS[REMOVED])
    claims = migration.resources.filter(action="created", kind="PersistentVolumeClaim")
    claims.update(action=REMOVED, reason=REASONS[REMOVED])
