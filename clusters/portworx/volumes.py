"""An application's namespace as one looks at it before moving it: its objects, and the facts of each claim's volume.

The same as `oc get all -n NAMESPACE` and `pxctl volume inspect` of each claim's volume.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.portworx import inspection
from clusters.portworx.errors import PxctlError, UnreadableError
from clusters.portworx.pods import Portworx
from clusters.texts import NOTHING, Text, said

DRIVERS = ("pxd.portworx.com", "kubernetes.io/portworx-volume")
PROVISIONER_ANNOTATIONS = (
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
NOT_FOUND = "not found"
# What `oc get all` lists, in its order.
ALL = (
    "pods",
    "replicationcontrollers",
    "services",
    "daemonsets.apps",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "jobs.batch",
    "cronjobs.batch",
    "deploymentconfigs.apps.openshift.io",
    "routes.route.openshift.io",
    "ingresses.networking.k8s.io",
)
# More volumes than this are asked for in several calls, so that no command line grows too long.
VOLUMES_PER_CALL = 50

Object = dict[str, Any]


@dataclass
class Claim:
    """A claim, and what Portworx says of its volume; `volume` is None for other storage, or with a `problem`."""

    namespace: str
    name: str
    phase: str
    storage_class: str
    access_modes: list[str]
    capacity: str
    persistent_volume: str
    is_portworx: bool = False
    volume: inspection.Volume | None = None
    problem: Text = NOTHING

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Objects:
    """What is in a namespace, a line each. `unreadable` names the kinds that may not be listed."""

    rows: list[Object] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def objects(connection: Connection, namespace: str) -> Objects:
    """What `oc get all` shows of a namespace. Raises NotFound where there is none, and KubeError."""
    connection.get("namespaces", namespace)
    found = Objects()
    for resource in ALL:
        served = connection.discovery().find(resource)
        if served is None:
            continue
        try:
            rows = list(connection.list(served, namespace))
        except errors.Forbidden:
            found.unreadable.append(served.kind)
            continue
        found.rows += [_summary(row) for row in rows]
    return found


def claims(connection: Connection, namespace: str | None = None) -> list[Claim]:
    """The claims of the namespace, or of all, in order; Portworx' by their class, their annotations or their volume.

    Raises KubeError.
    """
    drivers = _drivers(connection)
    found = []
    for row in connection.list("persistentvolumeclaims", namespace):
        claim = claim_of(row)
        annotations = row["metadata"].get("annotations") or {}
        driver = next((annotations[key] for key in PROVISIONER_ANNOTATIONS if annotations.get(key)), "")
        driver = driver or drivers.get(claim.storage_class, "")
        claim.is_portworx = driver in DRIVERS
        if not driver and claim.persistent_volume:
            # Somebody made the volume by hand: only it knows whose it is.
            claim.is_portworx = _handle_by_name(connection, claim.persistent_volume) is not None
        found.append(claim)
    return sorted(found, key=lambda claim: (claim.namespace, claim.name))


def claim_of(row: Object) -> Claim:
    """The claim that an API object describes; whose storage it is is not known from it alone."""
    spec, state = row["spec"], row.get("status") or {}
    requested = (spec.get("resources") or {}).get("requests") or {}
    return Claim(
        namespace=str(row["metadata"].get("namespace") or ""),
        name=row["metadata"]["name"],
        phase=str(state.get("phase") or "Pending"),
        storage_class=str(spec.get("storageClassName") or ""),
        access_modes=list(spec.get("accessModes") or ()),
        capacity=str((state.get("capacity") or requested).get("storage", "")),
        persistent_volume=str(spec.get("volumeName") or ""),
    )


def _drivers(connection: Connection) -> dict[str, str]:
    """The provisioner of each storage class; empty where these may not be listed."""
    try:
        rows = list(connection.list("storageclasses.storage.k8s.io"))
    except errors.Forbidden:
        return {}
    return {row["metadata"]["name"]: str(row.get("provisioner") or "") for row in rows}


def _handle_by_name(connection: Connection, name: str) -> str | None:
    try:
        return handle_of(connection.get("persistentvolumes", name))
    except (errors.NotFound, errors.Forbidden):
        return None


def handle_of(volume: Object) -> str | None:
    """By which name Portworx knows a PersistentVolume; None where it is not Portworx'."""
    spec = volume["spec"]
    if "portworxVolume" in spec:
        return str(spec["portworxVolume"].get("volumeID") or volume["metadata"]["name"])
    csi = spec.get("csi") or {}
    if csi.get("driver") in DRIVERS:
        return str(csi.get("volumeHandle") or volume["metadata"]["name"])
    return None


