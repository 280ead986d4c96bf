"""Callers of the API, each with a bearer token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from teams.models import ApiToken
from tests.factories import Company, company


@dataclass
class Caller:
    """Somebody who calls the API; answers are Django's test responses."""

    headers: dict[str, str]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.send(method, path, b"" if body is None else json.dumps(body).encode(), **headers)

    def send(
        self, method: str, path: str, data: bytes | str, content_type: str = "application/json", **headers: str
    ) -> Any:
        """A body as it is, of any type."""
        if not path.startswith("/api/"):
            path = f"/api/v1{path}"
        return Client().generic(method, path, data, content_type=content_type, headers={**self.headers, **headers})

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.call("PATCH", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.call("DELETE", path)


def as_user(user: Any) -> Caller:
    return Caller({"Authorization": f"Bearer {ApiToken.issue(user, 'test')[1]}"})


@pytest.fixture
def world(db: None, settings: Any) -> Company:
    # Nobody signs in with a password here, and good hashes take their time.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return company()


@pytest.fixture
def alice(world: Company) -> Caller:
    return as_user(world.alice)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network: checks find nothing to say, the source has one namespace, and the engine plans nothing."""
    from clusters import cluster_services, object_storage, temporary_keys
    from clusters.kube import checks
    from clusters.saving import keep
    from migrations_app import services as migrations
    from migrations_app.engines import Contents, Plan
    from migrations_app.engines.native.engine import NativeEngine

    monkeypatch.setattr(cluster_services, "look_at", lambda cluster: keep(cluster, []))
    monkeypatch.setattr(object_storage, "check_object_store", lambda store: [checks.Check("put", "ok", "Fine.")])
    monkeypatch.setattr(temporary_keys, "check", lambda store: checks.Check("session-policy", "skipped", "None."))
    monkeypatch.setattr(cluster_services, "namespaces_of", lambda cluster: ["cms"])
    monkeypatch.setattr(
        migrations,
        "plan",
        lambda pair, namespaces, **choices: Plan(namespaces, [], {"Deployment": 2}, []),
    )
    monkeypatch.setattr(NativeEngine, "contents", lambda *_arguments, **_options: Contents(None, None, None))
    monkeypatch.setattr(NativeEngine, "whole", lambda *_arguments, **_options: [])
