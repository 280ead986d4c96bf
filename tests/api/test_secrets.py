"""Secrets go in and never come out: not in answers, not in the history, not in logs, not in the database as text."""

from __future__ import annotations

import json
import logging
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from audit.models import Entry
from clusters.models import Cluster, ObjectStore
from migrations_app.models import Migration
from teams.models import ApiToken
from tests import factories
from tests.api.conftest import Caller, as_user
from tests.api.test_access import KUBECONFIG, RULES, filled
from tests.api.test_access import names as names
from tests.factories import Company

pytestmark = pytest.mark.django_db
CANARY = "open-sesame-canary"


@pytest.fixture
def planted(world: Company) -> None:
    """The canary in every secret that there is."""
    for cluster in Cluster.objects.all():
        cluster.kubeconfig = KUBECONFIG.replace("sesame", CANARY)
        cluster.save()
    ObjectStore.objects.update(access_key_id=CANARY, secret_access_key=CANARY)
    Migration.objects.update(data_key=CANARY)


@pytest.mark.usefixtures("quiet")
def test_no_answer_of_any_route_holds_a_secret(
    world: Company, names: dict[str, str], planted: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    staff = as_user(world.staff)
    bodies = []
    for rule in sorted(RULES, key=lambda rule: rule.method == "DELETE"):
        body = json.loads(json.dumps(filled(rule.body, names)).replace("sesame", CANARY))
        if isinstance(body, dict) and "secret_access_key" in body:
            body |= {"access_key_id": CANARY, "secret_access_key": CANARY}
        answer = staff.call(rule.method, rule.path.format(**names), body)
        assert CANARY not in answer.content.decode(), rule
        bodies.append(answer.status_code)
    assert bodies.count(200) > 20
    assert CANARY not in caplog.text
    assert CANARY not in json.dumps(list(Entry.objects.values("before", "after", "object_name")))


@pytest.mark.usefixtures("quiet")
def test_a_refused_secret_is_not_repeated_in_the_refusal(world: Company, alice: Caller) -> None:
    for body in (
        {"name": "new", "kubeconfig": f"{CANARY}: ["},
        {"name": "new", "kubeconfig": f"users: {CANARY}\nclusters: {CANARY}"},
        {"name": "new", "kubeconfig": [CANARY]},
        {"name": "dev", "kubeconfig": KUBECONFIG.replace("sesame", CANARY)},
    ):
        answer = alice.post("/clusters/", body)
        assert answer.status_code in {400, 409}
        assert CANARY not in answer.content.decode()


def test_a_check_against_something_that_refuses_does_not_repeat_the_credentials(
    world: Company, planted: None, alice: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ObjectStore.objects.update(endpoint="http://127.0.0.1:1")
    Cluster.objects.update(server="https://127.0.0.1:1")
    for cluster in Cluster.objects.all():
        cluster.kubeconfig = cluster.kubeconfig.replace("192.0.2.1:6443", "127.0.0.1:1")
        cluster.save()
    answer = alice.post(f"/pairs/{world.pair.pk}/check/")
    assert answer.status_code == 200
    assert answer.json()["health"] == "failing"
    assert CANARY not in answer.content.decode()
    assert CANARY not in caplog.text


def test_the_database_holds_no_secret_as_text(world: Company, planted: None) -> None:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert CANARY not in repr(cursor.fetchall()), table


def test_rotation_makes_the_old_key_needless(world: Company, planted: None, settings: Any) -> None:
    old, new = settings.ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, old]
    said = StringIO()
    call_command("rotate_secrets", stdout=said)
    assert "clusters.Cluster: 2" in said.getvalue()
    settings.ENCRYPTION_KEYS = [new]
    assert CANARY in Cluster.objects.all()[0].kubeconfig
    assert ObjectStore.objects.get().secret_access_key == CANARY
    assert Migration.objects.get().data_key == CANARY


def test_rotation_without_the_old_key_says_what_is_missing(world: Company, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="lacks"):
        call_command("rotate_secrets", stdout=StringIO())


def test_create_token_prints_a_token_that_works_and_writes_it_down(world: Company) -> None:
    said = StringIO()
    call_command("create_token", "alice", "robot", stdout=said)
    token = said.getvalue().strip()
    assert Caller({"Authorization": f"Bearer {token}"}).get("/clusters/").status_code == 200
    assert Entry.objects.get(action="token.issue").actor_name == "system"
    assert not ApiToken.objects.filter(digest=token).exists()
    with pytest.raises(CommandError, match="Nobody"):
        call_command("create_token", "nobody-there", "robot")


def test_a_deferred_or_foreign_row_is_not_found_rather_than_refused(world: Company) -> None:
    mallory = as_user(world.mallory)
    foreign = mallory.get(f"/clusters/{world.source.pk}/")
    absent = mallory.get("/clusters/00000000-0000-4000-8000-000000000000/")
    assert {**foreign.json(), "request_id": ""} == {**absent.json(), "request_id": ""}
    factories.cluster(world.other_team, "own")
    assert mallory.get("/clusters/").json()["count"] == 1
