"""What a look at a pair has at hand: both clusters, their Portworx, and the store's keys. Made anew for each look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from clusters.connections import connect
from clusters.foreign_stores import private_key
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import Cluster, ObjectStore, PairingJob, PortworxPairing, Provider
from clusters.pairing.jobs import ATTEMPTS, PAUSE_SECONDS, Progress
from clusters.pairing.steps import Code, Outcome, State
from clusters.portworx import clusterpair, following, pods
from clusters.portworx.credentials import AzureKeys, GoogleKeys, Keys, S3Keys
from clusters.portworx.discovery import Installation
from clusters.portworx.endpoint import Endpoint
from clusters.portworx.errors import PortworxError, PxctlError
from clusters.portworx.pods import Portworx
from clusters.texts import NOTHING, Text, said


def keys_of(store: ObjectStore) -> Keys:
    """The store's keys as Portworx wants them. It takes no prefix: Portworx keeps its own order in the bucket."""
    if store.provider == Provider.AZURE:
        return AzureKeys(store.account, store.secret_access_key, bucket=store.bucket)
    if store.provider == Provider.GOOGLE:
        return GoogleKeys(store.account, store.secret_access_key, bucket=store.bucket)
    endpoint = store.endpoint.partition("://")[2] if "://" in store.endpoint else store.endpoint
    return S3Keys(
        region=store.region,
        access_key=store.access_key_id,
        secret_key=store.secret_access_key,
        endpoint=endpoint,
        bucket=store.bucket,
        disable_ssl=store.endpoint.startswith("http://"),
        path_style=store.path_style,
    )


class Side:
    """One cluster, asked when it is needed."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.installation: Installation | None = None

    @cached_property
    def connection(self) -> Connection:
        return connect(self.cluster)

    @cached_property
    def portworx(self) -> Portworx:
        return pods.find(self.connection)

    @property
    def uuid(self) -> str:
        assert self.installation is not None
        return self.installation.cluster_uuid

    def close(self) -> None:
        if "connection" in self.__dict__:
            self.connection.close()


@dataclass
class Way:
    """One direction: from whose cluster volumes go, and to whose."""

    origin: Side
    target: Side
    name: str
    is_back: bool = False
    token: str = field(default="", repr=False)
    endpoint: Endpoint | None = None
    document: dict[str, Any] = field(default_factory=dict, repr=False)


class Work:
    """Everything for one look. Use it as a context manager."""

    def __init__(self, pairing: PortworxPairing) -> None:
        pair = pairing.pair
        self.pairing = pairing
        self.source, self.destination = Side(pair.source), Side(pair.destination)
        self.forth = Way(self.source, self.destination, pairing.object_name)
        self.back = Way(self.destination, self.source, pairing.object_name, is_back=True)

    @cached_property
    def keys(self) -> Keys:
        return keys_of(self.pairing.pair.object_store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.close()
        self.destination.close()

    def scrubbed(self, text: str) -> str:
        """The text without anything secret that passed through our hands."""
        store = self.pairing.pair.object_store
        secrets = [store.secret_access_key, store.access_key_id, self.forth.token, self.back.token]
        if store.provider == Provider.GOOGLE:
            # Line by line, for it may be told broken up.
            secrets += [line for line in private_key(store.secret_access_key).splitlines() if "-----" not in line]
        for secret in secrets:
            # Shorter ones are no secrets, and would be found in every other word.
            if len(secret) > 3:
                text = text.replace(secret, clusterpair.MASK)
        return text


@dataclass(frozen=True)
class Look:
    """One look at a pair that is set up or validated: how far its job has come, and what is at hand."""

    progress: Progress
    work: Work

    @property
    def pairing(self) -> PortworxPairing:
        return self.progress.pairing

    @property
    def repairs(self) -> bool:
        """Whether the job makes and repairs; a validation only looks."""
        return self.pairing.job == PairingJob.SET_UP


StepFunction = Callable[[], Outcome]


def run(progress: Progress, work: Work, plan: list[tuple[Code, StepFunction]]) -> float | None:
    """Take the steps in order; the seconds until the next look, or None when the job is over.

    A step that fails ends the job; one that has to wait ends the look; a cluster that does not answer is asked again a
    few times.
    """
    again: float | None = None
    for code, step in plan:
        progress.begin(code)
        try:
            outcome = step()
        except PortworxError as error:
            outcome = _refused(error)
        except errors.RETRIABLE as error:
            failures = progress.pairing.failures + 1
            progress.keep(failures=failures)
            if failures < ATTEMPTS:
                outcome = Outcome(State.WAITING, error.message, again=PAUSE_SECONDS)
            else:
                outcome = Outcome(
                    State.FAILURE, error.message, said("Look at the cluster and the network to it; try again.")
                )
        except errors.KubeError as error:
            outcome = Outcome(State.FAILURE, error.message, _remedy(error))
        progress.end(code, _scrubbed(work, outcome))
        if outcome.again is not None:
            again = outcome.again if again is None else min(again, outcome.again)
            if outcome.state == State.WAITING and code not in (Code.STATUS, Code.STATUS_BACK):
                return again
        elif outcome.state == State.FAILURE:
            progress.skip_rest()
            return None
    return again


def _refused(error: PortworxError) -> Outcome:
    """What the refusal means, where the words of pxctl are known; they stand beside it."""
    if not isinstance(error, PxctlError):
        return Outcome(State.FAILURE, error.message, error.remedy)
    cause, remedy = following.cause_of(error.said)
    if error.remedy or cause not in following.FAILURES:
        return Outcome(State.FAILURE, error.message, error.remedy, error.said)
    message = said("pxctl {command} failed: {why}.", command=error.command, why=following.FAILURES[cause])
    return Outcome(State.FAILURE, message, remedy, error.said, cause)


def _remedy(error: errors.KubeError) -> Text:
    if isinstance(error, errors.Forbidden):
        return said("Give the account these rights, and try again.")
    if isinstance(error, errors.Unauthorized | errors.Untrusted):
        return said("Give the cluster a new kubeconfig.")
    return NOTHING


def _scrubbed(work: Work, outcome: Outcome) -> Outcome:
    return Outcome(
        outcome.state,
        outcome.message.with_names(work.scrubbed),
        outcome.remedy,
        work.scrubbed(outcome.said),
        outcome.cause,
        outcome.again,
    )
