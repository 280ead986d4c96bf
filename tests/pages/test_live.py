"""The live page over its WebSocket: gapless, without duplicates, and only for those who may see the migration."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.test import Client

from kubemotion_web.asgi import application
from migrations_app import events, live
from migrations_app.models import Migration, MigrationEvent, MigrationResource, Status
from teams.models import Membership
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
ORIGIN = (b"origin", b"http://localhost")


@pytest.fixture
def company(transactional_db: None) -> factories.Company:
    return factories.company()


def cookie_of(user: Any) -> tuple[bytes, bytes]:
    client = Client()
    client.force_login(user)
    return b"cookie", "; ".join(f"{key}={morsel.value}" for key, morsel in client.cookies.items()).encode()


async def socket(
    user: Any, path: str, *headers: tuple[bytes, bytes], origin: bytes = ORIGIN[1]
) -> WebsocketCommunicator:
    given = [(b"host", b"localhost"), (b"origin", origin), *headers]
    if user is not None:
        given.append(await sync_to_async(cookie_of)(user))
    return WebsocketCommunicator(application, path, headers=given)


async def watch(company: factories.Company, after: int, *, user: Any = None) -> WebsocketCommunicator:
    """An open page that shows the events up to `after`, and has received its first state."""
    connection = await socket(user or company.bob, f"/ws/migrations/{company.migration.pk}/")
    accepted, _protocol = await connection.connect()
    assert accepted
    await connection.send_json_to({"after": after})
    assert "migration-timeline" in await connection.receive_from()
    return connection


def numbers(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="event-(\d+)"', html)]


async def emit(company: factories.Company, message: str) -> MigrationEvent:
    return await sync_to_async(events.emit)(company.migration, "Noted", message)


async def test_a_page_gets_what_it_missed_and_then_what_happens(company: factories.Company) -> None:
    connection = await watch(company, 2)
    assert numbers(await connection.receive_from()) == [3, 4, 5]
    await emit(company, "six")
    html = await connection.receive_from()
    assert numbers(html) == [6]
    assert "six" in html
    await connection.disconnect()


async def test_an_event_that_comes_twice_is_shown_once(company: factories.Company) -> None:
    connection = await watch(company, 5)
    event = await emit(company, "six")
    assert numbers(await connection.receive_from()) == [6]
    await sync_to_async(live.event_stored)(event)
    await emit(company, "seven")
    assert numbers(await connection.receive_from()) == [7]
    await connection.disconnect()


async def test_a_lost_event_comes_with_the_next_one(company: factories.Company) -> None:
    connection = await watch(company, 5)
    await sync_to_async(factories.event)(company.migration, "Noted", "stored, but its message was lost")
    await emit(company, "seven")
    assert numbers(await connection.receive_from()) == [6, 7]
    await connection.disconnect()


async def test_a_lost_last_event_comes_with_the_next_state(company: factories.Company) -> None:
    connection = await watch(company, 5)
    await sync_to_async(factories.event)(company.migration, "Noted", "the last one, and its message was lost")
    await sync_to_async(live.state_changed)(company.migration)
    assert numbers(await connection.receive_from()) == [6]
    assert "migration-totals" in await connection.receive_from()
    await connection.disconnect()


async def test_a_lost_last_event_comes_when_the_page_says_again_what_it_has(company: factories.Company) -> None:
    connection = await watch(company, 5)
    await sync_to_async(factories.event)(company.migration, "Noted", "lost, and nothing follows")
    await connection.send_json_to({"after": 5})
    assert numbers(await connection.receive_from()) == [6]
    assert "migration-totals" in await connection.receive_from()
    await connection.disconnect()


async def test_thousands_of_missed_events_come_in_order_and_complete(company: factories.Company) -> None:
    first = company.migration.last_event_seq + 1
    rows = [
        MigrationEvent(migration=company.migration, seq=number, reason="Noted", message=f"number {number}")
        for number in range(first, 1001)
    ]
    await MigrationEvent.objects.abulk_create(rows)
    connection = await watch(company, 0)
    got: list[int] = []
    while len(got) < 1000:
        got += numbers(await connection.receive_from())
    assert got == list(range(1, 1001))
    await connection.disconnect()


async def test_a_state_carries_new_rows_and_totals(company: factories.Company) -> None:
    connection = await watch(company, 5)
    new = await MigrationResource.objects.acreate(
        migration=company.migration, order=9, version="v1", kind="ConfigMap", namespace="cms", name="settings",
        status=Status.SUCCESSFUL, action="created",
    )  # fmt: skip
    await sync_to_async(live.state_changed)(company.migration, resources=[new])
    html = await connection.receive_from()
    assert f'id="resource-{new.pk}"' in html
    assert "3 <small>/ 5</small>" in html
    await connection.disconnect()


async def test_what_a_message_says_is_escaped(company: factories.Company) -> None:
    connection = await watch(company, 5)
    await emit(company, "<script>alert(1)</script>")
    html = await connection.receive_from()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    await connection.disconnect()


async def test_a_page_in_chinese_gets_chinese_rows(company: factories.Company) -> None:
    language = (b"accept-language", b"zh-hans")
    connection = await socket(company.bob, f"/ws/migrations/{company.migration.pk}/", language)
    await connection.connect()
    await connection.send_json_to({"after": 5})
    assert "进行中" in await connection.receive_from()
    await connection.disconnect()


async def close_code(connection: WebsocketCommunicator) -> int:
    await connection.connect()
    message = await connection.receive_output()
    assert message["type"] == "websocket.close"
    return message["code"]


async def test_somebody_who_is_not_signed_in_is_sent_away(company: factories.Company) -> None:
    assert await close_code(await socket(None, f"/ws/migrations/{company.migration.pk}/")) == 4401
    assert await close_code(await socket(None, "/ws/dashboard/")) == 4401


@pytest.mark.parametrize("stranger", ["charlie", "mallory"])
async def test_for_another_team_the_migration_does_not_exist(company: factories.Company, stranger: str) -> None:
    path = f"/ws/migrations/{company.migration.pk}/"
    assert await close_code(await socket(getattr(company, stranger), path)) == 4404
    assert await close_code(await socket(company.bob, f"/ws/migrations/{uuid.uuid4()}/")) == 4404


async def test_a_page_of_another_site_cannot_connect(company: factories.Company) -> None:
    path = f"/ws/migrations/{company.migration.pk}/"
    connection = await socket(company.bob, path, origin=b"https://evil.example.com")
    accepted, _code = await connection.connect()
    assert not accepted


async def test_somebody_who_left_the_team_is_shut_out_of_an_open_page(company: factories.Company) -> None:
    connection = await watch(company, 5)
    await Membership.objects.filter(user=company.bob).adelete()
    await connection.send_json_to({"after": 5})
    assert (await connection.receive_output())["code"] == 4404


async def test_nonsense_from_the_page_is_taken_as_nothing_seen(company: factories.Company) -> None:
    connection = await socket(company.bob, f"/ws/migrations/{company.migration.pk}/")
    await connection.connect()
    await connection.send_json_to({"after": "all of them"})
    assert "migration-timeline" in await connection.receive_from()
    assert numbers(await connection.receive_from()) == [1, 2, 3, 4, 5]
    await connection.disconnect()


async def test_lists_get_the_rows_of_their_own_teams_only(company: factories.Company) -> None:
    ours = await socket(company.bob, "/ws/dashboard/")
    theirs = await socket(company.mallory, "/ws/dashboard/")
    await ours.connect()
    await theirs.connect()
    migration = await Migration.objects.select_related("pair__source", "pair__destination", "team").aget()
    await sync_to_async(live.state_changed)(migration)
    assert f'id="migration-{migration.pk}"' in await ours.receive_from()
    assert await theirs.receive_nothing()
    await ours.disconnect()
    await theirs.disconnect()
