"""Pairs over a store of Azure or Google: set up, refused in the store's own words, migrated over, taken down."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from clusters import pair_services, store_services
from clusters.models import ObjectStore, PairingJob
from demo.portworx import foreign
from demo.portworx.foreign import Account
from demo.portworx.storage import storage_of
from demo.trees import differences
from tests.portworx.estate import Estate, states
from tests.portworx_estate import hand

pytestmark = pytest.mark.django_db
CLAIMS = ("px-mysql-pvc", "px-wp-pvc")


def google_key(private_key: str) -> str:
    lines = f"-----BEGIN PRIVATE KEY-----\n{private_key}\n-----END PRIVATE KEY-----\n"
    given = {"type": "service_account", "client_email": "px@moves-1.iam.gserviceaccount.com", "private_key": lines}
    return json.dumps(given, indent=2)


@dataclass(frozen=True)
class Case:
    """An account, and what a wrong key of it is told."""

    provider: str
    account: str
    right: str
    wrong: str
    said: str


CASES = (
    Case("azure", "pwxtest", "right-canary", "wrong-canary", "AuthenticationFailed"),
    Case("google", "moves-1", google_key("right-canary"), google_key("wrong-canary"), "Invalid JWT Signature"),
)


@pytest.fixture(params=CASES, ids=[case.provider for case in CASES])
def case(request: pytest.FixtureRequest, estate: Estate, monkeypatch: pytest.MonkeyPatch) -> Case:
    found: Case = request.param
    behind = {
        "region": estate.store.region,
        "endpoint": estate.store.endpoint,
        "access_key": estate.store.keys.access_key_id,
        "secret_key": estate.store.keys.secret_access_key,
    }
    account = Account(found.provider, found.account, found.right, behind)
    monkeypatch.setitem(foreign.ACCOUNTS, (found.provider, found.account), account)
    return found


def given(estate: Estate, case: Case, key: str) -> ObjectStore:
    """The pair's store becomes this one."""
    store = store_services.add(
        estate.pair.team,
        name="blobs",
        provider=case.provider,
        account=case.account,
        bucket="moves",
        secret_access_key=key,
        by=estate.by,
    )
    pair_services.update(estate.pair, object_store=store, by=estate.by)
    return store


@pytest.mark.parametrize("with_location", [False, True])
def test_wrong_keys_are_told_and_right_ones_taken(estate: Estate, case: Case, with_location: bool) -> None:
    store = given(estate, case, case.wrong)
    estate.change(with_backup_location=with_location)
    # Stork tries again for minutes, and is watched as long.
    pairing = estate.run(until=lambda pairing: "failure" in states(pairing).values())
    step = estate.step("status" if with_location else "credentials-destination")
    assert (step["state"], step["cause"]) == ("failure", "bad-keys")
    assert case.said in step["said"]
    assert "canary" not in json.dumps(pairing.steps)
    store_services.update(store, secret_access_key=case.right, by=estate.by)
    assert estate.run().is_ready
    kept = estate.dev.call(storage_of).credentials
    assert [each["name"] for each in kept] == ([] if with_location else [estate.credential])
    assert set(states(estate.run(PairingJob.VALIDATE)).values()) == {"ok"}
    assert set(states(estate.run(PairingJob.TEAR_DOWN, credentials=True)).values()) == {"ok"}


def test_an_account_that_is_not_there_is_told(estate: Estate, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    given(estate, case, case.right)
    monkeypatch.delitem(foreign.ACCOUNTS, (case.provider, case.account))
    estate.run()
    step = estate.step("credentials-destination")
    assert step["state"] == "failure"
    assert {"azure": "no such host", "google": "googleapi: Error 403"}[case.provider] in step["said"]


@pytest.mark.parametrize("with_location", [False, True])
def test_volumes_arrive_through_it(estate: Estate, case: Case, with_location: bool) -> None:
    given(estate, case, case.right)
    estate.change(with_backup_location=with_location)
    assert estate.run().is_ready
    spec = {"clusterPair": "prodcluster", "namespaces": ["cms"], "startApplications": False}
    name = f"over-{case.provider}-{with_location}".lower()
    over = hand.migrate(estate.dev, name, **spec)
    assert over["status"]["status"] == "Successful", over["status"]
    assert {each["reason"] for each in over["status"]["volumes"]} == {"Migration successful for volume"}
    for claim in CLAIMS:
        assert not differences(estate.dev.volume_path("cms", claim), estate.prod.volume_path("cms", claim))
    # What was carried lies behind the account, and in no store of the team.
    found = storage_of(estate.dev.api).credential("k8s/cms/prodcluster" if with_location else estate.credential)
    assert found is not None
    assert foreign.behind(found)["bucket"] != estate.store.bucket
