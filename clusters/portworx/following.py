"""What has become of a ClusterPair on the source, and what it means.

Stork leaves much unsaid: a blank status, an error in an event only, a state that is never looked at again once it was
Ready. These are the states of libopenstorage/stork, pkg/clusterpair/controllers, each with its meaning, its cause and
what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.portworx import clusterpair
from clusters.texts import NOTHING, Text, said

READY, ERROR, NOT_PROVIDED = "Ready", "Error", "NotProvided"
# Stork looks every ten seconds; after this long without a word nobody is looking.
SILENCE_SECONDS = 40
# What S3, Azure and Google say of keys that they do not take.
KEYS_REFUSED = re.compile(
    r"signaturedoesnotmatch|invalidaccesskey|authenticationfailed|invalid_grant|access ?denied|nosuchbucket|forbidden"
)

Object = dict[str, Any]


class Cause(StrEnum):
    """Why a pair is not ready, as far as Portworx' and Stork's words tell."""

    TOKEN = "wrong-token"
    CREDENTIAL_NAME = "credential-name"
    KEYS = "bad-keys"
    ENDPOINT = "unreachable-endpoint"
    PORT = "invalid-port"
    TLS = "tls"
    API_SERVER = "unreachable-api-server"
    NO_OPTIONS = "no-storage-options"
    KUBECONFIG = "unusable-kubeconfig"
    NO_STORK = "no-stork"
    OTHERS = "made-by-others"
    NAME_TAKEN = "name-taken"
    OTHER = "other"


@dataclass(frozen=True)
class Happening:
    """An event of Stork about the pair."""

    type: str
    reason: str
    message: str
    count: int
    last_at: str


@dataclass(frozen=True)
class PairState:
    """A ClusterPair as it stands on the source; `options` are without the token. `uid` is empty where there is none."""

    uid: str = ""
    storage_status: str = ""
    scheduler_status: str = ""
    remote_storage_id: str = ""
    is_deleting: bool = False
    created_at: str = ""
    server: str = ""
    options: dict[str, str] = field(default_factory=dict)
    has_token: bool = False
    events: tuple[Happening, ...] = ()

    @property
    def exists(self) -> bool:
        return bool(self.uid)

    def is_ready(self) -> bool:
        return self.storage_status == READY and self.scheduler_status == READY


@dataclass(frozen=True)
class Meaning:
    """What a status means. `said` is Portworx' or Stork's own text, empty where they say nothing."""

    state: Literal["ok", "waiting", "warning", "failure"]
    message: Text
    cause: Cause | None = None
    remedy: Text = NOTHING
    said: str = ""


def read(connection: Connection, name: str, namespace: str) -> PairState:
    """The pair as it stands, with its events. Raises KubeError; a missing pair is an empty state."""
    try:
        found = connection.get(clusterpair.RESOURCE, name, namespace)
    except errors.NotFound:
        return PairState()
    return state_of(found, _events(connection, name, namespace))


def state_of(pair: Object, events: Iterable[Happening] = ()) -> PairState:
    """The same from the object."""
    spec, status, metadata = pair.get("spec") or {}, pair.get("status") or {}, pair["metadata"]
    options = {str(key): str(value) for key, value in (spec.get("options") or {}).items()}
    return PairState(
        uid=str(metadata.get("uid") or ""),
        storage_status=str(status.get("storageStatus") or ""),
        scheduler_status=str(status.get("schedulerStatus") or ""),
        remote_storage_id=str(status.get("remoteStorageId") or ""),
        is_deleting="deletionTimestamp" in metadata,
        created_at=str(metadata.get("creationTimestamp") or ""),
        server=server_of(spec.get("config")),
        options={key: value for key, value in options.items() if key not in ("token", clusterpair.PLACEHOLDER)},
        has_token=bool(options.get("token")),
        events=tuple(events),
    )


def server_of(config: Any) -> str:
    """The API server that an embedded kubeconfig leads to; empty where it cannot be read."""
    try:
        context = config["contexts"][config["current-context"]]
        return str(config["clusters"][context["cluster"]]["server"]).rstrip("/")
    except (KeyError, TypeError):
        return ""


def _events(connection: Connection, name: str, namespace: str) -> list[Happening]:
    selector = f"involvedObject.kind=ClusterPair,involvedObject.name={name}"
    try:
        rows = list(connection.list("events", namespace, field_selector=selector))
    except errors.Forbidden:
        return []
    found = [
        Happening(
            type=str(row.get("type") or ""),
            reason=str(row.get("reason") or ""),
            message=str(row.get("message") or ""),
            count=int(row.get("count") or 1),
            last_at=str(row.get("lastTimestamp") or row.get("eventTime") or ""),
        )
        for row in rows
    ]
    return sorted(found, key=lambda each: each.last_at)


def storage_meaning(state: PairState, *, waited: float = 0) -> Meaning:
    """What the storage status means. `waited` is how many seconds the pair has been there."""
    match state.storage_status:
        case "Ready":
            return Meaning("ok", said("Portworx of both clusters is paired. Stork does not look at this again."))
        case "NotProvided":
            return Meaning(
                "warning",
                said("The pair has no storage options, so Stork pairs no storage: only objects could be migrated."),
                Cause.NO_OPTIONS,
                said("Set the pair up: it fills in ip, port and token."),
            )
        case "Error":
            words = _said(state, is_about_storage=True)
            cause, remedy = cause_of(words)
            return Meaning("failure", _unpaired(cause), cause, remedy, words)
        case "":
            return _silence(waited, said("storage"))
    return Meaning("waiting", said("Stork says: storage {status}.", status=state.storage_status))


def scheduler_meaning(state: PairState, *, waited: float = 0) -> Meaning:
    """What the scheduler status means."""
    match state.scheduler_status:
        case "Ready":
            return Meaning("ok", said("Stork reaches the destination's API server. It asks only for its version."))
        case "Error":
            words = _said(state, is_about_storage=False)
            tls = "x509" in words or "tls:" in words
            remedy = (
                said("The kubeconfig of the destination must be trusted from inside the source cluster too.")
                if tls
                else said(
                    "Give the destination a kubeconfig whose server can be reached from inside the source cluster."
                )
            )
            cause = Cause.TLS if tls else Cause.API_SERVER
            message = said("Stork on the source cannot use the destination's API server.")
            return Meaning("failure", message, cause, remedy, words)
        case "":
            if state.storage_status:
                return Meaning(
                    "failure",
                    said(
                        "Stork left the scheduler's status blank although it has looked: it cannot read the kubeconfig "
                        "inside the pair, and says so in its log only."
                    ),
                    Cause.KUBECONFIG,
                    said("Set the pair up again, so that the kubeconfig is written anew."),
                )
            return _silence(waited, said("scheduler"))
    return Meaning("waiting", said("Stork says: scheduler {status}.", status=state.scheduler_status))


def _silence(waited: float, half: Text) -> Meaning:
    if waited < SILENCE_SECONDS:
        return Meaning(
            "waiting", said("Blank: Stork has not looked at the {half} yet. It looks every ten seconds.", half=half)
        )
    return Meaning(
        "failure",
        said(
            "Blank for {seconds} s: nobody looks at the pair, so Stork does not run on the source, or not with the "
            "rights to read ClusterPairs.",
            seconds=f"{waited:.0f}",
        ),
        Cause.NO_STORK,
        said("Look at the pods and the log of the Deployment stork on the source."),
    )


def _said(state: PairState, *, is_about_storage: bool) -> str:
    """The last warning about one half: those of the scheduler are what Go's HTTP client says of /version."""
    for each in reversed(state.events):
        if each.type == "Warning" and ("/version" in each.message) is not is_about_storage:
            return each.message
    return ""


