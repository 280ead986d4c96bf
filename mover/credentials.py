"""The keys that requests are signed with: given once, or renewed by somebody in a file while the mover works.

The file holds what AWS calls the output of a `credential_process`: JSON with AccessKeyId, SecretAccessKey and
SessionToken. A kubelet replaces it when its Secret changes, and the next request is signed with what it then holds.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mover.errors import UsageError
from mover.settings import Settings

# What a store says of temporary keys whose time is over; some have forgotten them by then.
OUTDATED = {"ExpiredToken", "InvalidToken", "InvalidTokenId", "InvalidAccessKeyId", "TokenRefreshRequired"}


@dataclass(frozen=True)
class Keys:
    """A pair of keys, and the token that goes with a temporary one."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


# Says with which keys the next request is to be signed.
KeySource = Callable[[], Keys]


def key_source(settings: Settings) -> KeySource:
    """Where this process has its keys from. Raises UsageError where a file was named that holds none."""
    if settings.credentials_file:
        return KeysInFile(settings.credentials_file)
    given = Keys(settings.access_key_id, settings.secret_access_key, settings.session_token)
    return lambda: given


class KeysInFile:
    """Always the keys that the file holds now. Thread-safe. Raises UsageError for a file that holds none at first."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._seen = (0, 0)
        self._look()

    def __call__(self) -> Keys:
        """One consistent set of keys."""
        with self._lock:
            # Caught while it is replaced, the file tells nothing; the former keys are good for a while.
            with contextlib.suppress(UsageError):
                self._look()
            return self._keys

    def _look(self) -> None:
        try:
            found = os.stat(self._path)
            if (found.st_ino, found.st_mtime_ns) == self._seen:
                return
            said = json.loads(self._path.read_bytes())
            self._keys = Keys(said["AccessKeyId"], said["SecretAccessKey"], said.get("SessionToken") or "")
        except (OSError, ValueError, KeyError, TypeError) as error:
            # Not the error's own text: it could quote the file.
            raise UsageError(f"The keys in {self._path} cannot be read ({type(error).__name__}).") from None
        self._seen = (found.st_ino, found.st_mtime_ns)
