"""What can go wrong, each with the code and exit status that callers rely on and a message for people."""

from __future__ import annotations

from typing import ClassVar

# What helps against damage in the object store. A migration has a prefix of its own, so that a new one begins anew.
PUSH_ANEW = "Start a new migration, or run `mover clean` and push again."


class MoverError(Exception):
    """An expected failure: `code` is for programs, the message for people.

    `retriable` when the same command may succeed later.
    """

    exit_status: ClassVar[int] = 1
    default_code: ClassVar[str] = "unexpected"
    retriable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code


class UsageError(MoverError):
    """The command or its environment is wrong."""

    exit_status = 2
    default_code = "usage"


class StoreUnavailable(MoverError):
    """The object store cannot be reached or keeps failing."""

    exit_status = 3
    default_code = "store-unavailable"
    retriable = True


class StoreRefused(MoverError):
    """The object store refuses: credentials, bucket, permission, clock."""

    exit_status = 4
    default_code = "store-refused"


class IntegrityError(MoverError):
    """Something read back is not what was written: altered, missing or out of order."""

    exit_status = 5
    default_code = "integrity"


class NoSpace(MoverError):
    """The destination is full, or its quota or file size limit is reached."""

    exit_status = 6
    default_code = "no-space"


class SourceUnreadable(MoverError):
    """Something on the source cannot be read."""

    exit_status = 7
    default_code = "source-unreadable"


class ForeignContent(MoverError):
    """The destination holds something that the mover did not put there."""

    exit_status = 8
    default_code = "destination-not-empty"


class PusherSilent(MoverError):
    """The journal has not grown for too long."""

    exit_status = 9
    default_code = "pusher-silent"
    retriable = True


class Superseded(MoverError):
    """A newer push works on the same volume; this one stepped back."""

    default_code = "superseded"


class DestinationRefused(MoverError):
    """The destination refuses to be written: read-only, no permission, failing disk."""

    default_code = "destination-unwritable"


class Stopped(BaseException):
    """SIGTERM or SIGINT arrived. Not an `Exception`, so that nothing on the way mistakes it for a failure."""
