"""Object-store credentials inside Portworx: made, listed, validated and deleted with `pxctl credentials`.

For a pair without a BackupLocation, Portworx looks on both clusters for credentials with exactly the name
`clusterPair_<UUID of the destination>` (Portworx documentation, “Migration with Stork”).
"""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass, field
from enum import StrEnum

from clusters.portworx import pxctl
from clusters.portworx.errors import PortworxError, PxctlError
from clusters.portworx.pods import PXCTL, Portworx
from clusters.portworx.pxctl import Credential
from clusters.texts import said

AMAZON = "s3.amazonaws.com"
# The end of the name under which new keys are tried beside the old ones.
TRIAL = "-trial"


def name_for(destination_uuid: str) -> str:
    """The name under which Portworx looks for the credentials of a pair."""
    return f"clusterPair_{destination_uuid}"


@dataclass(frozen=True)
class S3Keys:
    """An S3-compatible store. `endpoint` is host[:port], empty for Amazon S3; `bucket` empty lets Portworx make one."""

    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    endpoint: str = ""
    bucket: str = ""
    disable_ssl: bool = False
    path_style: bool = True

    provider = "s3"

    def host(self) -> str:
        """The endpoint as pxctl wants it."""
        if self.endpoint:
            return self.endpoint
        return f"s3.{self.region}.amazonaws.com" if self.region else AMAZON


@dataclass(frozen=True)
class AzureKeys:
    """A storage account of Azure; `bucket` is its container."""

    account_name: str
    account_key: str = field(repr=False)
    bucket: str = ""

    provider = "azure"


@dataclass(frozen=True)
class GoogleKeys:
    """A project of Google Cloud, and the JSON key of one of its service accounts."""

    project_id: str
    json_key: str = field(repr=False)
    bucket: str = ""

    provider = "google"


Keys = S3Keys | AzureKeys | GoogleKeys


class Outcome(StrEnum):
    """What became of credentials that were wanted."""

    MADE = "made"
    KEPT = "kept"
    REPLACED = "replaced"


class DifferentError(PortworxError):
    """There are credentials of that name for another store, and they work."""


def create_script(name: str, keys: Keys) -> tuple[str, dict[str, str]]:
    """The script that makes credentials, and its secrets by the variable in which it expects each."""
    words = [PXCTL, "credentials", "create", "--provider", keys.provider]
    bucket = ["--bucket", keys.bucket] if keys.bucket else []
    match keys:
        case S3Keys():
            flags = ["--s3-region", keys.region, "--s3-endpoint", keys.host(), *bucket]
            flags += ["--s3-disable-ssl"] if keys.disable_ssl else []
            flags += [] if keys.path_style else ["--disable-path-style"]
            secrets = {"KMW_ACCESS_KEY": keys.access_key, "KMW_SECRET_KEY": keys.secret_key}
            quoted = '--s3-access-key "$KMW_ACCESS_KEY" --s3-secret-key "$KMW_SECRET_KEY"'
        case AzureKeys():
            flags = ["--azure-account-name", keys.account_name, *bucket]
            secrets = {"KMW_ACCOUNT_KEY": keys.account_key}
            quoted = '--azure-account-key "$KMW_ACCOUNT_KEY"'
        case GoogleKeys():
            # pxctl wants a file. One line of base64 needs no end of the input, which old API servers cannot pass on.
            flags = ["--google-project-id", keys.project_id, *bucket]
            encoded = base64.b64encode(keys.json_key.encode()).decode()
            command = f'{shlex.join([*words, *flags])} --google-json-key-file "$f" {shlex.quote(name)}'
            script = (
                'umask 077; f=$(mktemp) && printf %s "$KMW_JSON_KEY" | base64 -d > "$f" && '
                f'{command}; code=$?; rm -f "$f"; exit $code'
            )
            return script, {"KMW_JSON_KEY": encoded}
    return f"exec {shlex.join([*words, *flags])} {quoted} {shlex.quote(name)}", secrets


def create(portworx: Portworx, name: str, keys: Keys) -> str:
    """Make the credentials; their UUID, or empty where this version does not tell. Raises PxctlError."""
    _require_lines(keys)
    script, secrets = create_script(name, keys)
    return pxctl.created(portworx.script(script, command="credentials create", secrets=secrets))


