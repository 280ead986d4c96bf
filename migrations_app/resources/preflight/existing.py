"""What the destination has already of the objects that come: ours, the same, or different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from clusters.kube.connection import Connection
from clusters.kube.errors import KubeError, NotFound
from clusters.texts import NOTHING, Text, counted, listed, said
from migrations_app.resources.diffs import redacted
from migrations_app.resources.meeting import BROUGHT_EARLIER, NOT_ABOUT_THE_OBJECT, Action, Decision, Ours, decide
from migrations_app.resources.preflight.context import Context, Object, label
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.present import Present

EXISTING = Check("existing-objects", said("Objects that are there already"))
WORKERS = 4
# Nothing was made by a migration that is only planned.
NO_MIGRATION = "planned"
SAID = {
    Action.MADE: said("made by this migration already"),
    Action.UNCHANGED: said("the same"),
    Action.LEND: said("given the pull secrets that they lack"),
    Action.UPDATE: said("to be changed"),
    Action.SKIP: said("left as they are"),
}


def existing(context: Context) -> Iterator[Result]:
    """Different objects of the same names; a namespace that does not exist yet cannot hold any."""
    candidates = [
        obj for obj in context.planned if obj["metadata"].get("namespace") in (None, "", *sorted(context.existing))
    ]
    met: Counter[Action] = Counter()
    for obj, decision in _decided(context, candidates):
        met[decision.action] += 1
        if decision.action in (Action.CONFLICT, Action.REFUSED):
            yield EXISTING.failure(
                said(
                    "{obj} on the {destination}: {reason}",
                    obj=label(obj),
                    destination=context.destination,
                    reason=decision.reason,
                ),
                [label(obj)],
                why=said("It would be refused, and the migration would end without it."),
                remedy=NOTHING
                if decision.action is Action.CONFLICT
                else said("Delete it there, or leave this one out."),
                command=_look_up(context, obj),
            )
        elif decision.action is Action.SKIP or (
            decision.action is Action.UPDATE and decision.reason != BROUGHT_EARLIER
        ):
            yield EXISTING.warning(
                said(
                    "{obj} on the {destination}: {reason}",
                    obj=label(obj),
                    destination=context.destination,
                    reason=decision.reason,
                ),
                [label(obj)],
                why=said("This is what the migration's conflict policy asks for."),
                command=_look_up(context, obj),
            )
    if candidates and not met[Action.CONFLICT] and not met[Action.REFUSED]:
        yield EXISTING.passed(
            _met(context, met)
            if met
            else said("The {destination} has no object of the same name yet.", destination=context.destination)
        )
    elif context.planned and not candidates:
        yield EXISTING.passed(
            said(
                "The namespaces do not exist on the {destination} yet: nothing is in the way.",
                destination=context.destination,
            )
        )


def _met(context: Context, met: Counter[Action]) -> Text:
    """How many objects of the same names there are, and what becomes of them."""
    kinds = [
        said("{number} {fate}", number=count, fate=SAID[action])
        for action, count in met.most_common()
        if action in SAID
    ]
    if not kinds:
        return counted(
            sum(met.values()),
            "The {destination} has {n} object of the same names.",
            "The {destination} has {n} objects of the same names.",
            destination=context.destination,
        )
    return counted(
        sum(met.values()),
        "The {destination} has {n} object of the same names: {there}.",
        "The {destination} has {n} objects of the same names: {there}.",
        destination=context.destination,
        there=listed(kinds),
    )


def _decided(context: Context, objects: list[Object]) -> list[tuple[Object, Decision]]:
    """What is there, and what the migration would do about it."""
    ours = Ours(context.migration_id or NO_MIGRATION, context.earlier)

    def one(connection: Connection, present: Present, obj: Object) -> Decision | None:
        try:
            there = present.of(obj)
            if there is None:
                return None
            return decide(connection, obj, there, ours, context.spec.conflict_policy)
        except NOT_ABOUT_THE_OBJECT:
            raise
        except NotFound:
            # A kind that the destination does not serve: see `apis`.
            return None
        except KubeError as error:
            return Decision(Action.REFUSED, redacted(obj, error.message))

    with context.destination.asked() as connection, ThreadPoolExecutor(WORKERS, thread_name_prefix="existing") as pool:
        decisions = list(pool.map(partial(one, connection, Present(connection, objects)), objects))
    return [(obj, decision) for obj, decision in zip(objects, decisions, strict=True) if decision is not None]


def _look_up(context: Context, obj: Object) -> str:
    metadata = obj["metadata"]
    place = f" -n {metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{context.destination.kubectl} get {obj['kind'].lower()} {metadata['name']}{place} -o yaml"
