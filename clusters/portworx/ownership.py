"""The mark that tells what this product made on a cluster from what people and other tools made there."""

from __future__ import annotations

from typing import Any

MANAGED_BY = {"app.kubernetes.io/managed-by": "kubemotion-web"}


def is_ours(present: dict[str, Any]) -> bool:
    """Whether an object has the mark that setting up gives it."""
    labels = present["metadata"].get("labels") or {}
    return bool(labels.items() >= MANAGED_BY.items())
