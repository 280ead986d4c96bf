"""What is fine about a cluster and what is not, each with what to do about it.

The checks build on each other: after one that failed, those that need it are skipped rather than failing as well.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from clusters.kube import errors, permissions
from clusters.kube.connection import Connection
from clusters.kube.kubeconfig import Kubeconfig
from clusters.texts import NOTHING, Text, as_it_is, counted, said

OLDEST_MINOR = 26
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# In the order in which they are made and shown.
CODES = (
    "reachable",
    "tls",
    "authentication",
    "version",
    "permissions-source",
    "permissions-destination",
    "storage-classes",
    "nodes",
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `remedy` says what to do, and is empty where nothing needs doing."""

    code: str
    status: Literal["ok", "warning", "failure", "skipped"]
    message: Text
    remedy: Text = NOTHING

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass
class Report:
    """The checks of a cluster, and what was learned about it on the way."""

    checks: list[Check] = field(default_factory=list)
    version: str = ""
    distribution: str = ""
    # The uid of kube-system, the same for every way to the cluster; empty where it may not be read.
    identity: str = ""
    storage_classes: list[dict[str, Any]] = field(default_factory=list)


def check_cluster(kubeconfig: Kubeconfig) -> Report:
    """Look at the cluster that the kubeconfig leads to. Takes some seconds; never raises for what the cluster does."""
    report = Report()
    try:
        connection = Connection(kubeconfig)
    except errors.Invalid as error:
        report.checks.append(Check("tls", "failure", error.message, said("Give the cluster a new kubeconfig.")))
    else:
        with connection:
            for check in _checks(connection, report):
                report.checks.append(check)
    done = {check.code for check in report.checks}
    report.checks += [skipped(code) for code in CODES if code not in done]
    return report


def skipped(code: str) -> Check:
    """A check that could not be made because an earlier one failed."""
    return Check(code, "skipped", said("Not checked, because an earlier check failed."))


def _checks(connection: Connection, report: Report) -> Iterator[Check]:
    """Yields until something fails on which the rest depends."""
    try:
        version = connection.version()
    except errors.Untrusted as error:
        yield Check("reachable", "ok", said("Something listens at {server}.", server=connection.server))
        yield Check("tls", "failure", error.message, said("Check certificate-authority-data and the server's name."))
        return
    except errors.Unauthorized as error:
        yield from _answers(connection)
        yield _unauthenticated(error.message)
        return
    except errors.Forbidden:
        yield from _answers(connection)
        yield _unauthenticated(said("The cluster answers, but treats the credentials as nobody's."))
        return
    except errors.KubeError as error:
        yield Check("reachable", "failure", error.message, said("Check the server address, and the network to it."))
        return
    minor = _minor(version)
    if minor is None:
        message = said("{server} answers, but not as a Kubernetes API server does.", server=connection.server)
        yield Check("reachable", "failure", message, said("Check the server address in the kubeconfig."))
        return
    yield from _answers(connection)
    try:
        yield Check("authentication", "ok", _accepted(_user(connection)))
    except errors.KubeError as error:
        yield _unauthenticated(error.message)
        return
    report.version = str(version["gitVersion"])
    if minor < OLDEST_MINOR:
        message = said(
            "The cluster runs {version}; {oldest} is the oldest that is supported.",
            version=report.version,
            oldest=f"1.{OLDEST_MINOR}",
        )
        yield Check("version", "failure", message, said("Upgrade the cluster."))
        return
    try:
        report.distribution = _distribution(report.version, connection.discovery().groups())
        report.identity = _identity(connection)
        yield Check("version", "ok", as_it_is(f"{report.distribution} {report.version}."))
        allowed = permissions.Permissions(connection)
        yield _permissions("source", allowed.missing(permissions.SOURCE))
        yield _permissions("destination", allowed.missing(permissions.DESTINATION))
    except errors.KubeError as error:
        yield Check("permissions-source", "failure", error.message, said("Try again; it may pass."))
        return
    yield _storage_classes(connection, report)
    yield _nodes(connection)


def _answers(connection: Connection) -> Iterator[Check]:
    yield Check("reachable", "ok", said("The API server at {server} answers.", server=connection.server))
    yield Check("tls", "ok", said("Its certificate is trusted."))


def _accepted(user: str) -> Text:
    return said("The credentials are accepted as {user}.", user=user) if user else said("The credentials are accepted.")


def _unauthenticated(message: Text) -> Check:
    remedy = said("Make a new kubeconfig: for a service account, kubectl create token NAME --duration=8760h.")
    return Check("authentication", "failure", message, remedy)


def _minor(version: dict[str, Any]) -> int | None:
    found = re.match(r"v?1\.(\d+)", str(version.get("gitVersion", "")))
    return int(found[1]) if found else None


