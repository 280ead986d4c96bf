"""Services: who is behind them, and the host name of a load balancer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    find,
    generated_name,
    is_pod_finished,
    is_pod_ready,
    key_of,
    matches,
    own_key,
    owner_reference,
    reconcile_loop,
    update_status,
)

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

SLICES = "endpointslices.discovery.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGER = "endpointslice-controller.k8s.io"


async def run(api: ClusterAPI) -> None:
    """Follow Services and their pods for ever."""

    def services_of_pod(pod: Object) -> list[Key]:
        labels = pod["metadata"].get("labels", {})
        namespace = pod["metadata"]["namespace"]
        return [key_of(each) for each in api.list("services", namespace, where=lambda each: _selects(each, labels))]

    await reconcile_loop(api, {"services": own_key, "pods": services_of_pod}, reconcile)


def _selects(service: Object, labels: dict[str, str]) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and matches({"matchLabels": selector}, labels)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one Service."""
    service = find(api, "services", *key)
    if service is None:
        _remove_endpoints(api, key)
        return None
    if "deletionTimestamp" in service["metadata"]:
        return None
    _give_load_balancer(api, service)
    if service["spec"].get("selector") and service["spec"].get("type") != "ExternalName":

        def is_behind(pod: Object) -> bool:
            selected = _selects(service, pod["metadata"].get("labels", {}))
            return selected and bool(pod["status"].get("podIP")) and not is_pod_finished(pod)

        pods = api.list("pods", key[0], where=is_behind)
        _keep_endpoints(api, service, pods)
        _keep_slice(api, service, pods)
    return None


def _remove_endpoints(api: ClusterAPI, key: Key) -> None:
    endpoints = find(api, "endpoints", *key)
    if endpoints is not None and "endpoints.kubernetes.io/last-change-trigger-time" in endpoints["metadata"].get(
        "annotations", {}
    ):
        delete_quietly(api, "endpoints", endpoints)


def _give_load_balancer(api: ClusterAPI, service: Object) -> None:
    if service["spec"].get("type") != "LoadBalancer" or service.get("status", {}).get("loadBalancer", {}).get(
        "ingress"
    ):
        return
    digest = hashlib.md5(service["metadata"]["uid"].encode(), usedforsecurity=False).hexdigest()
    nodes = api.list("nodes")
    region = nodes[0]["metadata"].get("labels", {}).get("topology.kubernetes.io/region") if nodes else None
    host = f"a{digest}-{int(digest[:8], 16)}.{region or 'us-east-2'}.elb.amazonaws.com"
    status = {**service.get("status", {}), "loadBalancer": {"ingress": [{"hostname": host}]}}
    api.record_event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer", component="service-controller")
    update_status(api, "services", service, status)


def _port_number(pod: Object, port: Object) -> int | None:
    """The number of the pod's port that the Service's port leads to."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for each in container.get("ports", ()):
            if each.get("name") == target:
                return each["containerPort"]
    return None


def _target(pod: Object) -> Object:
    namespace, name = key_of(pod)
    return {"kind": "Pod", "namespace": namespace, "name": name, "uid": pod["metadata"]["uid"]}


def _ports(service: Object, pod: Object) -> list[Object]:
    ports = []
    for port in service["spec"].get("ports", ()):
        number = _port_number(pod, port)
        if number is not None:
            name = {"name": port["name"]} if port.get("name") else {}
            ports.append({**name, "port": number, "protocol": port.get("protocol", "TCP")})
    return ports


def _keep_endpoints(api: ClusterAPI, service: Object, pods: list[Object]) -> None:
    namespace, name = key_of(service)
    ready: list[Object] = []
    unready: list[Object] = []
    for pod in pods:
        address = {
            "ip": pod["status"]["podIP"],
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": _target(pod),
        }
        published = service["spec"].get("publishNotReadyAddresses")
        (ready if is_pod_ready(pod) or published else unready).append(address)
    subset: Object = {}
    if ready:
        subset["addresses"] = ready
    if unready:
        subset["notReadyAddresses"] = unready
    if subset:
        subset["ports"] = _ports(service, pods[0])
    subsets = [subset] if subset else []
    existing = find(api, "endpoints", namespace, name)
    labels = {**service["metadata"].get("labels", {}), "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    if existing is None:
        annotations = {"endpoints.kubernetes.io/last-change-trigger-time": service["metadata"]["creationTimestamp"]}
        metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
        body: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
        if subsets:
            body["subsets"] = subsets
        api.create("endpoints", body)
    elif existing.get("subsets", []) != subsets:
        api.update("endpoints", {**existing, "subsets": subsets})


def _keep_slice(api: ClusterAPI, service: Object, pods: list[Object]) -> None:
    namespace, name = key_of(service)
    endpoints = [
        {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {
                "ready": is_pod_ready(pod) and "deletionTimestamp" not in pod["metadata"],
                "serving": is_pod_ready(pod),
                "terminating": "deletionTimestamp" in pod["metadata"],
            },
            "nodeName": pod["spec"]["nodeName"],
            "targetRef": _target(pod),
        }
        for pod in pods
    ]
    ports = [{"name": "", **port} for port in (_ports(service, pods[0]) if pods else ())]
    owned = api.list(SLICES, namespace, {SERVICE_LABEL: name})
    if not owned:
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": generated_name(f"{name}-"),
                "generateName": f"{name}-",
                "namespace": namespace,
                "labels": {
                    **service["metadata"].get("labels", {}),
                    "endpointslice.kubernetes.io/managed-by": MANAGER,
                    SERVICE_LABEL: name,
                },
                "ownerReferences": [owner_reference(service)],
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": ports,
        }
        api.create(SLICES, body)
    elif owned[0].get("endpoints") != endpoints or owned[0].get("ports") != ports:
        api.update(SLICES, {**owned[0], "endpoints": endpoints, "ports": ports})
