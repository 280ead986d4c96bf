"""How clusters, object stores and pairs are named, saved, kept with what checks found, and removed.

Each change and its entry in the history are one transaction. The network is asked before or after, never inside: a
cluster that does not answer must not hold locks. What a check finds is kept with the row; it never prevents saving.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters.kube.checks import Check
from clusters.models import Cluster, ClusterPair, Health, ObjectStore
from teams.models import Team
from teams.refusals import Conflict, Refusal


def health_of(found: Iterable[Check]) -> str:
    """What the checks come to: the worst of them."""
    statuses = {check.status for check in found}
    if statuses == {"skipped"}:
        return Health.UNKNOWN
    if "failure" in statuses:
        return Health.FAILING
    return Health.WARNING if "warning" in statuses else Health.HEALTHY


def usable_name(model: type[Any], team: Team, name: str, *, but: Any = None) -> str:
    """The name without spaces around it. Raises Refusal for no name and a long one, Conflict where another has it."""
    name = name.strip()
    if not name or len(name) > 63:
        message = _("Give it a name of at most 63 characters.")
        raise Refusal(message, errors={"name": [message]})
    taken = model.objects.filter(team=team, name=name)
    if (taken if but is None else taken.exclude(pk=but.pk)).exists():
        raise _taken(model, name)
    return name


def _taken(model: type[Any], name: str) -> Conflict:
    message = _("The team already has a %(noun)s named %(name)s.") % {"noun": model._meta.verbose_name, "name": name}
    return Conflict(message, errors={"name": [message]})


@contextmanager
def saving(row: Any) -> Iterator[None]:
    """A transaction in which the row is saved. Raises Conflict where somebody took the name a moment before."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        raise _taken(type(row), row.name) from None


def keep[M: Cluster | ObjectStore | ClusterPair](row: M, found: list[Check], *learned: str) -> M:
    """Keep what the checks found with the row."""
    row.checks = [check.to_dict() for check in found]
    row.health = health_of(found)
    row.checked_at = timezone.now()
    # Not save(): the row may have been removed while its checks ran, and must not come back.
    kept = ("checks", "health", "checked_at", *learned)
    type(row).objects.filter(pk=row.pk).update(**{field: getattr(row, field) for field in kept})
    return row


def remove_unused(row: Any, action: str, users: models.QuerySet[Any], by: Actor) -> None:
    """Remove the row, and say so in the history. Raises Conflict that names its `users`."""
    with transaction.atomic():
        names = ", ".join(str(user) for user in users[:5])
        if names:
            raise Conflict(_("%(name)s is in use by: %(users)s.") % {"name": row, "users": names})
        record(by, action, row, before=row.to_audit())
        row.delete()
