"""Objects of many kinds as applications have them, in about the mixture that clusters have."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
# One application: so many objects of each kind.
PER_APPLICATION = 25


def objects(count: int, namespaces: int = 10) -> Iterator[Object]:
    """So many objects, spread over namespaces `bench-0` and so on; those themselves come first and are not counted."""
    for number in range(namespaces):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"bench-{number}"}}
    made = 0
    for number in range(-(-count // PER_APPLICATION)):
        for obj in _application(f"app-{number}", f"bench-{number % namespaces}"):
            if made == count:
                return
            made += 1
            yield obj


def _application(name: str, namespace: str) -> Iterator[Object]:
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop", "tier": "web"}

    def obj(api_version: str, kind: str, suffix: str = "", **fields: Any) -> Object:
        metadata = {"name": f"{name}{suffix}", "namespace": namespace, "labels": labels}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}

    for each in range(7):
        data = {f"setting-{key}": f"value {key} of {name}, as text of some length" for key in range(12)}
        yield obj("v1", "ConfigMap", f"-config-{each}", data=data)
    for each in range(5):
        values = {key: base64.b64encode(f"{name}-{each}-{key}".encode() * 3).decode() for key in ("user", "key")}
        yield obj("v1", "Secret", f"-secret-{each}", type="Opaque", data=values)
    yield obj("v1", "ServiceAccount")
    rules = [{"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "watch"]}]
    yield obj(f"{RBAC}/v1", "Role", rules=rules)
    subjects = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    yield obj(f"{RBAC}/v1", "RoleBinding", roleRef=reference, subjects=subjects)
    selector = {"app.kubernetes.io/name": name}
    for each in range(2):
        ports = [{"name": "http", "port": 80 + each, "targetPort": 8080}]
        yield obj("v1", "Service", f"-{each}", spec={"selector": selector, "ports": ports})
    template = {"metadata": {"labels": labels}, "spec": _pod(name)}
    for each in range(2):
        spec = {"replicas": 0, "selector": {"matchLabels": selector}, "template": template}
        yield obj("apps/v1", "Deployment", f"-{each}", spec=spec)
    spec = {"replicas": 0, "serviceName": name, "selector": {"matchLabels": selector}, "template": template}
    yield obj("apps/v1", "StatefulSet", spec=spec)
    job = {"template": {"spec": {**_pod(name), "restartPolicy": "Never"}}}
    yield obj("batch/v1", "CronJob", spec={"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": job}})
    ingress = [{"from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}], "ports": [{"port": 8080}]}]
    yield obj(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={"podSelector": {"matchLabels": selector}, "policyTypes": ["Ingress"], "ingress": ingress},
    )
    backend = {"service": {"name": f"{name}-0", "port": {"number": 80}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    rule = {"host": f"{name}.example.com", "http": {"paths": paths}}
    yield obj("networking.k8s.io/v1", "Ingress", spec={"rules": [rule]})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-0"}
    yield obj(
        "autoscaling/v2", "HorizontalPodAutoscaler", spec={"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3}
    )
    yield obj("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": {"matchLabels": selector}})


def _pod(name: str) -> Object:
    env = [{"name": f"VARIABLE_{key}", "value": f"value {key}"} for key in range(8)]
    env.append({"name": "KEY", "valueFrom": {"secretKeyRef": {"name": f"{name}-secret-0", "key": "key"}}})
    container = {
        "name": "main",
        "image": "registry.example.com/shop/web:1.24",
        "env": env,
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/shop"}],
    }
    volumes = [{"name": "config", "configMap": {"name": f"{name}-config-0"}}]
    return {"serviceAccountName": name, "containers": [container], "volumes": volumes}
