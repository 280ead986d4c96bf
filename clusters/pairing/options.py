"""What is chosen for the Portworx part of a pair, and whether it can be."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext as _

from clusters.models import Cluster, ClusterPair, EndpointKind, PairMode, PortworxPairing
from clusters.portworx import clusterpair, endpoint
from clusters.texts import said, sentences
from clusters.translation import translated
from teams.refusals import Refusal

FIELDS = (
    "namespace",
    "object_name",
    "mode",
    "endpoint_kind",
    "endpoint_host",
    "endpoint_port",
    "with_backup_location",
    "both_directions",
)


def can_use_portworx(source: Cluster, destination: Cluster) -> bool:
    """Whether the last checks of both clusters found a Portworx and a Stork that can migrate."""
    return source.can_migrate_with_portworx and destination.can_migrate_with_portworx


def why_not(source: Cluster, destination: Cluster) -> str:
    """What keeps the two from using Portworx, by the checks of each; empty where nothing does."""
    for cluster in (source, destination):
        if cluster.can_migrate_with_portworx:
            continue
        found = [each for each in cluster.checks if each["code"] in ("portworx", "stork")]
        bad = [each["message"] for each in found if each["remedy"]]
        if not found:
            return _("The last checks found no Portworx on %(name)s. Check it again, or use the native engine.") % {
                "name": cluster.name
            }
        if not bad:
            return _("Portworx of %(name)s cannot migrate any more. Check the cluster again: it says why.") % {
                "name": cluster.name
            }
        return translated(said("{name}: {why}", name=cluster.name, why=sentences(*bad)))
    return ""


def default_name(destination: Cluster) -> str:
    """The destination's name as Kubernetes takes it."""
    plain = re.sub(r"[^a-z0-9-]+", "-", destination.name.lower()).strip("-")
    return plain or "destination"


def filled(pair: ClusterPair, pairing: PortworxPairing | None, given: dict[str, Any]) -> PortworxPairing:
    """The Portworx part of the pair with what is given; not saved. Raises Refusal that names each wrong field."""
    pairing = pairing or PortworxPairing(pair=pair, object_name=default_name(pair.destination))
    for field, value in given.items():
        if field in FIELDS:
            setattr(pairing, field, value.strip() if isinstance(value, str) else value)
    wrong = {name: [message] for name, message in _wrong(pair, pairing).items()}
    if wrong:
        raise Refusal(_("The pair's Portworx part cannot be as given."), errors=wrong)
    return pairing


def _wrong(pair: ClusterPair, pairing: PortworxPairing) -> dict[str, str]:
    wrong: dict[str, str] = {}
    for field, what in (("namespace", "Namespace"), ("object_name", "Name")):
        try:
            clusterpair.require_name(getattr(pairing, field), what)
        except ValueError as error:
            wrong[field] = str(error)
    if pairing.mode not in PairMode.values:
        wrong["mode"] = _("There is no such mode.")
    if pairing.endpoint_kind not in EndpointKind.values:
        wrong["endpoint_kind"] = _("There is no such kind of endpoint.")
    if pairing.endpoint_host:
        try:
            pairing.endpoint_host = endpoint.parse_host(pairing.endpoint_host)
        except ValueError as error:
            wrong["endpoint_host"] = str(error)
    if pairing.endpoint_port is not None and not 0 < pairing.endpoint_port < 65536:
        wrong["endpoint_port"] = _("A port is a number from 1 to 65535.")
    same = PortworxPairing.objects.filter(
        pair__source=pair.source, namespace=pairing.namespace, object_name=pairing.object_name
    ).exclude(pair_id=pair.pk)
    if (other := same.select_related("pair").first()) is not None:
        wrong["object_name"] = _("Pair %(name)s already uses this ClusterPair.") % {"name": other.pair.name}
    return wrong
