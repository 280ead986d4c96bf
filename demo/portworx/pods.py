"""What an installed Portworx looks like from Kubernetes: its pods, Services, classes, and Stork's Deployments."""

from __future__ import annotations

from typing import Any

from demo.portworx.classes import storage_classes

Object = dict[str, Any]
PORTWORX_IMAGE = "docker.io/portworx/oci-monitor:3.5.0"
STORK_IMAGE = "docker.io/openstorage/stork:24.3.2"
SCHEDULER_IMAGE = "registry.k8s.io/kube-scheduler-amd64:v1.36.2"
PORTS = (("px-api", 9001), ("px-kvdb", 9019), ("px-sdk", 9020), ("px-rest-gateway", 9021), ("px-object-store", 9010))


def objects(namespace: str) -> list[tuple[str, Object]]:
    """Resource and object of all that is planted."""
    return [
        *(("storageclasses.storage.k8s.io", each) for each in storage_classes()),
        ("csidrivers.storage.k8s.io", _driver()),
        *(("serviceaccounts", _account(name, namespace)) for name in ("portworx", "stork", "stork-scheduler")),
        ("services", _service("portworx-service", "portworx", namespace, PORTS, balanced=True)),
        ("services", _service("portworx-api", "portworx-api", namespace, PORTS[:1] + PORTS[2:4])),
        ("services", _service("stork-service", "stork", namespace, (("extender", 8099), ("webhook", 443)))),
        ("daemonsets.apps", _portworx(namespace)),
        ("deployments.apps", _deployment("stork", STORK_IMAGE, namespace)),
        ("deployments.apps", _deployment("stork-scheduler", SCHEDULER_IMAGE, namespace)),
    ]


def _driver() -> Object:
    spec = {"attachRequired": False, "podInfoOnMount": True, "volumeLifecycleModes": ["Persistent", "Ephemeral"]}
    head = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver"}
    return {**head, "metadata": {"name": "pxd.portworx.com"}, "spec": spec}


def _account(name: str, namespace: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def _service(
    name: str, selects: str, namespace: str, ports: tuple[tuple[str, int], ...], *, balanced: bool = False
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"name": selects}},
        "spec": {
            "type": "LoadBalancer" if balanced else "ClusterIP",
            "selector": {"name": "portworx" if selects == "portworx-api" else selects},
            "ports": [
                {"name": port, "protocol": "TCP", "port": number, "targetPort": number} for port, number in ports
            ],
        },
    }


def _portworx(namespace: str) -> Object:
    container = {
        "name": "portworx",
        "image": PORTWORX_IMAGE,
        "args": ["-c", "px-cluster", "-x", "kubernetes", "-s", "/dev/nvme1n1"],
        "securityContext": {"privileged": True},
        "readinessProbe": {"httpGet": {"host": "127.0.0.1", "path": "/health", "port": 9015}, "periodSeconds": 10},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "portworx", "namespace": namespace, "labels": {"name": "portworx"}},
        "spec": {
            "selector": {"matchLabels": {"name": "portworx"}},
            "template": {
                "metadata": {"labels": {"name": "portworx"}},
                "spec": {"serviceAccountName": "portworx", "hostNetwork": True, "containers": [container]},
            },
        },
    }


def _deployment(name: str, image: str, namespace: str) -> Object:
    labels = {"name": "stork", "tier": "control-plane"} if name == "stork" else {"component": "scheduler", "name": name}
    container = {
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "100m"}},
        "command": ["/stork", "--driver=pxd", "--verbose", "--leader-elect=true"] if name == "stork" else [name],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"serviceAccountName": name, "containers": [container]},
            },
        },
    }
