"""Movers with temporary keys: they open one volume's prefix, are renewed while it moves, and go with their Job."""

from __future__ import annotations

import base64
import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from django.utils import translation

from migrations_app import services
from migrations_app.engines.native import keys
from migrations_app.models import Migration, Status
from migrations_app.pauses import services as pauses
from tests.engine.conftest import CLAIMS, Estate, eventually, told

Object = dict[str, Any]


@pytest.fixture
def scoped(estate: Estate) -> Estate:
    """The estate, with what a check of its store finds."""
    estate.change(estate.pair.object_store, has_session_policies=True)
    return estate


def moving(migration: Migration) -> bool:
    return migration.volumes.filter(status=Status.IN_PROGRESS).count() == len(CLAIMS)


def given(estate: Estate, side: str) -> dict[str, dict[str, Any]]:
    """The keys in the movers' Secrets, by the Secrets' names."""
    secrets = estate.objects(side, "secrets")
    return {
        name: json.loads(base64.b64decode(secret["data"]["keys.json"]))
        for name, secret in secrets.items()
        if name.endswith("-keys")
    }


def client(estate: Estate, found: dict[str, Any]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=estate.s3.endpoint,
        region_name=estate.s3.region,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
        config=Config(s3={"addressing_style": "path"}),
    )


def test_a_movers_secret_opens_its_own_prefix_alone(scoped: Estate) -> None:
    scoped.s3.faults.latency = 0.1
    migration = scoped.drive(scoped.start(), until=moving)
    scoped.s3.faults.latency = 0
    bucket = {"Bucket": scoped.s3.bucket}
    first, second = migration.volumes.all()
    for side, direction in (("dev", "push"), ("prod", "pull")):
        everything = json.dumps(list(scoped.objects(side, "secrets").values()))
        for canary in (scoped.s3.keys.secret_access_key, scoped.s3.keys.access_key_id):
            assert base64.b64encode(canary.encode()).decode() not in everything
        found = given(scoped, side)
        assert len(found) == 2
        mine = client(scoped, found[f"kubemotion-{direction}-{migration.pk.hex[:8]}-{first.pk}-keys"])
        own, other = (f"kubemotion/{migration.pk}/{volume.pk}/" for volume in (first, second))
        mine.list_objects_v2(**bucket, Prefix=own)
        for refused in (
            lambda c=mine, p=other: c.list_objects_v2(**bucket, Prefix=p),
            lambda c=mine: c.list_objects_v2(**bucket),
            lambda c=mine, p=other: c.put_object(**bucket, Key=f"{p}x", Body=b"x"),
            lambda c=mine, p=other: c.get_object(**bucket, Key=f"{p}x"),
            lambda c=mine, p=other: c.delete_object(**bucket, Key=f"{p}x"),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused()
        if direction == "pull":
            with pytest.raises(ClientError, match="AccessDenied"):
                mine.put_object(**bucket, Key=f"{own}x", Body=b"x")
    migration = scoped.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert scoped.different_files() == []
    assert scoped.leftovers() == []
    assert "SessionToken" not in told(migration)


def test_keys_are_renewed_while_the_movers_work(scoped: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    scoped.s3.faults.latency = 0.2
    migration = scoped.drive(scoped.start(), until=moving)

    def running() -> bool:
        pods = [pod for side in ("dev", "prod") for pod in scoped.objects(side, "pods").values()]
        movers = [pod for pod in pods if pod["metadata"]["name"].startswith("kubemotion-")]
        return len(movers) == 4 and all(pod["status"].get("phase") in ("Running", "Succeeded") for pod in movers)

    eventually(running)
    before = {side: given(scoped, side) for side in ("dev", "prod")}
    assert before["dev"]
    # From now on what they have is refused, until a look finds that its time is nearly over.
    scoped.s3.sessions.end_all()
    monkeypatch.setattr(keys, "RENEW_WITHIN", 2 * keys.LIFETIME)
    Migration.objects.filter(pk=migration.pk).update(keys_looked_at=None)
    migration = scoped.drive(migration, until=lambda migration: migration.keys_looked_at is not None)
    after = {side: given(scoped, side) for side in ("dev", "prod")}
    for side in before:
        assert all(after[side][name] != before[side][name] for name in after[side])
    scoped.s3.faults.latency = 0
    failed = [
        job
        for side in ("dev", "prod")
        for job in scoped.objects(side, "jobs.batch").values()
        if job["status"].get("failed")
    ]
    assert failed == [], "it went on without a restart"
    migration = scoped.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert scoped.different_files() == []


def test_keys_that_were_over_during_a_pause_are_new_before_the_movers_go_on(
    scoped: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoped.s3.faults.latency = 0.2
    migration = scoped.drive(scoped.start(), until=moving)
    pauses.pause(migration, by=scoped.by)
    migration = scoped.drive(migration, until=lambda migration: migration.stands_still_at is not None)
    before = {side: given(scoped, side) for side in ("dev", "prod")}
    scoped.s3.faults.latency = 0
    # An hour and more has passed.
    scoped.s3.sessions.end_all()
    monkeypatch.setattr(keys, "RENEW_WITHIN", 2 * keys.LIFETIME)
    scoped.s3.faults.without_sts = True
    pauses.resume(migration, by=scoped.by)
    migration = scoped.drive(migration, until=lambda migration: migration.failed_looks > 0)
    jobs = [job for side in ("dev", "prod") for job in scoped.objects(side, "jobs.batch").values()]
    waiting = [job for job in jobs if not job["status"].get("succeeded")]
    assert waiting
    assert all(job["spec"]["suspend"] for job in waiting), "none begins with keys that are over"
    scoped.s3.faults.without_sts = False
    migration = scoped.drive(migration, until=lambda migration: not migration.to_be_resumed)
    after = {side: given(scoped, side) for side in ("dev", "prod")}
    assert all(after[side][name] != before[side][name] for side in before for name in before[side])
    migration = scoped.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)
    assert scoped.different_files() == []


def test_a_store_that_gives_none_for_a_while_is_waited_for_and_its_own_pair_is_not_given_out(scoped: Estate) -> None:
    scoped.s3.faults.without_sts = True
    migration = scoped.drive(scoped.start(), until=lambda migration: migration.failed_looks > 0, seconds=30)
    assert "gives no temporary keys" in migration.reason
    assert base64.b64encode(scoped.s3.keys.secret_access_key.encode()).decode() not in json.dumps(
        list(scoped.objects("dev", "secrets").values())
    )
    scoped.s3.faults.clear()
    migration = scoped.drive(migration)
    assert migration.status == Status.SUCCESSFUL, told(migration)


def test_the_plan_says_which_keys_movers_get(scoped: Estate) -> None:
    def said() -> str:
        with translation.override("en"):
            found = services.plan(scoped.pair, ["cms"]).checks
        (check,) = [each for each in found if each["code"] == "mover-keys"]
        assert check["status"] == "pass"
        return str(check["message"])

    assert "temporary keys of the object store moves" in said()
    scoped.change(scoped.pair.object_store, has_session_policies=False)
    assert "own key pair of the object store moves" in said()
