"""What happens between validation and storage: namespaces' lifecycle, allocation of addresses, plugins' additions."""

from __future__ import annotations

import base64
import ipaddress
import secrets
from collections.abc import Container
from typing import TYPE_CHECKING, Any

from demo.cluster import constraints, defaults, limit_ranges, pod_security, quotas, statuses
from demo.cluster.registry import ResourceInfo
from demo.cluster.statuses import Cause, invalid_value
from demo.cluster.times import now
from demo.cluster.validation import SERVICE_NETWORK

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
NODE_PORTS = range(30000, 32768)
# Those below are for whoever names one, as long as there are others: KEP-3668.
FIRST_DYNAMIC_NODE_PORT = 30086
PRIORITIES = "priorityclasses.scheduling.k8s.io"
# Every cluster has these two from its beginning.
SYSTEM_PRIORITIES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
CLASSES = "storageclasses.storage.k8s.io"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def check_namespace(api: ClusterAPI, info: ResourceInfo, namespace: str, name: str) -> None:
    """The namespace must exist and not be going. Raises APIError."""
    found = api.store.get("namespaces", "", namespace)
    if found is None:
        raise statuses.not_found(api.registry.named("namespaces"), namespace)
    if "deletionTimestamp" in found["metadata"] and info.name != "events":
        causes = [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise statuses.forbidden(info, name, why, causes)


def admit(api: ClusterAPI, info: ResourceInfo, obj: Object, user: str = "") -> None:
    """Complete a new object. Raises APIError for a pod that constraints or its namespace's level keep out."""
    match info.name:
        case "namespaces":
            obj["spec"] = {**obj.get("spec", {}), "finalizers": ["kubernetes"]}
        case "pods":
            limit_ranges.fill(api, obj)
            _priority(api, info, obj)
            _runtime(api, info, obj)
            defaults.admit_pod(obj)
            constraints.admit(api, info, obj, user)
            namespace = api.store.get("namespaces", "", obj["metadata"]["namespace"])
            if namespace and (why := pod_security.violation(namespace, obj["spec"])):
                raise statuses.forbidden(info, obj["metadata"]["name"], why)
        case "services":
            _allocate(api, info, obj)
        case "persistentvolumeclaims":
            _claim(api, obj)
        case "persistentvolumes":
            _finalizer(obj, "kubernetes.io/pv-protection")
            obj["status"] = {"lastPhaseTransitionTime": now(), **obj["status"]}
        case "jobs.batch":
            _job(obj)
        case "limitranges":
            limit_ranges.complete(obj)
    if info.name in ("pods", "persistentvolumeclaims"):
        limit_ranges.check(api, info, obj)
    if info.namespaced:
        quotas.check(api, info, obj)


def _priority(api: ClusterAPI, info: ResourceInfo, pod: Object) -> None:
    """The number behind the pod's class (plugin/pkg/admission/priority). Raises APIError where it is not there."""
    spec, name = pod["spec"], pod["spec"].get("priorityClassName")
    if not name:
        found = next((each for each in api.store.objects(PRIORITIES) if each.get("globalDefault")), None)
        if found is None:
            return
        spec["priorityClassName"] = found["metadata"]["name"]
    elif name in SYSTEM_PRIORITIES:
        spec["priority"] = SYSTEM_PRIORITIES[name]
        return
    else:
        found = api.store.get(PRIORITIES, "", name)
        if found is None:
            why = f"no PriorityClass with name {name} was found"
            raise statuses.forbidden(info, pod["metadata"]["name"], why)
    spec["priority"] = found.get("value", 0)
    spec.setdefault("preemptionPolicy", found.get("preemptionPolicy", "PreemptLowerPriority"))


def _runtime(api: ClusterAPI, info: ResourceInfo, pod: Object) -> None:
    """The class must be there (plugin/pkg/admission/runtimeclass). Raises APIError."""
    name = pod["spec"].get("runtimeClassName")
    if name and api.store.get("runtimeclasses.node.k8s.io", "", name) is None:
        why = f'pod rejected: RuntimeClass "{name}" not found'
        raise statuses.forbidden(info, pod["metadata"]["name"], why)


def _finalizer(obj: Object, finalizer: str) -> None:
    finalizers = obj["metadata"].get("finalizers") or []
    if finalizer not in finalizers:
        obj["metadata"]["finalizers"] = [*finalizers, finalizer]


def _claim(api: ClusterAPI, obj: Object) -> None:
    _finalizer(obj, "kubernetes.io/pvc-protection")
    _copy_source(obj)
    if "storageClassName" not in obj["spec"]:
        for each in api.store.objects(CLASSES):
            if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true":
                obj["spec"]["storageClassName"] = each["metadata"]["name"]
                return


def _copy_source(claim: Object) -> None:
    source = claim["spec"].get("dataSource")
    if source and "dataSourceRef" not in claim["spec"]:
        claim["spec"]["dataSourceRef"] = dict(source)


def _job(obj: Object) -> None:
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector"):
        return
    uid, name = metadata["uid"], metadata["name"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = {**(template.get("labels") or {}), **labels}
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    # A Job without labels of its own takes those of its template (registry/batch/job/strategy.go).
    if not metadata.get("labels"):
        metadata["labels"] = dict(template["labels"])


def _allocate(api: ClusterAPI, info: ResourceInfo, obj: Object) -> None:
    spec = obj["spec"]
    if spec["type"] == "ExternalName":
        return
    wanted = spec.get("clusterIP") or (spec.get("clusterIPs") or [""])[0]
    if not wanted:
        spec["clusterIP"] = _free_address(api)
    elif wanted != "None":
        _check_address(api, info, obj, wanted)
        spec["clusterIP"] = wanted
    else:
        spec["clusterIP"] = "None"
    spec["clusterIPs"] = [spec["clusterIP"]]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    allocate_ports(api, info, obj)


def allocate_ports(api: ClusterAPI, info: ResourceInfo, obj: Object) -> None:
    """Node ports for the types that have them. Raises APIError where a wanted one is taken."""
    spec = obj["spec"]
    wanted_type = spec["type"] == "NodePort" or (
        spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
    )
    if not wanted_type:
        for port in spec.get("ports", ()):
            port.pop("nodePort", None)
        return
    mine = obj["metadata"]["uid"]
    taken = {
        port["nodePort"]
        for each in api.store.objects("services")
        if each["metadata"]["uid"] != mine
        for port in each["spec"].get("ports", ())
        if "nodePort" in port
    }
    for index, port in enumerate(spec.get("ports", ())):
        if port.get("nodePort"):
            if port["nodePort"] in taken:
                cause = invalid_value(
                    f"spec.ports[{index}].nodePort", str(port["nodePort"]), "provided port is already allocated"
                )
                raise statuses.invalid(info, obj["metadata"]["name"], [cause])
        else:
            port["nodePort"] = _free_node_port(taken)
        taken.add(port["nodePort"])


def _free_node_port(taken: Container[int]) -> int:
    free = [each for each in NODE_PORTS if each not in taken]
    return secrets.choice([each for each in free if each >= FIRST_DYNAMIC_NODE_PORT] or free)


def _addresses(api: ClusterAPI) -> set[str]:
    return {each["spec"].get("clusterIP", "") for each in api.store.objects("services")}


def _free_address(api: ClusterAPI) -> str:
    taken = _addresses(api)
    while True:
        address = str(SERVICE_NETWORK[secrets.randbelow(SERVICE_NETWORK.num_addresses - 300) + 256])
        if address not in taken:
            return address


def check_wanted_address(api: ClusterAPI, info: ResourceInfo, obj: Object) -> None:
    """Whether the address that a Service asks for, if it does, can be had. Raises APIError."""
    wanted = obj["spec"].get("clusterIP")
    if wanted and wanted != "None" and obj["spec"].get("type") != "ExternalName":
        _check_address(api, info, obj, wanted)


def _check_address(api: ClusterAPI, info: ResourceInfo, obj: Object, wanted: str) -> None:
    shown = f'["{wanted}"]'
    try:
        inside = ipaddress.ip_address(wanted) in SERVICE_NETWORK
    except ValueError:
        inside = False
    if not inside:
        detail = f"failed to allocate IP {wanted}: the provided network does not match the current range"
        raise statuses.invalid(info, obj["metadata"]["name"], [invalid_value("spec.clusterIPs", shown, detail)])
    if wanted in _addresses(api):
        detail = f"failed to allocate IP {wanted}: provided IP is already allocated"
        raise statuses.invalid(info, obj["metadata"]["name"], [invalid_value("spec.clusterIPs", shown, detail)])


def encode_string_data(obj: Object) -> None:
    """`stringData` of a Secret becomes `data`."""
    plain = obj.pop("stringData") or {}
    data = {**(obj.get("data") or {})}
    data |= {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
    obj["data"] = data


def carry_over(info: ResourceInfo, old: Object, obj: Object) -> None:
    """What an update that does not mention it keeps: allocated addresses, generated selectors."""
    match info.name:
        case "namespaces":
            obj["spec"] = old["spec"]
        case "services":
            spec, was = obj.setdefault("spec", {}), old["spec"]
            same_family = spec.get("type", "ClusterIP") != "ExternalName" and was.get("type") != "ExternalName"
            if same_family and not spec.get("clusterIP"):
                for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                    if field in was:
                        spec[field] = was[field]
            known = {
                (port.get("port"), port.get("protocol", "TCP")): port.get("nodePort") for port in was.get("ports", ())
            }
            for port in spec.get("ports", ()):
                place = port.get("port"), port.get("protocol", "TCP")
                if not port.get("nodePort") and known.get(place):
                    port["nodePort"] = known[place]
        case "jobs.batch":
            if "selector" not in obj.get("spec", {}):
                obj.setdefault("spec", {})["selector"] = old["spec"].get("selector")
        case "persistentvolumeclaims":
            for field in ("volumeName", "storageClassName"):
                if field in old["spec"]:
                    obj["spec"].setdefault(field, old["spec"][field])
            _copy_source(obj)


def admit_update(api: ClusterAPI, info: ResourceInfo, old: Object, obj: Object) -> None:
    """Checks and completions of an update. Raises APIError."""
    if info.name == "services" and obj["spec"].get("type") != "ExternalName":
        if not obj["spec"].get("clusterIP"):
            obj["spec"]["clusterIP"] = _free_address(api)
        obj["spec"]["clusterIPs"] = [obj["spec"]["clusterIP"]]
        allocate_ports(api, info, obj)
    if info.name == "persistentvolumeclaims":
        was, now = (each["spec"]["resources"]["requests"]["storage"] for each in (old, obj))
        if was != now and not _may_grow(api, old):
            cause = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )
            raise statuses.forbidden(info, obj["metadata"]["name"], cause)


def _may_grow(api: ClusterAPI, claim: Object) -> bool:
    found = api.store.get(CLASSES, "", claim["spec"].get("storageClassName", ""))
    return bool(found and found.get("allowVolumeExpansion"))


__all__ = ["Cause", "admit", "admit_update", "carry_over", "check_namespace", "encode_string_data"]
