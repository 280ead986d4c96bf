"""Temporary keys, which somebody renews in a file while the mover works.

The file holds what AWS calls the output of a `credential_process`: JSON with AccessKeyId, SecretAccessKey and
SessionToken. A kubelet replaces it when its Secret changes, and the next request is signed with what it then holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path

import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials, ReadOnlyCredentials

from mover.errors import UsageError

# What a store says of temporary keys whose time is over; some have forgotten them by then.
OUTDATED = {"ExpiredToken", "InvalidToken", "InvalidTokenId", "InvalidAccessKeyId", "TokenRefreshRequired"}


def session_renewed_in(path: str) -> botocore.session.Session:
    """A session that signs with the keys in the file. Raises UsageError where it holds none."""
    session = botocore.session.Session()
    session.register_component("credential_provider", CredentialResolver([_Given(KeysInFile(path))]))
    return session


class KeysInFile(Credentials):
    """Always the keys that the file holds now. Thread-safe. Raises UsageError for a file that holds none at first."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._seen = (0, 0)
        super().__init__("", "", None, method="file")
        self._look()

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """One consistent set of keys."""
        with self._lock:
            # Caught while it is replaced, the file tells nothing; the former keys are good for a while.
            with contextlib.suppress(UsageError):
                self._look()
            return ReadOnlyCredentials(self.access_key, self.secret_key, self.token)

    def _look(self) -> None:
        try:
            found = os.stat(self._path)
            if (found.st_ino, found.st_mtime_ns) == self._seen:
                return
            keys = json.loads(self._path.read_bytes())
            self.access_key, self.secret_key = keys["AccessKeyId"], keys["SecretAccessKey"]
            self.token = keys.get("SessionToken")
        except (OSError, ValueError, KeyError, TypeError) as error:
            # Not the error's own text: it could quote the file.
            raise UsageError(f"The keys in {self._path} cannot be read ({type(error).__name__}).") from None
        self._seen = (found.st_ino, found.st_mtime_ns)


class _Given(CredentialProvider):
    """Provides the one set of keys."""

    METHOD = "given"

    def __init__(self, keys: Credentials) -> None:
        super().__init__()
        self._keys = keys

    def load(self) -> Credentials:
        return self._keys
