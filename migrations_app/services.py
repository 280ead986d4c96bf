"""What people ask of migrations: see the plan, start, cancel, remove. Pages and API both call these."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.models import ClusterPair
from migrations_app import events, live
from migrations_app.engines import MigrationError, Plan, RetriableError, engine_for
from migrations_app.models import DNS_LABEL, Migration
from migrations_app.resources.spec import Spec
from teams.models import Team
from teams.refusals import Conflict, Refusal

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Namespaces of the cluster itself: moving them breaks the destination.
CLUSTERS_OWN = ("kube-system", "kube-public", "kube-node-lease", "default", "openshift")


def plan(pair: ClusterPair, namespaces: list[str], **choices: Any) -> Plan:
    """What would move, before anything is touched; `choices` are further fields of `Spec`. Raises Refusal."""
    asked = Spec.from_dict({**choices, "namespaces": _checked_namespaces(namespaces)})
    _check_mapping(asked)
    classes = {**pair.storage_class_mapping, **asked.storage_class_mapping}
    try:
        return engine_for(pair).plan(pair, dataclasses.replace(asked, storage_class_mapping=classes))
    except (MigrationError, RetriableError) as error:
        raise Refusal(str(error)) from None


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
    if pair.team_id != team.pk:
        raise Refusal(_("The pair belongs to another team."), {"pair": [_("The pair belongs to another team.")]})
    chosen = _checked_namespaces(namespaces)
    asked = Spec.from_dict({**choices, "namespaces": chosen})
    _check_mapping(asked)
    if not asked.include_volumes and not asked.include_resources:
        message = _("Nothing would move: include volumes, resources, or both.")
        raise Refusal(message, {"include_resources": [message]})
    if name:
        try:
            DNS_LABEL(name)
        except ValidationError as error:
            raise Refusal(str(DNS_LABEL.message), {"name": error.messages}) from None
    content: dict[str, Any] = {"pair": pair, **asked.to_dict()}
    if idempotency_key:
        earlier = Migration.objects.filter(team=team, idempotency_key=idempotency_key).first()
        if earlier is not None:
            return _same_or_conflict(earlier, content)
    try:
        with transaction.atomic():
            migration = Migration.objects.create(
                team=team,
                name=name or _free_name(team, chosen),
                created_by=by.user,
                idempotency_key=idempotency_key or None,
                **content,
            )
            record(by, "migration.start", migration, after=migration.to_audit())
            events.emit(
                migration,
                "Created",
                f"Migration of {', '.join(chosen)} from {pair.source} to {pair.destination} was started by {by.name}",
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


def _same_or_conflict(earlier: Migration, content: dict[str, Any]) -> Migration:
    if any(getattr(earlier, field) != value for field, value in content.items()):
        raise Conflict(_("This Idempotency-Key was used for a migration with other content. Use a new one."))
    return earlier


def _checked_namespaces(namespaces: list[str]) -> list[str]:
    chosen = list(dict.fromkeys(name.strip() for name in namespaces if name.strip()))
    if not chosen:
        message = _("Name at least one namespace.")
        raise Refusal(message, {"namespaces": [message]})
    for name in chosen:
        if not NAMESPACE.fullmatch(name):
            message = _("%(name)s is not a namespace's name.") % {"name": name}
            raise Refusal(message, {"namespaces": [message]})
        if belongs_to_the_cluster(name):
            message = _("%(name)s belongs to the cluster itself and cannot be migrated.") % {"name": name}
            raise Refusal(message, {"namespaces": [message]})
    return chosen


def _check_mapping(spec: Spec) -> None:
    """Each namespace goes to one of its own: two that met in one would overwrite each other. Raises Refusal."""
    for source, destination in spec.namespace_mapping.items():
        if source not in spec.namespaces:
            message = _("%(name)s is mapped, but is not among the namespaces.") % {"name": source}
            raise Refusal(message, {"namespace_mapping": [message]})
        try:
            _checked_namespaces([destination])
        except Refusal as refusal:
            raise Refusal(str(refusal), {"namespace_mapping": [str(refusal)]}) from None
    if len(spec.destination_namespaces()) < len(spec.namespaces):
        message = _("Two namespaces are mapped to the same one. Give each one of its own.")
        raise Refusal(message, {"namespace_mapping": [message]})


def belongs_to_the_cluster(namespace: str) -> bool:
    """Whether the namespace is one of the cluster's own, which cannot be migrated."""
    return namespace in CLUSTERS_OWN or namespace.startswith(("kube-", "openshift-"))


def _free_name(team: Team, namespaces: list[str]) -> str:
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
        if migration.cancel_requested_at is None:
            migration.cancel_requested_at = migration.next_look_at = timezone.now()
            migration.remove_when_cancelled = remove
            migration.save(update_fields=["cancel_requested_at", "next_look_at", "remove_when_cancelled"])
            record(by, "migration.cancel", migration, after={"remove": remove})
            events.emit(migration, "Cancelling", f"Cancellation was asked for by {by.name}", warning=True)
            transaction.on_commit(lambda: live.state_changed(migration))
    return migration


def remove(migration: Migration, *, by: Actor) -> None:
    """Forget a finished migration with all that belongs to it; the history keeps that it was. Raises Conflict."""
    if not migration.is_finished:
        raise Conflict(_("This migration is still under way. Cancel it first."))
    if not migration.cleaned_up:
        raise Conflict(_("This migration is still being cleaned up. Try again in a moment."))
    with transaction.atomic():
        record(by, "migration.remove", migration, before=migration.to_audit())
        migration.delete()
