"""Who asks: client certificates of the cluster's CA, and bearer tokens."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADMIN = "kubernetes-admin"
MASTERS = "system:masters"


@dataclass(frozen=True)
class User:
    """A name and its groups, as RBAC knows them."""

    name: str
    groups: tuple[str, ...]
    extra: dict[str, list[str]] | None = None
    uid: str = ""

    @property
    def is_anonymous(self) -> bool:
        return self.name == "system:anonymous"


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Tokens:
    """Bearer tokens: opaque ones that are kept, and signed ones of ServiceAccounts, which expire."""

    def __init__(self, state: Path) -> None:
        self._path = state / "tokens.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        stored = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._users: dict[str, str] = stored.get("users", {})
        self._key: str = stored.get("key") or secrets.token_hex(32)
        self._save()

    def _save(self) -> None:
        self._path.touch(mode=0o600)
        self._path.write_text(json.dumps({"key": self._key, "users": self._users}))

    def static(self, user: str) -> str:
        """A token for the user that does not expire; the same one each time."""
        for token, name in self._users.items():
            if name == user:
                return token
        token = secrets.token_urlsafe(32)
        self._users[token] = user
        self._save()
        return token

    def issue(self, user: str, seconds: int | None = None) -> str:
        """A signed token in the form of a JWT."""
        payload: dict[str, Any] = {"sub": user, "jti": secrets.token_hex(8)}
        if seconds is not None:
            payload["exp"] = int(time.time()) + seconds
        body = json.dumps(payload).encode().hex()
        return f"eyJhbGciOiJIUzI1NiJ9.{body}.{self._sign(body)}"

    def _sign(self, body: str) -> str:
        return hmac.new(self._key.encode(), body.encode(), hashlib.sha256).hexdigest()

    def user(self, token: str) -> User | None:
        """Whose token it is, or None for one that is unknown, damaged or expired."""
        if token in self._users:
            return named(self._users[token])
        parts = token.split(".")
        if len(parts) != 3 or not hmac.compare_digest(self._sign(parts[1]), parts[2]):
            return None
        payload = json.loads(bytes.fromhex(parts[1]))
        if payload.get("exp", float("inf")) < time.time():
            return None
        return named(payload["sub"])


def named(name: str) -> User:
    """The user with the groups that the name alone gives."""
    if name == ADMIN:
        return User(name, (MASTERS, "system:authenticated"))
    groups: tuple[str, ...] = ("system:authenticated",)
    if name.startswith("system:serviceaccount:"):
        namespace = name.split(":")[2]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(name, groups)


def of_certificate(subject: Any) -> User | None:
    """The user of a verified peer certificate: common name and organizations. `subject` is ssl's nested tuples."""
    names = [value for part in subject for key, value in part if key == "commonName"]
    groups = tuple(value for part in subject for key, value in part if key == "organizationName")
    return User(names[0], (*groups, "system:authenticated")) if names else None