def _user(connection: Connection) -> str:
    """The account's name, where the cluster tells. Raises KubeError where the credentials are nobody's."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        answer = connection.json("POST", path, body=review, repeatable=True, what="ask who we are")
    except errors.NotFound:
        # Before 1.28 there is no such question; anonymous users may not ask about their permissions either.
        connection.can_i("list", "namespaces")
        return ""
    name = str(answer.get("status", {}).get("userInfo", {}).get("username", ""))
    if name == "system:anonymous":
        raise errors.Unauthorized(said("The cluster treats the credentials as nobody's: they are not of this cluster."))
    return name


def _distribution(version: str, groups: set[str]) -> str:
    """Whose Kubernetes it is, as far as it shows."""
    if "config.openshift.io" in groups or "route.openshift.io" in groups:
        return "OpenShift"
    for sign, name in (("-eks-", "EKS"), ("-gke.", "GKE"), ("+k3s", "K3s"), ("+rke2", "RKE2"), ("+k0s", "k0s")):
        if sign in version:
            return name
    return "Kubernetes"


def _identity(connection: Connection) -> str:
    try:
        return str(connection.get("namespaces", "kube-system")["metadata"]["uid"])
    except (errors.Forbidden, errors.NotFound):
        return ""


def _permissions(side: str, missing: list[permissions.Need]) -> Check:
    code = f"permissions-{side}"
    if not missing:
        if side == "source":
            return Check(code, "ok", said("The account may do all that a source of migrations needs."))
        return Check(code, "ok", said("The account may do all that a destination of migrations needs."))
    first = missing[0]
    needs = "; ".join(str(need) for need in missing)
    return Check(
        code,
        "warning",
        said(
            "The account lacks permissions to be the source of a migration, such as {first} ({why}).",
            first=first,
            why=first.why,
        )
        if side == "source"
        else said(
            "The account lacks permissions to be the destination of a migration, such as {first} ({why}).",
            first=first,
            why=first.why,
        ),
        said("Bind a ClusterRole to the account that also allows: {needs}.", needs=needs),
    )


def _storage_classes(connection: Connection, report: Report) -> Check:
    try:
        rows = list(connection.list("storageclasses.storage.k8s.io"))
    except errors.KubeError as error:
        remedy = said("Allow the verbs get and list on storageclasses.storage.k8s.io, so that classes can be mapped.")
        return Check("storage-classes", "warning", error.message, remedy)
    used = _claims_by_class(connection)
    report.storage_classes = [
        {
            "name": row["metadata"]["name"],
            "provisioner": row.get("provisioner", ""),
            "default": (row["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true",
            "binding_mode": row.get("volumeBindingMode", "Immediate"),
            "reclaim_policy": row.get("reclaimPolicy", "Delete"),
            "expandable": bool(row.get("allowVolumeExpansion", False)),
            "claims": None if used is None else used[row["metadata"]["name"]],
        }
        for row in sorted(rows, key=lambda row: str(row["metadata"]["name"]))
    ]
    if not report.storage_classes:
        return Check(
            "storage-classes", "warning", said("There is no storage class."), said("Without one no volume can be made.")
        )
    names = [row["name"] for row in report.storage_classes]
    if not any(row["default"] for row in report.storage_classes):
        remedy = said("Map every class of the source by name, or mark one as the default.")
        return Check(
            "storage-classes", "warning", said("No storage class is the default ({names}).", names=names), remedy
        )
    return Check(
        "storage-classes",
        "ok",
        counted(len(names), "{n} storage class: {names}.", "{n} storage classes: {names}.", names=names),
    )


def _claims_by_class(connection: Connection) -> Counter[str] | None:
    """How many claims each class has; None where claims may not be listed."""
    try:
        return Counter(row["spec"].get("storageClassName", "") for row in connection.list("persistentvolumeclaims"))
    except errors.KubeError:
        return None


def _nodes(connection: Connection) -> Check:
    try:
        nodes = list(connection.list("nodes"))
    except errors.KubeError as error:
        return Check(
            "nodes", "warning", error.message, said("Allow the verb list on nodes to see whether pods can run.")
        )
    ready = [node for node in nodes if _is_ready(node)]
    if not ready:
        return Check(
            "nodes",
            "failure",
            counted(len(nodes), "None of {n} node is ready.", "None of {n} nodes is ready."),
            said("Movers and applications cannot run."),
        )
    if len(ready) < len(nodes):
        waiting = [node["metadata"]["name"] for node in nodes if node not in ready]
        message = counted(
            len(nodes), "{ready} of {n} node is ready.", "{ready} of {n} nodes are ready.", ready=len(ready)
        )
        return Check(
            "nodes", "warning", message, said("Volumes on the others cannot be read: {waiting}.", waiting=waiting)
        )
    return Check("nodes", "ok", counted(len(nodes), "{n} node, ready.", "{n} nodes, all ready."))


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
