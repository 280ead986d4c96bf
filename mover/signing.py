"""AWS Signature Version 4 for requests whose content is not signed: it is authenticated by its encryption."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from mover.credentials import KeySource

_ALGORITHM = "AWS4-HMAC-SHA256"
_PAYLOAD = "UNSIGNED-PAYLOAD"
_UNRESERVED = "-_.~"


class Signer:
    """Signs requests to one region. Thread-safe."""

    def __init__(self, keys: KeySource, region: str) -> None:
        self._keys = keys
        self._region = region
        # The signing key, which holds for a day, and what it was made from.
        self._derived: tuple[str, str, bytes] = ("", "", b"")

    def signed(
        self, method: str, host: str, path: str, query: str, headers: Mapping[str, str], now: float | None = None
    ) -> dict[str, str]:
        """`headers` with those that say who asks; `path` and `query` as they go over the wire."""
        keys = self._keys()
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        full = {**headers, "host": host, "x-amz-content-sha256": _PAYLOAD, "x-amz-date": moment}
        if keys.session_token:
            full["x-amz-security-token"] = keys.session_token
        names = sorted(full)
        signed_names = ";".join(names)
        lines = "".join(f"{name}:{' '.join(full[name].split())}\n" for name in names)
        canonical = "\n".join((method, path, query, lines, signed_names, _PAYLOAD))
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        signature = hmac.new(
            self._key(moment[:8], keys.secret_access_key), to_sign.encode(), hashlib.sha256
        ).hexdigest()
        full["authorization"] = (
            f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={signed_names}, Signature={signature}"
        )
        return full

    def _key(self, day: str, secret: str) -> bytes:
        known = self._derived
        if known[:2] == (day, secret):
            return known[2]
        key = b"AWS4" + secret.encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        self._derived = (day, secret, key)
        return key


def quoted_path(path: str) -> str:
    """A path as it goes over the wire and into the signature."""
    return quote(path, safe="/" + _UNRESERVED)


def quoted_query(pairs: Sequence[tuple[str, str]]) -> str:
    """A query in the order and form that the signature wants."""
    return "&".join(f"{name}={value}" for name, value in sorted((_quoted(name), _quoted(text)) for name, text in pairs))


def _quoted(text: str) -> str:
    return quote(text, safe=_UNRESERVED)
