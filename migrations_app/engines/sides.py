"""The two clusters of a migration, and what their refusals mean for it.

Discovery is dear, and a look comes every second while volumes move, so connections are shared by all looks of this
process and renewed when they are old or the kubeconfig has changed.
"""

from __future__ import annotations

import hashlib
import shlex
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from clusters.connections import connect
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import Cluster, ClusterPair
from clusters.texts import Text, said
from migrations_app.engines import MigrationError, RetriableError
from migrations_app.models import Migration
from migrations_app.resources.preflight.facts import Facts, side_named

KEEP_SECONDS = 300.0

_kept: dict[uuid.UUID, tuple[float, str, Connection]] = {}
_lock = threading.Lock()


def connection_to(cluster: Cluster) -> Connection:
    """A connection to the cluster, for any thread. It is not to be closed by the caller. Raises KubeError."""
    fingerprint = hashlib.sha256(cluster.kubeconfig.encode()).hexdigest()
    now = time.monotonic()
    with _lock:
        for pk in [pk for pk, kept in _kept.items() if now - kept[0] >= KEEP_SECONDS]:
            del _kept[pk]
        found = _kept.get(cluster.pk)
        if found is not None and found[1] == fingerprint:
            return found[2]
    made = connect(cluster)
    with _lock:
        _kept[cluster.pk] = (now, fingerprint, made)
    # The former one is left to whoever still uses it; its sockets close with the last reference.
    return made


@dataclass(frozen=True)
class Side:
    """One of the two clusters in its role: source or destination."""

    cluster: Cluster
    role: str

    def __str__(self) -> Text:
        return side_named(self.role, self.cluster.name)

    def namespaces(self, migration: Migration) -> tuple[str, ...]:
        """The migration's namespaces as they are called on this side."""
        spec = migration.spec()
        return spec.namespaces if self.role == "source" else spec.destination_namespaces()

    @property
    def kubectl(self) -> str:
        """How a command begins that asks this cluster: contexts are named like the clusters."""
        return f"kubectl --context {shlex.quote(self.cluster.name)}"

    def facts(self) -> Facts:
        """The cluster's facts for a preflight, in which no migration has begun."""
        return Facts(partial(self.asked, at_first=True), self.role, self.cluster.name)

    @contextmanager
    def asked(self, *, at_first: bool = False) -> Iterator[Connection]:
        """The connection; what fails in the block becomes what it means for the migration, and names the side.

        Credentials or a CA that are not accepted end a migration that has not begun (`at_first`); later on they are
        waited for, because somebody may renew them in the cluster's settings.
        """
        try:
            yield connection_to(self.cluster)
        except (*errors.RETRIABLE, errors.Conflict, errors.Expired) as error:
            raise RetriableError(self._said(error)) from error
        except (errors.Unauthorized, errors.Untrusted) as error:
            failure = MigrationError if at_first else RetriableError
            raise failure(self._said(error)) from error
        except errors.KubeError as error:
            raise MigrationError(self._said(error)) from error

    def _said(self, error: errors.KubeError) -> Text:
        if self.role == "source":
            return said("Source cluster {name}: {why}", name=self.cluster.name, why=error.message)
        return said("Destination cluster {name}: {why}", name=self.cluster.name, why=error.message)


def source_of(pair: ClusterPair) -> Side:
    return Side(pair.source, "source")


def destination_of(pair: ClusterPair) -> Side:
    return Side(pair.destination, "destination")


def both_sides(pair: ClusterPair) -> tuple[Side, Side]:
    """Source and destination."""
    return source_of(pair), destination_of(pair)


def side_of(pair: ClusterPair, direction: str) -> Side:
    """Where volumes are read (`push`) or written (`pull`)."""
    return source_of(pair) if direction == "push" else destination_of(pair)
