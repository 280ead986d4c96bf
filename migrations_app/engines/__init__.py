"""What an engine is, and which there are. To add one: a folder beside this file, and a line in ENGINES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, Protocol

from clusters.models import ClusterPair, Engine
from migrations_app.lease import Lease
from migrations_app.models import Migration
from migrations_app.resources.spec import Spec


@dataclass(frozen=True)
class Plan:
    """What would move, seen before anything is touched.

    `claims`: [{"namespace", "name", "capacity_bytes", "source_class", "destination_class", "access_modes",
    "volume_mode", "phase"}];
    `objects`: kind to count; `checks`: what preflight found, as `preflight.result.Result.to_dict` gives it:
    [{"code", "status" (pass|warning|failure), "title", "message", "objects", "why", "remedy", "command"}].
    """

    namespaces: list[str]
    claims: list[dict[str, Any]]
    objects: dict[str, int]
    checks: list[dict[str, Any]]


class RetriableError(Exception):
    """Something outside failed that may pass (a cluster out of reach, a throttled store): look again later."""


class MigrationError(Exception):
    """The migration cannot succeed as it is. The message says what was wrong, where, and what to do."""


class MigrationEngine(Protocol):
    """What `reconcile` asks of an engine. Every call is short, repeatable, and safe to die in."""

    def plan(self, pair: ClusterPair, spec: Spec) -> Plan:
        """What a migration would move. Raises MigrationError or RetriableError."""

    def step(self, migration: Migration, lease: Lease) -> timedelta | None:
        """Take the next step; when to look again, or None when the migration is finished."""

    def cancel(self, migration: Migration, lease: Lease) -> timedelta | None:
        """Take the next step of a cancellation; when to look again, or None when all is stopped and cleaned up."""


ENGINES: dict[str, str] = {Engine.NATIVE: "migrations_app.engines.native.engine:NativeEngine"}


def engine_for(pair: ClusterPair) -> MigrationEngine:
    """The engine that the pair says."""
    module, _colon, name = ENGINES[pair.engine].partition(":")
    factory: Callable[[], MigrationEngine] = getattr(import_module(module), name)
    return factory()
