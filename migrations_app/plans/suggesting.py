"""Texts that name Services of renamed namespaces: kept with the plan, taken over as rules, dismissed, offered again.

A suggestion that is taken over is a rule of the plan's spec like any other, under one name; whoever takes it back
removes that rule. So a migration needs to know nothing of suggestions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from migrations_app.engines import Foreseen
from migrations_app.plans.models import MigrationPlan, PlannedObject, PlanStep, PlanSuggestion, SuggestionState
from migrations_app.plans.services import restart, unused
from migrations_app.resources.rules import MAX_RULES
from teams.refusals import Refusal

# What the rules are called together: no name that a transformation of a team can have.
RULES = "Suggested names of Services"
ROWS_AT_ONCE = 500
AUDITED = 100
Rule = dict[str, Any]


def write(plan: MigrationPlan, foreseen: Iterable[Foreseen]) -> None:
    """Keep what was found; what was said to a text that is the same still stays said."""
    known = {row.place: row for row in plan.suggestions.all()}
    new: list[PlanSuggestion] = []
    moved: list[PlanSuggestion] = []
    found = [(each, suggestion) for each in foreseen for suggestion in each.suggestions]
    for order, (each, suggestion) in enumerate(found):
        group, kind, namespace, name = each.key
        row = known.pop((each.resource, namespace, name, suggestion.path), None)
        texts = (suggestion.before, suggestion.after, suggestion.by_hand)
        if row is not None and (row.order, row.about, *_texts(row)) == (order, suggestion.about, *texts):
            continue
        if row is None:
            row = PlanSuggestion(plan=plan, resource=each.resource, group=group, kind=kind, path=suggestion.path)
            row.source_namespace, row.name = namespace, name
            new.append(row)
        else:
            moved.append(row)
        if _texts(row) != texts:
            row.state = SuggestionState.OPEN
        row.order, row.about = order, suggestion.about
        row.before, row.after, row.by_hand = texts
    # A text that a rule changes is not found any more: of the others nothing is left to say.
    gone = [row.pk for row in known.values() if row.state == SuggestionState.OPEN]
    PlanSuggestion.objects.filter(pk__in=gone).delete()
    PlanSuggestion.objects.bulk_create(new, batch_size=ROWS_AT_ONCE, ignore_conflicts=True)
    fields = ["order", "about", "before", "after", "by_hand", "state"]
    PlanSuggestion.objects.bulk_update(moved, fields, batch_size=ROWS_AT_ONCE)


def _texts(row: PlanSuggestion) -> tuple[str, str, bool]:
    return row.before, row.after, row.by_hand


def shown(plan: MigrationPlan, state: str = "") -> QuerySet[PlanSuggestion]:
    """Those about objects that go along, in order, with `object_pk` of their planned object."""
    same = {name: OuterRef(name) for name in ("plan", "resource", "source_namespace", "name")}
    objects = PlannedObject.objects.filter(**same, included=True)
    rows = plan.suggestions.filter(Exists(objects)).annotate(object_pk=Subquery(objects.values("pk")[:1]))
    return rows.filter(state=state) if state else rows


def counts(plan: MigrationPlan) -> dict[str, int]:
    """How many there are, by what was said to them."""
    found = dict(shown(plan).order_by().values_list("state").annotate(n=Count("pk")))
    return {state: found.get(state, 0) for state in SuggestionState.values}


def decide(
    plan: MigrationPlan, state: SuggestionState, *, suggestions: Collection[int] | None = None, by: Actor
) -> MigrationPlan:
    """Take suggestions (by their ids) over, dismiss them, or offer them again; None means all that are open.

    Where rules change, the plan is computed again for the objects that they are about. Raises Refusal, Conflict.
    """
    with unused(plan) as locked:
        if suggestions is None:
            rows = list(shown(locked, SuggestionState.OPEN))
            rows = [row for row in rows if not (row.by_hand and state == SuggestionState.TAKEN)]
        else:
            rows = list(locked.suggestions.filter(pk__in=suggestions))
            _refuse_others(rows, suggestions, state)
        changed = [row for row in rows if row.state != state]
        added = [row for row in changed if state == SuggestionState.TAKEN]
        removed = [row for row in changed if row.state == SuggestionState.TAKEN]
        if added or removed:
            spec = locked.asked()
            rules = _added(_removed(spec.transformations, removed), added)
            locked.spec = dataclasses.replace(spec, transformations=rules).to_dict()
            _ask_again(locked, [*added, *removed])
            restart(locked, PlanStep.CHECKS)
            locked.save()
        PlanSuggestion.objects.filter(pk__in=[row.pk for row in changed]).update(state=state)
        if changed:
            told = [row.to_audit() for row in changed[:AUDITED]]
            record(by, "plan.suggestions", locked, after={"state": str(state), "count": len(changed), "texts": told})
    return locked


def _refuse_others(rows: Sequence[PlanSuggestion], asked: Collection[int], state: SuggestionState) -> None:
    if len(rows) < len(set(asked)):
        message = _("This plan has no such suggestion.")
        raise Refusal(message, {"suggestions": [message]})
    if state == SuggestionState.TAKEN and (hidden := [str(row) for row in rows if row.by_hand]):
        message = _("The value of a Secret is not changed by a rule: change %(names)s by hand after the migration.")
        said = message % {"names": ", ".join(hidden)}
        raise Refusal(said, {"suggestions": [said]})


def _removed(given: Sequence[Mapping[str, Any]], rows: Sequence[PlanSuggestion]) -> list[Mapping[str, Any]]:
    gone = [row.rule for row in rows]
    kept = [{**each, "rules": [rule for rule in each["rules"] if rule not in gone]} for each in given]
    return [after for before, after in zip(given, kept, strict=True) if after["rules"] or not before["rules"]]


def _added(given: Sequence[Mapping[str, Any]], rows: Sequence[PlanSuggestion]) -> tuple[Mapping[str, Any], ...]:
    """With the rules at the end, as many under one name as a name may have."""
    found = [each for each in given if each["name"] != RULES]
    ours = [rule for each in given if each["name"] == RULES for rule in each["rules"]]
    ours += [rule for row in rows if (rule := row.rule) not in ours]
    parts = [ours[start : start + MAX_RULES] for start in range(0, len(ours), MAX_RULES)]
    return (*found, *({"name": RULES, "rules": part} for part in parts))


def _ask_again(plan: MigrationPlan, rows: Sequence[PlanSuggestion]) -> None:
    """Forget what the destination said of the objects: they are to be something else now."""
    places = {row.place[:3] for row in rows}
    objects = plan.objects_planned.filter(included=True, name__in={name for _resource, _namespace, name in places})
    stale = [row for row in objects if (row.resource, row.source_namespace, row.name) in places]
    for row in stale:
        row.action, row.reason, row.diff, row.warnings = "", "", [], []
    PlannedObject.objects.bulk_update(stale, ["action", "reason", "diff", "warnings"], batch_size=ROWS_AT_ONCE)