def inspect(portworx: Portworx, connection: Connection, wanted: list[Claim]) -> None:
    """Add to each claim what Portworx says of its volume, or what keeps it from saying it.

    Raises PxctlError, UnreadableError and KubeError where nothing at all can be said.
    """
    handles: dict[str, Claim] = {}
    for claim in wanted:
        if not claim.persistent_volume:
            claim.problem = said("The claim is not bound to a volume yet.")
            continue
        handle = handle_of(connection.get("persistentvolumes", claim.persistent_volume))
        if handle is None:
            claim.is_portworx = False
        else:
            handles[handle] = claim
    names = list(handles)
    for start in range(0, len(names), VOLUMES_PER_CALL):
        for volume in _known(portworx, names[start : start + VOLUMES_PER_CALL]):
            known = handles.get(volume.id) or handles.get(volume.name)
            if known is not None:
                known.volume = volume
    for claim in handles.values():
        if claim.volume is None:
            claim.problem = said("Portworx does not know its volume.")


def facts(claim: Claim, nodes: Iterable[Object] = ()) -> Object:
    """What Portworx says of the claim's volume, as plain values, sizes in bytes; empty where it says nothing.

    `nodes` are Portworx' own, as discovery finds them: they give the name of the node that a volume is attached to.
    """
    if claim.volume is None:
        return {}
    found = asdict(claim.volume)
    attached = claim.volume.attached_on
    known = next((node for node in nodes if attached and attached in (node.get("id"), node.get("ip"))), {})
    return found | {"attached_to": str(known.get("name") or attached)}


def _known(portworx: Portworx, names: list[str]) -> list[inspection.Volume]:
    """Those of the volumes that Portworx knows: `pxctl` fails as a whole where one of them is gone."""
    try:
        return read(portworx, names)
    except PxctlError as error:
        if NOT_FOUND not in error.said.lower():
            raise
        if len(names) == 1:
            return []
        middle = len(names) // 2
        return [*_known(portworx, names[:middle]), *_known(portworx, names[middle:])]


def read(portworx: Portworx, names: list[str]) -> list[inspection.Volume]:
    """The facts of volumes by id or name: JSON where this version prints it, else the text.

    Raises PxctlError, UnreadableError and KubeError.
    """
    try:
        return inspection.from_json(portworx.pxctl("volume", "inspect", *names, "-j"))
    except UnreadableError:
        pass
    except PxctlError as error:
        # Versions that do not know -j say how they are used; that a volume is gone would only be said again.
        if NOT_FOUND in error.said.lower():
            raise
    return inspection.from_text(portworx.pxctl("volume", "inspect", *names))


def _summary(row: Object) -> Object:
    """One object as a line: kind, name, and what kubectl shows first of it."""
    return {"kind": row["kind"], "name": row["metadata"]["name"], "state": _state(row)}


def _state(row: Object) -> str:
    spec, state = row.get("spec") or {}, row.get("status") or {}
    match row["kind"]:
        case "Pod":
            statuses = state.get("containerStatuses") or ()
            ready = sum(bool(each.get("ready")) for each in statuses)
            node = f" on {spec['nodeName']}" if spec.get("nodeName") else ""
            return f"{state.get('phase', 'Unknown')}, {ready}/{len(spec.get('containers') or ())} ready{node}"
        case "Service":
            ports = ", ".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ())
            return f"{spec.get('type', 'ClusterIP')} {spec.get('clusterIP') or ''} {ports}".strip()
        case "Deployment" | "StatefulSet" | "ReplicaSet" | "ReplicationController" | "DeploymentConfig":
            return f"{state.get('readyReplicas') or 0}/{spec.get('replicas', 1)} ready"
        case "DaemonSet":
            return f"{state.get('numberReady') or 0}/{state.get('desiredNumberScheduled') or 0} ready"
        case "Route":
            return str(spec.get("host") or "")
        case "Ingress":
            return ", ".join(str(rule.get("host") or "*") for rule in spec.get("rules") or ())
        case "CronJob":
            return str(spec.get("schedule") or "")
        case "Job":
            return f"{state.get('succeeded') or 0}/{spec.get('completions') or 1} completed"
    return ""
