"""What adds, changes, checks and removes clusters. Pages and API call these; the rules are in `saving`."""

from __future__ import annotations

from typing import Any

from django.db import models

from audit.actor import Actor
from audit.record import record
from clusters.addresses import AddressRefusedError, require_allowed
from clusters.connections import connect
from clusters.kube import checks, errors, kubeconfig
from clusters.kube.checks import Check
from clusters.kube.client import tls_context
from clusters.kube.connection import Connection
from clusters.models import Cluster, ClusterPair
from clusters.portworx import discovery as portworx_discovery
from clusters.saving import keep, remove_unused, saving, usable_name
from clusters.texts import as_it_is, said
from clusters.translation import translated
from teams.models import Team
from teams.refusals import Refusal, Unavailable


def add(team: Team, *, name: str, kubeconfig: str, description: str = "", by: Actor) -> Cluster:
    """A new cluster, checked. Raises Refusal for a kubeconfig that cannot be used, Conflict for a taken name."""
    cluster = Cluster(team=team, created_by=by.user, description=description.strip())
    cluster.name = usable_name(Cluster, team, name)
    cluster.kubeconfig, cluster.server = _usable_kubeconfig(kubeconfig)
    with saving(cluster):
        cluster.save()
        record(by, "cluster.add", cluster, after=cluster.to_audit())
    return look_at(cluster)


def update(cluster: Cluster, *, by: Actor, **changed: Any) -> Cluster:
    """Change name, description or kubeconfig (an empty one keeps the old), and check anew. Raises as add."""
    before = cluster.to_audit()
    if "name" in changed:
        cluster.name = usable_name(Cluster, cluster.team, changed["name"], but=cluster)
    if "description" in changed:
        cluster.description = changed["description"].strip()
    fields = ["name", "description"]
    renewed = bool((changed.get("kubeconfig") or "").strip())
    if renewed:
        cluster.kubeconfig, cluster.server = _usable_kubeconfig(changed["kubeconfig"])
        # It may lead to another cluster; the check that follows says to which.
        cluster.identity = ""
        fields += ["kubeconfig", "server", "identity"]
    with saving(cluster):
        cluster.save(update_fields=fields)
        after = cluster.to_audit() | ({"kubeconfig": "replaced"} if renewed else {})
        record(by, "cluster.change", cluster, before=before, after=after)
    return look_at(cluster) if renewed else cluster


def check(cluster: Cluster, *, by: Actor) -> Cluster:
    """Ask the cluster anew how it is."""
    before = cluster.health
    look_at(cluster)
    record(by, "cluster.check", cluster, before={"health": before}, after={"health": cluster.health})
    return cluster


def remove(cluster: Cluster, *, by: Actor) -> None:
    """Forget the cluster; nothing happens on it. Raises Conflict while a pair uses it."""
    pairs = ClusterPair.objects.filter(models.Q(source=cluster) | models.Q(destination=cluster))
    remove_unused(cluster, "cluster.remove", pairs, by)


def namespaces_of(cluster: Cluster) -> list[str]:
    """The names of the cluster's namespaces, in order. Raises Refusal where it cannot be asked."""
    try:
        with connect(cluster) as connection:
            return sorted(row["metadata"]["name"] for row in connection.list("namespaces"))
    except errors.KubeError as error:
        raise (Unavailable if isinstance(error, errors.RETRIABLE) else Refusal)(translated(error.message)) from None


def _usable_kubeconfig(text: str) -> tuple[str, str]:
    """The kubeconfig as given, and its server."""
    try:
        found = kubeconfig.parse(text)
        require_allowed(found.server)
        tls_context(found)
    except (kubeconfig.KubeconfigError, AddressRefusedError) as error:
        raise Refusal(str(error), errors={"kubeconfig": [str(error)]}) from None
    except errors.Invalid as error:
        message = translated(error.message)
        raise Refusal(message, errors={"kubeconfig": [message]}) from None
    return text, found.server


def look_at(cluster: Cluster) -> Cluster:
    try:
        config = kubeconfig.parse(cluster.kubeconfig)
        require_allowed(config.server)
        report = checks.check_cluster(config)
        cluster.portworx = _look_at_portworx(config, report) or cluster.portworx
    except (kubeconfig.KubeconfigError, AddressRefusedError) as error:
        remedy = said("Give the cluster a new kubeconfig.")
        report = checks.Report([Check("reachable", "failure", as_it_is(error), remedy)])
    if report.version:
        # What was learned earlier stays while the cluster is out of reach.
        cluster.version = report.version
        cluster.distribution = report.distribution
        cluster.storage_classes = report.storage_classes
        cluster.identity = report.identity or cluster.identity
    learned = ("version", "distribution", "storage_classes", "identity", "portworx")
    return keep(cluster, report.checks, *learned)


def _look_at_portworx(config: kubeconfig.Kubeconfig, report: checks.Report) -> dict[str, Any] | None:
    """What the cluster has of Portworx and Stork, its checks added to the report; None while it is out of reach."""
    if not report.version:
        return None
    try:
        with Connection(config) as connection:
            found = portworx_discovery.discover(connection)
            report.checks += portworx_discovery.checks(found)
            if found.is_present:
                report.checks.append(portworx_discovery.permissions_check(connection))
    except errors.KubeError:
        # The checks before it say what is wrong with the cluster; whoever may not list pods has no Portworx to use.
        return None
    return found.to_dict() if found.is_present or found.stork.is_present else {"is_present": False}
