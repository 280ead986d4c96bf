"""The native engine's state machine: which stage comes next, and which part takes its step."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from clusters.models import ClusterPair
from migrations_app import events, progress
from migrations_app.engines import MigrationError, Plan, RetriableError
from migrations_app.engines.native import (
    applications,
    cleanup,
    pausing,
    planning,
    survey,
    undoing,
    verification,
    volumes,
    way_back,
)
from migrations_app.events import Said
from migrations_app.lease import Lease
from migrations_app.models import Migration, Stage, Status
from migrations_app.resources.spec import Spec

AT_ONCE = timedelta(0)
SOON = timedelta(seconds=1)
# A stage's own step, and the stage that follows. PreExecRule and PostExecRule have no work until there are rules.
STAGES = {
    Stage.VOLUMES: (volumes.step, Stage.APPLICATIONS),
    Stage.APPLICATIONS: (applications.step, Stage.FINAL),
}


class NativeEngine:
    """See `migrations_app.engines.MigrationEngine`."""

    def plan(self, pair: ClusterPair, spec: Spec) -> Plan:
        return survey.plan(pair, spec)

    foresee = staticmethod(planning.foresee)
    dry_run = staticmethod(planning.dry_run)
    contents = staticmethod(planning.contents)
    whole = staticmethod(planning.whole)

    def step(self, migration: Migration, lease: Lease) -> timedelta | None:
        if migration.is_finished:
            return cleanup.step(migration, lease)
        if migration.to_be_resumed:
            pausing.resume(migration, lease)
        if migration.stage == Stage.INITIAL:
            progress.enter(migration, Stage.INITIAL)
            survey.begin(migration, lease)
            return self._enter(migration, lease, Stage.VOLUMES if migration.include_volumes else Stage.APPLICATIONS)
        if migration.stage == Stage.FINAL:
            again = verification.step(migration, lease)
            return AT_ONCE if again is None else again
        step, following = STAGES[Stage(migration.stage)]
        again = step(migration, lease)
        return self._enter(migration, lease, following) if again is None else again

    @staticmethod
    def _enter(migration: Migration, lease: Lease, stage: Stage) -> timedelta:
        with transaction.atomic():
            lease.renew()
            progress.enter(migration, stage)
        return AT_ONCE

    def pause(self, migration: Migration, lease: Lease) -> timedelta | None:
        return pausing.pause(migration, lease)

    def cancel(self, migration: Migration, lease: Lease) -> timedelta | None:
        try:
            return self._cancel(migration, lease)
        except MigrationError as error:
            # A cancellation is not given up: what was made has to be found and removed.
            raise RetriableError(str(error)) from error

    @staticmethod
    def _cancel(migration: Migration, lease: Lease) -> timedelta | None:
        if not cleanup.stop_movers(migration, lease):
            return SOON
        said = "Cancelled. What it had made on the destination was left there; the source was not changed."
        staying: list[str] = []
        if migration.remove_when_cancelled:
            asked = migration.cancel_requested_at or timezone.now()
            undone = undoing.undo(migration, lease, since=timezone.now() - asked)
            if undone.waiting:
                progress.note(migration, f"Cancelling: waiting until {len(undone.waiting)} objects are gone")
                _tell_held(migration, undone)
                return SOON
            staying = [*undone.staying, *undoing.remove_namespaces(migration, lease)]
            said = "Cancelled. What it had made on the destination was removed; the source was not changed."
        with transaction.atomic():
            lease.renew()
            undoing.mark_cancelled(migration, removed=migration.remove_when_cancelled)
            events.emit_all(migration, [Said("Stays", each, warning=True) for each in staying])
            progress.finish(migration, Status.CANCELLED, said)
        return AT_ONCE

    def roll_back(self, migration: Migration, lease: Lease) -> timedelta | None:
        asked = migration.rollback_requested_at or timezone.now()
        undone = undoing.undo(migration, lease, since=timezone.now() - asked)
        if undone.waiting:
            _tell_held(migration, undone)
            return SOON
        staying = [*undone.staying, *undoing.remove_namespaces(migration, lease)]
        with transaction.atomic():
            lease.renew()
            undoing.mark_rolled_back(migration)
            events.emit_all(migration, [Said("Stays", each, warning=True) for each in staying])
            progress.rolled_back(migration, complete=not staying)
        return None

    foresee_roll_back = staticmethod(way_back.foresee)


def _tell_held(migration: Migration, undone: undoing.Undone) -> None:
    """Say once of each object what keeps the way back waiting."""
    known = set(migration.events.filter(reason="Waiting").values_list("message", flat=True))
    events.emit_all(migration, [Said("Waiting", each, warning=True) for each in undone.held if each not in known])
