"""What people do with transformations. Pages and API both call these."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from migrations_app.models import DNS_LABEL
from migrations_app.resources import rules
from migrations_app.resources.rules import RuleError, importing
from migrations_app.transformations.models import ResourceTransformation
from teams.models import Team
from teams.refusals import Conflict, Refusal

Object = dict[str, Any]


def read(source: str) -> list[Object]:
    """The rules in the text, checked. Raises Refusal at `source` with the rule and what is wrong with it."""
    try:
        found = importing.read(source)
        rules.parse(found)
    except RuleError as error:
        raise Refusal(str(error), {"source": [str(error)]}) from None
    return found


def add(
    team: Team, *, name: str, source: str = "", rules: list[Object] | None = None, description: str = "", by: Actor
) -> ResourceTransformation:
    """A new transformation, from text in any form that is read, or from rules as JSON. Raises Refusal, Conflict."""
    text = _text(source, rules)
    made = ResourceTransformation(
        team=team, name=_usable(name), description=description, source=text, rules=read(text), created_by=by.user
    )
    with _saving(made):
        made.save()
        record(by, "transformation.add", made, after=made.to_audit())
    return made


def update(row: ResourceTransformation, *, by: Actor, **changed: Any) -> ResourceTransformation:
    """Change what is given. Migrations keep the rules that they were started with. Raises as `add`."""
    before = row.to_audit()
    if "name" in changed:
        row.name = _usable(changed["name"])
    if "description" in changed:
        row.description = changed["description"]
    if changed.get("source") or changed.get("rules") is not None:
        row.source = _text(changed.get("source") or "", changed.get("rules"))
        row.rules = read(row.source)
    with _saving(row):
        row.save()
        record(by, "transformation.change", row, before=before, after=row.to_audit())
    return row


def remove(row: ResourceTransformation, *, by: Actor) -> None:
    """Forget it; migrations that were started with it keep their copy."""
    with transaction.atomic():
        record(by, "transformation.remove", row, before=row.to_audit())
        row.delete()


def snapshot(team: Team, chosen: Iterable[str | uuid.UUID]) -> list[Object]:
    """The team's transformations with these names or ids, in this order, as a migration keeps them.

    Raises Refusal at `transformations`, naming those that the team does not have.
    """
    wanted = [str(each) for each in chosen]
    rows = {}
    for row in ResourceTransformation.objects.filter(team=team):
        rows[row.name] = rows[str(row.pk)] = row
    if unknown := [each for each in wanted if each not in rows]:
        message = _("Team %(team)s has no transformation %(names)s.")
        said = message % {"team": team, "names": ", ".join(unknown)}
        raise Refusal(said, {"transformations": [said]})
    return [{"name": row.name, "rules": row.rules} for row in dict.fromkeys(rows[each] for each in wanted)]


def _text(source: str, given: list[Object] | None) -> str:
    if source.strip() and given is not None:
        message = _("Give the rules as text or as JSON, not both.")
        raise Refusal(message, {"rules": [message]})
    return yaml.safe_dump(given, sort_keys=False, allow_unicode=True) if given is not None else source


def _usable(name: str) -> str:
    try:
        DNS_LABEL(name)
    except ValidationError as error:
        raise Refusal(str(DNS_LABEL.message), {"name": error.messages}) from None
    return name


@contextmanager
def _saving(row: ResourceTransformation) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError:
        message = _("The team already has a transformation named %(name)s.") % {"name": row.name}
        raise Conflict(message, {"name": [message]}) from None
