"""Temporary keys for an object store, which a session policy holds to one prefix.

Where the store has a Security Token Service (AWS, MinIO and others), movers in clusters get such keys in the place of
the store's own: what somebody takes from a mover's Secret opens that one volume's prefix, and only for a while.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore import exceptions
from botocore.parsers import ResponseParserError

from clusters import object_storage
from clusters.addresses import AddressRefusedError
from clusters.kube.checks import Check
from clusters.models import ObjectStore
from clusters.texts import Text, said

CODE = "session-policy"
# What roles allow unless somebody raised it, and long enough for a renewal to fail a few times.
LIFETIME = timedelta(hours=1)
# For stores whose users have no roles; MinIO asks for one and takes any.
NO_ROLE = "arn:aws:iam::000000000000:role/kubemotion"
READING = ("s3:GetObject",)
WRITING = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)


class NoKeysError(Exception):
    """The store gives no temporary keys now; the message says why, without secrets."""


@dataclass(frozen=True)
class TemporaryKeys:
    """A pair with its token. The secrets are left out of the repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime

    def to_json(self) -> str:
        """As the output of a `credential_process`, which movers read."""
        return json.dumps(
            {
                "Version": 1,
                "AccessKeyId": self.access_key_id,
                "SecretAccessKey": self.secret_access_key,
                "SessionToken": self.session_token,
                "Expiration": self.expires_at.isoformat(),
            }
        )


def may_have_any(store: ObjectStore) -> bool:
    """Whether it is worth asking: Amazon's store gives them for a role alone, others at their own address."""
    return bool(store.endpoint or store.sts_role_arn or store.sts_endpoint)


def session_policy(store: ObjectStore, prefix: str, *, writing: bool) -> str:
    """The policy that allows reading, or also writing, below the prefix, and nothing else."""
    partition = store.sts_role_arn.split(":")[1] if store.sts_role_arn.count(":") >= 5 else "aws"
    bucket = f"arn:{partition}:s3:::{store.bucket}"
    listing = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [bucket],
        "Condition": {"StringLike": {"s3:prefix": [f"{prefix}/*"]}},
    }
    objects = {"Effect": "Allow", "Action": list(WRITING if writing else READING), "Resource": [f"{bucket}/{prefix}/*"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [listing, objects]})


def keys_for(store: ObjectStore, prefix: str, *, writing: bool, name: str) -> TemporaryKeys:
    """New keys for the prefix; `name` is what the store's own log calls their user. Raises NoKeysError."""
    try:
        client = object_storage.client(store, "sts", store.sts_endpoint or store.endpoint)
        given = client.assume_role(
            RoleArn=store.sts_role_arn or NO_ROLE,
            RoleSessionName=name[:64],
            Policy=session_policy(store, prefix, writing=writing),
            DurationSeconds=int(LIFETIME.total_seconds()),
        )["Credentials"]
        return TemporaryKeys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], given["Expiration"])
    except exceptions.ClientError as error:
        raise NoKeysError(str(error.response.get("Error", {}).get("Code") or "unknown")) from None
    except (AddressRefusedError, object_storage.CaBundleError) as error:
        raise NoKeysError(str(error)) from None
    except (exceptions.BotoCoreError, ResponseParserError, KeyError, ValueError) as error:
        raise NoKeysError(type(error).__name__) from None


def check(store: ObjectStore) -> Check:
    """Whether movers get temporary keys, tried out: such keys have to open their prefix and nothing beside it."""
    if not may_have_any(store):
        message = said("Session policy: not available. Movers get the store's own key pair.")
        return Check(CODE, "skipped", message, said("Name a role that the key pair may assume, to give them less."))
    below = store.prefix.strip("/")
    prefix = "/".join(part for part in (below, f"kubemotion-check-{secrets.token_hex(8)}") if part)
    try:
        keys = keys_for(store, prefix, writing=True, name="kubemotion-check")
    except NoKeysError as error:
        return _not_available(store, said("it gives no temporary keys ({code})", code=error))
    scoped = object_storage.client(store, keys=(keys.access_key_id, keys.secret_access_key, keys.session_token))
    own = object_storage.client(store)
    inside, outside = f"{prefix}/inside", f"{prefix}-outside"
    try:
        scoped.put_object(Bucket=store.bucket, Key=inside, Body=object_storage.CONTENT)
        open_outside = not _refuses(lambda: scoped.put_object(Bucket=store.bucket, Key=outside, Body=b""))
        open_outside |= not _refuses(lambda: scoped.list_objects_v2(Bucket=store.bucket, MaxKeys=1))
    except (exceptions.ClientError, exceptions.BotoCoreError, ResponseParserError):
        return _not_available(store, said("its temporary keys do not open their own prefix"))
    finally:
        for key in (inside, outside):
            object_storage.delete_quietly(own, store.bucket, key)
    if open_outside:
        return _not_available(store, said("it does not hold temporary keys to their prefix"))
    message = said("Session policy: available. Movers get temporary keys for their own volume's prefix.")
    return Check(CODE, "ok", message)


def _refuses(ask: Any) -> bool:
    """Whether the store denies the request; any other trouble is raised."""
    try:
        ask()
    except exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("AccessDenied", "403"):
            return True
        raise
    return False


def _not_available(store: ObjectStore, why: Text) -> Check:
    if store.wants_temporary_keys:
        return Check(
            CODE,
            "failure",
            said("Session policy: not available, because {why}. Movers cannot run.", why=why),
            said("Check the role, the STS endpoint and that the key pair may assume the role; or take both out again."),
        )
    message = said("Session policy: not available, because {why}. Movers get the store's own key pair.", why=why)
    return Check(CODE, "skipped", message)
