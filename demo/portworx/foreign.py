"""Stores of Azure and Google, as far as Portworx asks them here: who has an account, and with which key.

Neither protocol is spoken, and no real store is ever asked. What Portworx would put into a container of Azure or a
bucket of Google lies in a bucket of the S3 store behind the account; its keys are that store's. So everything but the
last step of the bytes is as it would be: the keys that are given to pxctl or kept in a BackupLocation, what becomes of
wrong ones, and one container for both clusters.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]
AZURE, GOOGLE = "azure", "google"


@dataclass(frozen=True)
class Account:
    """A storage account of Azure with its key, or a project of Google with the JSON key of a service account.

    `behind` are S3 credentials: region, endpoint, access_key and secret_key, perhaps disable_ssl.
    """

    provider: str
    name: str
    key: str
    behind: Object


# The accounts that there are, by provider and name.
ACCOUNTS: dict[tuple[str, str], Account] = {}


class RefusedError(Exception):
    """What the store says, in the words of its client for Go."""


def add(account: Account) -> None:
    """Open an account."""
    ACCOUNTS[account.provider, account.name] = account


def read(path: Path) -> None:
    """Open the accounts that a JSON file lists."""
    for each in json.loads(path.read_text()):
        add(Account(**each))


def behind(credential: Object) -> Object:
    """The S3 credentials with which the bytes of these are kept; those of S3 are their own. Raises RefusedError."""
    if credential["provider"] not in (AZURE, GOOGLE):
        return credential
    account = ACCOUNTS.get((credential["provider"], credential["account"]))
    if credential["provider"] == AZURE:
        _ask_azure(account, credential)
    else:
        _ask_google(account, credential)
    assert account is not None
    named = f"{account.provider}-{account.name}-{credential.get('bucket') or credential['name']}"
    digest = hashlib.sha256(named.encode()).hexdigest()[:24]
    return {"name": credential["name"], "provider": "s3", **account.behind, "bucket": f"{account.provider}-{digest}"}


def _ask_azure(account: Account | None, credential: Object) -> None:
    if account is None:
        host = f"{credential['account']}.blob.core.windows.net"
        raise RefusedError(f'Put "https://{host}/px-validate?restype=container": dial tcp: lookup {host}: no such host')
    if account.key != credential["account_key"]:
        raise RefusedError(
            "storage: service returned error: StatusCode=403, ErrorCode=AuthenticationFailed, ErrorMessage=Server"
            " failed to authenticate the request. Make sure the value of Authorization header is formed correctly"
            " including the signature."
        )


def _ask_google(account: Account | None, credential: Object) -> None:
    try:
        given = json.loads(credential["account_key"])
        email = str(given["client_email"])
    except (ValueError, KeyError, TypeError):
        raise RefusedError("google: could not parse JWT key: invalid credentials file") from None
    wanted = json.loads(account.key) if account is not None else {}
    if account is not None and given.get("private_key") != wanted.get("private_key"):
        raise RefusedError(
            "oauth2: cannot fetch token: 400 Bad Request Response: "
            '{"error":"invalid_grant","error_description":"Invalid JWT Signature."}'
        )
    if account is None or email != wanted.get("client_email"):
        raise RefusedError(
            f"googleapi: Error 403: {email} does not have storage.buckets.create access to the Google Cloud project."
            " Permission 'storage.buckets.create' denied on resource (or it may not exist)., forbidden"
        )
