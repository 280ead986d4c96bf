"""Verification on the migration page and over the API: asked for, followed live, and told in plain words."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from audit.models import Entry
from migrations_app import live
from migrations_app.models import Migration, Stage, Status
from migrations_app.verifications.models import Verdict, Verification
from tests import factories
from tests.pages.test_live import watch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def company(transactional_db: None) -> factories.Company:
    """The story's migration, which has ended well."""
    company = factories.company()
    company.migration.volumes.update(status=Status.SUCCESSFUL)
    Migration.objects.filter(pk=company.migration.pk).update(
        stage=Stage.FINAL, status=Status.SUCCESSFUL, cleaned_up=True
    )
    company.migration.refresh_from_db()
    return company


def page(company: factories.Company, user: Any) -> str:
    client = Client()
    client.force_login(user)
    return client.get(company.migration.get_absolute_url()).content.decode()


def test_who_operates_can_ask_for_it_and_stop_it(company: factories.Company) -> None:
    client = Client()
    client.force_login(company.olivia)
    path = f"{company.migration.get_absolute_url()}verify/"
    assert f'href="{path}"' in page(company, company.olivia)
    assert f'href="{path}"' not in page(company, company.bob)
    assert "Nothing is changed on either side" in client.get(path).content.decode()
    assert client.post(path).status_code == 302
    verification = Verification.objects.get(migration=company.migration)
    assert (verification.requested_by, verification.is_under_way) == (company.olivia, True)
    assert {row.status for row in verification.volumes.all()} == {Verdict.PENDING}
    assert "asked for by olivia" in page(company, company.bob)
    assert "What it has found so far stays" in client.get(path).content.decode()
    client.post(path, {"action": "stop"})
    assert Verification.objects.get(pk=verification.pk).is_cancelling
    assert "Is being stopped" in page(company, company.bob)
    assert [entry.action for entry in Entry.objects.filter(action__contains="verif").order_by("pk")] == [
        "migration.verify",
        "migration.stop_verification",
    ]


def test_a_refusal_is_shown(company: factories.Company) -> None:
    company.migration.volumes.all().delete()
    client = Client()
    client.force_login(company.olivia)
    answer = client.post(f"{company.migration.get_absolute_url()}verify/", follow=True)
    assert "there is nothing to verify" in answer.content.decode()


def test_the_result_names_paths_and_the_newer_side(company: factories.Company) -> None:
    factories.verification(company.migration)
    shown = page(company, company.bob)
    for words in (
        "wp-content/debug.log",
        "size, content, time",
        "newer on the destination",
        "131072 bytes from 0",
        "only on the destination",
        "2 paths differ",
        "the destination was written to later",
        "used by wordpress-5c9d",
        "differences are normal",
    ):
        assert words in shown, words
    assert "digest-key-canary" not in shown


def test_no_path_can_bring_markup(company: factories.Company) -> None:
    verification = factories.verification(company.migration)
    row = verification.volumes.get(status=Verdict.DIFFERENT)
    row.differences[0]["path"] = "<script>alert(1)</script>"
    row.save()
    assert "<script>alert(1)" not in page(company, company.bob)


async def test_it_is_followed_live(company: factories.Company) -> None:
    connection = await watch(company, 5)
    await sync_to_async(factories.verification)(company.migration, status=Verdict.IN_PROGRESS, finished_at=None)
    await sync_to_async(live.state_changed)(company.migration)
    html = await connection.receive_from()
    assert 'id="migration-verification"' in html
    assert "32 % of both sides read" in html
    await connection.disconnect()


def test_the_api_tells_it_in_short_and_whole(company: factories.Company) -> None:
    client = Client()
    client.force_login(company.bob)
    path = f"/api/v1/migrations/{company.migration.pk}/"
    assert client.get(path).json()["verification"] is None
    assert client.get(f"{path}verify/").status_code == 404
    factories.verification(company.migration)
    short = client.get(path).json()["verification"]
    assert (short["status"], short["volumes"]["Same"], short["volumes"]["Different"]) == ("Different", 1, 1)
    assert client.get("/api/v1/migrations/").json()["results"][0]["verification"] == short
    whole = client.get(f"{path}verify/").json()
    rows = {row["claim"]: row for row in whole["volumes"]}
    assert rows["px-wp-pvc"]["differences"][1] == {
        "path": "wp-content/debug.log",
        "what": ["size", "content", "mtime"],
        "newer": "destination",
        "ranges": [{"offset": 0, "length": 131_072}, {"offset": 1_048_576, "length": 196_608}],
        "more_ranges": True,
    }
    assert rows["px-wp-pvc"]["destination"]["used_by"] == ["wordpress-5c9d"]
    assert "digest-key-canary" not in str(whole)
