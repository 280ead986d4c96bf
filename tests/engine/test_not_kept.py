"""What the movers could not carry over is told where a user looks: in the events, on the volume's row, by the API."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from django.test import Client

from migrations_app.models import Status
from migrations_app.verifications.models import VolumeVerification
from migrations_app.verifications.reading import not_compared
from tests.engine.conftest import Estate, told


def test_what_is_left_behind_is_named_in_events_and_on_the_page(
    estate: Estate, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The path of a socket may have some hundred characters at most.
    monkeypatch.chdir(Path(estate.dev.volume_path("cms", "px-mysql-pvc")))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("mysqld.sock")
        migration = estate.drive(estate.start(include_resources=False))
    Path("mysqld.sock").unlink()
    assert migration.status == Status.SUCCESSFUL, told(migration)
    warnings = {event.reason: event.message for event in migration.events.filter(type="Warning")}
    assert "socket could not be kept for 1 files, such as mysqld.sock" in warnings["NotKept"]
    assert "push: mysqld.sock: A socket cannot be carried over; it was skipped." in warnings["MoverWarning"]
    client.force_login(estate.by.user)
    page = client.get(f"/migrations/{migration.pk}/").content.decode()
    assert "not kept: socket of 1 (such as mysqld.sock)" in page
    # A mover's last word that would have been too long gives no examples.
    volume = migration.volumes.get(claim="px-mysql-pvc")
    volume.unkept = [{"what": "xattr:security", "count": 3}]
    volume.save(update_fields=["unkept"])
    page = client.get(f"/migrations/{migration.pk}/").content.decode()
    assert "not kept: xattr:security of 3</span>" in page


def test_attributes_that_a_reader_could_not_read_are_told_with_the_verdict() -> None:
    row = VolumeVerification(
        source={"changed": [{"what": "xattr-unread", "count": 2, "example": "a/b"}, {"what": "vanished", "count": 1}]},
        destination={"changed": [{"what": "xattr-unread", "count": 1}]},
    )
    assert not_compared(row) == [
        "Attributes of 2 entries on the source, such as a/b, could not be read and were not compared.",
        "Attributes of 1 entries on the destination could not be read and were not compared.",
    ]
    assert not_compared(VolumeVerification()) == []
