"""Structured logs: every line carries the request and the migration that it is about."""

from __future__ import annotations

import logging

from audit import context


class ContextFilter(logging.Filter):
    """Adds `request_id` and `migration_id` to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Django logs refused requests when they have left the middleware; they still carry their id.
        request = getattr(record, "request", None)
        record.request_id = context.request_id.get() or getattr(request, "request_id", "")
        record.migration_id = context.migration_id.get()
        return True
