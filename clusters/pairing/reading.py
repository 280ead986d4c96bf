"""What is read of both clusters for a pair: Portworx and Stork, the UUID, the token, and the endpoint that answers."""

from __future__ import annotations

from clusters.models import Cluster
from clusters.pairing.objects import token_of, ways_to
from clusters.pairing.steps import Outcome, State
from clusters.pairing.work import Look, Way
from clusters.portworx import discovery, following, pxctl
from clusters.portworx import endpoint as endpoints
from clusters.texts import as_it_is, said, sentences


def clusters(look: Look) -> Outcome:
    """Both have a Portworx and a Stork that can migrate, and are not one and the same."""
    words = []
    for side in (look.work.source, look.work.destination):
        found = side.installation = discovery.discover(side.connection)
        Cluster.objects.filter(pk=side.cluster.pk).update(portworx=found.to_dict())
        side.cluster.portworx = found.to_dict()
        if not found.can_migrate():
            bad = [each for each in discovery.checks(found) if each.status != "ok"]
            message = bad[0].message if bad else said("There is no Portworx here.")
            remedy = bad[0].remedy if bad else said("Install Portworx and Stork, or use the native engine.")
            return Outcome(State.FAILURE, said("{name}: {why}", name=side.cluster.name, why=message), remedy)
        words.append(
            said(
                "{side}: Portworx {version}, Stork {stork_version}",
                side=side.cluster.name,
                version=found.version,
                stork_version=found.stork.version,
            )
        )
    if look.work.source.uuid == look.work.destination.uuid:
        message = said("Source and destination are one Portworx cluster.")
        return Outcome(State.FAILURE, message, said("A pair needs two. Choose another destination."))
    return Outcome(State.OK, said("{both}.", both=words))


def uuid(look: Look) -> Outcome:
    """The UUID that names the credentials."""
    return Outcome(State.OK, as_it_is(look.work.destination.uuid))


def token(look: Look, way: Way) -> Outcome:
    """The token is read anew each time and kept nowhere but in the ClusterPair."""
    way.token = pxctl.token(way.target.portworx.pxctl("cluster", "token", "show"))
    if not look.repairs:
        kept = token_of(way, look.pairing.namespace)
        if kept and kept != way.token:
            return Outcome(
                State.WARNING,
                said(
                    "{target} has another token than the one in the ClusterPair. Stork does not notice as long "
                    "as the pair is Ready.",
                    target=way.target.cluster.name,
                ),
                said("Set the pair up again, so that it gets the new token."),
                cause=following.Cause.TOKEN,
            )
    return Outcome(State.OK, said("{number} characters; it is not kept here.", number=len(way.token)))


def endpoint(look: Look, way: Way) -> Outcome:
    """Where the target's Portworx is reached, tried from the origin's."""
    pairing = look.pairing
    # What was typed in by hand is the destination's; the way back has to find its own.
    host, port = ("", None) if way.is_back else (pairing.endpoint_host, pairing.endpoint_port)
    kind = endpoints.Kind(pairing.endpoint_kind) if pairing.endpoint_kind else None
    found = ways_to(way, is_needed=not host)
    taken = endpoints.take(way.origin.portworx, endpoints.choices(found, kind=kind, host=host, port=port))
    way.endpoint, reach = taken.endpoint, taken.reach
    if not way.is_back:
        rows = [{"kind": each.kind.value, "host": each.host, "port": each.port} for each in found]
        look.progress.keep(endpoint=str(way.endpoint), endpoint_reason=taken.reason, endpoints=rows)
    if reach.reached is False:
        _cause, remedy = following.cause_of("connection refused")
        message = said(
            "{endpoint} cannot be reached from {origin}. {reason}",
            endpoint=way.endpoint,
            origin=way.origin.cluster.name,
            reason=taken.reason,
        )
        return Outcome(State.FAILURE, message, remedy, reach.message, following.Cause.ENDPOINT)
    if reach.reached is None:
        message = sentences(said("{endpoint}: {why}", endpoint=way.endpoint, why=reach.message), taken.reason)
        return Outcome(State.WARNING, message, said("Stork's pairing will show it."))
    return Outcome(
        State.OK,
        said(
            "{endpoint} ({kind}) answers. {reason}",
            endpoint=way.endpoint,
            kind=way.endpoint.kind.value,
            reason=taken.reason,
        ),
    )
