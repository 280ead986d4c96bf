"""A migration with thousands of objects: pages, pushes and API answers stay small, and ask the database little."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app import events, live, resource_list
from migrations_app.events import Said
from migrations_app.models import Migration, MigrationResource, Status
from migrations_app.resource_list import Filters
from tests import factories
from tests.pages.test_live import numbers, watch

HTMX: dict[str, Any] = {"HTTP_HX_REQUEST": "true"}
MOST_BYTES = 150_000


def add(migration: Migration, count: int, kind: str = "ConfigMap", group: str = "", **fields: Any) -> None:
    given = {"version": "v1", "namespace": "shop", "status": Status.SUCCESSFUL, "action": "created", "order": 1000}
    MigrationResource.objects.bulk_create(
        MigrationResource(
            migration=migration, kind=kind, group=group, name=f"{kind.lower()}-{number}", **given | fields
        )
        for number in range(count)
    )


@pytest.fixture
def many(company: factories.Company) -> Migration:
    """A migration with 1,205 objects more than a person would read."""
    add(company.migration, 1000)
    add(company.migration, 150, "StatefulSet", "apps", order=2000)
    add(company.migration, 50, "Role", "rbac.authorization.k8s.io", status=Status.PENDING, action="", order=900)
    add(company.migration, 5, "Ingress", "networking.k8s.io", status=Status.FAILED, reason="Host is taken", order=3000)
    return company.migration


def asked(client: Client, path: str, **headers: Any) -> tuple[str, int]:
    """The page and how many questions it took."""
    client.get(path, **headers)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        response = client.get(path, **headers)
    assert response.status_code == 200
    return response.content.decode(), len(queries)


def test_few_objects_are_in_one_table(company: factories.Company, alice: Client) -> None:
    page, _queries = asked(alice, f"/migrations/{company.migration.pk}/")
    assert 'id="resource-rows"' in page
    assert 'id="resource-kinds"' not in page
    assert page.count('id="resource-') - page.count('id="resource-rows') >= company.migration.resources.count()


def test_of_many_only_the_kinds_are_shown_with_counts(many: Migration, alice: Client) -> None:
    page, queries = asked(alice, many.get_absolute_url())
    assert 'id="resource-rows"' not in page
    for slug in ("ConfigMap", "StatefulSet_apps", "Role_rbac_authorization_k8s_io", "Ingress_networking_k8s_io"):
        assert f'id="kind-{slug}"' in page
    assert "configmap-1" not in page
    assert len(page) < MOST_BYTES
    add(many, 2000, "NetworkPolicy", "networking.k8s.io")
    larger, as_many = asked(alice, many.get_absolute_url())
    assert as_many == queries
    assert len(larger) - len(page) < 2000


def test_kinds_come_in_the_order_in_which_they_are_applied(many: Migration) -> None:
    lines = {line.resource: line for line in resource_list.kinds(many, Filters())}
    role, ingress = "Role.rbac.authorization.k8s.io", "Ingress.networking.k8s.io"
    assert list(lines)[-4:] == [role, "ConfigMap", "StatefulSet.apps", ingress]
    assert lines[role].statuses == [(Status.PENDING, 50)]
    assert lines[ingress].statuses == [(Status.FAILED, 5)]


def test_the_rows_of_a_kind_come_in_pages(many: Migration, alice: Client) -> None:
    at = f"{many.get_absolute_url()}resources/?resource=ConfigMap"
    first, queries = asked(alice, at, **HTMX)
    assert first.count("<tr ") == 101
    assert len(first) < MOST_BYTES
    last, as_many = asked(alice, f"{at}&page=10", **HTMX)
    assert as_many == queries
    assert "configmap-999" in last
    assert 'rel="next"' not in last


def test_what_failed_comes_first(many: Migration, alice: Client) -> None:
    MigrationResource.objects.filter(name="configmap-700").update(status=Status.FAILED, reason="The quota is used up")
    first, _queries = asked(alice, f"{many.get_absolute_url()}resources/?resource=ConfigMap", **HTMX)
    assert first.index("configmap-700") < first.index("configmap-0<")


def test_the_filter_is_the_servers(many: Migration, alice: Client) -> None:
    page, _queries = asked(alice, f"{many.get_absolute_url()}?q=taken&status=Failed")
    assert 'id="kind-Ingress_networking_k8s_io"' in page
    assert 'id="kind-ConfigMap"' not in page
    nothing, _queries = asked(alice, f"{many.get_absolute_url()}?q=no-such-name")
    assert "Nothing fits the filter." in nothing
    assert Filters.of({"status": "Nonsense", "q": " x "}) == Filters(text="x")


def test_a_kind_opens_without_scripts_too(many: Migration, alice: Client) -> None:
    page, _queries = asked(alice, f"{many.get_absolute_url()}?resource=Ingress.networking.k8s.io")
    assert "ingress-4" in page
    assert "<details open>" in page
    answer = alice.get(f"{many.get_absolute_url()}resources/?resource=ConfigMap&page=2")
    assert answer.headers["Location"] == f"{many.get_absolute_url()}?resource=ConfigMap&page=2#resources"


def test_counts_are_fetched_without_the_rows(many: Migration, alice: Client) -> None:
    moved, queries = asked(alice, f"{many.get_absolute_url()}resources/?moved=1", **HTMX)
    assert 'id="summary-ConfigMap" hx-swap-oob="true"' in moved
    assert "1000" in moved
    assert "<tr" not in moved
    assert queries < 8


def test_api_lists_are_paged_and_bounded(many: Migration, alice: Client) -> None:
    at = f"/api/v1/migrations/{many.pk}/resources/"
    first = alice.get(at).json()
    assert len(first["results"]) == 50
    assert first["count"] == many.resources.count()
    with CaptureQueriesContext(connection) as few:
        alice.get(f"{at}?page_size=10")
    with CaptureQueriesContext(connection) as more:
        assert len(alice.get(f"{at}?page_size=10000").json()["results"]) == 500
    assert len(more) == len(few)


@pytest.mark.django_db(transaction=True)
async def test_many_events_are_one_message_and_arrive_in_order(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = await sync_to_async(factories.company)()
    sent: list[dict[str, Any]] = []
    send = live._send

    def noted(group: str, message: dict[str, Any]) -> None:
        sent.append(message)
        send(group, message)

    monkeypatch.setattr(live, "_send", noted)
    open_page = await watch(company, 5)
    await sync_to_async(events.emit_all)(company.migration, [Said("Successful", f"object {n}") for n in range(450)])
    got: list[int] = []
    frames = 0
    while len(got) < 450:
        got += numbers(await open_page.receive_from())
        frames += 1
    assert got == list(range(6, 456))
    assert frames <= 3
    # One for each language.
    assert len(sent) == 2
    assert all(len(message["html"]) == 0 for message in sent)
    await open_page.disconnect()


@pytest.mark.django_db(transaction=True)
async def test_a_flood_of_objects_is_not_pushed(transactional_db: None) -> None:
    company = await sync_to_async(factories.company)()
    await sync_to_async(add)(company.migration, 3000)
    open_page = await watch(company, 5)
    rows = company.migration.resources.all()
    await sync_to_async(live.state_changed)(company.migration, resources=rows)
    html = await open_page.receive_from()
    assert 'data-resources="3004"' in html
    assert 'id="resource-' not in html
    assert len(html) < 20_000
    await open_page.disconnect()
