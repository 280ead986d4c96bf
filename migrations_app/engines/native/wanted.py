"""What is asked of the engine, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.models import ClusterPair
from migrations_app.models import Migration
from migrations_app.resources.registrations import Suspensions
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import Options


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `migration_id` tells what is there because the migration itself made it."""

    pair: ClusterPair
    spec: Spec
    migration_id: str = ""

    @classmethod
    def by(cls, migration: Migration) -> Wanted:
        return cls(migration.pair, migration.spec(), str(migration.pk))

    def class_for(self, source_class: str) -> str:
        """The destination's class for one of the source; empty means the destination's default."""
        return self.spec.storage_class_mapping.get(source_class, source_class)

    def options(self, suspensions: Suspensions) -> Options:
        """How objects are transformed; the source says what stops operators' own kinds."""
        return Options(self.migration_id, str(self.pair.source), self.spec, suspensions)