def _require_lines(keys: Keys) -> None:
    """Raise where a secret has a line break: it is handed over as a line."""
    lines = {
        S3Keys: lambda: (keys.access_key, keys.secret_key),  # type: ignore[union-attr]
        AzureKeys: lambda: (keys.account_key,),  # type: ignore[union-attr]
        GoogleKeys: lambda: (),
    }[type(keys)]()
    if any("\n" in each or "\r" in each or "\0" in each for each in lines):
        raise PortworxError(
            said("The key pair of the object store has a line break in it."), said("Give the store its keys anew.")
        )


def listed(portworx: Portworx) -> list[Credential]:
    """All credentials that the cluster's Portworx keeps."""
    return pxctl.credentials(portworx.pxctl("credentials", "list"))


def shown(found: Credential) -> dict[str, str]:
    """Credentials as people see them: no half of a key pair either."""
    fields = found.fields
    return {
        "uuid": found.uuid,
        "name": found.name,
        "provider": found.provider,
        "bucket": found.bucket,
        "region": fields.get("REGION", ""),
        "endpoint": fields.get("ENDPOINT", ""),
        "account": fields.get("ACCOUNT NAME") or fields.get("PROJECT ID") or "",
    }


def named(portworx: Portworx, name: str) -> Credential | None:
    """The credentials of that name."""
    return next((each for each in listed(portworx) if each.name == name), None)


def validate(portworx: Portworx, name: str) -> None:
    """Let Portworx try the credentials. Raises PxctlError with what the object store said."""
    portworx.pxctl("credentials", "validate", name)


def delete(portworx: Portworx, name: str) -> bool:
    """Delete the credentials; False where there are none."""
    if named(portworx, name) is None:
        return False
    portworx.pxctl("credentials", "delete", name)
    return True


def ensure(portworx: Portworx, name: str, keys: Keys, *, replace: bool = False) -> Outcome:
    """See to it that credentials of that name are there, for this store, and work.

    Working ones for this store are kept. Those that do not work, of this or another store, are made anew. Working ones
    for another store may serve other pairs of the destination: DifferentError, unless `replace`, which first tries the
    new keys under another name. Raises PxctlError in pxctl's own words where the store does not accept the keys; what
    was made without any before stays then, and is replaced next time.
    """
    trial = f"{name}{TRIAL}"
    present = {each.name: each for each in listed(portworx)}
    if trial in present:
        # An earlier try died before it took it away.
        delete(portworx, trial)
    known = present.get(name)
    if known is not None and not replace:
        difference = _difference(known, keys)
        if _works(portworx, name):
            if difference:
                raise DifferentError(
                    said(
                        "Portworx already has credentials {name} for another store ({difference}).",
                        name=name,
                        difference=difference,
                    ),
                    said("Choose to replace them if no other pair needs them, or give this pair that object store."),
                )
            return Outcome.KEPT
    if known is not None:
        if replace:
            _try(portworx, trial, keys)
        portworx.pxctl("credentials", "delete", name)
    create(portworx, name, keys)
    validate(portworx, name)
    return Outcome.MADE if known is None else Outcome.REPLACED


def _try(portworx: Portworx, name: str, keys: Keys) -> None:
    """Let Portworx try the keys, so that working credentials are not given up for keys that do not work."""
    try:
        create(portworx, name, keys)
        validate(portworx, name)
    finally:
        delete(portworx, name)


def _works(portworx: Portworx, name: str) -> bool:
    try:
        validate(portworx, name)
    except PxctlError:
        return False
    return True


def _difference(known: Credential, keys: Keys) -> str:
    """How what is there differs from what is wanted, as far as it is shown; empty where it does not."""
    if known.provider != keys.provider:
        return f"of {known.provider}"
    wanted: dict[str, str] = {"BUCKET": keys.bucket} if keys.bucket and known.bucket else {}
    match keys:
        case S3Keys():
            wanted |= {"ENDPOINT": keys.host(), "REGION": keys.region, "ACCESS KEY": keys.access_key}
        case AzureKeys():
            wanted |= {"ACCOUNT NAME": keys.account_name}
        case GoogleKeys():
            wanted |= {"PROJECT ID": keys.project_id}
    for column, value in wanted.items():
        shown = known.fields.get(column, "")
        masked = not shown or "*" in shown or "<" in shown
        if not masked and shown.removeprefix("https://").removeprefix("http://").rstrip("/") != value:
            # Half of a key pair is not repeated.
            return column.lower() if column == "ACCESS KEY" else f"{column.lower()} {shown}"
    return ""
