"""What people ask of plans: make, look again, choose, migrate, remove. Pages and API both call these."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.models import ClusterPair, Engine
from clusters.texts import sentences
from clusters.translation import translated
from migrations_app import choices as choosing
from migrations_app import services as migrations
from migrations_app.engines import Plan
from migrations_app.models import Migration
from migrations_app.plans.models import MigrationPlan, PlannedAction, PlannedObject, PlanStatus, PlanStep
from migrations_app.resources.selection import BY_NAME, WITH_ITS_KIND
from migrations_app.resources.spec import Selection, Spec
from teams.models import Team
from teams.refusals import Conflict, Refusal

# A plan describes two clusters as they were; after this long nobody should trust it.
KEPT = timedelta(days=1)


def make(
    team: Team,
    *,
    pair: ClusterPair,
    namespaces: Sequence[str],
    name: str = "",
    idempotency_key: str | None = None,
    by: Actor,
    **choices: Any,
) -> MigrationPlan:
    """A new plan, which the next sweep takes up; `choices` are further fields of `Spec`. Raises Refusal.

    The same `idempotency_key` with the same content gives the plan that the first call made.
    """
    asked = choosing.asked_of(pair, team, namespaces, choices, name)
    spec = dataclasses.replace(asked, storage_class_mapping=_classes(pair, asked)).to_dict()
    try:
        with transaction.atomic():
            plan = MigrationPlan.objects.create(
                team=team, pair=pair, name=name, spec=spec, created_by=by.user, idempotency_key=idempotency_key or None
            )
            record(by, "plan.make", plan, after=plan.to_audit())
    except IntegrityError:
        earlier = MigrationPlan.objects.filter(team=team, idempotency_key=idempotency_key).first()
        if earlier is None:
            raise
        if (earlier.pair_id, earlier.name, earlier.spec) != (pair.pk, name, spec):
            raise Conflict(_("This Idempotency-Key was used for a plan with other content. Use a new one.")) from None
        return earlier
    return plan


def _classes(pair: ClusterPair, asked: Spec) -> dict[str, str]:
    """The mapping of storage classes as it is now, so that a later change of the pair's does not change the plan.

    Stork takes classes along under their names and refuses a mapping, whatever the pair says.
    """
    if pair.engine == Engine.PORTWORX:
        return dict(asked.storage_class_mapping)
    return {**pair.storage_class_mapping, **asked.storage_class_mapping}


def look_again(plan: MigrationPlan, *, by: Actor) -> MigrationPlan:
    """Check both clusters and ask about every object once more; what was chosen stays chosen. Raises Conflict."""
    with unused(plan) as locked:
        locked.objects_planned.all().delete()
        restart(locked, PlanStep.CHECKS)
        locked.objects_total = locked.objects_done = 0
        locked.save()
        record(by, "plan.look_again", locked)
    return locked


def choose(
    plan: MigrationPlan,
    *,
    objects: Collection[int] = (),
    kinds: Collection[str] = (),
    included: bool,
    by: Actor,
) -> MigrationPlan:
    """Let single objects (by their ids) and whole kinds (`secrets`, `deployments.apps`) go along, or not.

    What has no answer of the destination yet is asked about. Raises Refusal, Conflict.
    """
    with unused(plan) as locked:
        rows = list(locked.objects_planned.filter(pk__in=objects))
        if len(rows) < len(set(objects)):
            raise Refusal(_("This plan has no such object."), {"objects": [_("This plan has no such object.")]})
        of_kinds = list(locked.objects_planned.filter(resource__in=kinds))
        if unknown := sorted(set(kinds) - {row.resource for row in of_kinds}):
            message = _("This plan has no %(kinds)s.") % {"kinds": ", ".join(unknown)}
            raise Refusal(message, {"kinds": [message]})
        before = locked.to_audit()
        spec = locked.asked()
        if included:
            # Of a kind, what controllers make again and the like stays as it is: only whoever names it wants it.
            of_kinds = [
                row for row in of_kinds if row.action != PlannedAction.LEFT_OUT or _was_taken_out(row, spec.selection)
            ]
        selection = _chosen(spec.selection, rows, of_kinds, included)
        locked.spec = dataclasses.replace(spec, selection=selection).to_dict()
        _mark([*rows, *of_kinds], included)
        if included and locked.objects_planned.filter(included=True, action="").exists():
            restart(locked, PlanStep.OBJECTS)
        locked.save()
        record(by, "plan.choose", locked, before=before, after=locked.to_audit())
    return locked


def _chosen(
    selection: Selection, rows: Sequence[PlannedObject], of_kinds: Sequence[PlannedObject], included: bool
) -> Selection:
    """The selection with single objects and kinds added or taken away."""
    names = {row.key for row in rows}
    kinds = {row.resource for row in of_kinds}
    of_kind = {row.key for row in of_kinds}
    if not included:
        # A kind covers its objects: naming them as well would only make the list long.
        return dataclasses.replace(
            selection,
            exclude_kinds=_sorted(set(selection.exclude_kinds) | kinds),
            exclude_objects=_sorted((set(selection.exclude_objects) | names) - of_kind),
            include_objects=_sorted(set(selection.include_objects) - names - of_kind),
        )
    excluded = set(selection.exclude_kinds) - kinds
    # A single object goes along by name where something else would keep it back.
    by_name = {
        row.key
        for row in rows
        if _is_of(row, excluded) or (row.action == PlannedAction.LEFT_OUT and not _was_taken_out(row, selection))
    }
    by_name |= {row.key for row in of_kinds if _is_of(row, excluded)}
    return dataclasses.replace(
        selection,
        exclude_kinds=_sorted(excluded),
        exclude_objects=_sorted(set(selection.exclude_objects) - names - of_kind),
        include_objects=_sorted(set(selection.include_objects) | by_name),
    )


def _is_of(row: PlannedObject, kinds: Collection[str]) -> bool:
    return any(fnmatchcase(row.resource, kind) for kind in kinds)


def _was_taken_out(row: PlannedObject, selection: Selection) -> bool:
    """Whether it stays because somebody said so of it or of its kind, and not by a rule of what belongs together."""
    return row.key in selection.exclude_objects or row.reason == BY_NAME or row.reason.startswith(WITH_ITS_KIND)


def _sorted(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _mark(rows: Sequence[PlannedObject], included: bool) -> None:
    changed = [row for row in rows if row.included != included]
    for row in changed:
        row.included = included
        if included and row.action == PlannedAction.LEFT_OUT:
            row.action, row.reason = "", ""
    PlannedObject.objects.bulk_update(changed, ["included", "action", "reason"], batch_size=500)


def restart(plan: MigrationPlan, step: PlanStep) -> None:
    """Let the next sweep compute the plan from this step on; the caller saves it."""
    plan.status, plan.step, plan.reason = PlanStatus.IN_PROGRESS, step, ""
    plan.failed_looks, plan.computed_at, plan.next_look_at = 0, None, timezone.now()


def obstacles(plan: MigrationPlan) -> list[str]:
    """Why no migration can be started from it; empty where one can."""
    if plan.status == PlanStatus.FAILED:
        return [_("The plan could not be made: %(reason)s") % {"reason": translated(plan.reason)}]
    if plan.status != PlanStatus.READY:
        return [_("The plan is still being made.")]
    return [translated(sentences(each["message"], each.get("remedy") or "")) for each in plan.failing_checks()]


def migrate(plan: MigrationPlan, *, name: str = "", by: Actor) -> Migration:
    """A migration with exactly what the plan says; the one that was started where there is one. Raises Refusal."""
    with transaction.atomic():
        locked = MigrationPlan.objects.select_for_update().select_related("team").get(pk=plan.pk)
        if locked.migration_id is not None:
            return Migration.objects.get(pk=locked.migration_id)
        if reasons := obstacles(locked):
            raise Conflict(" ".join(reasons))
        spec = Spec.from_dict(locked.spec).to_dict()
        locked.migration = migrations.start(locked.team, pair=locked.pair, name=name or locked.name, by=by, **spec)
        locked.save(update_fields=["migration"])
    return locked.migration


def checks_document(plan: MigrationPlan) -> dict[str, Any]:
    """What preflight found, for people and programs outside of ours."""
    found = Plan(plan.spec["namespaces"], plan.claims, {}, plan.checks)
    at = plan.computed_at.isoformat() if plan.computed_at else None
    return {**migrations.checks_document(plan.pair, found), "checked_at": at}


def remove(plan: MigrationPlan, *, by: Actor) -> None:
    """Forget a plan that no migration was started from. Raises Conflict."""
    with unused(plan, settled=False) as locked:
        record(by, "plan.remove", locked, before=locked.to_audit())
        locked.delete()


def remove_old() -> None:
    """Forget the plans that nobody used in time."""
    MigrationPlan.objects.filter(migration=None, created_at__lt=timezone.now() - KEPT).delete()


@contextmanager
def unused(plan: MigrationPlan, *, settled: bool = True) -> Iterator[MigrationPlan]:
    """The plan's row, locked until the end of the block. Raises Conflict where it cannot be changed now."""
    with transaction.atomic():
        locked = MigrationPlan.objects.select_for_update().select_related("team", "pair").get(pk=plan.pk)
        if locked.migration_id is not None:
            raise Conflict(_("A migration was started from this plan, which stays as it was. Make a new one."))
        if settled and not locked.is_settled:
            raise Conflict(_("The plan is still being made. Try again in a moment."))
        yield locked
