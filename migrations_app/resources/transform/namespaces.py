"""Namespaces under another name: every reference to one, kind by kind.

Names that only look like namespaces are left alone; where texts may name Services of one (`mysql.cms.svc`), a person
decides: see `suggestions.py`. Renaming there and back gives what there was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from migrations_app.resources.marks import type_of
from migrations_app.resources.notes import INTERNAL_REGISTRIES
from migrations_app.resources.shapes import containers, items, mappings, pod_specs, section, texts
from migrations_app.resources.subjects import renamed as renamed_subject
from migrations_app.resources.transform.options import Object, Options

NAME_LABEL = "kubernetes.io/metadata.name"
# cilium's identity labels of pods.
NAME_LABELS = (NAME_LABEL, "k8s:io.kubernetes.pod.namespace", "io.kubernetes.pod.namespace")
# Annotations that name an object as `namespace/name`.
PLACE_ANNOTATIONS = (
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "nginx.ingress.kubernetes.io/auth-secret",
    "nginx.ingress.kubernetes.io/auth-tls-secret",
    "nginx.ingress.kubernetes.io/proxy-ssl-secret",
)
MIDDLEWARES = "traefik.ingress.kubernetes.io/router.middlewares"
IMAGE_TRIGGERS = "image.openshift.io/triggers"
RBAC = "rbac.authorization.k8s.io"
GATEWAY = "gateway.networking.k8s.io"
Names = Callable[[str], str]


def map_namespaces(obj: Object, options: Options) -> None:
    """Rename in place as the spec maps; where it maps nothing, nothing is looked at."""
    mapping = {k: v for k, v in options.spec.namespace_mapping.items() if k != v}
    if mapping:
        rename(obj, mapping)


def rename(obj: Object, mapping: Mapping[str, str]) -> None:
    """Rename every namespace that the object lies in, or refers to."""

    def name(namespace: str) -> str:
        return mapping.get(namespace, namespace)

    metadata = section(obj, "metadata")
    if obj.get("kind") == "Namespace" and obj.get("apiVersion") == "v1":
        _rename(metadata, "name", name)
        _rename(section(metadata, "labels"), NAME_LABEL, name)
    _rename(metadata, "namespace", name)
    _annotations(section(metadata, "annotations"), name)
    _selectors(obj, name)
    for _at, spec in pod_specs(obj):
        _pods(spec, name)
    group, kind = type_of(obj)
    if rule := _RULES.get((group, kind)):
        rule(obj, name)
    elif group == GATEWAY:
        _every(section(obj, "spec"), name)
    elif group.endswith(".openshift.io"):
        _images(obj, name)


def _rename(place: Object, key: str, name: Names) -> None:
    if isinstance(value := place.get(key), str):
        place[key] = name(value)


def _rename_all(place: Object, key: str, name: Names) -> None:
    if texts(place, key):
        place[key] = [name(each) if isinstance(each, str) else each for each in place[key]]


def _every(value: Any, name: Names) -> None:
    """Each field `namespace`, for kinds where it can mean nothing else."""
    for each in mappings(value):
        _rename(each, "namespace", name)


def _annotations(annotations: Object, name: Names) -> None:
    for key in PLACE_ANNOTATIONS:
        if isinstance(value := annotations.get(key), str) and "/" in value:
            namespace, _slash, rest = value.partition("/")
            annotations[key] = f"{name(namespace)}/{rest}"
    # Traefik's are `namespace-name@kubernetescrd`, so that where the namespace ends is known by its name only.
    if isinstance(value := annotations.get(MIDDLEWARES), str):
        annotations[MIDDLEWARES] = ",".join(_middleware(each.strip(), name) for each in value.split(","))
    if isinstance(value := annotations.get(IMAGE_TRIGGERS), str):
        annotations[IMAGE_TRIGGERS] = _in_json(value, name)


def _middleware(reference: str, name: Names) -> str:
    if not reference.endswith("@kubernetescrd"):
        return reference
    ends = [place for place, letter in enumerate(reference) if letter == "-"]
    for end in reversed(ends):
        if (renamed := name(reference[:end])) != reference[:end]:
            return renamed + reference[end:]
    return reference


def _in_json(text: str, name: Names) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    before = json.dumps(found)
    _every(found, name)
    return text if json.dumps(found) == before else json.dumps(found, separators=(",", ":"))


def _selectors(obj: Object, name: Names) -> None:
    """Selectors of namespaces by the label that every namespace has: of policies, webhooks, Gateways and affinities."""
    for key in ("spec", "specs", "webhooks"):
        for each in mappings(obj.get(key)):
            for label in NAME_LABELS:
                _rename(each, label, name)
            if each.get("key") in NAME_LABELS:
                _rename_all(each, "values", name)


def _pods(spec: Object, name: Names) -> None:
    for affinity in ("podAffinity", "podAntiAffinity"):
        found = section(spec, "affinity", affinity)
        terms = items(found, "requiredDuringSchedulingIgnoredDuringExecution")
        weighted = items(found, "preferredDuringSchedulingIgnoredDuringExecution")
        for term in [*terms, *(section(each, "podAffinityTerm") for each in weighted)]:
            _rename_all(term, "namespaces", name)
    for _at, container in containers(spec):
        if isinstance(image := container.get("image"), str):
            container["image"] = _image(image, name)


def _image(image: str, name: Names) -> str:
    """An image in OpenShift's own registry, where each namespace is a folder."""
    for registry in INTERNAL_REGISTRIES:
        if image.startswith(registry):
            namespace, slash, rest = image.removeprefix(registry).partition("/")
            return f"{registry}{name(namespace)}{slash}{rest}"
    return image


