"""Tables, as `kubectl get` shows them: the columns of the kinds that people list, and Name and Age for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from demo.cluster import schemas
from demo.cluster.registry import ResourceInfo

Object = dict[str, Any]
Column = tuple[str, str, int, Callable[[Object], Any]]


def age(obj: Object, field: str = "creationTimestamp") -> str:
    """Time since then as kubectl's duration.HumanDuration prints it."""
    stamp = obj["metadata"].get(field)
    if not stamp:
        return "<unknown>"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())
    return human(seconds)


def human(seconds: int) -> str:
    if seconds < 120:
        return f"{max(seconds, 0)}s"
    minutes = seconds // 60
    if minutes < 10:
        rest = seconds % 60
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y"


def _pod_ready(pod: Object) -> str:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    return f"{sum(each.get('ready', False) for each in statuses)}/{len(pod['spec'].get('containers', []))}"


def _pod_status(pod: Object) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    status = pod.get("status", {})
    for each in status.get("containerStatuses", ()):
        state = each.get("state", {})
        for kind in ("waiting", "terminated"):
            if state.get(kind, {}).get("reason"):
                return str(state[kind]["reason"])
    return str(status.get("reason") or status.get("phase", ""))


def _restarts(pod: Object) -> str:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    count = sum(each.get("restartCount", 0) for each in statuses)
    ends = [each.get("lastState", {}).get("terminated", {}).get("finishedAt") for each in statuses]
    latest = max((end for end in ends if end), default=None)
    if not count or latest is None:
        return str(count)
    return f"{count} ({human(int((datetime.now(UTC) - datetime.fromisoformat(latest)).total_seconds()))} ago)"


def _gates(pod: Object) -> str:
    gates = pod["spec"].get("readinessGates", [])
    if not gates:
        return "<none>"
    conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", ())}
    return f"{sum(conditions.get(each['conditionType']) == 'True' for each in gates)}/{len(gates)}"


def _selector(obj: Object) -> str:
    selector = obj["spec"].get("selector") or {}
    parts = [f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items())]
    for each in selector.get("matchExpressions", ()):
        values = f" ({','.join(sorted(each['values']))})" if each.get("values") else ""
        words = {"In": " in", "NotIn": " notin", "Exists": "", "DoesNotExist": ""}[each["operator"]]
        parts.append(f"{'!' if each['operator'] == 'DoesNotExist' else ''}{each['key']}{words}{values}")
    return ",".join(parts) or "<none>"


def _of_containers(field: str) -> Callable[[Object], str]:
    def read(obj: Object) -> str:
        return ",".join(each.get(field, "") for each in obj["spec"]["template"]["spec"].get("containers", ()))

    return read


# What `kubectl get -o wide` adds for everything that has a pod template.
_TEMPLATE: list[Column] = [
    ("Containers", "string", 1, _of_containers("name")),
    ("Images", "string", 1, _of_containers("image")),
]


def _ports(service: Object) -> str:
    ports = [
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in service["spec"].get("ports", ())
    ]
    return ",".join(ports) or "<none>"


def _external(service: Object) -> str:
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    if ingress:
        return ",".join(each.get("ip") or each.get("hostname", "") for each in ingress)
    return "<pending>" if service["spec"].get("type") == "LoadBalancer" else "<none>"


SHORT_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(modes: list[str]) -> str:
    return ",".join(SHORT_MODES.get(mode, mode) for mode in modes)


def _of(path: str, otherwise: Any = "") -> Callable[[Object], Any]:
    def read(obj: Object) -> Any:
        at: Any = obj
        for step in path.split("."):
            at = at.get(step) if isinstance(at, dict) else None
            if at is None:
                return otherwise
        return at

    return read


def _reference(pv: Object) -> str:
    reference = pv["spec"].get("claimRef")
    return f"{reference['namespace']}/{reference['name']}" if reference else ""


def _roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    found = sorted(key[len(prefix) :] for key in node["metadata"].get("labels", {}) if key.startswith(prefix))
    return ",".join(found) or "<none>"


def _node_status(node: Object) -> str:
    ready = any(
        each["type"] == "Ready" and each["status"] == "True" for each in node.get("status", {}).get("conditions", ())
    )
    return "Ready" if ready else "NotReady"


