"""What an object meets on the destination, and what is to be done about it; nothing is written here.

    nothing of that name                     create
    being deleted                            refused
    made by this migration                   done already: an earlier attempt of ours was here
    replicas that an autoscaler there set    left to it, and no difference
    the same                                 left as it is: unchanged
    a definition that serves the same        left as it is, as in Stork: operators bring their own, in other versions
    an account that every namespace has      given the pull secrets that it lacks, and nothing else
    brought by an earlier migration          updated, unless others have changed the same fields since
    somebody else's that differs             as the conflict policy says: refused, skipped, or taken over

Whether it is the same is asked of the server, where a comparison of ours finds a difference: only the server knows
its defaults and in which other way it writes the same quantity. It answers by a dry run, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import RETRIABLE, Conflict, KubeError, Unauthorized, Untrusted
from clusters.kube.objects import FIELD_MANAGER, Applied
from clusters.texts import NOTHING, Text, listed, said, sentences
from migrations_app.resources import ownership
from migrations_app.resources.autoscaling import without_scaled
from migrations_app.resources.belonging import GENERATED_ACCOUNTS
from migrations_app.resources.compare import compare, differing_fields
from migrations_app.resources.diffs import SECRET, FieldDiff, differences, field_diffs, redacted, without_noise
from migrations_app.resources.marks import migration_of, type_of
from migrations_app.resources.spec import ConflictPolicy

Object = dict[str, Any]
# These say nothing about the object: with other credentials, or a moment later, it can be applied.
NOT_ABOUT_THE_OBJECT = (*RETRIABLE, Unauthorized, Untrusted)
DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
PULL_SECRETS = ("imagePullSecrets", "secrets")
UNCHANGED = said("The destination has the same object already")
MADE_ALREADY = said("This migration has made it already")
KEPT_DEFINITION = said("The destination has a definition of its own that serves the same versions; it is kept")
LENT = said("The account is there already, as in every namespace; the pull secrets that it lacked were added")
ABSENT = said("The destination has no object of this name")
BROUGHT_EARLIER = said("An earlier migration brought it, and the source's has changed since")
BEING_DELETED = said(
    "An object of this name is being deleted on the destination. Wait until it is gone, then migrate again."
)


class Action(StrEnum):
    """What is to be done with an object."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    MADE = "made"  # by this migration, earlier
    LEND = "lend"  # pull secrets, to an account that every namespace has
    SKIP = "skip"
    CONFLICT = "conflict"
    REFUSED = "refused"


@dataclass(frozen=True)
class Ours:
    """The migration that is at work, and the earlier ones over the same pair, whose objects it may update."""

    migration_id: str
    earlier: Collection[str] = ()


@dataclass(frozen=True)
class Decision:
    """What is to be done, and why. `present` is what is there; `force` takes fields from other managers.

    `wanted` is what is to be applied, where that is less than what was to come.
    """

    action: Action
    reason: Text
    present: Object | None = None
    diff: tuple[FieldDiff, ...] = ()
    warnings: tuple[str, ...] = ()
    force: bool = False
    wanted: Object | None = None


def not_served(obj: Object) -> Text:
    """Why an object of a kind that the destination does not have is refused."""
    return said(
        "The destination does not serve {kind} of {version}. Install what defines it there.",
        kind=obj["kind"],
        version=obj["apiVersion"],
    )


def decide(connection: Connection, obj: Object, present: Object | None, ours: Ours, policy: ConflictPolicy) -> Decision:
    """What is to be done with the object. Raises KubeError only for what is not about the object."""
    if present is None:
        return Decision(Action.CREATE, ABSENT)
    if present["metadata"].get("deletionTimestamp"):
        return Decision(Action.REFUSED, BEING_DELETED, present)
    if ownership.made_by(present, ours.migration_id):
        # Creation is atomic, so what carries our mark is complete; what changed since is the destination's own life.
        return Decision(Action.MADE, MADE_ALREADY, present)
    brought = migration_of(present) in ours.earlier
    obj, scaler = without_scaled(connection, obj, present)
    local = local_differences(obj, present)
    if not local and not (brought and (ownership.holds_more_than(present, obj) or _is_marked_otherwise(obj, present))):
        return Decision(Action.UNCHANGED, UNCHANGED, present)
    if type_of(obj) == DEFINITION and _serves_the_same(obj, present):
        return Decision(Action.UNCHANGED, KEPT_DEFINITION, present)
    if _lacks_pull_secrets_only(obj, present):
        if not lent(obj, present):
            return Decision(Action.UNCHANGED, UNCHANGED, present)
        return Decision(Action.LEND, LENT, present, tuple(differences(present, {**present, **lent(obj, present)})))
    answer, held, error = _asked(connection, exactly(obj, present), force=not brought)
    if answer is None:
        if policy == ConflictPolicy.TAKE_OVER or (brought and not held):
            return Decision(Action.REFUSED, _unchangeable(obj, error), present, local)
        return _met(policy, obj, present, local, (), held)
    diff = tuple(differences(present, answer.obj))
    if not diff:
        return Decision(Action.UNCHANGED, UNCHANGED, present)
    if brought and not held:
        reason = BROUGHT_EARLIER
        if scaler:
            reason = said(
                "An earlier migration brought it, and the source's has changed since. Its replicas are left to "
                "HorizontalPodAutoscaler {scaler}",
                scaler=scaler,
            )
        return Decision(Action.UPDATE, reason, present, diff, answer.warnings, force=True, wanted=obj)
    return _met(policy, obj, present, diff, answer.warnings, held)


