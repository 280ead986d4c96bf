"""BackupLocations and Secrets that others made under a pair's name are neither overwritten nor deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from clusters import store_services
from clusters.models import PairingJob
from clusters.pairing.work import keys_of
from clusters.portworx import backuplocation
from demo.cluster.server import ClusterHandle
from tests.portworx.estate import Estate, states
from tests.portworx_estate import hand

pytestmark = pytest.mark.django_db
PLACE = ("prodcluster", "located")
LOCATIONS = backuplocation.RESOURCE


@pytest.fixture
def located(estate: Estate) -> Iterator[Estate]:
    """The pair keeps its keys in a BackupLocation, in a namespace of its own on both clusters."""
    for cluster in (estate.dev, estate.prod):
        cluster.call(lambda api: api.create("namespaces", {"metadata": {"name": PLACE[1]}}))
    estate.change(namespace=PLACE[1], with_backup_location=True)
    yield estate
    for cluster in (estate.dev, estate.prod):
        cluster.call(lambda api: api.delete("namespaces", None, PLACE[1]))
        hand.until(
            lambda cluster=cluster: (
                PLACE[1] not in {each["metadata"]["name"] for each in cluster.call(lambda api: api.list("namespaces"))}
            )
        )


def there(cluster: ClusterHandle, resource: str = "secrets") -> dict[str, Any]:
    return cluster.call(lambda api: api.get(resource, PLACE[1], PLACE[0]))


def by_storkctl(estate: Estate, cluster: ClusterHandle, **changed: str) -> None:
    """Both objects as `storkctl create clusterpair` leaves them, with other values where some are given."""
    keys = keys_of(estate.pair.object_store)
    secret = backuplocation.secret(*PLACE, keys)
    secret["stringData"] |= changed
    for resource, obj in (("secrets", secret), (LOCATIONS, backuplocation.location(*PLACE, keys))):
        obj["metadata"].pop("labels")
        cluster.call(lambda api, at=(resource, obj): api.create(*at))


def test_a_secret_of_an_application_is_neither_overwritten_nor_taken_over(located: Estate) -> None:
    password = {"metadata": {"name": PLACE[0], "namespace": PLACE[1]}, "stringData": {"password": "theirs-canary"}}
    located.dev.call(lambda api: api.create("secrets", password))
    before = there(located.dev)
    for given in ({}, {"take_over": True}):
        pairing = located.run(**given)
        step = located.step("credentials-source")
        # Nothing that could be taken over.
        assert (step["state"], step["cause"]) == ("failure", "name-taken")
        assert f"Secret {PLACE[1]}/{PLACE[0]}" in step["message"]
        assert "another name" in step["remedy"]
        assert "canary" not in str(pairing.steps)
        assert states(pairing)["applied"] == "skipped"
        assert there(located.dev) == before
    assert not located.dev.call(lambda api: api.list(LOCATIONS))


def test_what_storkctl_made_for_the_same_store_is_used_and_left_as_it_is(located: Estate) -> None:
    for cluster in (located.dev, located.prod):
        by_storkctl(located, cluster)
    before = [there(located.dev), there(located.dev, LOCATIONS)]
    assert located.run().is_ready
    assert [there(located.dev), there(located.dev, LOCATIONS)] == before


def test_what_storkctl_made_for_another_store_is_written_anew_only_where_it_is_taken_over(
    located: Estate, client: Client
) -> None:
    by_storkctl(located, located.prod, path="another-bucket", more="x")
    before = there(located.prod)
    located.run()
    step = located.step("credentials-destination")
    assert (step["state"], step["cause"]) == ("failure", "made-by-others")
    assert "taken over" in step["remedy"]
    assert there(located.prod) == before
    client.force_login(located.by.user)
    page = client.get(f"/pairs/{located.pair.pk}/").content.decode()
    assert 'name="take_over"' in page
    assert located.run(take_over=True).is_ready
    after = there(located.prod)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert "more" not in after["data"]


def test_a_location_of_a_person_is_neither_overwritten_nor_deleted(located: Estate) -> None:
    theirs = {
        "metadata": {"name": PLACE[0], "namespace": PLACE[1]},
        "location": {"type": "s3", "path": "backups", "s3Config": {"region": "eu-central-1"}},
    }
    located.prod.call(lambda api: api.create(LOCATIONS, theirs))
    before = there(located.prod, LOCATIONS)
    located.run()
    step = located.step("credentials-destination")
    assert step["state"] == "failure"
    assert f"BackupLocation {PLACE[1]}/{PLACE[0]}" in step["message"]
    # Not even the half that could have been made.
    assert PLACE[0] not in {
        each["metadata"]["name"] for each in located.prod.call(lambda api: api.list("secrets", PLACE[1]))
    }
    located.run(PairingJob.TEAR_DOWN)
    assert there(located.prod, LOCATIONS) == before
    assert f"BackupLocation {PLACE[1]}/{PLACE[0]} on prod" in located.step("location")["message"]


def test_ours_follows_the_store_to_other_keys_and_loses_the_old_ones(located: Estate) -> None:
    assert located.run().is_ready
    found = there(located.dev)
    uid = found["metadata"]["uid"]
    found["data"]["oldKey"] = "b2xk"
    located.dev.call(lambda api: api.update("secrets", found))
    store_services.update(located.pair.object_store, secret_access_key="rotated-canary", by=located.by)
    assert located.run(PairingJob.VALIDATE)
    step = located.step("credentials-source")
    assert step["state"] == "warning"
    assert "other keys" in step["message"]
    located.run(until=lambda pairing: states(pairing)["applied"] != "waiting")
    found = there(located.dev)
    assert found["metadata"]["uid"] == uid
    assert "oldKey" not in found["data"]


def test_a_location_that_is_missing_is_told_with_what_to_do(located: Estate) -> None:
    located.run(PairingJob.VALIDATE)
    step = located.step("credentials-destination")
    assert step["state"] == "failure"
    assert "Set the pair up" in step["remedy"]
