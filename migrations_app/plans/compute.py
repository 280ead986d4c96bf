"""One look at one plan: first the checks, then every object, in slices that end before the lease does.

take the lease, or leave
checks: what the engine finds on both clusters
objects: a row for each; ask the destination of those that it was not asked about, and write the answers in batches
give the lease back with the time of the next look

A worker that is killed leaves a lease that runs out; the next one collects again and goes on with the objects that
have no answer yet. Nothing on the clusters is changed.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from clusters.texts import said
from migrations_app import lease as leases
from migrations_app.engines import Foreseen, ForeseesObjects, MigrationError, Planned, RetriableError, engine_for
from migrations_app.plans import suggesting
from migrations_app.plans.models import MigrationPlan, PlannedAction, PlannedObject, PlanStatus, PlanStep
from migrations_app.resources import masking
from migrations_app.resources.diffs import FieldDiff
from migrations_app.resources.marks import key_of

logger = logging.getLogger(__name__)

AT_ONCE = timedelta(0)
SLICE_SECONDS = 15.0
BATCH_SECONDS = 0.5
ROWS_AT_ONCE = 500
# A plan is looked at by somebody who waits: what may pass is waited for for some two minutes, not for an hour.
MOST_FAILED_LOOKS = 8

Key = tuple[str, str, str, str]


def look(plan_id: uuid.UUID) -> bool:
    """Take one step for the plan, if nobody else is taking one; whether the next step can be taken at once."""
    try:
        with leases.taken(plan_id, MigrationPlan) as lease:
            return lease is not None and _look(plan_id, lease) == AT_ONCE
    except leases.LeaseLostError:
        logger.warning("lease lost; another worker goes on")
        return False


def _look(plan_id: uuid.UUID, lease: leases.Lease) -> timedelta | None:
    plan = MigrationPlan.objects.select_related("pair__source", "pair__destination", "pair__object_store").get(
        pk=plan_id
    )
    next_look: timedelta | None = None
    try:
        if not plan.is_settled:
            next_look = _step(plan, lease)
    except RetriableError as error:
        next_look = _after_failed_look(plan, lease, error.message)
    except MigrationError as error:
        _settle(plan, lease, PlanStatus.FAILED, error.message)
    except leases.LeaseLostError:
        raise
    except Exception:
        logger.exception("a look at a plan failed unexpectedly")
        next_look = _after_failed_look(plan, lease, "An unexpected error; the worker's log says which.")
    lease.release(next_look=next_look)
    return next_look


def _step(plan: MigrationPlan, lease: leases.Lease) -> timedelta | None:
    if plan.step == PlanStep.CHECKS:
        _check(plan, lease)
        return AT_ONCE
    engine = engine_for(plan.pair)
    if plan.asked().include_resources and isinstance(engine, ForeseesObjects) and not _foresee(plan, lease, engine):
        _update(plan, lease, failed_looks=0, reason="")
        return AT_ONCE
    _settle(plan, lease, PlanStatus.READY, "")
    return None


def _check(plan: MigrationPlan, lease: leases.Lease) -> None:
    _update(plan, lease, status=PlanStatus.IN_PROGRESS)
    found = engine_for(plan.pair).plan(plan.pair, plan.asked())
    claims = found.claims if plan.asked().include_volumes else []
    told = {"claims": claims, "checks": found.checks, "kinds": found.objects}
    _update(plan, lease, **told, step=PlanStep.OBJECTS, reason="", failed_looks=0)


def _foresee(plan: MigrationPlan, lease: leases.Lease, engine: ForeseesObjects) -> bool:
    """Ask the destination of the objects that have no answer yet; whether all have one."""
    spec, migration_id = plan.asked(), str(plan.pk)
    lease.renew()
    foreseen = engine.foresee(plan.pair, spec, migration_id=migration_id)
    _write_rows(plan, lease, foreseen)
    behind = {each.key: each for each in foreseen if each.wanted is None}
    waiting = {_key(row): row for row in plan.objects_planned.filter(action="", included=True)}
    objects, rows = [], {}
    for each in foreseen:
        if each.wanted is not None and (row := waiting.pop(each.key, None)) is not None:
            objects.append(each.wanted)
            rows[key_of(each.wanted)] = row
    _write_staying(lease, waiting, behind)
    answers = Answers(plan, lease, rows)
    done = engine.dry_run(
        plan.pair,
        spec,
        objects,
        migration_id=migration_id,
        on_planned=answers.note,
        stop_at=time.monotonic() + SLICE_SECONDS,
    )
    answers.write()
    return done


def _key(row: PlannedObject) -> Key:
    return row.group, row.kind, row.source_namespace, row.name


def _write_rows(plan: MigrationPlan, lease: leases.Lease, foreseen: list[Foreseen]) -> None:
    """A row for each object that has none; what is known of the others before the destination is asked is renewed."""
    spec = plan.asked()
    known = {_key(row): row for row in plan.objects_planned.only("group", "kind", "source_namespace", "name", "action")}
    new: list[PlannedObject] = []
    renewed: list[PlannedObject] = []
    for place, each in enumerate(foreseen):
        row = known.get(each.key) or PlannedObject(plan=plan)
        row.order, row.resource, row.version = place, each.resource, each.version
        row.group, row.kind, row.source_namespace, row.name = each.key
        row.namespace = each.wanted["metadata"].get("namespace", "") if each.wanted else _mapped(each, spec)
        row.needs = [[*key, optional] for key, optional in each.needs.items()]
        row.missing, row.notes = each.missing, each.notes
        if row.pk is None:
            if each.wanted is None:
                _stays(row, each)
            new.append(row)
        elif not row.action:
            renewed.append(row)
    with transaction.atomic():
        lease.renew()
        PlannedObject.objects.bulk_create(new, batch_size=ROWS_AT_ONCE, ignore_conflicts=True)
        fields = ["order", "resource", "version", "namespace", "needs", "missing", "notes"]
        PlannedObject.objects.bulk_update(renewed, fields, batch_size=ROWS_AT_ONCE)
        suggesting.write(plan, foreseen)
        _count(plan)


def _mapped(each: Foreseen, spec: Any) -> str:
    return spec.namespace_for(each.key[2]) if each.key[2] else ""


def _stays(row: PlannedObject, each: Foreseen) -> None:
    """Write down of an object that the destination is not asked about what becomes of it."""
    row.included = each.refused or each.purged is not None
    row.action, row.reason = PlannedAction.LEFT_OUT, each.reason
    if each.refused:
        row.action = PlannedAction.REFUSED
    elif each.purged is not None:
        row.action, row.diff = PlannedAction.PURGE, _shown(each.key[:2], each.purged)


def _shown(type_: Sequence[str], diff: Iterable[FieldDiff]) -> list[dict[str, Any]]:
    group, kind = type_
    shown = masking.masked_diff(group, kind, diff)
    return [{"path": each.path, "before": each.before, "after": each.after} for each in shown]


def _write_staying(lease: leases.Lease, rows: dict[Key, PlannedObject], behind: dict[Key, Foreseen]) -> None:
    """What was to go along and cannot: something keeps it back all the same, or it has gone from the source."""
    for key, row in rows.items():
        row.included, row.action = False, PlannedAction.LEFT_OUT
        row.reason = said("is not there on the source any more")
        if (each := behind.get(key)) is not None:
            _stays(row, each)
    with transaction.atomic():
        lease.renew()
        PlannedObject.objects.bulk_update(
            rows.values(), ["included", "action", "reason", "diff"], batch_size=ROWS_AT_ONCE
        )


class Answers:
    """What the destination said of objects, written down together every moment."""

    def __init__(self, plan: MigrationPlan, lease: leases.Lease, rows: dict[Key, PlannedObject]) -> None:
        self._plan, self._lease, self._rows = plan, lease, rows
        self._answered: list[PlannedObject] = []
        self._written_at = time.monotonic()

    def note(self, planned: Planned) -> None:
        row = self._rows.get((planned.group, planned.kind, planned.namespace, planned.name))
        if row is None:
            return
        row.action, row.reason, row.warnings = planned.action, planned.reason, list(planned.warnings)
        row.diff = _shown((planned.group, planned.kind), planned.diff)
        self._answered.append(row)
        if time.monotonic() - self._written_at >= BATCH_SECONDS:
            self.write()

    def write(self) -> None:
        """Raises LeaseLostError."""
        rows, self._answered, self._written_at = self._answered, [], time.monotonic()
        if not rows:
            return
        with transaction.atomic():
            self._lease.renew()
            fields = ["action", "reason", "warnings", "diff"]
            PlannedObject.objects.bulk_update(rows, fields, batch_size=ROWS_AT_ONCE)
            _count(self._plan)


def _count(plan: MigrationPlan) -> None:
    included = plan.objects_planned.filter(included=True)
    MigrationPlan.objects.filter(pk=plan.pk).update(
        objects_total=included.count(), objects_done=included.exclude(action="").count()
    )


def _settle(plan: MigrationPlan, lease: leases.Lease, status: PlanStatus, reason: str) -> None:
    _update(plan, lease, status=status, reason=reason, computed_at=timezone.now(), failed_looks=0)


def _update(plan: MigrationPlan, lease: leases.Lease, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(plan, name, value)
    with transaction.atomic():
        lease.renew()
        MigrationPlan.objects.filter(pk=plan.pk).update(**fields)


def _after_failed_look(plan: MigrationPlan, lease: leases.Lease, message: str) -> timedelta | None:
    failed = plan.failed_looks + 1
    if failed > MOST_FAILED_LOOKS:
        _settle(plan, lease, PlanStatus.FAILED, message)
        return None
    _update(plan, lease, failed_looks=failed, reason=message)
    return timedelta(seconds=min(30, 2**failed))
