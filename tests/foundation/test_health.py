"""Health, request ids, and the headers of every page."""

from __future__ import annotations

import pytest
from django.test import Client

from kubemotion_web import health

pytestmark = pytest.mark.django_db


def test_livez_answers_without_signing_in(client: Client) -> None:
    assert client.get("/livez").json() == {"status": "ok"}


def test_readyz_names_each_thing_that_is_needed(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": "ok", "schema": "ok", "broker": "ok"}


def test_readyz_fails_without_saying_where_the_database_is(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise ConnectionError("password=CANARY host=db.internal")

    monkeypatch.setitem(health.READINESS, "database", broken)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "failing (ConnectionError)"
    assert "CANARY" not in answer.content.decode()


def test_a_well_formed_request_id_is_kept_and_another_replaced(client: Client) -> None:
    assert client.get("/livez", headers={"X-Request-ID": "abcdef-123456"})["X-Request-ID"] == "abcdef-123456"
    assert client.get("/livez", headers={"X-Request-ID": "a\tb"})["X-Request-ID"] != "a\tb"


def test_every_answer_has_a_strict_content_security_policy(client: Client) -> None:
    policy = client.get("/livez")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
