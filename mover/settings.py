"""The mover's settings: everything comes from the environment, and is checked once at the start."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from mover.errors import UsageError

_FEWEST_WORKERS = 4


@dataclass(frozen=True)
class Settings:
    """One volume's transfer. Secrets are left out of the repr."""

    endpoint: str
    region: str
    bucket: str
    prefix: str
    path_style: bool
    ca_bundle_pem: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    # Temporary keys in the place of those, renewed in this file while the mover works.
    credentials_file: str
    data_key: bytes = field(repr=False)
    volume: str
    # Whether the path is a raw device (volumeMode Block) and not a file system.
    block: bool
    # Which pass of the volume this is; a puller waits for a run of it. 0 leaves it to what is in the store.
    pass_number: int
    # How many packs may be on their way at once, and how many threads read or write.
    workers: int
    # Over the wire, in one direction; 0 is no limit.
    bytes_per_second: float
    termination_log: str
    pull_wait_seconds: float
    retry_seconds: float


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings in `environment`; UsageError names every variable that is missing or malformed."""
    problems: list[str] = []

    def required(name: str) -> str:
        return _required(environment, name, problems)

    def number(name: str, default: float, least: float = 1e-9) -> float:
        return _number(environment, name, problems, default, least)

    bucket = required("MOVER_S3_BUCKET")
    prefix = required("MOVER_S3_PREFIX").strip("/")
    credentials_file = environment.get("MOVER_CREDENTIALS_FILE", "")
    access_key_id = "" if credentials_file else required("AWS_ACCESS_KEY_ID")
    secret_access_key = "" if credentials_file else required("AWS_SECRET_ACCESS_KEY")
    data_key = _key("MOVER_DATA_KEY", required("MOVER_DATA_KEY"), problems)
    path_style = environment.get("MOVER_S3_PATH_STYLE", "") or "false"
    if path_style not in ("true", "false"):
        problems.append("MOVER_S3_PATH_STYLE must be true or false")
    block = _is_block(environment, problems)
    settings = Settings(
        endpoint=environment.get("MOVER_S3_ENDPOINT", ""),
        region=environment.get("MOVER_S3_REGION", "") or "us-east-1",
        bucket=bucket,
        prefix=prefix,
        path_style=path_style == "true",
        ca_bundle_pem=environment.get("MOVER_S3_CA_BUNDLE_PEM", ""),
        access_key_id=access_key_id,
        secret_access_key=secret_access_key,
        session_token=environment.get("AWS_SESSION_TOKEN", ""),
        credentials_file=credentials_file,
        data_key=data_key,
        volume=environment.get("MOVER_VOLUME", "") or prefix,
        block=block,
        pass_number=int(number("MOVER_PASS", 0.0, least=0.0)),
        workers=_workers(environment, problems),
        bytes_per_second=number("MOVER_BYTES_PER_SECOND", 0.0, least=0.0),
        termination_log=environment.get("MOVER_TERMINATION_LOG", ""),
        pull_wait_seconds=number("MOVER_PULL_WAIT_SECONDS", 900),
        retry_seconds=number("MOVER_S3_RETRY_SECONDS", 120),
    )
    if problems:
        raise UsageError("; ".join(problems) + ".")
    return settings


@dataclass(frozen=True)
class DigestSettings:
    """One tree that is read anew. Nothing is sent anywhere."""

    # Made for one comparison, and the same on both sides.
    key: bytes = field(repr=False)
    volume: str
    block: bool
    # Of a raw device, whose destination may be larger than its source, only so many bytes count; 0 is all of it.
    device_bytes: int
    # What could not be kept when it was restored, as results name it, and is not compared.
    leave_out: frozenset[str]
    workers: int
    termination_log: str


def for_digest(environment: Mapping[str, str]) -> DigestSettings:
    """The settings of `digest` in `environment`; UsageError names every variable that is missing or malformed."""
    problems: list[str] = []
    settings = DigestSettings(
        key=_key("MOVER_DIGEST_KEY", _required(environment, "MOVER_DIGEST_KEY", problems), problems),
        volume=environment.get("MOVER_VOLUME", "") or "at PATH",
        block=_is_block(environment, problems),
        device_bytes=int(_number(environment, "MOVER_DEVICE_BYTES", problems, 0.0, 0.0)),
        leave_out=frozenset(name for name in environment.get("MOVER_LEAVE_OUT", "").split(",") if name),
        workers=_workers(environment, problems),
        termination_log=environment.get("MOVER_TERMINATION_LOG", ""),
    )
    if problems:
        raise UsageError("; ".join(problems) + ".")
    return settings


def _required(environment: Mapping[str, str], name: str, problems: list[str]) -> str:
    value = environment.get(name, "")
    if not value:
        problems.append(f"{name} is not set")
    return value


def _number(environment: Mapping[str, str], name: str, problems: list[str], default: float, least: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not least <= value < 1e15:
        problems.append(f"{name} must be a number{' above 0' if least else ', 0 or more'}")
        return default
    return value


def _key(name: str, encoded: str, problems: list[str]) -> bytes:
    if not encoded:
        return b""
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        problems.append(f"{name} is not base64")
        return b""
    if len(key) != 32:
        problems.append(f"{name} must hold 32 bytes")
    return key


def _is_block(environment: Mapping[str, str], problems: list[str]) -> bool:
    mode = environment.get("MOVER_VOLUME_MODE", "") or "Filesystem"
    if mode not in ("Filesystem", "Block"):
        problems.append("MOVER_VOLUME_MODE must be Filesystem or Block")
    return mode == "Block"


def _workers(environment: Mapping[str, str], problems: list[str]) -> int:
    wanted = _number(environment, "MOVER_WORKERS", problems, float(_default_workers()), 1e-9)
    return min(64, int(wanted + 0.5))


def _default_workers() -> int:
    """One for each core, and enough to wait for the disk and the object store meanwhile."""
    return max(_FEWEST_WORKERS, len(os.sched_getaffinity(0)))
