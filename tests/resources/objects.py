"""Objects as a source cluster gives them, for tests of what becomes of them."""

from __future__ import annotations

import json
from typing import Any

from clusters.kube.connection import Connection

Object = dict[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
API_VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "DeploymentConfig": "apps.openshift.io/v1",
    "Route": "route.openshift.io/v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding": "rbac.authorization.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "PriorityClass": "scheduling.k8s.io/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "APIService": "apiregistration.k8s.io/v1",
    "BuildConfig": "build.openshift.io/v1",
    "Certificate": "cert-manager.io/v1",
    "Gateway": "gateway.networking.k8s.io/v1",
    "HTTPRoute": "gateway.networking.k8s.io/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "ImageStream": "image.openshift.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "OperatorGroup": "operators.coreos.com/v1",
    "ReferenceGrant": "gateway.networking.k8s.io/v1beta1",
    "SecurityContextConstraints": "security.openshift.io/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "Subscription": "operators.coreos.com/v1alpha1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
}
CLUSTER_SCOPED = {
    "APIService",
    "PersistentVolume",
    "SecurityContextConstraints",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "PriorityClass",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
}


def make(kind: str, name: str, namespace: str = "shop", *, metadata: Object | None = None, **fields: Any) -> Object:
    """An object of the kind, at the API version that is current for it."""
    place = {} if kind in CLUSTER_SCOPED else {"namespace": namespace}
    api_version = fields.pop("apiVersion", API_VERSIONS.get(kind, "v1"))
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **place, **(metadata or {})}, **fields}


def applied(obj: Object) -> Object:
    """The object with the note that `kubectl apply` leaves about it."""
    annotations = {**(obj["metadata"].get("annotations") or {}), LAST_APPLIED: json.dumps(obj)}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def workload(kind: str, name: str, namespace: str = "shop", *, spec: Object | None = None, **fields: Any) -> Object:
    """A workload with one container, whose pods carry the label `app`."""
    labels = {"app": name}
    template: Object = {"metadata": {"labels": labels}, "spec": pod_spec()}
    if kind == "Job":
        own: Object = {"template": template}
    elif kind == "CronJob":
        own = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}}
    else:
        own = {"selector": {"matchLabels": labels}, "template": template}
    if kind == "StatefulSet":
        own["serviceName"] = name
    return make(kind, name, namespace, spec={**own, **(spec or {})}, **fields)


def pod_spec(**fields: Any) -> Object:
    spec = {"restartPolicy": "Always", "containers": [{"name": "main", "image": "registry.example.com/shop:1"}]}
    return {**spec, **fields}


def edit(connection: Connection, resource: str, name: str, namespace: str, body: Object) -> Object:
    """A change by somebody else: by hand, under the name that kubectl gives itself."""
    path = connection.resource(resource).path(namespace, name)
    options = {"query": {"fieldManager": "kubectl-edit"}, "content_type": "application/merge-patch+json"}
    return connection.json("PATCH", path, body=body, **options)
