"""The embedded object store's temporary keys: AssumeRole asked by boto3, and the session policy held to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from demo.s3 import RunningS3, running_s3
from demo.s3.errors import S3Error
from demo.s3.policies import Policy
from tests.simulator.test_s3_objects import client_of, code_of

ROLE = "arn:aws:iam::000000000000:role/movers"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[RunningS3]:
    with running_s3(tmp_path / "s3") as running:
        yield running


def sts(s3: RunningS3, **keys: str) -> Any:
    values = {
        "aws_access_key_id": s3.keys.access_key_id,
        "aws_secret_access_key": s3.keys.secret_access_key,
        **keys,
    }
    return boto3.client("sts", endpoint_url=s3.endpoint, region_name=s3.region, **values)


def statement(*actions: str, resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": [f"s3:{each}" for each in actions], "Resource": resource, **more}


def assumed(s3: RunningS3, *statements: dict[str, Any], **more: Any) -> Any:
    """A client with the keys of a session under these statements."""
    policy = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": list(statements)})} if statements else {}
    keys = sts(s3).assume_role(RoleArn=ROLE, RoleSessionName="test", **policy, **more)["Credentials"]
    return client_of(
        s3,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def test_a_session_without_a_policy_may_what_its_parent_may(s3: RunningS3) -> None:
    session = assumed(s3)
    session.put_object(Bucket=s3.bucket, Key="a", Body=b"x")
    assert session.get_object(Bucket=s3.bucket, Key="a")["Body"].read() == b"x"


def test_a_session_is_held_to_its_prefix(s3: RunningS3) -> None:
    full = client_of(s3)
    for key in ("mine/a", "mine-too/a", "other/a"):
        full.put_object(Bucket=s3.bucket, Key=key, Body=b"x")
    arn = f"arn:aws:s3:::{s3.bucket}"
    session = assumed(
        s3,
        statement("GetObject", "PutObject", "DeleteObject", resource=f"{arn}/mine/*"),
        statement("ListBucket", resource=arn, Condition={"StringLike": {"s3:prefix": ["mine/*"]}}),
    )
    bucket = {"Bucket": s3.bucket}
    session.put_object(**bucket, Key="mine/b", Body=b"y")
    assert len(session.list_objects_v2(**bucket, Prefix="mine/")["Contents"]) == 2
    for refused in (
        lambda: session.get_object(**bucket, Key="mine-too/a"),
        lambda: session.head_object(**bucket, Key="other/a"),
        lambda: session.put_object(**bucket, Key="other/b", Body=b"x"),
        lambda: session.delete_object(**bucket, Key="other/a"),
        lambda: session.list_objects_v2(**bucket),
        lambda: session.list_objects_v2(**bucket, Prefix="other/"),
        lambda: session.list_buckets(),
        lambda: session.copy_object(**bucket, Key="mine/c", CopySource=f"{s3.bucket}/other/a"),
        lambda: session.create_multipart_upload(**bucket, Key="other/c"),
    ):
        with pytest.raises(ClientError) as refusal:
            refused()
        assert code_of(refusal) in ("AccessDenied", "403")
    keys = [{"Key": "mine/a"}, {"Key": "other/a"}]
    answer = session.delete_objects(**bucket, Delete={"Objects": keys})
    assert [each["Key"] for each in answer["Deleted"]] == ["mine/a"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("other/a", "AccessDenied")]
    assert full.get_object(**bucket, Key="other/a")["Body"].read() == b"x"


def test_a_session_ends(s3: RunningS3) -> None:
    session = assumed(s3)
    session.list_objects_v2(Bucket=s3.bucket)
    s3.sessions.end_all()
    with pytest.raises(ClientError) as refusal:
        session.list_objects_v2(Bucket=s3.bucket)
    assert code_of(refusal) == "ExpiredToken"
    assumed(s3).list_objects_v2(Bucket=s3.bucket)


def test_a_session_of_a_reader_only_reads(s3: RunningS3) -> None:
    reader = {
        "aws_access_key_id": s3.read_only_keys.access_key_id,
        "aws_secret_access_key": s3.read_only_keys.secret_access_key,
    }
    keys = sts(s3, **reader).assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    session = client_of(
        s3,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    session.list_objects_v2(Bucket=s3.bucket)
    with pytest.raises(ClientError) as refusal:
        session.put_object(Bucket=s3.bucket, Key="a", Body=b"x")
    assert code_of(refusal) == "AccessDenied"


def test_a_token_that_was_changed_is_none(s3: RunningS3) -> None:
    keys = sts(s3).assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    forged = client_of(
        s3,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"][:-1] + "x",
    )
    with pytest.raises(ClientError) as refusal:
        forged.list_objects_v2(Bucket=s3.bucket)
    assert code_of(refusal) == "InvalidToken"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
        ({"Policy": "no JSON"}, "MalformedPolicyDocument"),
        ({"DurationSeconds": 43201}, "ValidationError"),
    ],
)
def test_what_cannot_be_is_refused(s3: RunningS3, given: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refusal:
        sts(s3).assume_role(RoleArn=ROLE, RoleSessionName="test", **given)
    assert code_of(refusal) == code


def test_a_wrong_secret_gets_no_session(s3: RunningS3) -> None:
    with pytest.raises(ClientError) as refusal:
        sts(s3, aws_secret_access_key="wrong").assume_role(RoleArn=ROLE, RoleSessionName="test")
    assert code_of(refusal) == "SignatureDoesNotMatch"


def test_a_deny_wins_and_brackets_are_no_pattern() -> None:
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/secret/*"}
    allow = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::b/*"}
    brackets = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/[ab]"}
    policy = Policy.parse(json.dumps({"Statement": [deny, allow, brackets]}))
    assert policy.allows("s3:GetObject", "arn:aws:s3:::b/open/x", {})
    assert not policy.allows("s3:GetObject", "arn:aws:s3:::b/secret/x", {})
    assert not policy.allows("s3:PutObject", "arn:aws:s3:::b/a", {})
    assert policy.allows("s3:PutObject", "arn:aws:s3:::b/[ab]", {})
    with pytest.raises(S3Error, match="MalformedPolicyDocument"):
        Policy.parse(json.dumps({"Statement": [{**allow, "Condition": {"IpAddress": {"aws:SourceIp": "::1"}}}]}))
