"""Stores of Azure and Google: for Portworx alone, with fields of their own, and with keys that are never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from audit.actor import SYSTEM
from audit.models import Entry
from clusters import pair_services, store_services
from clusters.models import Engine, Health, ObjectStore
from clusters.pairing.work import Work, keys_of
from clusters.portworx import backuplocation
from clusters.portworx.credentials import AzureKeys, GoogleKeys
from teams.models import ApiToken, Role, Team
from teams.refusals import Refusal
from tests import factories

pytestmark = pytest.mark.django_db
KEY = json.dumps(
    {
        "type": "service_account",
        "client_email": "px@project.iam.gserviceaccount.com",
        "private_key": "-----BEGIN PRIVATE KEY-----\ngoogle-canary\n-----END PRIVATE KEY-----\n",
    },
    indent=1,
)
AZURE = {
    "name": "blobs",
    "provider": "azure",
    "account": "pwxtest",
    "bucket": "moves",
    "secret_access_key": "azure-canary",
}
GOOGLE = {"name": "gcs", "provider": "google", "account": "px-project", "bucket": "px_moves", "secret_access_key": KEY}


@pytest.fixture
def team() -> Team:
    return Team.objects.create(name="Content platform")


def add(team: Team, given: dict[str, Any], **changed: Any) -> ObjectStore:
    return store_services.add(team, **{**given, **changed}, by=SYSTEM)


def test_they_are_kept_encrypted_and_say_that_portworx_tries_them(team: Team) -> None:
    for given in (AZURE, GOOGLE):
        store = add(team, given)
        assert store.health == Health.UNKNOWN
        assert [each["status"] for each in store.checks] == ["skipped"]
        assert "Portworx tries the keys" in store.checks[0]["message"]
    with connection.cursor() as cursor:
        cursor.execute("select * from clusters_objectstore")
        rows = str(cursor.fetchall())
    assert "canary" not in rows + str(list(Entry.objects.values("before", "after")))
    assert ObjectStore.objects.get(name="gcs").secret_access_key == KEY.strip()


def test_portworx_gets_them_as_its_commands_and_backup_locations_want_them(team: Team) -> None:
    azure, google = (keys_of(add(team, given)) for given in (AZURE, GOOGLE))
    assert azure == AzureKeys("pwxtest", "azure-canary", bucket="moves")
    assert google == GoogleKeys("px-project", KEY.strip(), bucket="px_moves")
    assert backuplocation.location("pair", "cms", azure)["location"]["type"] == "azure"
    assert backuplocation.secret("pair", "cms", google)["stringData"]["projectID"] == "px-project"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (AZURE | {"bucket": "Moves"}, "bucket"),
        (AZURE | {"account": "pwx-test"}, "account"),
        (AZURE | {"secret_access_key": "two canary"}, "secret_access_key"),
        (AZURE | {"endpoint": "https://s3.example.com"}, "endpoint"),
        (AZURE | {"access_key_id": "AKID"}, "access_key_id"),
        (GOOGLE | {"account": "No Project"}, "account"),
        (GOOGLE | {"secret_access_key": "{canary"}, "secret_access_key"),
        (GOOGLE | {"secret_access_key": '{"type": "canary"}'}, "secret_access_key"),
        (AZURE | {"provider": "floppy"}, "provider"),
        (AZURE | {"provider": "s3", "access_key_id": "AKID"}, "account"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_not_repeated(team: Team, given: dict[str, Any], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        add(team, given)
    assert list(refused.value.errors) == [field]
    assert "canary" not in str(refused.value.errors)


def test_a_store_stays_with_its_provider(team: Team) -> None:
    store = add(team, AZURE)
    with pytest.raises(Refusal, match="stays with its provider"):
        store_services.update(store, provider="google", by=SYSTEM)
    store_services.update(store, secret_access_key="azure-canary-2", by=SYSTEM)
    assert ObjectStore.objects.get().secret_access_key == "azure-canary-2"


def test_the_native_engine_says_that_it_needs_s3(team: Team) -> None:
    ends = {"source": factories.cluster(team, "dev"), "destination": factories.cluster(team, "prod")}
    with pytest.raises(Refusal) as refused:
        pair_services.add(team, name="p", object_store=add(team, AZURE), **ends, by=SYSTEM)
    assert "needs an S3 store" in str(refused.value.errors["object_store"])
    able = {"can_migrate": True, "cluster_uuid": "1234"}
    ends = {name: factories.cluster(team, name, portworx=able) for name in ("source", "destination")}
    store = add(team, GOOGLE)
    pair = pair_services.add(team, name="p", object_store=store, engine=Engine.PORTWORX, **ends, by=SYSTEM)
    assert {each["code"]: each["status"] for each in pair.checks}["object-store"] == "skipped"
    said = Work(pair.portworx).scrubbed("it said google-canary of px-project")
    assert said == "it said *** of px-project"


def test_pages_and_api_have_their_fields_and_no_key(team: Team, client: Client) -> None:
    alice = factories.member("alice", team, Role.ADMIN)
    client.force_login(alice)
    page = client.get("/object-stores/add/", {"provider": "azure"}).content.decode()
    assert all(words in page for words in ("Storage account", "Container", "Account key"))
    assert 'name="endpoint"' not in page
    assert "JSON key" in client.get("/object-stores/add/", {"provider": "google"}).content.decode()
    plain = client.get("/object-stores/add/").content.decode()
    assert 'name="account"' not in plain
    # Another provider has its fields fetched, and no key goes along in the address.
    assert 'hx-params="not csrfmiddlewaretoken,access_key_id,secret_access_key,ca_bundle"' in plain
    made = client.post("/object-stores/add/", {**AZURE, "team": team.pk})
    assert made.status_code == 302, made.content.decode()
    store = ObjectStore.objects.get()
    shown = "".join(client.get(f"/object-stores/{store.pk}/{path}").content.decode() for path in ("", "edit/"))
    assert all(words in shown for words in ("Azure Blob Storage", "pwxtest", "Portworx only"))
    assert "canary" not in shown
    client.post(f"/object-stores/{store.pk}/edit/", {"name": "blobs", "account": "pwxtest", "bucket": "other"})
    store.refresh_from_db()
    assert (store.bucket, store.secret_access_key) == ("other", "azure-canary")
    refused = client.post("/object-stores/add/", {**GOOGLE, "team": team.pk, "secret_access_key": "{canary"})
    assert refused.status_code == 422
    assert "canary" not in refused.content.decode()
    headers = {"Authorization": f"Bearer {ApiToken.issue(alice, 'test')[1]}"}
    answer = Client().post(
        "/api/v1/object-stores/", json.dumps(GOOGLE), content_type="application/json", headers=headers
    )
    assert answer.status_code == 201, answer.content
    assert (answer.json()["provider"], answer.json()["account"]) == ("google", "px-project")
    assert "canary" not in answer.content.decode()
