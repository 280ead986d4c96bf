"""A Migration as `storkctl get migration` and `kubectl describe migration` show it, from the object as it is now."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from clusters.models import Engine
from clusters.portworx import describe, tables
from migrations_app.engines import MigrationError, RetriableError
from migrations_app.engines.portworx import asking, telling
from migrations_app.engines.sides import source_of
from migrations_app.models import Migration
from teams.refusals import Conflict, Unavailable


@dataclass(frozen=True)
class Texts:
    """What the two commands print; `namespace` and `name` are those of the Migration object."""

    namespace: str
    name: str
    get: str
    describe: str


def texts_of(migration: Migration) -> Texts:
    """Both texts. Raises Conflict where there is no such object, Unavailable where the source does not answer."""
    if migration.pair.engine != Engine.PORTWORX:
        raise Conflict(_("Stork has no part in this migration: its pair is of another engine."))
    if not migration.stork_object.get("uid"):
        raise Conflict(_("Stork's Migration does not exist yet."))
    try:
        with source_of(migration.pair).asked() as connection:
            obj = asking.found(connection, migration)
            told = telling.of(connection, migration)
    except (MigrationError, RetriableError) as error:
        raise Unavailable(str(error)) from None
    known = migration.stork_object
    if obj is None:
        message = _("The source has no Migration %(namespace)s/%(name)s any more.")
        raise Conflict(message % {"namespace": known["namespace"], "name": known["name"]})
    return Texts(known["namespace"], known["name"], tables.migrations([obj]), describe.describe(obj, told))
