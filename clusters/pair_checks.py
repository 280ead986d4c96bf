"""Whether two clusters and a store fit together, from what the last checks of each found."""

from __future__ import annotations

import re

from clusters.kube.checks import Check
from clusters.models import Cluster, ClusterPair, Engine, Health, ObjectStore, PairingJob, PortworxPairing
from clusters.texts import NOTHING, as_it_is, said, sentences


def checks_of_pair(pair: ClusterPair) -> list[Check]:
    """The checks of the pair; nothing is asked over the network."""
    parts = [
        _part("source", pair.source),
        _part("destination", pair.destination),
        _part("object-store", pair.object_store),
        _different(pair),
        _versions(pair),
    ]
    if pair.engine == Engine.PORTWORX:
        return [
            *parts,
            _portworx(pair.source, "portworx-source"),
            _portworx(pair.destination, "portworx-destination"),
            _pairing(pair),
        ]
    return [*parts, _rights(pair.source, "source"), _rights(pair.destination, "destination"), _storage_classes(pair)]


def _part(code: str, part: Cluster | ObjectStore) -> Check:
    named = {"name": part.name}
    if isinstance(part, ObjectStore) and not part.is_s3:
        return Check(code, "skipped", said("{name} is tried by Portworx itself, when the pair is set up.", **named))
    if part.health == Health.FAILING:
        first = next((check["message"] for check in part.checks if check["status"] == "failure"), NOTHING)
        return Check(
            code, "failure", sentences(said("{name} fails its checks.", **named), first), said("Look at its checks.")
        )
    if part.health == Health.UNKNOWN:
        return Check(code, "warning", said("{name} has not been checked.", **named), said("Run the checks."))
    return Check(code, "ok", said("{name} can be used.", **named))


def is_same_cluster(pair: ClusterPair) -> bool:
    """Whether both ends are known to be one cluster, reached in two ways."""
    return bool(pair.source.identity) and pair.source.identity == pair.destination.identity


def _different(pair: ClusterPair) -> Check:
    code = "different-clusters"
    named = {"source": pair.source.name, "destination": pair.destination.name}
    if is_same_cluster(pair):
        return Check(
            code,
            "failure",
            said("{source} and {destination} are the same cluster.", **named),
            said("Give one of them the kubeconfig of another cluster."),
        )
    if not (pair.source.identity and pair.destination.identity):
        return Check(code, "skipped", said("Not known, because the namespace kube-system could not be read on both."))
    return Check(code, "ok", said("{source} and {destination} are different clusters.", **named))


def _portworx(cluster: Cluster, code: str) -> Check:
    """Portworx, Stork and the rights to use them, by the cluster's own checks."""
    codes = ("portworx", "stork", "permissions-portworx")
    found = [check for check in cluster.checks if check["code"] in codes]
    bad = next((check for check in found if check["status"] != "ok"), None)
    named = {"name": cluster.name}
    if bad is not None:
        return Check(
            code, "failure", said("{name}: {why}", name=cluster.name, why=bad["message"]), as_it_is(bad["remedy"])
        )
    if not cluster.can_migrate_with_portworx:
        message = said("No Portworx that can migrate is known on {name}.", **named)
        return Check(code, "failure", message, said("Check the cluster again."))
    return Check(code, "ok", said("Portworx and Stork of {name} can migrate.", **named))


def _pairing(pair: ClusterPair) -> Check:
    """What Stork said of the ClusterPair when somebody last looked."""
    code = "clusterpair"
    pairing: PortworxPairing | None = getattr(pair, "portworx", None)
    is_taken_down = pairing is not None and pairing.job == PairingJob.TEAR_DOWN and not pairing.storage_status
    if pairing is None or pairing.looked_at is None or is_taken_down:
        return Check(code, "warning", said("The clusters are not paired yet."), said("Set the pair up."))
    named = {
        "name": str(pairing),
        "storage": pairing.storage_status or said("blank"),
        "scheduler": pairing.scheduler_status or said("blank"),
    }
    stands = said("ClusterPair {name}: storage {storage}, scheduler {scheduler}.", **named)
    if pairing.is_ready:
        return Check(code, "ok", stands)
    return Check(code, "failure", stands, said("The steps of the pairing say why, and what to do."))


def _versions(pair: ClusterPair) -> Check:
    """Objects keep the API versions that the source names; an older or plainer destination may not serve them."""
    code = "versions"
    source, destination = _minor(pair.source.version), _minor(pair.destination.version)
    if source is None or destination is None:
        return Check(code, "skipped", said("Not known, because an earlier check failed."))
    named = {"source": pair.source.version, "destination": pair.destination.version}
    if pair.source.distribution == "OpenShift" != pair.destination.distribution:
        return Check(
            code,
            "warning",
            said("The source is OpenShift and the destination is not."),
            said("Routes and other kinds of OpenShift cannot go there; a migration says which objects these are."),
        )
    if destination < source:
        return Check(
            code,
            "warning",
            said("The destination runs {destination}, which is older than the source's {source}.", **named),
            said("What is of an API version that it does not serve yet cannot go there. Upgrade it first."),
        )
    return Check(code, "ok", said("{source} and {destination} go together.", **named))


def _minor(version: str) -> int | None:
    found = re.match(r"v?1\.(\d+)", version)
    return int(found[1]) if found else None


def _rights(cluster: Cluster, side: str) -> Check:
    code = f"permissions-{side}"
    found = next((check for check in cluster.checks if check["code"] == code), None)
    if found is None or found["status"] == "skipped":
        return Check(code, "skipped", said("Not known, because an earlier check failed."))
    if found["status"] == "ok":
        return Check(code, "ok", as_it_is(found["message"]))
    return Check(code, "failure", as_it_is(found["message"]), as_it_is(found["remedy"]))


def _storage_classes(pair: ClusterPair) -> Check:
    code = "storage-class-mapping"
    source = {row["name"] for row in pair.source.storage_classes}
    destination = {row["name"] for row in pair.destination.storage_classes}
    if not destination:
        return Check(code, "skipped", said("Not known, because the destination's classes are not."))
    mapping = pair.storage_class_mapping
    missing = sorted({name for name in mapping.values() if name not in destination})
    if missing:
        return Check(
            code,
            "failure",
            said("The destination has no storage class {names}.", names=missing),
            said("Map to one of: {names}.", names=sorted(destination)),
        )
    unmapped = sorted(name for name in source & _in_use(pair.source) if name not in mapping and name not in destination)
    if unmapped:
        return Check(
            code,
            "warning",
            said("Classes of the source have no counterpart: {names}.", names=unmapped),
            said("Map them to classes of the destination, if volumes that will migrate use them."),
        )
    return Check(code, "ok", said("Every storage class that volumes of the source use has a counterpart."))


def _in_use(cluster: Cluster) -> set[str]:
    """The classes that claims use, or may use where that is not known."""
    return {row["name"] for row in cluster.storage_classes if row.get("claims") != 0}
