"""What holds for every page: no secret in it, nothing inline, a strict policy, few questions to the database."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from clusters.models import Cluster
from migrations_app.models import Migration, MigrationEvent, MigrationResource, MigrationVolume
from tests import factories

INLINE = re.compile(r"<style|<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)


def paths(company: factories.Company) -> list[str]:
    nouns = {"clusters": company.source, "object-stores": company.store, "pairs": company.pair}
    migration = f"/migrations/{company.migration.pk}/"
    return [
        "/",
        "/migrations/",
        migration,
        f"{migration}events/",
        f"{migration}events/?fold=1",
        f"{migration}cancel/",
        f"{migration}roll-back/",
        f"{migration}verify/",
        f"{migration}remove/",
        "/plans/",
        f"/plans/{company.plan.pk}/",
        f"/plans/{company.plan.pk}/?resource=configmaps",
        f"/plans/{company.plan.pk}/?q=nothing-fits",
        f"/plans/{company.plan.pk}/remove/",
        *(each.get_absolute_url() for each in company.plan.objects_planned.all()),
        *(f"/{noun}/" for noun in nouns),
        *(f"/{noun}/add/" for noun in nouns),
        *(f"/{noun}/{each.pk}/{page}" for noun, each in nouns.items() for page in ("", "edit/", "remove/")),
        "/history/",
        "/teams/",
        f"/teams/{company.team.pk}/",
        "/account/",
    ]


def admin_paths(company: factories.Company) -> list[str]:
    rows = (company.source, company.store, company.pair, company.migration)
    return [
        f"/admin/{row._meta.app_label}/{row._meta.model_name}/{page}"
        for row in rows
        for page in ("", f"{row.pk}/change/")
    ]


def test_no_page_shows_a_secret(company: factories.Company, client: Client) -> None:
    Migration.objects.update(data_key="sesame-data-key", idempotency_key="sesame-idempotency")
    company.staff.is_superuser = True
    company.staff.save()
    client.force_login(company.staff)
    for path in [*paths(company), *admin_paths(company)]:
        response = client.get(path)
        assert response.status_code == 200, path
        assert "sesame" not in response.content.decode().lower(), path


def test_no_secret_can_be_typed_over_in_the_administration(company: factories.Company, client: Client) -> None:
    company.staff.is_superuser = True
    company.staff.save()
    client.force_login(company.staff)
    assert (
        client.post(f"/admin/clusters/cluster/{company.source.pk}/change/", {"kubeconfig": "mine"}).status_code == 403
    )
    assert client.get("/admin/clusters/cluster/add/").status_code == 403
    assert "sesame" in Cluster.objects.get(pk=company.source.pk).kubeconfig


def test_nothing_is_inline_and_the_policy_is_strict(company: factories.Company, alice: Client) -> None:
    for path in paths(company):
        response = alice.get(path)
        assert not INLINE.search(response.content.decode()), path
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_scripts_and_styles_that_pages_name_exist(company: factories.Company, alice: Client) -> None:
    page = alice.get("/").content.decode()
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(named) >= 6
    for path in named:
        assert alice.get(path).status_code == 200, path


def test_pages_that_are_refused_or_missing_say_so(company: factories.Company, client: Client) -> None:
    client.force_login(company.bob)
    refused = client.get(f"/clusters/{company.source.pk}/edit/")
    assert refused.status_code == 403
    assert "Your role in team Content platform does not allow this." in refused.content.decode()
    client.force_login(company.charlie)
    missing = client.get(f"/clusters/{company.source.pk}/edit/")
    assert missing.status_code == 404
    assert "not yours to see" in missing.content.decode()


def test_a_viewer_is_offered_nothing_that_would_be_refused(company: factories.Company, client: Client) -> None:
    client.force_login(company.bob)
    for path in ("/", "/clusters/", f"/clusters/{company.source.pk}/", f"/migrations/{company.migration.pk}/"):
        page = client.get(path).content.decode()
        for offer in ("/add/", "/edit/", "/remove/", "/cancel/", "/check/", "/migrations/new/"):
            assert offer not in page, (path, offer)


def queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


LISTS = ("/", "/migrations/", "/clusters/", "/object-stores/", "/pairs/", "/history/", "/teams/", "/account/")


@pytest.mark.parametrize("path", LISTS)
def test_a_list_asks_the_database_as_often_for_many_rows_as_for_few(
    path: str, company: factories.Company, alice: Client
) -> None:
    before = queries(alice, path)
    for number in range(12):
        source = factories.cluster(company.team, f"source-{number}")
        store = factories.object_store(company.team, f"store-{number}")
        pair = factories.pair(
            company.team, f"pair-{number}", source=source, destination=company.pair.destination, object_store=store
        )
        factories.migration(pair, f"migration-{number}")
    assert queries(alice, path) <= before
    assert before <= 16


def test_a_migration_with_thousands_of_rows_asks_no_more(company: factories.Company, alice: Client) -> None:
    path = f"/migrations/{company.migration.pk}/"
    before = queries(alice, path)
    rows: list[Any] = [
        MigrationResource(
            migration=company.migration,
            order=number,
            version="v1",
            kind="ConfigMap",
            namespace="cms",
            name=f"c{number}",
        )
        for number in range(300)
    ]
    MigrationResource.objects.bulk_create(rows)
    MigrationVolume.objects.bulk_create(
        [MigrationVolume(migration=company.migration, namespace="cms", claim=f"claim-{n}") for n in range(50)]
    )
    MigrationEvent.objects.bulk_create(
        [MigrationEvent(migration=company.migration, seq=n, reason="Noted", message="m") for n in range(6, 1500)]
    )
    assert queries(alice, path) <= before
    assert before <= 16
    page = alice.get(path).content.decode()
    assert page.count('id="event-') == 201  # 200 rows, and the table's body
    assert 'id="earlier-events">' in page


def test_all_events_are_on_their_page_and_folding_loses_none(company: factories.Company, alice: Client) -> None:
    at = f"/migrations/{company.migration.pk}/events/"
    page = alice.get(at).content.decode()
    assert [f'id="event-{n}"' in page for n in range(1, 6)] == [True] * 5
    folded = alice.get(f"{at}?fold=1").content.decode()
    assert folded.count("The object store throttles") == 1
    assert "x2 over" in folded
