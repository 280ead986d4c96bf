"""Clean-up may die anywhere: the key is destroyed when nothing is left that it opens, and once is enough."""

from __future__ import annotations

import time
from typing import Any

import botocore.client
import pytest

from migrations_app.engines.native import cleanup
from migrations_app.lease import Lease
from migrations_app.models import Migration, Status
from migrations_app.reconcile import reconcile
from tests.engine.conftest import Estate, told


class Killed(BaseException):
    """The worker process dies here."""


def test_it_is_repeated_from_wherever_it_died(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    migration = estate.drive(estate.start(include_resources=False), until=lambda migration: migration.is_finished)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert migration.data_key != ""
    assert estate.stored() != []
    key = f"kubemotion/{migration.pk}/left-over"
    estate.store().create_multipart_upload(Bucket=estate.s3.bucket, Key=key)

    monkeypatch.setattr(cleanup, "KEYS_PER_REQUEST", 1)
    called: Any = getattr(botocore.client.BaseClient, "_make_api_call")  # noqa: B009
    renewed, emitted = Lease.renew, cleanup.events.emit
    steps = {"done": 0, "dies": 0, "killed": 0}

    def count() -> None:
        steps["done"] += 1
        if steps["done"] == steps["dies"]:
            steps["killed"] += 1
            raise Killed

    def calling(self: Any, operation: str, arguments: Any) -> Any:
        answer = called(self, operation, arguments)
        # The test's own looks at the bucket do not count.
        if arguments.get("Prefix") or operation in ("DeleteObjects", "AbortMultipartUpload"):
            count()
        return answer

    def renewing(self: Lease) -> None:
        renewed(self)
        count()

    def emitting(*args: Any, **kwargs: Any) -> Any:
        event = emitted(*args, **kwargs)
        # Before the transaction is committed.
        count()
        return event

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", calling)
    monkeypatch.setattr(Lease, "renew", renewing)
    monkeypatch.setattr(cleanup.events, "emit", emitting)
    deadline = time.monotonic() + 120
    while not (migration := Migration.objects.get(pk=migration.pk)).cleaned_up:
        assert time.monotonic() < deadline, told(migration)
        # As long as there is something to open, the key is there to tell of it; it never goes alone.
        assert migration.data_key != ""
        steps["done"], steps["dies"] = 0, steps["dies"] + 1
        try:
            reconcile(migration.pk)
            steps["dies"] = 0
        except Killed:
            Migration.objects.filter(pk=migration.pk).update(lease_token=None, lease_expires_at=None)
    monkeypatch.undo()
    assert steps["killed"] > 8
    assert migration.data_key == ""
    assert estate.leftovers() == []
    assert estate.store().list_multipart_uploads(Bucket=estate.s3.bucket).get("Uploads", []) == []
    assert migration.events.filter(reason="CleanedUp").count() == 1
    assert migration.status == Status.SUCCESSFUL
    # Nobody looks at it again.
    assert migration.next_look_at is None or not reconcile(migration.pk)