def outcome(connection: Connection, obj: Object, present: Object) -> Object | None:
    """The whole object that would come of this one over the present one, whoever holds its fields; None if refused.

    Raises KubeError only for what is not about the object.
    """
    obj, _scaler = without_scaled(connection, obj, present)
    if _lacks_pull_secrets_only(obj, present):
        return {**present, **lent(obj, present)}
    answer, _held, _error = _asked(connection, exactly(obj, present), force=True)
    return None if answer is None else answer.obj


def _is_marked_otherwise(obj: Object, present: Object) -> bool:
    """Whether labels or annotations that come are not there so. Of what is somebody else's that says nothing."""
    wanted, there = without_noise(obj)["metadata"], without_noise(present)["metadata"]
    return any(differing_fields(wanted.get(part) or {}, there.get(part) or {}) for part in ("labels", "annotations"))


def exactly(obj: Object, present: Object) -> Object:
    """The object to apply on the very one that was looked at: one that took its place since is not touched."""
    return {**obj, "metadata": {**obj["metadata"], "uid": present["metadata"]["uid"]}}


def local_differences(obj: Object, present: Object) -> tuple[FieldDiff, ...]:
    """The fields of ours that the present object lacks or contradicts, as far as they can be compared here."""
    secret = type_of(obj) == SECRET
    found = (each for each in compare(obj, present) if each[0] != "apiVersion")
    return tuple(shown for path, wanted, there in found for shown in field_diffs(path, there, wanted, secret=secret))


def _asked(
    connection: Connection, obj: Object, *, force: bool
) -> tuple[Applied | None, tuple[Text, ...], KubeError | None]:
    """What the server would make of the object, which fields others hold, and why it would not do it."""
    held: tuple[Text, ...] = ()
    try:
        if not force:
            try:
                return connection.apply_told(obj, dry_run=True), (), None
            except Conflict as error:
                # What an earlier version of ours made by POST is ours as well, which the server cannot know.
                held = tuple(_holder(each) for each in error.causes if f'"{FIELD_MANAGER}"' not in each["message"])
        return connection.apply_told(obj, force=True, dry_run=True), held, None
    except NOT_ABOUT_THE_OBJECT:
        raise
    except KubeError as error:
        return None, held, error


def _holder(cause: Object) -> Text:
    holder = str(cause.get("message") or "").removeprefix("conflict with ")
    return said("{field} by {holder}", field=cause.get("field", ""), holder=holder)


def _unchangeable(obj: Object, error: KubeError | None) -> Text:
    return sentences(
        said("The destination's object is different, and cannot be changed to be as the source's."),
        redacted(obj, error.message) if error else NOTHING,
        said("Nothing is deleted to make place for it: delete it there, then migrate again.")
        if error is not None and error.code == 422
        else NOTHING,
    )


def _met(
    policy: ConflictPolicy,
    obj: Object,
    present: Object,
    diff: tuple[FieldDiff, ...],
    warnings: tuple[str, ...],
    held: tuple[Text, ...],
) -> Decision:
    """A different object that is not ours, as the policy says."""
    changed = said("Changed there: {fields}.", fields=listed(held)) if held else NOTHING
    fields = listed(each.path for each in diff)
    match policy:
        case ConflictPolicy.TAKE_OVER:
            reason = said(
                "The destination's object of this name is different (in {fields}) and is taken over.", fields=fields
            )
            reason = sentences(reason, changed)
            return Decision(Action.UPDATE, reason, present, diff, warnings, force=True, wanted=obj)
        case ConflictPolicy.SKIP:
            reason = said(
                "The destination's object of this name is different (in {fields}) and stays as it is.", fields=fields
            )
            reason = sentences(reason, changed)
            return Decision(Action.SKIP, reason, present, diff)
    reason = said(
        "The destination already has a different object of this name (it differs in {fields}). It was "
        "left as it is: rename or delete it there, let the migration take it over, or leave this one out.",
        fields=fields,
    )
    reason = sentences(reason, changed)
    return Decision(Action.CONFLICT, reason, present, diff)


def _serves_the_same(obj: Object, present: Object) -> bool:
    ours, theirs = obj["spec"], present["spec"]
    served = [{each["name"] for each in spec["versions"] if each["served"]} for spec in (ours, theirs)]
    same = ours["scope"] == theirs["scope"] and ours["names"]["kind"] == theirs["names"]["kind"]
    return same and served[0] <= served[1]


def _lacks_pull_secrets_only(obj: Object, present: Object) -> bool:
    if type_of(obj) != ("", "ServiceAccount") or obj["metadata"]["name"] not in GENERATED_ACCOUNTS:
        return False
    return not local_differences({key: value for key, value in obj.items() if key not in PULL_SECRETS}, present)


def lent(obj: Object, present: Object) -> Object:
    """The lists of an account with the pull secrets that it lacks; empty where it lacks none."""
    lists = {key: present.get(key) or [] for key in PULL_SECRETS}
    missing = {key: [each for each in obj.get(key) or () if each not in there] for key, there in lists.items()}
    return {key: [*lists[key], *found] for key, found in missing.items() if found}
