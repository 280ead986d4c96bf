"""What an object refers to by name: Secrets, claims, accounts, classes and whatever else it cannot work without.

Of operators' own kinds nobody knows the fields. Where one is called as Kubernetes calls a reference, it is presumed to
be one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from migrations_app.resources.marks import type_of
from migrations_app.resources.shapes import containers, is_custom, items, pod_specs, section

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
NETWORKING = "networking.k8s.io"
GATEWAY = "gateway.networking.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
# Kinds outside of namespaces with their groups, and the fields by which Kubernetes' own kinds name others.
OUTSIDE = {"PriorityClass": "scheduling.k8s.io"}
PRESUMED = {
    "secretName": "Secret",
    "secretRef": "Secret",
    "secretKeyRef": "Secret",
    "configMapName": "ConfigMap",
    "configMapRef": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "claimName": "PersistentVolumeClaim",
    "persistentVolumeClaim": "PersistentVolumeClaim",
    "serviceAccountName": "ServiceAccount",
    "priorityClassName": "PriorityClass",
}


@dataclass(frozen=True)
class Reference:
    """One object that another needs. `optional` where Kubernetes lets it be absent; `at` is the path of the name.

    `presumed` where only the name of a field of an operator's own kind says so: that is optional too.
    """

    group: str
    kind: str
    namespace: str
    name: str
    at: str
    optional: bool = False
    presumed: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """As `marks.key_of` has it."""
        return self.group, self.kind, self.namespace, self.name


def references(obj: Object) -> Iterator[Reference]:
    """Everything that the object refers to, in any shape that it may have; a name can come more than once."""
    namespace = str((obj.get("metadata") or {}).get("namespace") or "")
    for at, spec in pod_specs(obj):
        yield from _of_pods(spec, namespace, at)
    if find := _FINDERS.get(type_of(obj)):
        yield from find(obj, namespace)
    if is_custom(obj):
        yield from _presumed(obj.get("spec"), namespace, "spec")


def _presumed(value: Any, namespace: str, at: str) -> Iterator[Reference]:
    """What fields seem to name anywhere in an operator's own kind."""
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from _presumed(each, namespace, f"{at}[{number}]")
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if (kind := PRESUMED.get(key)) is not None:
            found = inner if isinstance(inner, dict) else {"name": inner}
            named = _text(found.get("name"))
            place = "" if kind in OUTSIDE else _text(found.get("namespace")) or namespace
            if named and (place or kind in OUTSIDE):
                yield Reference(OUTSIDE.get(kind, ""), kind, place, named, f"{at}.{key}", optional=True, presumed=True)
        yield from _presumed(inner, namespace, f"{at}.{key}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _named(found: Object, kind: str, namespace: str, at: str, *, key: str = "name", group: str = "") -> list[Reference]:
    name = _text(found.get(key))
    return [Reference(group, kind, namespace, name, at, found.get("optional") is True)] if name else []


def _of_pods(spec: Object, namespace: str, at: str) -> Iterator[Reference]:
    account = {"name": spec.get("serviceAccountName") or spec.get("serviceAccount")}
    yield from _named(account, "ServiceAccount", namespace, f"{at}.serviceAccountName")
    yield from _named(
        spec, "PriorityClass", "", f"{at}.priorityClassName", key="priorityClassName", group="scheduling.k8s.io"
    )
    yield from _named(spec, "RuntimeClass", "", f"{at}.runtimeClassName", key="runtimeClassName", group="node.k8s.io")
    for each in items(spec, "imagePullSecrets"):
        yield from _named(each, "Secret", namespace, f"{at}.imagePullSecrets")
    for place, container in containers(spec):
        yield from _of_environment(container, namespace, f"{at}.{place}")
    for volume in items(spec, "volumes"):
        yield from _of_volume(volume, namespace, f"{at}.volumes.{volume.get('name')}")


def _of_environment(container: Object, namespace: str, at: str) -> Iterator[Reference]:
    for each in items(container, "env"):
        source, place = section(each, "valueFrom"), f"{at}.env.{each.get('name')}"
        yield from _named(section(source, "secretKeyRef"), "Secret", namespace, place)
        yield from _named(section(source, "configMapKeyRef"), "ConfigMap", namespace, place)
    for each in items(container, "envFrom"):
        yield from _named(section(each, "secretRef"), "Secret", namespace, f"{at}.envFrom")
        yield from _named(section(each, "configMapRef"), "ConfigMap", namespace, f"{at}.envFrom")


def _of_volume(volume: Object, namespace: str, at: str) -> Iterator[Reference]:
    yield from _named(section(volume, "secret"), "Secret", namespace, at, key="secretName")
    yield from _named(section(volume, "configMap"), "ConfigMap", namespace, at)
    claim = section(volume, "persistentVolumeClaim")
    yield from _named(claim, "PersistentVolumeClaim", namespace, at, key="claimName")
    template = section(volume, "ephemeral", "volumeClaimTemplate", "spec")
    yield from _named(template, "StorageClass", "", at, key="storageClassName", group="storage.k8s.io")
    yield from _named(section(volume, "csi", "nodePublishSecretRef"), "Secret", namespace, at)
    for each in items(section(volume, "projected"), "sources"):
        yield from _named(section(each, "secret"), "Secret", namespace, at)
        yield from _named(section(each, "configMap"), "ConfigMap", namespace, at)


def _of_stateful_set(obj: Object, namespace: str) -> Iterator[Reference]:
    spec = section(obj, "spec")
    yield from _named(spec, "Service", namespace, "spec.serviceName", key="serviceName")
    for each in items(spec, "volumeClaimTemplates"):
        at = f"spec.volumeClaimTemplates.{section(each, 'metadata').get('name')}"
        claim = section(each, "spec")
        yield from _named(claim, "StorageClass", "", at, key="storageClassName", group="storage.k8s.io")


def _of_account(obj: Object, namespace: str) -> Iterator[Reference]:
    for key in ("secrets", "imagePullSecrets"):
        for each in items(obj, key):
            yield from _named(each, "Secret", namespace, key)


def _of_binding(obj: Object, namespace: str) -> Iterator[Reference]:
    role = section(obj, "roleRef")
    kind = _text(role.get("kind"))
    yield from _named(role, kind, namespace if kind == "Role" else "", "roleRef", group=RBAC)
    for each in items(obj, "subjects"):
        if each.get("kind") == "ServiceAccount":
            yield from _named(each, "ServiceAccount", _text(each.get("namespace")) or namespace, "subjects")


def _of_ingress(obj: Object, namespace: str) -> Iterator[Reference]:
    spec = section(obj, "spec")
    yield from _named(spec, "IngressClass", "", "spec.ingressClassName", key="ingressClassName", group=NETWORKING)
    for each in items(spec, "tls"):
        yield from _named(each, "Secret", namespace, "spec.tls", key="secretName")
    backends = [section(spec, "defaultBackend")]
    backends += [
        section(path, "backend") for rule in items(spec, "rules") for path in items(section(rule, "http"), "paths")
    ]
    for backend in backends:
        yield from _named(section(backend, "service"), "Service", namespace, "spec.rules")


def _of_route(obj: Object, namespace: str) -> Iterator[Reference]:
    spec = section(obj, "spec")
    for each in [section(spec, "to"), *items(spec, "alternateBackends")]:
        yield from _named(each, _text(each.get("kind")) or "Service", namespace, "spec.to")


def _of_gateway(obj: Object, namespace: str) -> Iterator[Reference]:
    spec = section(obj, "spec")
    yield from _named(spec, "GatewayClass", "", "spec.gatewayClassName", key="gatewayClassName", group=GATEWAY)
    for listener in items(spec, "listeners"):
        for each in items(section(listener, "tls"), "certificateRefs"):
            yield from _pointed(each, "Secret", "", namespace, "spec.listeners.tls.certificateRefs")


def _of_gateway_route(obj: Object, namespace: str) -> Iterator[Reference]:
    spec = section(obj, "spec")
    for each in items(spec, "parentRefs"):
        yield from _pointed(each, "Gateway", GATEWAY, namespace, "spec.parentRefs")
    for rule in items(spec, "rules"):
        for each in items(rule, "backendRefs"):
            yield from _pointed(each, "Service", "", namespace, "spec.rules.backendRefs")


def _pointed(found: Object, kind: str, group: str, namespace: str, at: str) -> list[Reference]:
    """The Gateway API's references, which may name group, kind and namespace or leave them to their defaults."""
    place = _text(found.get("namespace")) or namespace
    named = found.get("group")
    return _named(found, _text(found.get("kind")) or kind, place, at, group=named if isinstance(named, str) else group)


def _of_autoscaler(obj: Object, namespace: str) -> Iterator[Reference]:
    target = section(obj, "spec", "scaleTargetRef")
    group = _text(target.get("apiVersion")).rpartition("/")[0]
    yield from _named(target, _text(target.get("kind")), namespace, "spec.scaleTargetRef", group=group)


def _of_deployment_config(obj: Object, namespace: str) -> Iterator[Reference]:
    for each in items(section(obj, "spec"), "triggers"):
        source = section(each, "imageChangeParams", "from")
        name = {"name": _text(source.get("name")).partition(":")[0]}
        place = _text(source.get("namespace")) or namespace
        # Images of the cluster itself are in every OpenShift.
        if place != "openshift":
            yield from _named(name, "ImageStream", place, "spec.triggers", group="image.openshift.io")


def _of_webhooks(obj: Object, namespace: str) -> Iterator[Reference]:
    for each in items(obj, "webhooks"):
        called = section(each, "clientConfig", "service")
        yield from _named(called, "Service", _text(called.get("namespace")), f"webhooks.{each.get('name')}")


def _of_definition(obj: Object, namespace: str) -> Iterator[Reference]:
    called = section(obj, "spec", "conversion", "webhook", "clientConfig", "service")
    yield from _named(called, "Service", _text(called.get("namespace")), "spec.conversion.webhook")


def _of_token(obj: Object, namespace: str) -> Iterator[Reference]:
    annotations = section(obj, "metadata", "annotations")
    if obj.get("type") == "kubernetes.io/service-account-token":
        key = "kubernetes.io/service-account.name"
        yield from _named(annotations, "ServiceAccount", namespace, f"metadata.annotations.{key}", key=key)


_FINDERS = {
    ("", "Secret"): _of_token,
    ("", "ServiceAccount"): _of_account,
    ("apps", "StatefulSet"): _of_stateful_set,
    ("apps.openshift.io", "DeploymentConfig"): _of_deployment_config,
    (RBAC, "RoleBinding"): _of_binding,
    (RBAC, "ClusterRoleBinding"): _of_binding,
    (NETWORKING, "Ingress"): _of_ingress,
    ("route.openshift.io", "Route"): _of_route,
    (GATEWAY, "Gateway"): _of_gateway,
    **{(GATEWAY, kind): _of_gateway_route for kind in ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute")},
    ("autoscaling", "HorizontalPodAutoscaler"): _of_autoscaler,
    (ADMISSION, "ValidatingWebhookConfiguration"): _of_webhooks,
    (ADMISSION, "MutatingWebhookConfiguration"): _of_webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _of_definition,
}
