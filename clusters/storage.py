"""What a cluster's Portworx says when it is asked now: the volumes of claims, and credentials. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Q
from django.utils.translation import gettext as _

from clusters.connections import connect
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import Cluster, ClusterPair, Engine, PortworxPairing
from clusters.portworx import credentials, pods, volumes
from clusters.portworx.errors import PortworxError
from clusters.portworx.volumes import Claim
from clusters.texts import NOTHING, Text, said, sentences
from clusters.translation import translated
from teams.refusals import Refusal, Unavailable

ROWS_PER_PAGE = 50

Object = dict[str, Any]


@dataclass
class Volumes:
    """One page of the claims on Portworx volumes, each with its facts; `namespaces` are those that can be chosen.

    `problem` says why Portworx told nothing of the volumes, `unreadable` which kinds of objects may not be listed.
    """

    page: Page[Any]
    namespaces: list[str]
    objects: list[Object] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    problem: Text = NOTHING
    remedy: Text = NOTHING


def volumes_of(
    cluster: Cluster, *, namespaces: Iterable[str] = (), name: str = "", page: Any = 1, with_objects: bool = False
) -> Volumes:
    """The claims of the namespaces (of all without any) that are on Portworx volumes, with what `pxctl` says of each.

    `name` is part of the claim's name. `with_objects` adds what else is in the namespace, where exactly one is chosen.
    Only the volumes of the page are asked for. Raises Refusal where the cluster lets nobody look, and Unavailable.
    """
    chosen = sorted({each.strip() for each in namespaces} - {""})
    with _asked(cluster) as connection:
        existing = _existing(cluster, connection, chosen)
        places: list[str | None] = [*chosen] or [None]
        rows = [claim for each in places for claim in volumes.claims(connection, each)]
        wanted = [claim for claim in rows if claim.is_portworx and name.strip() in claim.name]
        shown: Page[Any] = Paginator(wanted, ROWS_PER_PAGE).get_page(page)
        found = Volumes(page=shown, namespaces=existing)
        if with_objects and len(chosen) == 1:
            there = volumes.objects(connection, chosen[0])
            found.objects, found.unreadable = there.rows, there.unreadable
        claims: list[Claim] = list(shown.object_list)
        if claims:
            found.problem, found.remedy = _inspected(connection, claims)
        nodes = cluster.portworx.get("nodes") or ()
        shown.object_list = [_row(claim, nodes) for claim in claims]
    return found


def objects_of(cluster: Cluster, namespace: str) -> volumes.Objects:
    """What is in the namespace, as `oc get all` shows it. Raises Refusal where there is none, and Unavailable."""
    with _asked(cluster) as connection:
        _existing(cluster, connection, [namespace])
        return volumes.objects(connection, namespace)


def _existing(cluster: Cluster, connection: Connection, chosen: list[str]) -> list[str]:
    """The names of the cluster's namespaces. Raises Refusal where a chosen one is not among them."""
    existing = sorted(row["metadata"]["name"] for row in connection.list("namespaces"))
    if missing := [each for each in chosen if each not in existing]:
        raise Refusal(
            _("%(cluster)s has no namespace %(names)s.") % {"cluster": cluster.name, "names": ", ".join(missing)}
        )
    return existing


def _inspected(connection: Connection, claims: list[Claim]) -> tuple[Text, Text]:
    """Add the facts to the claims; what keeps Portworx from telling them and what to do, empty where nothing does."""
    try:
        volumes.inspect(pods.find(connection), connection, claims)
    except PortworxError as error:
        return error.message, error.remedy
    except errors.Forbidden as error:
        return error.message, said("Allow the account the verb create on pods/exec in the namespace of Portworx.")
    except errors.KubeError as error:
        return error.message, NOTHING
    return NOTHING, NOTHING


def _row(claim: Claim, nodes: Iterable[Object]) -> Object:
    return {
        "namespace": claim.namespace,
        "claim": claim.name,
        "phase": claim.phase,
        "storage_class": claim.storage_class,
        "access_modes": claim.access_modes,
        "capacity": claim.capacity,
        "persistent_volume": claim.persistent_volume,
        "problem": claim.problem,
        "volume": volumes.facts(claim, nodes) or None,
    }


def credentials_of(cluster: Cluster) -> list[Object]:
    """The object-store credentials that the cluster's Portworx keeps, and which of the team's pairs need them.

    Raises Refusal with Portworx' own words where it does not tell them, and Unavailable.
    """
    with _asked(cluster) as connection:
        try:
            found = credentials.listed(pods.find(connection))
        except PortworxError as error:
            raise Refusal(translated(sentences(error.message, error.remedy))) from None
    users = _users(cluster)
    return [{**credentials.shown(each), "pairs": sorted(users.get(each.name, ()))} for each in found]


def _users(cluster: Cluster) -> dict[str, set[str]]:
    """The names of the team's pairs over this cluster by the name of the credentials that they need."""
    pairs = ClusterPair.objects.filter(Q(source=cluster) | Q(destination=cluster), engine=Engine.PORTWORX)
    found: dict[str, set[str]] = {}
    for pair in pairs.select_related("source", "destination", "portworx"):
        pairing: PortworxPairing | None = getattr(pair, "portworx", None)
        if pairing is None or pairing.with_backup_location:
            continue
        for target in (pair.destination, *([pair.source] if pairing.both_directions else ())):
            if uuid := target.portworx.get("cluster_uuid"):
                found.setdefault(credentials.name_for(uuid), set()).add(pair.name)
    return found


@contextmanager
def _asked(cluster: Cluster) -> Iterator[Connection]:
    try:
        with connect(cluster) as connection:
            yield connection
    except errors.KubeError as error:
        raise (Unavailable if isinstance(error, errors.RETRIABLE) else Refusal)(translated(error.message)) from None
