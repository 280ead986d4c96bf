"""The identity of the work at hand (request, migration), for log lines and audit entries."""

from __future__ import annotations

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
migration_id: ContextVar[str] = ContextVar("migration_id", default="")