def _images(obj: Object, name: Names) -> None:
    """References to image streams (`from`, `to` and the like), and to images in the cluster's registry."""
    for each in mappings(section(obj, "spec")):
        if str(each.get("kind")).startswith(("ImageStream", "DockerImage")):
            _rename(each, "namespace", name)
            if isinstance(image := each.get("name"), str):
                each["name"] = _image(image, name)
        if isinstance(repository := each.get("dockerImageRepository"), str):
            each["dockerImageRepository"] = _image(repository, name)


def _bindings(obj: Object, name: Names) -> None:
    if isinstance(obj.get("subjects"), list):
        obj["subjects"] = [renamed_subject(each, name) if isinstance(each, dict) else each for each in obj["subjects"]]


def _endpoints(obj: Object, name: Names) -> None:
    for each in mappings([obj.get("subsets"), obj.get("endpoints")]):
        _rename(section(each, "targetRef"), "namespace", name)


def _webhooks(obj: Object, name: Names) -> None:
    for each in items(obj, "webhooks"):
        _rename(section(each, "clientConfig", "service"), "namespace", name)


def _definition(obj: Object, name: Names) -> None:
    _rename(section(obj, "spec", "conversion", "webhook", "clientConfig", "service"), "namespace", name)


def _api_service(obj: Object, name: Names) -> None:
    _rename(section(obj, "spec", "service"), "namespace", name)


def _volume(obj: Object, name: Names) -> None:
    _rename(section(obj, "spec", "claimRef"), "namespace", name)


def _claim(obj: Object, name: Names) -> None:
    _rename(section(obj, "spec", "dataSourceRef"), "namespace", name)


def _monitor(obj: Object, name: Names) -> None:
    _rename_all(section(obj, "spec", "namespaceSelector"), "matchNames", name)


def _operator_group(obj: Object, name: Names) -> None:
    _rename_all(section(obj, "spec"), "targetNamespaces", name)


def _subscription(obj: Object, name: Names) -> None:
    _rename(section(obj, "spec"), "sourceNamespace", name)


def _constraints(obj: Object, name: Names) -> None:
    for key, kind in (("users", "User"), ("groups", "Group")):
        if texts(obj, key):
            obj[key] = [renamed_subject({"kind": kind, "name": each}, name)["name"] for each in texts(obj, key)]


_RULES: dict[tuple[str, str], Callable[[Object, Names], None]] = {
    ("", "Endpoints"): _endpoints,
    ("discovery.k8s.io", "EndpointSlice"): _endpoints,
    ("", "PersistentVolume"): _volume,
    ("", "PersistentVolumeClaim"): _claim,
    (RBAC, "RoleBinding"): _bindings,
    (RBAC, "ClusterRoleBinding"): _bindings,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("monitoring.coreos.com", "ServiceMonitor"): _monitor,
    ("monitoring.coreos.com", "PodMonitor"): _monitor,
    ("operators.coreos.com", "OperatorGroup"): _operator_group,
    ("operators.coreos.com", "Subscription"): _subscription,
    ("security.openshift.io", "SecurityContextConstraints"): _constraints,
}
