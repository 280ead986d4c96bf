"""The steps of a pair that one would do by hand, and how far each has come."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

from clusters.texts import NOTHING, Text


class Code(StrEnum):
    """A step; those that end in `-back` belong to the opposite direction."""

    CLUSTERS = "clusters"
    UUID = "uuid"
    CREDENTIALS_DESTINATION = "credentials-destination"
    CREDENTIALS_SOURCE = "credentials-source"
    TOKEN = "token"
    ENDPOINT = "endpoint"
    DOCUMENT = "document"
    APPLIED = "applied"
    STATUS = "status"
    CREDENTIALS_DESTINATION_BACK = "credentials-destination-back"
    CREDENTIALS_SOURCE_BACK = "credentials-source-back"
    TOKEN_BACK = "token-back"
    ENDPOINT_BACK = "endpoint-back"
    APPLIED_BACK = "applied-back"
    STATUS_BACK = "status-back"
    OBJECT = "object"
    OBJECT_BACK = "object-back"
    LOCATION = "location"
    CREDENTIALS = "credentials"


TITLES: dict[str, Any] = {
    Code.CLUSTERS: _("Look at both clusters"),
    Code.UUID: _("The destination's cluster UUID"),
    Code.CREDENTIALS_DESTINATION: _("Object-store credentials on the destination"),
    Code.CREDENTIALS_SOURCE: _("Object-store credentials on the source"),
    Code.TOKEN: _("The destination's token"),
    Code.ENDPOINT: _("The destination's endpoint, tried from the source"),
    Code.DOCUMENT: _("The ClusterPair document"),
    Code.APPLIED: _("The ClusterPair on the source"),
    Code.STATUS: _("Storage and scheduler status"),
    Code.CREDENTIALS_DESTINATION_BACK: _("Back: credentials on the source"),
    Code.CREDENTIALS_SOURCE_BACK: _("Back: credentials on the destination"),
    Code.TOKEN_BACK: _("Back: the source's token"),
    Code.ENDPOINT_BACK: _("Back: the source's endpoint, tried from the destination"),
    Code.APPLIED_BACK: _("Back: the ClusterPair on the destination"),
    Code.STATUS_BACK: _("Back: storage and scheduler status"),
    Code.OBJECT: _("The ClusterPair on the source is deleted"),
    Code.OBJECT_BACK: _("The ClusterPair on the destination is deleted"),
    Code.LOCATION: _("Secret and BackupLocation are deleted"),
    Code.CREDENTIALS: _("Object-store credentials are deleted"),
}
FORTH = (
    Code.CLUSTERS,
    Code.UUID,
    Code.CREDENTIALS_DESTINATION,
    Code.CREDENTIALS_SOURCE,
    Code.TOKEN,
    Code.ENDPOINT,
    Code.DOCUMENT,
    Code.APPLIED,
    Code.STATUS,
)
BACK = (
    Code.CREDENTIALS_DESTINATION_BACK,
    Code.CREDENTIALS_SOURCE_BACK,
    Code.TOKEN_BACK,
    Code.ENDPOINT_BACK,
    Code.APPLIED_BACK,
    Code.STATUS_BACK,
)


class State(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """What came of a step: what was found or done, what to do about it, and pxctl's or Stork's own words.

    `again` is the number of seconds after which to look again; None where the step is over.
    """

    state: State
    message: Text
    remedy: Text = NOTHING
    said: str = ""
    cause: str = ""
    again: float | None = None


@dataclass
class Step:
    """A step as it is kept."""

    code: str
    state: str = State.WAITING
    message: str = NOTHING
    remedy: str = NOTHING
    said: str = ""
    cause: str = ""
    at: str = ""

    @property
    def title(self) -> Any:
        return TITLES.get(self.code, self.code)

    def to_dict(self) -> dict[str, str]:
        """Plain values and Texts."""
        return {**asdict(self), "code": str(self.code), "state": str(self.state), "cause": str(self.cause)}


def from_rows(rows: list[dict[str, str]]) -> list[Step]:
    """The steps as they are kept with the pair."""
    known = Step.__dataclass_fields__
    return [Step(**{key: value for key, value in row.items() if key in known}) for row in rows]
