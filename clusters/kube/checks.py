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
    message: str
    remedy: str = ""

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
        report.checks.append(Check("tls", "failure", error.message, "Give the cluster a new kubeconfig."))
    else:
        with connection:
            for check in _checks(connection, report):
                report.checks.append(check)
    done = {check.code for check in report.checks}
    report.checks += [skipped(code) for code in CODES if code not in done]
    return report


def skipped(code: str) -> Check:
    """A check that could not be made because an earlier one failed."""
    return Check(code, "skipped", "Not checked, because an earlier check failed.")


def _checks(connection: Connection, report: Report) -> Iterator[Check]:
    """Yields until something fails on which the rest depends."""
    try:
        version = connection.version()
    except errors.Untrusted as error:
        yield Check("reachable", "ok", f"Something listens at {connection.server}.")
        yield Check("tls", "failure", error.message, "Check certificate-authority-data and the server's name.")
        return
    except errors.Unauthorized as error:
        yield from _answers(connection)
        yield _unauthenticated(error.message)
        return
    except errors.Forbidden:
        yield from _answers(connection)
        yield _unauthenticated("The cluster answers, but treats the credentials as nobody's.")
        return
    except errors.KubeError as error:
        yield Check("reachable", "failure", error.message, "Check the server address, and the network to it.")
        return
    minor = _minor(version)
    if minor is None:
        message = f"{connection.server} answers, but not as a Kubernetes API server does."
        yield Check("reachable", "failure", message, "Check the server address in the kubeconfig.")
        return
    yield from _answers(connection)
    try:
        yield Check("authentication", "ok", f"The credentials are accepted{_user(connection)}.")
    except errors.KubeError as error:
        yield _unauthenticated(error.message)
        return
    report.version = str(version["gitVersion"])
    if minor < OLDEST_MINOR:
        message = f"The cluster runs {report.version}; 1.{OLDEST_MINOR} is the oldest that is supported."
        yield Check("version", "failure", message, "Upgrade the cluster.")
        return
    try:
        report.distribution = _distribution(report.version, connection.discovery().groups())
        report.identity = _identity(connection)
        yield Check("version", "ok", f"{report.distribution} {report.version}.")
        allowed = permissions.Permissions(connection)
        yield _permissions("source", allowed.missing(permissions.SOURCE))
        yield _permissions("destination", allowed.missing(permissions.DESTINATION))
    except errors.KubeError as error:
        yield Check("permissions-source", "failure", error.message, "Try again; it may pass.")
        return
    yield _storage_classes(connection, report)
    yield _nodes(connection)


def _answers(connection: Connection) -> Iterator[Check]:
    yield Check("reachable", "ok", f"The API server at {connection.server} answers.")
    yield Check("tls", "ok", "Its certificate is trusted.")


def _unauthenticated(message: str) -> Check:
    remedy = "Make a new kubeconfig: for a service account, kubectl create token NAME --duration=8760h."
    return Check("authentication", "failure", message, remedy)


def _minor(version: dict[str, Any]) -> int | None:
    found = re.match(r"v?1\.(\d+)", str(version.get("gitVersion", "")))
    return int(found[1]) if found else None


def _user(connection: Connection) -> str:
    """` as NAME`. Raises KubeError where the credentials are nobody's."""
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
        raise errors.Unauthorized("The cluster treats the credentials as nobody's: they are not of this cluster.")
    return f" as {name}" if name else ""


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
        return Check(code, "ok", f"The account may do all that a {side} of migrations needs.")
    first = missing[0]
    needs = "; ".join(str(need) for need in missing)
    return Check(
        code,
        "warning",
        f"The account lacks permissions to be the {side} of a migration, such as {first} ({first.why}).",
        f"Bind a ClusterRole to the account that also allows: {needs}.",
    )


def _storage_classes(connection: Connection, report: Report) -> Check:
    try:
        rows = list(connection.list("storageclasses.storage.k8s.io"))
    except errors.KubeError as error:
        remedy = "Allow the verbs get and list on storageclasses.storage.k8s.io, so that classes can be mapped."
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
        return Check("storage-classes", "warning", "There is no storage class.", "Without one no volume can be made.")
    names = ", ".join(row["name"] for row in report.storage_classes)
    if not any(row["default"] for row in report.storage_classes):
        remedy = "Map every class of the source by name, or mark one as the default."
        return Check("storage-classes", "warning", f"No storage class is the default ({names}).", remedy)
    return Check("storage-classes", "ok", f"{len(report.storage_classes)} storage classes: {names}.")


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
        return Check("nodes", "warning", error.message, "Allow the verb list on nodes to see whether pods can run.")
    ready = [node for node in nodes if _is_ready(node)]
    if not ready:
        return Check("nodes", "failure", f"None of {len(nodes)} nodes is ready.", "Movers and applications cannot run.")
    if len(ready) < len(nodes):
        waiting = ", ".join(node["metadata"]["name"] for node in nodes if node not in ready)
        message = f"{len(ready)} of {len(nodes)} nodes are ready."
        return Check("nodes", "warning", message, f"Volumes on the others cannot be read: {waiting}.")
    return Check("nodes", "ok", f"{len(nodes)} nodes, all ready.")


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
