"""What can go wrong with Portworx, as values with a message for people."""

from __future__ import annotations


class PortworxError(Exception):
    """Something did not work. `message` says what was asked and what came of it; `remedy` what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class NotInstalledError(PortworxError):
    """There is no Portworx, or none of its pods is ready."""


class PxctlError(PortworxError):
    """`pxctl` refused. `said` is what it printed, without secrets."""

    def __init__(self, command: str, said: str, remedy: str = "") -> None:
        super().__init__(f"pxctl {command} failed: {said}", remedy)
        self.command = command
        self.said = said


class UnreadableError(PortworxError):
    """`pxctl` printed something that cannot be understood."""

    def __init__(self, command: str, missing: str) -> None:
        super().__init__(
            f"The output of pxctl {command} cannot be understood: {missing}.",
            "Run it by hand in a Portworx pod and look at what it prints; Portworx may still be starting.",
        )
