"""The ClusterPair of a pair: generated, written to the cluster it starts from, or compared with what is there."""

from __future__ import annotations

from typing import Any

from clusters.kube import errors
from clusters.pairing.objects import differences, ensure_namespace, is_as_wanted, wait_until_gone
from clusters.pairing.steps import Outcome, State
from clusters.pairing.work import Look, Way
from clusters.portworx import clusterpair, following
from clusters.portworx.ownership import MANAGED_BY, is_ours
from clusters.texts import NOTHING, said, sentences


def document(look: Look, way: Way) -> Outcome:
    """The ClusterPair as `storkctl generate clusterpair` writes it, with its options."""
    assert way.endpoint is not None
    way.document = clusterpair.generate(
        way.target.cluster.kubeconfig,
        name=way.name,
        namespace=look.pairing.namespace,
        origin=f"{way.target.cluster.name}.kubeconfig",
        options=clusterpair.options_for(
            host=way.endpoint.host,
            port=way.endpoint.port,
            token=way.token,
            mode=look.pairing.mode,
            backup_location=look.pairing.location_name,
        ),
    )
    way.document["metadata"]["labels"] = dict(MANAGED_BY)
    return Outcome(
        State.OK,
        said(
            "ClusterPair {namespace}/{name} for {target}.",
            namespace=look.pairing.namespace,
            name=way.name,
            target=way.target.cluster.name,
        ),
    )


def applied(look: Look, way: Way) -> Outcome:
    """The ClusterPair on the origin, as wanted."""
    connection, namespace = way.origin.connection, look.pairing.namespace
    if way.is_back:
        document(look, way)
    try:
        present = connection.get(clusterpair.RESOURCE, way.name, namespace)
    except errors.NotFound:
        present = None
    is_others = present is not None and not is_ours(present)
    if not way.is_back:
        look.progress.keep(made_by_others=is_others)
    if not look.repairs:
        return _looked_at(look, present, way)
    options = look.pairing.job_options
    if is_others and not options.get("take_over"):
        return Outcome(
            State.FAILURE,
            said(
                "ClusterPair {namespace}/{name} on {origin} was made by others.",
                namespace=namespace,
                name=way.name,
                origin=way.origin.cluster.name,
            ),
            said("Set the pair up and say that it is taken over, or choose another name in the pair's settings."),
            cause=following.Cause.OTHERS,
        )
    ensure_namespace(way.origin, namespace, may_make=way.is_back)
    wanted = clusterpair.to_apply(way.document)
    # Portworx may hold on to credentials that were deleted, so that new ones want a new pair.
    is_stale = bool(options.get("replace_credentials"))
    if present is not None and not is_others and not is_stale and is_as_wanted(present, wanted):
        return Outcome(
            State.OK,
            said("ClusterPair {namespace}/{name} is there as wanted.", namespace=namespace, name=way.name),
        )
    if present is not None and (present.get("status") or {}).get("storageStatus") == following.READY:
        # Stork never pairs again what was Ready once; a new token or address needs a new object.
        connection.delete(clusterpair.RESOURCE, way.name, namespace, uid=present["metadata"]["uid"])
        wait_until_gone(way, namespace)
    connection.apply(wanted, force=True)
    values = {"namespace": namespace, "name": way.name, "origin": way.origin.cluster.name}
    if present is None:
        return Outcome(State.OK, said("ClusterPair {namespace}/{name} created on {origin}.", **values))
    return Outcome(State.OK, said("ClusterPair {namespace}/{name} changed on {origin}.", **values))


def _looked_at(look: Look, present: dict[str, Any] | None, way: Way) -> Outcome:
    """Whether what is there leads where the pair says, as the pair says."""
    named = f"ClusterPair {look.pairing.namespace}/{way.name}"
    if present is None:
        message = said("There is no {named} on {origin}.", named=named, origin=way.origin.cluster.name)
        return Outcome(State.FAILURE, message, said("Set the pair up."))
    server = following.state_of(present).server
    if server != way.target.connection.server:
        message = said("{named} leads to {server}.", named=named, server=server or said("no API server"))
        remedy = said(
            "The pair's destination is at {server}. Set the pair up, or choose its own.",
            server=way.target.connection.server,
        )
        return Outcome(State.WARNING, message, remedy)
    whose = NOTHING if is_ours(present) else said("It was made by others.")
    if different := differences(present, way.document):
        message = sentences(
            said("{named} is not as the pair says: {differences}.", named=named, differences=different), whose
        )
        return Outcome(State.WARNING, message, said("Set the pair up to write it anew, or change the pair's settings."))
    return Outcome(
        State.OK,
        sentences(said("{named} is on {origin}.", named=named, origin=way.origin.cluster.name), whose),
    )
