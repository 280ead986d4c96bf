"""What people ask of migrations: see the plan, start, cancel, remove. Pages and API both call these."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.models import ClusterPair
from clusters.translation import translated
from migrations_app import choices as choosing
from migrations_app import events, live
from migrations_app.engines import MigrationError, Plan, RetriableError, RollsBack, Undoing, engine_for
from migrations_app.models import FINISHED, Migration, Status
from migrations_app.pauses.ending import end_pause
from migrations_app.resources.spec import Spec
from teams.models import Team
from teams.refusals import Conflict, Refusal


def plan(pair: ClusterPair, namespaces: list[str], **choices: Any) -> Plan:
    """What would move, before anything is touched; `choices` are further fields of `Spec`. Raises Refusal."""
    asked = choosing.asked_of(pair, pair.team, namespaces, choices)
    classes = {**pair.storage_class_mapping, **asked.storage_class_mapping}
    try:
        return engine_for(pair).plan(pair, dataclasses.replace(asked, storage_class_mapping=classes))
    except (MigrationError, RetriableError) as error:
        raise Refusal(translated(error.message)) from None


def checks_document(pair: ClusterPair, plan: Plan) -> dict[str, Any]:
    """What preflight found, for people and programs outside of ours."""
    return {
        "pair": pair.name,
        "source": pair.source.name,
        "destination": pair.destination.name,
        "namespaces": plan.namespaces,
        "checked_at": timezone.now().isoformat(),
        "checks": plan.checks,
    }


def start(
    team: Team,
    *,
    pair: ClusterPair,
    namespaces: list[str],
    name: str = "",
    idempotency_key: str | None = None,
    by: Actor,
    **choices: Any,
) -> Migration:
    """A new migration, which the next sweep takes up; `choices` are further fields of `Spec`. Raises Refusal.

    The same `idempotency_key` with the same content gives the migration that the first call made.
    """
    asked = choosing.asked_of(pair, team, namespaces, choices, name)
    content: dict[str, Any] = {"pair": pair, **asked.to_dict()}
    if idempotency_key:
        earlier = Migration.objects.filter(team=team, idempotency_key=idempotency_key).first()
        if earlier is not None:
            return _same_or_conflict(earlier, content)
    try:
        with transaction.atomic():
            migration = Migration.objects.create(
                team=team,
                name=name or _free_name(team, asked.namespaces),
                created_by=by.user,
                idempotency_key=idempotency_key or None,
                **content,
            )
            record(by, "migration.start", migration, after=migration.to_audit())
            events.emit(
                migration,
                "Created",
                f"Migration of {', '.join(asked.namespaces)} from {pair.source} to {pair.destination} "
                f"was started by {by.name}",
            )
            transaction.on_commit(lambda: live.state_changed(migration))
    except IntegrityError:
        if idempotency_key:
            earlier = Migration.objects.filter(team=team, idempotency_key=idempotency_key).first()
            if earlier is not None:
                return _same_or_conflict(earlier, content)
        message = _("The team already has a migration named %(name)s. Choose another name.") % {"name": name}
        raise Conflict(message, {"name": [message]}) from None
    return migration


def apply(
    team: Team, *, pair: ClusterPair, namespaces: list[str], name: str = "", by: Actor, **choices: Any
) -> tuple[Migration, bool]:
    """The team's migration of this name with this content, and whether it was started now. Raises Refusal, Conflict."""
    if not name:
        raise Refusal(_("A manifest names its migration."), {"name": [_("A manifest names its migration.")]})
    known = Migration.objects.filter(team=team, name=name).first()
    if known is None:
        return start(team, pair=pair, namespaces=namespaces, name=name, by=by, **choices), True
    asked = choosing.checked(team, namespaces, choices).to_dict()
    present = Spec.from_dict({field: getattr(known, field) for field in asked}).to_dict()
    unlike = [field for field, value in asked.items() if present[field] != value]
    if known.pair_id != pair.pk or unlike:
        unlike = unlike or ["pair"]
        message = _("The team has a migration of this name with other %(fields)s. Give this one another name.")
        raise Conflict(message % {"fields": ", ".join(unlike)}, {"name": [message % {"fields": ", ".join(unlike)}]})
    return known, False


def _same_or_conflict(earlier: Migration, content: dict[str, Any]) -> Migration:
    if any(getattr(earlier, field) != value for field, value in content.items()):
        raise Conflict(_("This Idempotency-Key was used for a migration with other content. Use a new one."))
    return earlier


def _free_name(team: Team, namespaces: Sequence[str]) -> str:
    base = f"{namespaces[0][:40]}-{timezone.now():%Y%m%d}"
    taken = set(Migration.objects.filter(team=team, name__startswith=base).values_list("name", flat=True))
    number = 1
    while f"{base}-{number}" in taken:
        number += 1
    return f"{base}-{number}"


