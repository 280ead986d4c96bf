"""Migrations as pages read them."""

from __future__ import annotations

from typing import Any

from migrations_app.models import Migration


def shown_migrations() -> Any:
    """Migrations with what pages show of them, and without what would be decrypted for nothing."""
    return Migration.objects.select_related(
        "team",
        "pair__source",
        "pair__destination",
        "pair__object_store",
        "pair__portworx",
        "created_by",
        "paused_by",
        "verification",
    ).defer(
        "data_key",
        "verification__key",
        "pair__source__kubeconfig",
        "pair__destination__kubeconfig",
        "pair__object_store__access_key_id",
        "pair__object_store__secret_access_key",
    )
