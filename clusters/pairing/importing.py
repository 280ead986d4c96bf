"""ClusterPairs that others made, by hand or with storkctl: found on a cluster, and made pairs of ours.

What can be known is taken from the object: where it leads, its options but for the token, its statuses. Its kubeconfig
and token stay in the cluster. An imported pair is marked, so that nothing of it is deleted or written anew unasked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actor import Actor
from audit.record import record
from clusters import pair_services
from clusters.connections import connect
from clusters.kube import errors
from clusters.models import Cluster, ClusterPair, Engine, ObjectStore, PairingJob, PairMode, PortworxPairing
from clusters.pairing import jobs
from clusters.portworx import clusterpair, endpoint, following
from clusters.portworx.following import PairState
from clusters.portworx.ownership import is_ours
from clusters.translation import translated
from teams.refusals import Conflict, Refusal, Unavailable

Object = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """A ClusterPair of a cluster. `destination` is the team's cluster that it leads to, `pair` ours that has it."""

    namespace: str
    name: str
    made_by_others: bool
    state: PairState
    destination: Cluster | None
    pair: ClusterPair | None

    @property
    def uid(self) -> str:
        return self.state.uid

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def found_on(cluster: Cluster) -> list[Found]:
    """Every ClusterPair of the cluster, by namespace and name. Raises Refusal, and Unavailable while it is away."""
    clusters = list(Cluster.objects.filter(team=cluster.team).exclude(pk=cluster.pk).defer("kubeconfig"))
    pairings = PortworxPairing.objects.filter(pair__source=cluster).select_related("pair")
    ours = {(each.namespace, each.object_name): each.pair for each in pairings}
    found = []
    for obj in _listed(cluster):
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        state = following.state_of(obj)
        found.append(
            Found(
                namespace=namespace,
                name=name,
                made_by_others=not is_ours(obj),
                state=state,
                destination=_destination(state, clusters),
                pair=ours.get((namespace, name)),
            )
        )
    return sorted(found, key=str)


def import_(
    cluster: Cluster, uid: str, *, name: str, destination: Cluster, object_store: ObjectStore, by: Actor
) -> ClusterPair:
    """A pair of ours for the ClusterPair with this uid; nothing is changed on the clusters, and it is looked at next.

    Raises Refusal where it is gone or cannot be a pair of ours, Conflict where one of ours has it, Unavailable.
    """
    found = next((each for each in found_on(cluster) if each.uid == uid), None)
    if found is None:
        raise Refusal(_("This ClusterPair is not on %(name)s any more.") % {"name": cluster.name})
    if found.pair is not None:
        raise Conflict(_("Pair %(name)s already uses this ClusterPair.") % {"name": found.pair.name})
    if found.destination is not None and found.destination != destination:
        message = _("The ClusterPair leads to %(name)s.") % {"name": found.destination.name}
        raise Refusal(message, errors={"destination": [message]})
    state = found.state
    with transaction.atomic():
        pair = pair_services.add(
            cluster.team,
            name=name,
            source=cluster,
            destination=destination,
            object_store=object_store,
            engine=Engine.PORTWORX,
            portworx={"namespace": found.namespace, "object_name": found.name, **_options_of(state)},
            by=by,
        )
        PortworxPairing.objects.filter(pair=pair).update(
            made_by_others=found.made_by_others,
            backup_location=state.options.get("backuplocation", ""),
            storage_status=state.storage_status,
            scheduler_status=state.scheduler_status,
            remote_storage_id=state.remote_storage_id,
            looked_at=timezone.now(),
        )
        record(by, "pair.import", pair, after={"clusterpair": str(found), "cluster": cluster.name})
    fresh = pair_services.keep_checks(pair)
    jobs.request(fresh, PairingJob.VALIDATE, by=by)
    return fresh


def suggested_name(found: Found) -> str:
    """A name for the pair: the ClusterPair's own, as far as it is one."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", found.name)[:63].strip("-") or "pair"


def _listed(cluster: Cluster) -> list[Object]:
    try:
        with connect(cluster) as connection:
            if connection.discovery().find(clusterpair.RESOURCE) is None:
                return []
            return list(connection.list(clusterpair.RESOURCE))
    except errors.KubeError as error:
        raise (Unavailable if isinstance(error, errors.RETRIABLE) else Refusal)(translated(error.message)) from None


def _destination(state: PairState, clusters: list[Cluster]) -> Cluster | None:
    """The cluster of the same Portworx, or at the same address."""
    by_storage = [
        each
        for each in clusters
        if state.remote_storage_id and each.portworx.get("cluster_uuid") == state.remote_storage_id
    ]
    by_server = [each for each in clusters if state.server and each.server.rstrip("/") == state.server]
    return next(iter([*by_storage, *by_server]), None)


def _options_of(state: PairState) -> Object:
    """The options as a pair of ours has them; what ours cannot say is left to its defaults."""
    given: Object = {"with_backup_location": bool(state.options.get("backuplocation"))}
    if (mode := state.options.get("mode", "")) in PairMode.values:
        given["mode"] = mode
    try:
        given["endpoint_host"] = endpoint.parse_host(state.options.get("ip", ""))
        given["endpoint_port"] = int(state.options.get("port", endpoint.PORT))
    except ValueError:
        given.pop("endpoint_host", None)
    return given
