"""Temporary keys for movers: had from the store, held to a prefix, and said so on the store's page."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from audit.actor import Actor
from clusters import object_storage, store_services, temporary_keys
from clusters.models import Health, ObjectStore
from demo.s3 import RunningS3
from teams.models import Team
from teams.refusals import Refusal
from tests.clusters.test_object_storage import store

ROLE = "arn:aws:iam::123456789012:role/movers"


@pytest.fixture
def faulty(s3: RunningS3) -> Any:
    yield s3.faults
    s3.faults.clear()


def test_keys_open_their_prefix_and_nothing_else(s3: RunningS3) -> None:
    given = store(s3)
    keys = temporary_keys.keys_for(given, "kubemotion/m/1", writing=True, name="kubemotion-push-1")
    client = object_storage.client(given, keys=(keys.access_key_id, keys.secret_access_key, keys.session_token))
    bucket = {"Bucket": s3.bucket}
    client.put_object(**bucket, Key="kubemotion/m/1/packs/a", Body=b"x")
    assert client.list_objects_v2(**bucket, Prefix="kubemotion/m/1/")["KeyCount"] == 1
    for key in ("kubemotion/m/10/a", "kubemotion/m/2/a", "a"):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(**bucket, Key=key, Body=b"x")
    for prefix in ("", "kubemotion/m/", "kubemotion/m/10/"):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.list_objects_v2(**bucket, Prefix=prefix)
    reading = temporary_keys.keys_for(given, "kubemotion/m/1", writing=False, name="kubemotion-pull-1")
    reader = object_storage.client(
        given, keys=(reading.access_key_id, reading.secret_access_key, reading.session_token)
    )
    assert reader.get_object(**bucket, Key="kubemotion/m/1/packs/a")["Body"].read() == b"x"
    for change in (
        lambda: reader.put_object(**bucket, Key="kubemotion/m/1/packs/b", Body=b"x"),
        lambda: reader.delete_object(**bucket, Key="kubemotion/m/1/packs/a"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            change()
    client.delete_object(**bucket, Key="kubemotion/m/1/packs/a")
    assert keys.secret_access_key not in repr(keys)
    assert keys.session_token not in repr(keys)


def test_the_check_tries_them_out_and_leaves_nothing(s3: RunningS3) -> None:
    found = temporary_keys.check(store(s3, prefix="a/b"))
    assert (found.code, found.status) == ("session-policy", "ok"), found
    assert object_storage.client(store(s3)).list_objects_v2(Bucket=s3.bucket).get("Contents", []) == []


def test_a_store_without_sts_gives_its_own_keys_and_is_healthy(s3: RunningS3, faulty: Any) -> None:
    faulty.without_sts = True
    found = temporary_keys.check(store(s3))
    assert found.status == "skipped"
    assert "store's own key pair" in found.message


def test_a_store_that_ignores_policies_is_found_out(s3: RunningS3, faulty: Any) -> None:
    faulty.ignores_policies = True
    found = temporary_keys.check(store(s3))
    assert found.status == "skipped"
    assert "does not hold temporary keys to their prefix" in found.message
    assert object_storage.client(store(s3)).list_objects_v2(Bucket=s3.bucket).get("Contents", []) == []


def test_what_was_asked_for_and_does_not_work_is_a_failure(s3: RunningS3, faulty: Any) -> None:
    faulty.without_sts = True
    found = temporary_keys.check(store(s3, sts_role_arn=ROLE))
    assert found.status == "failure"
    assert "Movers cannot run" in found.message
    assert "role" in found.remedy


def test_amazon_without_a_role_is_not_even_asked() -> None:
    found = temporary_keys.check(ObjectStore(name="s", bucket="b", access_key_id="k", secret_access_key="s"))
    assert found.status == "skipped"
    assert "role" in found.remedy


def test_policies_are_of_the_roles_partition() -> None:
    china = ObjectStore(bucket="b", sts_role_arn="arn:aws-cn:iam::123456789012:role/movers")
    assert '"arn:aws-cn:s3:::b/p/*"' in temporary_keys.session_policy(china, "p", writing=False)
    assert "PutObject" not in temporary_keys.session_policy(china, "p", writing=False)


def test_a_secret_is_in_no_refusal(s3: RunningS3) -> None:
    with pytest.raises(temporary_keys.NoKeysError) as refusal:
        temporary_keys.keys_for(store(s3, secret_access_key="sesame"), "p", writing=True, name="movers")
    assert str(refusal.value) == "SignatureDoesNotMatch"


@pytest.mark.django_db
def test_the_store_remembers_what_it_gives(s3: RunningS3, team: Team, by: Actor, faulty: Any) -> None:
    given = {"endpoint": s3.endpoint, "bucket": s3.bucket, "access_key_id": s3.keys.access_key_id}
    secret = s3.keys.secret_access_key
    row = store_services.add(team, name="moves", secret_access_key=secret, by=by, **given)
    assert row.gives_temporary_keys
    assert ObjectStore.objects.get(pk=row.pk).has_session_policies
    faulty.without_sts = True
    store_services.check(row, by=by)
    row.refresh_from_db()
    assert not row.gives_temporary_keys
    assert row.health != Health.FAILING
    # Out of reach, it is not known to have lost anything.
    faulty.without_sts = False
    store_services.check(row, by=by)
    faulty.stopped = True
    store_services.check(row, by=by)
    row.refresh_from_db()
    assert row.health == Health.FAILING
    assert row.gives_temporary_keys


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "value"),
    [("sts_role_arn", "movers"), ("sts_endpoint", "sts.example.com"), ("sts_endpoint", "https://a@b.example.com/x")],
)
def test_what_cannot_be_a_role_or_an_endpoint_is_refused(team: Team, by: Actor, field: str, value: str) -> None:
    with pytest.raises(Refusal) as refusal:
        store_services.add(
            team, name="s", bucket="bucket", access_key_id="k", secret_access_key="s", by=by, **{field: value}
        )
    assert list(refusal.value.errors) == [field]
