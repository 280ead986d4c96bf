"""What an engine is, and which there are. To add one: a folder beside this file, and a line in ENGINES.

native/      mover Jobs carry the volumes; we carry the objects ourselves
portworx/    Stork moves everything; we ask it to, and follow it
sides.py     the two clusters, and what their refusals mean for a migration
claims.py    claims as a cluster has them, and who uses them
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from clusters.models import ClusterPair, Engine
from migrations_app.lease import Lease
from migrations_app.models import Migration
from migrations_app.resources.diffs import FieldDiff
from migrations_app.resources.dry_run import Planned
from migrations_app.resources.spec import Spec
from migrations_app.resources.suggestions import Suggestion


@dataclass(frozen=True)
class Plan:
    """What would move, seen before anything is touched.

    `claims`: [{"namespace", "name", "capacity_bytes", "source_class", "destination_class", "access_modes",
    "volume_mode", "phase", "read_from" (snapshot, live, or empty), "snapshot_class", "why_live" (by the engine native),
    "portworx" (what `clusters.portworx.volumes.facts` says, with "problem"; by that engine)}];
    `objects`: kind to count; `checks`: what preflight found, as `preflight.result.Result.to_dict` gives it:
    [{"code", "status" (pass|warning|failure), "title", "message", "objects", "why", "remedy", "command"}].
    """

    namespaces: list[str]
    claims: list[dict[str, Any]]
    objects: dict[str, int]
    checks: list[dict[str, Any]]


class _ToldError(Exception):
    """The message can be a Text (`clusters.texts`), and is then said in the reader's language."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RetriableError(_ToldError):
    """Something outside failed that may pass (a cluster out of reach, a throttled store): look again later."""


class MigrationError(_ToldError):
    """The migration cannot succeed as it is. The message says what was wrong, where, and what to do."""


class MigrationEngine(Protocol):
    """What `reconcile` asks of an engine. Every call is short, repeatable, and safe to die in."""

    def plan(self, pair: ClusterPair, spec: Spec) -> Plan:
        """What a migration would move. Raises MigrationError or RetriableError."""

    def step(self, migration: Migration, lease: Lease) -> timedelta | None:
        """Take the next step; when to look again, or None when the migration is finished."""

    def cancel(self, migration: Migration, lease: Lease) -> timedelta | None:
        """Take the next step of a cancellation; when to look again, or None when all is stopped and cleaned up."""


@dataclass(frozen=True)
class Foreseen:
    """One object of the source: what it would be on the destination, or why it stays behind.

    `key` is group, kind, namespace and name on the source; `resource` names its kind as a Selection does; `needs` are
    the keys of what it refers to, and whether it can do without. `missing`: [{"key", "needed", "reason", "optional"}]
    of those that do not go along.
    """

    key: tuple[str, str, str, str]
    resource: str
    version: str
    wanted: dict[str, Any] | None
    reason: str = ""
    # It was to go along, and cannot be made into what was asked for.
    refused: bool = False
    needs: dict[tuple[str, str, str, str], bool] = field(default_factory=dict)
    missing: list[dict[str, Any]] = field(default_factory=list)
    # What is worth knowing about it, each continuing its name.
    notes: list[str] = field(default_factory=list)
    # Texts in it that name Services of renamed namespaces, and that nothing changes yet.
    suggestions: list[Suggestion] = field(default_factory=list)
    # The fields that would go, where the source has it no longer and it is to be deleted on the destination.
    purged: Sequence[FieldDiff] | None = None


@dataclass(frozen=True)
class Contents:
    """One object as it is on the source, as it is to be, and as the destination has it; None where it is not there.

    `outcome` is what would come of applying it over what is there; None where nothing is, or the server refuses it.
    """

    source: dict[str, Any] | None
    wanted: dict[str, Any] | None
    present: dict[str, Any] | None
    outcome: dict[str, Any] | None = None


@dataclass(frozen=True)
class Undoing:
    """What a roll-back would do with one object: `action` is remove, restore, make or stay.

    `changed` says who has changed it since the migration did, each as `manager at time`.
    """

    kind: str
    namespace: str
    name: str
    action: str
    reason: str = ""
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


@runtime_checkable
class RollsBack(Protocol):
    """An engine that knows what it made and changed on the destination can take it back after the end."""

    def foresee_roll_back(self, migration: Migration) -> list[Undoing]:
        """What would be done, in order. Raises MigrationError or RetriableError; nothing is changed."""

    def roll_back(self, migration: Migration, lease: Lease) -> timedelta | None:
        """Take the next step of a roll-back; when to look again, or None when all is as it was before."""


@runtime_checkable
class Pauses(Protocol):
    """An engine that can stop what runs in the clusters, and go on with it later where it was.

    Going on is part of `MigrationEngine.step`, for a migration that is `to_be_resumed`.
    """

    def pause(self, migration: Migration, lease: Lease) -> timedelta | None:
        """Take the next step of coming to rest; when to look again, or None when nothing of it runs any more.

        Raises RetriableError, never MigrationError: a migration does not fail because it is paused.
        """


@runtime_checkable
class ForeseesObjects(Protocol):
    """An engine that applies the objects itself can say of each what would become of it. Nothing is changed.

    Every call raises MigrationError or RetriableError as `MigrationEngine.plan` does.
    """

    def foresee(self, pair: ClusterPair, spec: Spec, *, migration_id: str) -> list[Foreseen]:
        """Every object of the namespaces, those that go along in the order in which they would be applied."""

    def dry_run(
        self,
        pair: ClusterPair,
        spec: Spec,
        objects: Iterable[dict[str, Any]],
        *,
        migration_id: str,
        on_planned: Callable[[Planned], None],
        stop_at: float,
    ) -> bool:
        """Ask the destination of each object, in order; False where `stop_at` (time.monotonic) came before the end."""

    def contents(
        self, pair: ClusterPair, spec: Spec, *, migration_id: str, resource: str, namespace: str, name: str
    ) -> Contents:
        """One object of the source, by its resource, namespace and name there, with the values of Secrets."""

    def whole(self, pair: ClusterPair, spec: Spec, *, migration_id: str) -> list[dict[str, Any]]:
        """Namespaces, claims and objects as they would be applied, in order, with the values of Secrets."""


ENGINES: dict[str, str] = {
    Engine.NATIVE: "migrations_app.engines.native.engine:NativeEngine",
    Engine.PORTWORX: "migrations_app.engines.portworx.engine:PortworxEngine",
}


def engine_for(pair: ClusterPair) -> MigrationEngine:
    """The engine that the pair says."""
    module, _colon, name = ENGINES[pair.engine].partition(":")
    factory: Callable[[], MigrationEngine] = getattr(import_module(module), name)
    return factory()
