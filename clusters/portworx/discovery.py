"""What a cluster has of Portworx and Stork, and whether it can migrate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from clusters.kube import errors
from clusters.kube.checks import Check
from clusters.kube.connection import Connection
from clusters.kube.permissions import Need, Permissions
from clusters.portworx import pods, pxctl, status
from clusters.portworx.errors import PortworxError, PxctlError, UnreadableError
from clusters.portworx.migration import ADMIN_NAMESPACE
from clusters.portworx.pods import Portworx
from clusters.texts import NOTHING, Text, counted, said

STORK_GROUP = "stork.libopenstorage.org"
STORK_LABEL = "name=stork"
NEEDED_KINDS = ("ClusterPair", "Migration")
SECONDS = 20.0

Object = dict[str, Any]


@dataclass
class Stork:
    """The Stork of a cluster. `kinds` are those of its group that the cluster serves."""

    is_present: bool = False
    version: str = ""
    namespace: str = ""
    admin_namespace: str = ADMIN_NAMESPACE
    replicas: int = 0
    ready: int = 0
    kinds: list[str] = field(default_factory=list)

    def can_migrate(self) -> bool:
        return self.is_present and self.ready > 0 and all(kind in self.kinds for kind in NEEDED_KINDS)


@dataclass
class Installation:
    """What was found. Sizes in bytes; `problem` says why more is not known."""

    is_present: bool = False
    version: str = ""
    namespace: str = ""
    pods: int = 0
    ready_pods: int = 0
    cluster_uuid: str = ""
    cluster_name: str = ""
    status: str = ""
    is_operational: bool = False
    licence: str = ""
    licence_allows: bool | None = None
    used: int | None = None
    capacity: int | None = None
    nodes: list[Object] = field(default_factory=list)
    pools: list[Object] = field(default_factory=list)
    stork: Stork = field(default_factory=Stork)
    problem: Text = NOTHING
    remedy: Text = NOTHING

    def can_migrate(self) -> bool:
        """Whether a pair with this cluster can use Portworx."""
        return bool(
            self.is_operational and self.cluster_uuid and self.licence_allows is not False and self.stork.can_migrate()
        )

    def to_dict(self) -> Object:
        return asdict(self) | {"can_migrate": self.can_migrate()}


def discover(connection: Connection) -> Installation:
    """Look at the cluster: two or three calls to the API, and as many of `pxctl`. Raises KubeError."""
    found = Installation(stork=_stork(connection))
    installed = pods.portworx_pods(connection)
    found.is_present = bool(installed)
    if not installed:
        return found
    found.pods, found.ready_pods = len(installed), sum(pods.is_ready(pod) for pod in installed)
    found.namespace = str(installed[0]["metadata"]["namespace"])
    try:
        portworx = pods.find(connection)
        found.namespace = portworx.namespace
        _describe(found, read_status(portworx))
        found.licence_allows = licence_allows(portworx, found.licence)
    except PortworxError as error:
        found.problem, found.remedy = error.message, error.remedy
    except errors.KubeError as error:
        # The pods are there, only that we may or can not run anything in them.
        found.problem = error.message
        found.remedy = said("Allow the verb create on pods/exec in the namespace of Portworx.")
    return found


def read_status(portworx: Portworx) -> status.Status:
    """The status: JSON where this version prints it whole, else the text. Raises PxctlError, UnreadableError."""
    try:
        found = status.from_json(portworx.pxctl("status", "-j", seconds=SECONDS))
        if found.licence and found.nodes:
            return found
    except (UnreadableError, PxctlError):
        pass
    return status.from_text(portworx.pxctl("status", seconds=SECONDS))


def _describe(found: Installation, said: status.Status) -> None:
    found.version = said.version
    found.cluster_uuid, found.cluster_name = said.uuid, said.name
    found.status, found.is_operational = said.status, said.is_operational
    found.licence, found.used, found.capacity = said.licence, said.used, said.capacity
    found.nodes = [asdict(node) | {"is_online": node.is_online} for node in said.nodes]
    found.pools = [asdict(pool) for pool in said.pools]


def licence_allows(portworx: Portworx, licence: str = "") -> bool | None:
    """Whether the licence allows migrations; None where Portworx does not tell. `licence` is its name, if known."""
    try:
        listed = pxctl.may_migrate(portworx.pxctl("license", "list", seconds=SECONDS))
    except (PortworxError, errors.KubeError):
        listed = None
    return listed if listed is not None else pxctl.may_migrate_by_name(licence)


def _stork(connection: Connection) -> Stork:
    kinds = sorted({each.kind for each in connection.discovery(fresh=True).resources() if each.group == STORK_GROUP})
    found = Stork(kinds=kinds)
    deployment = _deployment(connection)
    if deployment is None:
        return found
    containers = deployment["spec"]["template"]["spec"]["containers"]
    image = str(containers[0].get("image", ""))
    found.is_present = True
    found.namespace = str(deployment["metadata"]["namespace"])
    found.version = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found.replicas = int(deployment["spec"].get("replicas", 1))
    found.ready = int((deployment.get("status") or {}).get("readyReplicas") or 0)
    words = [*(containers[0].get("command") or ()), *(containers[0].get("args") or ())]
    found.admin_namespace = _option(words, "admin-namespace") or _option(words, "migration-admin-namespace")
    found.admin_namespace = found.admin_namespace or ADMIN_NAMESPACE
    return found


def _deployment(connection: Connection) -> Object | None:
    try:
        rows = list(connection.list("deployments.apps", label_selector=STORK_LABEL))
    except errors.Forbidden:
        rows = []
        for namespace in pods.USUAL_NAMESPACES:
            try:
                rows += connection.list("deployments.apps", namespace, label_selector=STORK_LABEL)
            except errors.Forbidden:
                continue
    named = [row for row in rows if row["metadata"]["name"] == "stork"]
    return next(iter([*named, *rows]), None)


def _option(words: list[str], name: str) -> str:
    for number, word in enumerate(words):
        found = re.fullmatch(rf"--?{name}(?:=(.*))?", word)
        if found:
            return found[1] or (words[number + 1] if found[1] is None and number + 1 < len(words) else "")
    return ""


# What pairing does on both clusters, beyond what every engine does.
NEEDS = (
    Need(("create",), "pods", said("run pxctl in a Portworx pod"), subresource="exec"),
    Need(("get",), "services", said("find the address of Portworx")),
    Need(("get", "list", "create", "patch", "delete"), f"clusterpairs.{STORK_GROUP}", said("make the ClusterPair")),
    Need(("list",), "events", said("show what Stork says")),
)


def permissions_check(connection: Connection) -> Check:
    """Whether the account may do what a pair of this engine needs. Raises KubeError."""
    code = "permissions-portworx"
    missing = Permissions(connection).missing(NEEDS)
    if not missing:
        return Check(code, "ok", said("The account may do all that pairing with Portworx needs."))
    needs = "; ".join(str(need) for need in missing)
    message = said(
        "The account lacks permissions to pair with Portworx, such as {first} ({why}).",
        first=missing[0],
        why=missing[0].why,
    )
    return Check(
        code, "warning", message, said("Bind a ClusterRole to the account that also allows: {needs}.", needs=needs)
    )


def checks(found: Installation) -> Iterator[Check]:
    """What is fine about it and what is not; nothing where there is neither Portworx nor Stork."""
    if not found.is_present and not found.stork.is_present:
        return
    yield _portworx_check(found)
    yield _stork_check(found.stork)


def _portworx_check(found: Installation) -> Check:
    code = "portworx"
    if not found.is_present:
        return Check(code, "warning", said("Stork is installed, Portworx is not."), said("Use the native engine."))
    if found.problem:
        return Check(
            code, "warning", said("Portworx is installed, but: {problem}", problem=found.problem), found.remedy
        )
    if not found.is_operational:
        message = said("Portworx says: {status}.", status=found.status or said("nothing of its status"))
        return Check(
            code, "warning", message, said("Repair Portworx first; pxctl status and its alerts say what is wrong.")
        )
    if found.licence_allows is False:
        message = said("The licence of Portworx does not allow migrations ({licence}).", licence=found.licence)
        return Check(
            code, "warning", message, said("Install one with “Cluster-level migration”, or use the native engine.")
        )
    offline = [str(node["name"] or node["ip"]) for node in found.nodes if not node["is_online"]]
    if offline:
        message = counted(
            len(found.nodes),
            "Portworx {version}: {offline} of {n} node is not online.",
            "Portworx {version}: {offline} of {n} nodes are not online.",
            version=found.version,
            offline=len(offline),
        )
        return Check(code, "warning", message, said("Look at: {nodes}.", nodes=offline))
    return Check(
        code,
        "ok",
        counted(
            len(found.nodes),
            "Portworx {version} is operational on {n} node.",
            "Portworx {version} is operational on {n} nodes.",
            version=found.version,
        ),
    )


def _stork_check(stork: Stork) -> Check:
    code = "stork"
    missing = [kind for kind in NEEDED_KINDS if kind not in stork.kinds]
    if not stork.is_present:
        return Check(code, "warning", said("Stork is not installed."), said("Install Stork; it comes with Portworx."))
    if missing:
        message = said(
            "Stork {version} runs, but the cluster does not serve {kinds}.",
            version=stork.version,
            kinds=missing,
        )
        return Check(
            code, "warning", message, said("Look at Stork's log: it registers its definitions when it starts.")
        )
    if not stork.ready:
        return Check(
            code,
            "warning",
            said("No replica of Stork {version} is ready.", version=stork.version),
            said("Look at its pods and log."),
        )
    return Check(
        code,
        "ok",
        counted(
            stork.replicas,
            "Stork {version}, {ready} of {n} replica ready.",
            "Stork {version}, {ready} of {n} replicas ready.",
            version=stork.version,
            ready=stork.ready,
        ),
    )