COLUMNS: dict[str, list[Column]] = {
    "configmaps": [("Data", "string", 0, lambda o: len(o.get("data") or {}) + len(o.get("binaryData") or {}))],
    "secrets": [
        ("Type", "string", 0, _of("type")),
        ("Data", "string", 0, lambda o: len(o.get("data") or {})),
    ],
    "namespaces": [("Status", "string", 0, _of("status.phase"))],
    "pods": [
        ("Ready", "string", 0, _pod_ready),
        ("Status", "string", 0, _pod_status),
        ("Restarts", "string", 0, _restarts),
    ],
    "services": [
        ("Type", "string", 0, _of("spec.type")),
        ("Cluster-IP", "string", 0, _of("spec.clusterIP", "<none>")),
        ("External-IP", "string", 0, _external),
        ("Port(s)", "string", 0, _ports),
    ],
    "deployments.apps": [
        ("Ready", "string", 0, lambda o: f"{_of('status.readyReplicas', 0)(o)}/{o['spec'].get('replicas', 0)}"),
        ("Up-to-date", "string", 0, _of("status.updatedReplicas", 0)),
        ("Available", "string", 0, _of("status.availableReplicas", 0)),
    ],
    "replicasets.apps": [
        ("Desired", "integer", 0, _of("spec.replicas", 0)),
        ("Current", "integer", 0, _of("status.replicas", 0)),
        ("Ready", "integer", 0, _of("status.readyReplicas", 0)),
    ],
    "statefulsets.apps": [
        ("Ready", "string", 0, lambda o: f"{_of('status.readyReplicas', 0)(o)}/{o['spec'].get('replicas', 0)}")
    ],
    "jobs.batch": [
        ("Status", "string", 0, lambda o: _job_status(o)),
        ("Completions", "string", 0, lambda o: f"{_of('status.succeeded', 0)(o)}/{o['spec'].get('completions', 1)}"),
        ("Duration", "string", 0, lambda o: _duration(o)),
    ],
    "persistentvolumeclaims": [
        ("Status", "string", 0, _of("status.phase")),
        ("Volume", "string", 0, _of("spec.volumeName")),
        ("Capacity", "string", 0, _of("status.capacity.storage")),
        ("Access Modes", "string", 0, lambda o: _modes(_of("status.accessModes", [])(o))),
        ("StorageClass", "string", 0, _of("spec.storageClassName")),
        ("VolumeAttributesClass", "string", 0, _of("spec.volumeAttributesClassName", "<unset>")),
    ],
    "persistentvolumes": [
        ("Capacity", "string", 0, _of("spec.capacity.storage")),
        ("Access Modes", "string", 0, lambda o: _modes(o["spec"].get("accessModes", []))),
        ("Reclaim Policy", "string", 0, _of("spec.persistentVolumeReclaimPolicy")),
        ("Status", "string", 0, _of("status.phase")),
        ("Claim", "string", 0, _reference),
        ("StorageClass", "string", 0, _of("spec.storageClassName")),
    ],
    "storageclasses.storage.k8s.io": [
        ("Provisioner", "string", 0, _of("provisioner")),
        ("ReclaimPolicy", "string", 0, _of("reclaimPolicy")),
        ("VolumeBindingMode", "string", 0, _of("volumeBindingMode")),
        ("AllowVolumeExpansion", "string", 0, _of("allowVolumeExpansion", False)),
    ],
    "nodes": [
        ("Status", "string", 0, _node_status),
        ("Roles", "string", 0, _roles),
    ],
    "serviceaccounts": [("Secrets", "string", 0, lambda o: len(o.get("secrets") or []))],
    "routes.route.openshift.io": [
        ("Host", "string", 0, _of("spec.host")),
        ("Services", "string", 0, _of("spec.to.name")),
        ("Port", "string", 0, _of("spec.port.targetPort", "<all>")),
    ],
    "events": [
        ("Type", "string", 0, _of("type")),
        ("Reason", "string", 0, _of("reason")),
        (
            "Object",
            "string",
            0,
            lambda o: f"{o['involvedObject'].get('kind', '').lower()}/{o['involvedObject'].get('name', '')}",
        ),
        ("Message", "string", 0, _of("message")),
    ],
}
# Columns that follow Age.
LATE: dict[str, list[Column]] = {
    "nodes": [("Version", "string", 0, _of("status.nodeInfo.kubeletVersion"))],
    "pods": [
        ("IP", "string", 1, _of("status.podIP", "<none>")),
        ("Node", "string", 1, _of("spec.nodeName", "<none>")),
        ("Nominated Node", "string", 1, _of("status.nominatedNodeName", "<none>")),
        ("Readiness Gates", "string", 1, _gates),
    ],
    "deployments.apps": [*_TEMPLATE, ("Selector", "string", 1, _selector)],
    "replicasets.apps": [*_TEMPLATE, ("Selector", "string", 1, _selector)],
    "statefulsets.apps": _TEMPLATE,
    "jobs.batch": [*_TEMPLATE, ("Selector", "string", 1, _selector)],
}
# What the real server says of columns: words of its own, or those of the schema at a path.
DESCRIPTIONS = {
    "pods": {
        "Ready": "The aggregate readiness state of this pod for accepting traffic.",
        "Status": "The aggregate status of the containers in this pod.",
        "Restarts": "The number of times the containers in this pod have been restarted and when the last container in "
        "this pod has restarted.",
        "IP": "status.podIP",
        "Node": "spec.nodeName",
        "Nominated Node": "status.nominatedNodeName",
        "Readiness Gates": "spec.readinessGates",
    },
    "deployments.apps": {
        "Ready": "Number of the pod with ready state",
        "Up-to-date": "status.updatedReplicas",
        "Available": "status.availableReplicas",
        "Containers": "Names of each container in the template.",
        "Images": "Images referenced by each container in the template.",
        "Selector": "spec.selector",
    },
    "replicasets.apps": {
        "Desired": "spec.replicas",
        "Current": "status.replicas",
        "Ready": "status.readyReplicas",
        "Containers": "Names of each container in the template.",
        "Images": "Images referenced by each container in the template.",
        "Selector": "spec.selector",
    },
    "statefulsets.apps": {
        "Ready": "Number of the pod with ready state",
        "Containers": "Names of each container in the template.",
        "Images": "Images referenced by each container in the template.",
    },
    "jobs.batch": {
        "Status": "Status of the job.",
        "Completions": "status.succeeded",
        "Duration": "Time required to complete the job.",
        "Containers": "Names of each container in the template.",
        "Images": "Images referenced by each container in the template.",
        "Selector": "spec.selector",
    },
}
# Rows of pods that have ended are marked, so that clients can leave them out.
FINISHED = {
    "Succeeded": {
        "type": "Completed",
        "status": "True",
        "reason": "Succeeded",
        "message": "The pod has completed successfully.",
    },
    "Failed": {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."},
}
PATH = re.compile(r"(spec|status)(\.\w+)+")


def _job_status(job: Object) -> str:
    for each in job.get("status", {}).get("conditions", ()):
        if each["status"] == "True" and each["type"] in ("Complete", "Failed", "Suspended"):
            return str(each["type"])
    return "Terminating" if "deletionTimestamp" in job["metadata"] else "Running"


def _duration(job: Object) -> str:
    began = job.get("status", {}).get("startTime")
    if not began:
        return ""
    ended = job["status"].get("completionTime")
    until = datetime.fromisoformat(ended) if ended else datetime.now(UTC)
    return human(int((until - datetime.fromisoformat(began)).total_seconds()))


def _description(info: ResourceInfo, name: str) -> str:
    meta = schemas.object_meta()["properties"]
    if name == "Name":
        return str(meta["name"].get("description", ""))
    if name == "Age":
        return str(meta["creationTimestamp"].get("description", ""))
    node = schemas.of_kind(info.group, info.version, info.kind)
    said = DESCRIPTIONS.get(info.name, {}).get(name, "")
    if PATH.fullmatch(said):
        for step in said.split("."):
            node = schemas.described_field(node, step)
        return str((node or {}).get("description", ""))
    if said:
        return said
    field = (node or {}).get("properties", {}).get(name[0].lower() + name[1:], {})
    return str(field.get("description", ""))


def columns(info: ResourceInfo) -> list[Column]:
    name: Column = ("Name", "string", 0, lambda obj: obj["metadata"]["name"])
    aged: Column = ("Age", "string", 0, age)
    if info.custom is not None:
        printed = info.custom.get("additionalPrinterColumns")
        if printed:
            return [name, *(_custom(each) for each in printed)]
        return [name, ("Age", "date", 0, lambda obj: age(obj))]
    if info.name == "events":
        return [("Last Seen", "string", 0, lambda obj: _last_seen(obj)), *COLUMNS["events"]]
    return [name, *COLUMNS.get(info.name, ()), aged, *LATE.get(info.name, ())]


def _last_seen(event: Object) -> str:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return human(int((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())) if stamp else "<unknown>"


def _custom(column: Object) -> Column:
    steps = re.findall(r"\.([\w-]+)", column["jsonPath"])

    def read(obj: Object) -> Any:
        at: Any = obj
        for step in steps:
            at = at.get(step) if isinstance(at, dict) else None
        if column["type"] == "date" and isinstance(at, str):
            return human(int((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()))
        return at

    return column["name"], column["type"], column.get("priority", 0), read


def table(info: ResourceInfo, objects: list[Object], list_metadata: Object, include: str = "Metadata") -> Object:
    shown = columns(info)
    custom = {each["name"]: each for each in (info.custom or {}).get("additionalPrinterColumns", ())}
    definitions = []
    for name, kind, priority, _read in shown:
        described = custom.get(name, {}).get("description") if name in custom else _description(info, name)
        if name in custom and described is None:
            described = f"Custom resource definition column (in JSONPath format): {custom[name]['jsonPath']}"
        format_ = "name" if name == "Name" else custom.get(name, {}).get("format", "")
        definitions.append(
            {"name": name, "type": kind, "format": format_, "description": described or "", "priority": priority}
        )
    rows = []
    for obj in objects:
        row: Object = {"cells": [read(obj) for _name, _kind, _priority, read in shown]}
        if info.name == "pods" and (over := FINISHED.get(obj.get("status", {}).get("phase", ""))):
            row["conditions"] = [over]
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = partial(obj)
        rows.append(row)
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_metadata}
    return {**head, "columnDefinitions": definitions, "rows": rows}


def partial(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