def cause_of(words: str) -> tuple[Cause, Text]:
    """The cause that Portworx' words point to, and what to do."""
    plain = words.lower()
    if re.search(r"token (authentication )?(failed|invalid)|invalid token|unauthenticated|unauthorized", plain):
        return Cause.TOKEN, (
            said("Set the pair up again: the destination's token is read anew. It changes when somebody resets it.")
        )
    if re.search(r"credential[s]? .*(not found|does not exist)|no credential", plain):
        return Cause.CREDENTIAL_NAME, (
            said(
                "Set the pair up again: it makes the credentials clusterPair_<UUID of the destination> on both "
                "clusters. With the UUID of the source, or a missing word, Portworx does not find them."
            )
        )
    if KEYS_REFUSED.search(plain):
        return Cause.KEYS, said("Give the object store its right key pair and bucket, then set the pair up again.")
    if "invalid port" in plain:
        return Cause.PORT, said("Give the pair a port number; Portworx listens on 9001.")
    if re.search(r"no such host|connection refused|no route to host|i/o timeout|timed out|deadline exceeded", plain):
        return Cause.ENDPOINT, (
            said("Choose another way to the destination's Portworx, or open ports 9001 and 9010 between the clusters.")
        )
    if re.search(r"x509|tls:|certificate|connection reset by peer|malformed http", plain):
        return Cause.TLS, said(
            "Write https:// or http:// before the endpoint's host, as the destination's Portworx speaks."
        )
    return Cause.OTHER, said("Read the events of the ClusterPair and Stork's log on the source.")


FAILURES = {
    Cause.TOKEN: said("the destination does not accept the token"),
    Cause.CREDENTIAL_NAME: said("Portworx does not find credentials of the name that it looks for"),
    Cause.KEYS: said("the object store does not accept the key pair"),
    Cause.PORT: said("the port is not a number"),
    Cause.ENDPOINT: said("the endpoint of the destination cannot be reached from the source"),
    Cause.TLS: said("the two sides do not agree on TLS"),
}


def _unpaired(cause: Cause) -> Text:
    if cause not in FAILURES:
        return said("Portworx could not be paired.")
    return said("Portworx could not be paired: {why}.", why=FAILURES[cause])