def cancel(migration: Migration, *, remove: bool = True, by: Actor) -> Migration:
    """Ask for the migration to be stopped; with `remove` what it made on the destination goes too. Raises Conflict."""
    with transaction.atomic():
        # Locked, so that it is either finished or cancelled, never both.
        migration = Migration.objects.select_for_update().select_related("team", "pair").get(pk=migration.pk)
        if migration.is_finished:
            message = _("This migration is finished (%(status)s); there is nothing to cancel.")
            raise Conflict(message % {"status": migration.get_status_display()})
        if migration.imported:
            message = _("This migration was made by others and is only followed here. Delete Stork's %(name)s itself.")
            known = migration.stork_object
            raise Conflict(message % {"name": f"Migration {known.get('namespace')}/{known.get('name')}"})
        if migration.cancel_requested_at is None:
            migration.cancel_requested_at = migration.next_look_at = timezone.now()
            migration.remove_when_cancelled = remove
            # One that is paused is cancelled as it stands.
            changed = end_pause(migration)
            migration.save(update_fields=["cancel_requested_at", "next_look_at", "remove_when_cancelled", *changed])
            record(by, "migration.cancel", migration, after={"remove": remove})
            events.emit(migration, "Cancelling", f"Cancellation was asked for by {by.name}", warning=True)
            transaction.on_commit(lambda: live.state_changed(migration))
    return migration


def may_be_rolled_back(migration: Migration) -> bool:
    """Whether there is something that a roll-back would take back, and nobody has asked for it yet."""
    return (
        migration.is_finished
        and migration.rollback_requested_at is None
        and not migration.is_verifying
        and not (migration.status == Status.CANCELLED and migration.remove_when_cancelled)
        and isinstance(engine_for(migration.pair), RollsBack)
    )


def foresee_roll_back(migration: Migration) -> list[Undoing]:
    """What a roll-back would do with each object; nothing is changed. Raises Conflict, Refusal."""
    engine = _rolling_back(migration)
    try:
        return engine.foresee_roll_back(migration)
    except (MigrationError, RetriableError) as error:
        raise Refusal(translated(error.message)) from None


def roll_back(migration: Migration, *, by: Actor) -> Migration:
    """Ask for a finished migration to be taken back: what it made is removed, what it changed restored.

    Asking again changes nothing. Raises Conflict.
    """
    with transaction.atomic():
        migration = Migration.objects.select_for_update().select_related("team", "pair").get(pk=migration.pk)
        if migration.rollback_requested_at is not None:
            return migration
        _rolling_back(migration)
        migration.rollback_requested_at = migration.next_look_at = timezone.now()
        migration.failed_looks = 0
        migration.save(update_fields=["rollback_requested_at", "next_look_at", "failed_looks"])
        record(by, "migration.roll_back", migration, after={"status": migration.status})
        events.emit(migration, "RollingBack", f"A roll-back was asked for by {by.name}", warning=True)
        transaction.on_commit(lambda: live.state_changed(migration))
    return migration


def _rolling_back(migration: Migration) -> RollsBack:
    """The engine that takes the migration back. Raises Conflict where it cannot be."""
    if not migration.is_finished:
        raise Conflict(_("This migration is still under way. Cancel it instead."))
    if migration.rolled_back_at is not None:
        raise Conflict(_("This migration is rolled back already."))
    if migration.is_verifying:
        raise Conflict(_("This migration is being verified. Wait for that, or stop it first."))
    if migration.status == Status.CANCELLED and migration.remove_when_cancelled:
        raise Conflict(_("This migration was cancelled, and what it had made was removed then."))
    engine = engine_for(migration.pair)
    if not isinstance(engine, RollsBack):
        raise Conflict(_("What Stork has applied cannot be taken back: it keeps no account of what was there before."))
    under_way = migration.pair.migrations.exclude(status__in=FINISHED)
    mine = set(migration.spec().destination_namespaces())
    for other in under_way:
        if both := sorted(mine & set(other.spec().destination_namespaces())):
            message = _("Migration %(name)s is under way onto namespace %(namespaces)s. Wait for it, or cancel it.")
            raise Conflict(message % {"name": other.name, "namespaces": ", ".join(both)})
    return engine


def remove(migration: Migration, *, by: Actor) -> None:
    """Forget a finished migration with all that belongs to it; the history keeps that it was. Raises Conflict."""
    if not migration.is_finished:
        raise Conflict(_("This migration is still under way. Cancel it first."))
    if not migration.cleaned_up:
        raise Conflict(_("This migration is still being cleaned up. Try again in a moment."))
    if migration.is_rolling_back:
        raise Conflict(_("This migration is being rolled back. Try again when that is done."))
    if migration.is_verifying:
        raise Conflict(_("This migration is being verified. Wait for that, or stop it first."))
    with transaction.atomic():
        record(by, "migration.remove", migration, before=migration.to_audit())
        migration.delete()
