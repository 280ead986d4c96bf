"""An application's namespace as one looks at it before moving it: its objects, and the facts of each claim's volume.

The same as `oc get all -n NAMESPACE` and `pxctl volume inspect` of each claim's volume.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.portworx import inspection, pods
from clusters.portworx.errors import PortworxError, UnreadableError
from clusters.portworx.pods import Portworx

DRIVERS = ("pxd.portworx.com", "kubernetes.io/portworx-volume")
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

    name: str
    phase: str
    storage_class: str
    access_modes: list[str]
    capacity: str
    persistent_volume: str
    is_portworx: bool = False
    volume: inspection.Volume | None = None
    problem: str = ""


@dataclass
class Inventory:
    """What is in a namespace. `unreadable` names the kinds that may not be listed."""

    namespace: str
    objects: list[Object] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    problem: str = ""

    def to_dict(self) -> Object:
        return asdict(self)


def inventory(connection: Connection, namespace: str) -> Inventory:
    """Look at a namespace. Raises NotFound where there is none, and KubeError."""
    connection.get("namespaces", namespace)
    found = Inventory(namespace)
    for resource in ALL:
        served = connection.discovery().find(resource)
        if served is None:
            continue
        try:
            rows = list(connection.list(served, namespace))
        except errors.Forbidden:
            found.unreadable.append(served.kind)
            continue
        found.objects += [_summary(row) for row in rows]
    found.claims = claims(connection, namespace)
    ours = [claim for claim in found.claims if claim.is_portworx]
    if ours:
        try:
            inspect(pods.find(connection), connection, ours)
        except PortworxError as error:
            found.problem = error.message
        except errors.KubeError as error:
            found.problem = error.message
    return found


def claims(connection: Connection, namespace: str) -> list[Claim]:
    """The namespace's claims in order; whether their volumes are Portworx', by their PersistentVolumes."""
    found = []
    for row in connection.list("persistentvolumeclaims", namespace):
        spec, state = row["spec"], row.get("status") or {}
        claim = Claim(
            name=row["metadata"]["name"],
            phase=str(state.get("phase") or "Pending"),
            storage_class=str(spec.get("storageClassName") or ""),
            access_modes=list(spec.get("accessModes") or ()),
            capacity=str((state.get("capacity") or spec["resources"]["requests"]).get("storage", "")),
            persistent_volume=str(spec.get("volumeName") or ""),
        )
        annotations = row["metadata"].get("annotations") or {}
        driver = annotations.get("volume.kubernetes.io/storage-provisioner") or annotations.get(
            "volume.beta.kubernetes.io/storage-provisioner"
        )
        claim.is_portworx = driver in DRIVERS
        found.append(claim)
    return sorted(found, key=lambda claim: claim.name)


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
    """Add to each claim what Portworx says of its volume. Raises PxctlError, UnreadableError and KubeError."""
    handles: dict[str, Claim] = {}
    for claim in wanted:
        if not claim.persistent_volume:
            claim.problem = "The claim is not bound to a volume yet."
            continue
        handle = handle_of(connection.get("persistentvolumes", claim.persistent_volume))
        if handle is None:
            claim.is_portworx = False
        else:
            handles[handle] = claim
    names = list(handles)
    for start in range(0, len(names), VOLUMES_PER_CALL):
        for volume in read(portworx, names[start : start + VOLUMES_PER_CALL]):
            known = handles.get(volume.id) or handles.get(volume.name)
            if known is not None:
                known.volume = volume
    for claim in handles.values():
        if claim.volume is None:
            claim.problem = "Portworx does not know its volume."


def read(portworx: Portworx, names: list[str]) -> list[inspection.Volume]:
    """The facts of volumes by id or name: JSON where this version prints it, else the text."""
    try:
        return inspection.from_json(portworx.pxctl("volume", "inspect", *names, "-j"))
    except UnreadableError:
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
