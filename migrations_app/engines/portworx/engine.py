"""The Portworx engine's state machine: Stork decides which stage comes next, and we follow it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction

from clusters.models import ClusterPair
from migrations_app import events, progress
from migrations_app.engines import MigrationError, Plan, RetriableError
from migrations_app.engines.portworx import asking, ending, following, survey, verification
from migrations_app.engines.sides import source_of
from migrations_app.lease import Lease
from migrations_app.models import Migration, Stage
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
AT_ONCE = timedelta(0)


class PortworxEngine:
    """See `migrations_app.engines.MigrationEngine`."""

    def plan(self, pair: ClusterPair, spec: Spec) -> Plan:
        return survey.plan(pair, spec)

    def step(self, migration: Migration, lease: Lease) -> timedelta | None:
        if migration.is_finished:
            return ending.clean_up(migration, lease)
        if not migration.stork_object.get("uid"):
            return self._begin(migration, lease)
        if migration.stage == Stage.FINAL:
            again = verification.step(migration, lease)
            return AT_ONCE if again is None else again
        return following.step(migration, lease)

    @staticmethod
    def _begin(migration: Migration, lease: Lease) -> timedelta:
        """Check what can be checked, and hand over to Stork."""
        progress.enter(migration, Stage.INITIAL)
        survey.begin(migration, lease)
        with source_of(migration.pair).asked() as connection:
            obj = asking.made(connection, migration)
        with transaction.atomic():
            lease.renew()
            note_object(migration, obj)
            events.emit(
                migration,
                "MigrationCreated",
                f"Stork's Migration {obj['metadata']['namespace']}/{obj['metadata']['name']} is on the source cluster "
                f"{migration.pair.source}; Stork takes it from here",
                regarding=f"Migration/{obj['metadata']['namespace']}/{obj['metadata']['name']}",
            )
        return AT_ONCE

    def cancel(self, migration: Migration, lease: Lease) -> timedelta | None:
        try:
            return ending.cancel(migration, lease)
        except MigrationError as error:
            # A cancellation is not given up: Stork would go on.
            raise RetriableError(str(error)) from error


def note_object(migration: Migration, obj: Object) -> None:
    """Write down which Migration on the source this row follows."""
    metadata = obj["metadata"]
    migration.stork_object = {key: metadata[key] for key in ("namespace", "name", "uid")}
    migration.save(update_fields=["stork_object"])
