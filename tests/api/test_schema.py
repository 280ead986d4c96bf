"""The schema and the page to try the API from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.test import Client


def test_the_schema_generates_without_a_warning_and_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(path))
    schema = yaml.safe_load(path.read_text())
    assert "/api/v1/migrations/plan/" in schema["paths"]
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_secrets_are_in_requests_and_in_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "schema.yml"
    call_command("spectacular", "--file", str(path))
    found = yaml.safe_load(path.read_text())["components"]["schemas"]
    holders = {
        name
        for name, schema in found.items()
        if {"kubeconfig", "secret_access_key", "access_key_id"} & schema.get("properties", {}).keys()
    }
    assert holders == {"ClusterRequest", "PatchedClusterRequest", "ObjectStoreRequest", "PatchedObjectStoreRequest"}


@pytest.mark.django_db
def test_the_docs_page_has_nothing_inline_so_that_the_policy_allows_it() -> None:
    browser = Client()
    page = browser.get("/api/docs/")
    assert page.status_code == 200
    policy = page["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    text = page.content.decode()
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sources
    assert all(source.startswith("/") for source in sources)
    script = next(source for source in sources if "script" in source)
    answer = browser.get(script.replace("&amp;", "&"))
    assert answer.status_code == 200
    assert "javascript" in answer["Content-Type"]
    assert "/api/schema/" in answer.content.decode()
