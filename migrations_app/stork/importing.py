"""Migrations of the source that somebody made with kubectl or storkctl: found, and followed as rows of ours.

A row that was imported only follows: it does not cancel, and nothing in a cluster is changed for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.models import ClusterPair, Engine
from clusters.portworx import durations
from clusters.portworx.migration import MIGRATIONS, MigrationSpec, read
from migrations_app import events, live
from migrations_app.engines import MigrationError, RetriableError
from migrations_app.engines.sides import source_of
from migrations_app.models import Migration, Stage, Status
from teams.refusals import Conflict, Unavailable

Object = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """A Migration over the pair's ClusterPair that no row follows."""

    namespace: str
    name: str
    uid: str
    stage: str
    status: str
    namespaces: tuple[str, ...]
    created: str

    @property
    def is_over(self) -> bool:
        return self.stage == "Final"


def found(pair: ClusterPair) -> list[Found]:
    """Those that could be imported, newest first. Raises Conflict for another engine, Unavailable."""
    return [_found(obj) for obj in _unknown(pair)]


def import_(pair: ClusterPair, uids: Iterable[str], *, by: Actor) -> list[Migration]:
    """Rows that follow the Migrations with these uids; those that a row follows already are passed over.

    Raises Conflict, Unavailable.
    """
    wanted = set(uids)
    chosen = [obj for obj in _unknown(pair) if obj["metadata"]["uid"] in wanted]
    with transaction.atomic():
        # One import at a time per pair, so that two do not make two rows for one Migration.
        ClusterPair.objects.select_for_update().get(pk=pair.pk)
        known = _known(pair)
        return [_row(pair, obj, by) for obj in chosen if obj["metadata"]["uid"] not in known]


def _unknown(pair: ClusterPair) -> list[Object]:
    if pair.engine != Engine.PORTWORX:
        raise Conflict(_("Stork has no part in this pair: it is of another engine."))
    try:
        with source_of(pair).asked() as connection:
            present = list(connection.list(MIGRATIONS, pair.stork_namespace))
    except (MigrationError, RetriableError) as error:
        raise Unavailable(str(error)) from None
    known = _known(pair)
    ours = [
        each
        for each in present
        if each["metadata"]["uid"] not in known and MigrationSpec.of(each).cluster_pair == pair.stork_name
    ]
    return sorted(ours, key=lambda each: str(each["metadata"].get("creationTimestamp")), reverse=True)


def _known(pair: ClusterPair) -> set[str]:
    """The uids that rows of the team follow."""
    rows = Migration.objects.filter(team=pair.team, pair__source=pair.source, stork_object__uid__isnull=False)
    return {str(uid) for uid in rows.values_list("stork_object__uid", flat=True)}


def _found(obj: Object) -> Found:
    metadata, status = obj["metadata"], read(obj)
    return Found(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        stage=status.stage,
        status=status.status,
        namespaces=MigrationSpec.of(obj).namespaces,
        created=str(metadata.get("creationTimestamp") or ""),
    )


def _row(pair: ClusterPair, obj: Object, by: Actor) -> Migration:
    spec, metadata = MigrationSpec.of(obj), obj["metadata"]
    began = durations.moment(metadata.get("creationTimestamp"))
    times = {Stage.INITIAL.value: began.isoformat()} if began else {}
    migration = Migration.objects.create(
        team=pair.team,
        pair=pair,
        name=_free_name(pair, metadata["name"]),
        created_by=by.user,
        namespaces=list(spec.namespaces),
        include_volumes=spec.include_volumes is not False,
        include_resources=spec.include_resources is not False,
        # Stork's own default, unlike ours.
        start_applications=spec.start_applications is True,
        purge_deleted_resources=spec.purge_deleted_resources is True,
        imported=True,
        stork_object={key: metadata[key] for key in ("namespace", "name", "uid")},
        stage=Stage.INITIAL,
        status=Status.IN_PROGRESS,
        stage_times=times,
        started_at=began,
    )
    record(by, "migration.import", migration, after=migration.to_audit())
    place = f"{metadata['namespace']}/{metadata['name']}"
    events.emit(
        migration,
        "Imported",
        f"Stork's Migration {place} on {pair.source} is followed from now on; it was imported by {by.name}",
        regarding=f"Migration/{place}",
    )
    transaction.on_commit(lambda: live.state_changed(migration), robust=True)
    return migration


def _free_name(pair: ClusterPair, wanted: str) -> str:
    """The Migration's name where the team has none of it, else with a number; at most 63 characters, no dots."""
    base = wanted.replace(".", "-")[:60].strip("-")
    taken = set(Migration.objects.filter(team=pair.team, name__startswith=base).values_list("name", flat=True))
    names = (base, *(f"{base}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)
