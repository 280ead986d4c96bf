"""What can go wrong with Portworx, as values with a message for people."""

from __future__ import annotations

from clusters.texts import NOTHING, Text, said


class PortworxError(Exception):
    """Something did not work. `message` says what was asked and what came of it; `remedy` what to do."""

    def __init__(self, message: Text, remedy: Text = NOTHING) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class NotInstalledError(PortworxError):
    """There is no Portworx, or none of its pods is ready."""


class PxctlError(PortworxError):
    """`pxctl` refused. `said` is what it printed, without secrets."""

    def __init__(self, command: str, printed: str, remedy: Text = NOTHING) -> None:
        super().__init__(said("pxctl {command} failed: {words}", command=command, words=printed), remedy)
        self.command = command
        self.said = printed


class UnreadableError(PortworxError):
    """`pxctl` printed something that cannot be understood."""

    def __init__(self, command: str, missing: Text) -> None:
        super().__init__(
            said("The output of pxctl {command} cannot be understood: {why}.", command=command, why=missing),
            said("Run it by hand in a Portworx pod and look at what it prints; Portworx may still be starting."),
        )
