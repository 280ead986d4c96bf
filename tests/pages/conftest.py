"""The company of `tests.factories`, and signing in."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import factories


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Seven people per test need no slow hash."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def company(db: None) -> factories.Company:
    return factories.company()


@pytest.fixture
def alice(company: factories.Company, client: Client) -> Client:
    """A browser in which Alice, admin of the team, is signed in."""
    client.force_login(company.alice)
    return client
