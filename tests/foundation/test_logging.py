"""Log lines say which request and migration they are about."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from pythonjsonlogger.json import JsonFormatter

from audit import context
from kubemotion_web.logging import ContextFilter


def as_configured() -> tuple[logging.Handler, io.StringIO]:
    """A handler as the settings make it, and what it writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    given = settings.LOGGING["formatters"]["json"]
    handler.setFormatter(JsonFormatter(given["fmt"], rename_fields=given["rename_fields"]))
    handler.addFilter(ContextFilter())
    return handler, out


@pytest.fixture
def lines() -> Any:
    handler, out = as_configured()
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


def test_a_line_has_the_identity_of_the_work_at_hand(lines: Any) -> None:
    tokens = context.request_id.set("request-1"), context.migration_id.set("migration-1")
    logging.getLogger("anything").warning("it happened")
    context.request_id.reset(tokens[0])
    context.migration_id.reset(tokens[1])
    (line,) = lines()
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "anything", "it happened")
    assert (line["request_id"], line["migration_id"]) == ("request-1", "migration-1")


@pytest.mark.django_db
def test_a_refused_request_is_logged_with_its_id(lines: Any) -> None:
    Client().get("/api/v1/clusters/", headers={"X-Request-ID": "one-two-three"})
    assert [line["request_id"] for line in lines() if line["logger"] == "django.request"] == ["one-two-three"]


@pytest.mark.parametrize("name", ["boto3", "botocore.auth", "kubernetes.client.rest", "daphne"])
def test_libraries_that_write_down_what_they_send_are_kept_from_it(name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
