"""The Security Token Service: AssumeRole with a session policy, at the address of the store as MinIO has it.

Session tokens say themselves whose they are, what they allow and until when, sealed with their parent's secret: nothing
has to be kept, and they survive a restart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from demo.s3.errors import S3Error
from demo.s3.policies import Policy
from demo.s3.signatures import KeyPair
from demo.s3.xml import document

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SHORTEST, LONGEST = 900, 43200


class Sessions:
    """Temporary keys made from the pairs that the server knows."""

    def __init__(self, keys: Mapping[str, KeyPair]) -> None:
        self._keys = keys
        self._over_before = 0.0

    def end_all(self) -> None:
        """The time of every session so far is over, whatever they say."""
        self._over_before = time.time()

    def assume_role(self, parent: KeyPair, given: Mapping[str, str]) -> dict[str, Any]:
        """The result for the request's parameters; raises S3Error with STS's codes."""
        if given.get("Version") != "2011-06-15" or given.get("Action") != "AssumeRole":
            raise S3Error("InvalidAction", f"Could not find operation {given.get('Action')} for version 2011-06-15")
        if parent.session_policy is not None:
            raise S3Error("AccessDenied")
        try:
            seconds = int(given.get("DurationSeconds", "3600"))
        except ValueError:
            seconds = 0
        if not SHORTEST <= seconds <= LONGEST:
            message = f"The requested DurationSeconds must be between {SHORTEST} and {LONGEST}"
            raise S3Error("ValidationError", message)
        policy = given.get("Policy", "")
        if policy:
            Policy.parse(policy)
        now = time.time()
        content = {
            "parent": parent.access_key_id,
            "policy": policy,
            "issued": now,
            "expires": now + seconds,
            "nonce": secrets.token_hex(8),
        }
        payload = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        token = f"{payload}.{_seal(parent, 'token', payload)}"
        pair = self._pair(parent, token)
        expires = datetime.fromtimestamp(now + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "Credentials": {
                "AccessKeyId": pair.access_key_id,
                "SecretAccessKey": pair.secret_access_key,
                "SessionToken": token,
                "Expiration": expires,
            },
            "AssumedRoleUser": {
                "Arn": f"{given.get('RoleArn', '')}/{given.get('RoleSessionName', '')}",
                "AssumedRoleId": f"{pair.access_key_id}:{given.get('RoleSessionName', '')}",
            },
        }

    def find(self, access_key_id: str, token: str) -> KeyPair:
        """The temporary pair that comes with the token; raises S3Error."""
        payload, _, seal = token.partition(".")
        try:
            content = json.loads(base64.urlsafe_b64decode(payload))
            parent = self._keys[content["parent"]]
        except (ValueError, KeyError, TypeError):
            raise S3Error("InvalidToken") from None
        if not hmac.compare_digest(seal, _seal(parent, "token", payload)):
            raise S3Error("InvalidToken")
        pair = self._pair(parent, token)
        if pair.access_key_id != access_key_id:
            raise S3Error("InvalidToken")
        if time.time() > content["expires"] or content["issued"] <= self._over_before:
            raise S3Error("ExpiredToken")
        return replace(pair, session_policy=Policy.parse(content["policy"]) if content["policy"] else None)

    @staticmethod
    def _pair(parent: KeyPair, token: str) -> KeyPair:
        name = hashlib.sha256(token.encode()).hexdigest()[:16].upper()
        return replace(parent, access_key_id=f"ASIA{name}", secret_access_key=_seal(parent, "secret", token)[:40])


def _seal(parent: KeyPair, purpose: str, text: str) -> str:
    return hmac.new(f"{purpose}:{parent.secret_access_key}".encode(), text.encode(), hashlib.sha256).hexdigest()


def answer(result: dict[str, Any]) -> bytes:
    """What AssumeRole answers."""
    content = {"AssumeRoleResult": result, "ResponseMetadata": {"RequestId": secrets.token_hex(16)}}
    return document("AssumeRoleResponse", content, namespace=NAMESPACE)


def refusal(error: S3Error) -> bytes:
    """What STS answers in place of a result."""
    fault = {"Type": "Sender", "Code": error.code, "Message": error.message}
    return document("ErrorResponse", {"Error": fault, "RequestId": secrets.token_hex(16)}, namespace=NAMESPACE)
