"""What must change so that an object fits another cluster: a table of small rules per kind, each with its source.

`transformed` is pure and can be repeated: transforming twice gives what transforming once gave.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrations_app.resources.marks import (
    MIGRATION_LABEL,
    REPLICAS_ANNOTATION,
    SOURCE_ANNOTATION,
    SUSPENDED_ANNOTATION,
    type_of,
)
from migrations_app.resources.spec import Spec
from migrations_app.resources.subjects import lies_within

Object = dict[str, Any]

# What the API server sets itself.
SERVER_METADATA = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "selfLink", "managedFields", "ownerReferences", "finalizers", "generateName",
)  # fmt: skip
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HOST_GENERATED = "openshift.io/host.generated"
# Notes of controllers and clients about the source cluster, which are wrong or noise elsewhere.
FOREIGN_ANNOTATIONS = (
    LAST_APPLIED,
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "endpoints.kubernetes.io/last-change-trigger-time",
    "autoscaling.alpha.kubernetes.io/conditions",
    "autoscaling.alpha.kubernetes.io/current-metrics",
    HOST_GENERATED,
)
JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")


@dataclass(frozen=True)
class Options:
    """How to transform: `spec` says what was asked for, `source` names the cluster in the mark."""

    migration_id: str
    source: str = ""
    spec: Spec = field(default_factory=lambda: Spec(namespaces=()))

    @property
    def storage_classes(self) -> Mapping[str, str]:
        return self.spec.storage_class_mapping


def transformed(obj: Object, options: Options) -> Object:
    """The object as it is to be on the destination."""
    result = copy.deepcopy(obj)
    metadata = {key: value for key, value in _section(result, "metadata").items() if key not in SERVER_METADATA}
    annotations = {k: v for k, v in _section(metadata, "annotations").items() if k not in FOREIGN_ANNOTATIONS}
    labels = _section(metadata, "labels")
    metadata["annotations"] = {**annotations, SOURCE_ANNOTATION: options.source}
    metadata["labels"] = {**labels, MIGRATION_LABEL: options.migration_id}
    result["metadata"] = {key: value for key, value in metadata.items() if value}
    result.pop("status", None)
    for rule in RULES.get(type_of(result), ()):
        rule(result, options, obj)
    if not options.spec.start_applications:
        _stop(result)
    return result


def _section(obj: Any, *names: str) -> Object:
    """The part at the path, or an empty one where it is absent, null or no mapping."""
    for name in names:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


def _items(obj: Any, name: str) -> list[Object]:
    """The mappings in a list, or none where it is absent, null or no list."""
    found = obj.get(name) if isinstance(obj, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _last_applied(obj: Object) -> Object:
    text = _section(obj, "metadata", "annotations").get(LAST_APPLIED)
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _was_transformed(obj: Object, options: Options) -> bool:
    """Whether this migration has transformed it: then it tells no more what was asked for, and names are mapped."""
    return bool(_section(obj, "metadata", "labels").get(MIGRATION_LABEL) == options.migration_id)


# Changes the object in place; the last argument is the object as the source has it.
Rule = Callable[[Object, Options, Object], None]


def _service_addresses(obj: Object, options: Options, source: Object) -> None:
    """Addresses belong to a cluster; a headless Service stays headless (Stork, Velero)."""
    spec = _section(obj, "spec")
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    for name in ("ipFamilies", "ipFamilyPolicy", "loadBalancerIP", "healthCheckNodePort"):
        spec.pop(name, None)


def _node_ports(obj: Object, options: Options, source: Object) -> None:
    """Node ports are kept where somebody asked for them, and allocated anew otherwise (velero service_action.go)."""
    last_applied = _section(_last_applied(source), "spec")
    asked = [_port(port) for port in _items(last_applied, "ports") if port.get("nodePort")]
    for port in _items(_section(obj, "spec"), "ports"):
        if _port(port) not in asked and not _was_transformed(source, options):
            port.pop("nodePort", None)


def _port(port: Object) -> tuple[Any, Any]:
    return port.get("port"), port.get("protocol", "TCP")


def _job(obj: Object, options: Options, source: Object) -> None:
    """The controller's uid selects pods; a new Job gets a new one (velero job_action.go)."""
    spec = _section(obj, "spec")
    if spec.get("manualSelector"):
        return
    spec.pop("selector", None)
    for labels in (_section(obj, "metadata", "labels"), _section(spec, "template", "metadata", "labels")):
        for name in JOB_LABELS:
            labels.pop(name, None)


def _service_account(obj: Object, options: Options, source: Object) -> None:
    """Generated token and registry Secrets are the destination's own business."""
    name = obj["metadata"].get("name")
    generated = (f"{name}-token-", f"{name}-dockercfg-")
    for key in ("secrets", "imagePullSecrets"):
        kept = [each for each in _items(obj, key) if not str(each.get("name", "")).startswith(generated)]
        if kept:
            obj[key] = kept
        else:
            obj.pop(key, None)


def _claim_templates(obj: Object, options: Options, source: Object) -> None:
    for template in _items(_section(obj, "spec"), "volumeClaimTemplates"):
        template.pop("status", None)
        _section(template, "metadata").pop("creationTimestamp", None)
        _map_class(_section(template, "spec"), options, source)


def _map_class(claim: Object, options: Options, source: Object) -> None:
    """The empty name stands for the default class, as it does for the claims that there are already."""
    name = claim.get("storageClassName") or ""
    # Mapping twice would follow a chain: a class may be called on the destination as another one is on the source.
    if isinstance(name, str) and name in options.storage_classes and not _was_transformed(source, options):
        claim["storageClassName"] = options.storage_classes[name]


def _pod_template(obj: Object, options: Options, source: Object) -> None:
    template = _section(obj, "spec", "template") or _section(obj, "spec", "jobTemplate", "spec", "template")
    _section(template, "metadata").pop("creationTimestamp", None)
    spec = _section(template, "spec")
    # Names a node of the source.
    spec.pop("nodeName", None)
    for volume in _items(spec, "volumes"):
        _map_class(_section(volume, "ephemeral", "volumeClaimTemplate", "spec"), options, source)


def _job_template(obj: Object, options: Options, source: Object) -> None:
    _section(obj, "spec", "jobTemplate", "metadata").pop("creationTimestamp", None)


def _custom_definition(obj: Object, options: Options, source: Object) -> None:
    """A conversion webhook's CA is injected by whoever runs it there."""
    _section(obj, "spec", "conversion", "webhook", "clientConfig").pop("caBundle", None)


def _route_host(obj: Object, options: Options, source: Object) -> None:
    """A host that the router made up lies in the source's domain; one that somebody chose is the application's."""
    if _section(source, "metadata", "annotations").get(HOST_GENERATED) == "true":
        _section(obj, "spec").pop("host", None)


def _subjects(obj: Object, options: Options, source: Object) -> None:
    """Whoever is not migrated gets nothing on the destination, where the same name may be somebody else (Stork)."""
    if options.spec.namespaces:
        obj["subjects"] = [each for each in _items(obj, "subjects") if lies_within(each, options.spec.namespaces)]


# By group and kind: operators define Jobs and Services of their own, which mean something else.
RULES: dict[tuple[str, str], tuple[Rule, ...]] = {
    ("", "Service"): (_service_addresses, _node_ports),
    ("", "ServiceAccount"): (_service_account,),
    ("batch", "Job"): (_job, _pod_template),
    ("batch", "CronJob"): (_job_template, _pod_template),
    ("apps", "StatefulSet"): (_claim_templates, _pod_template),
    ("apps", "Deployment"): (_pod_template,),
    ("apps", "DaemonSet"): (_pod_template,),
    ("apps", "ReplicaSet"): (_pod_template,),
    ("apps.openshift.io", "DeploymentConfig"): (_pod_template,),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (_custom_definition,),
    ("route.openshift.io", "Route"): (_route_host,),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (_subjects,),
}

STOPPED = {
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "ReplicaSet"),
    ("apps.openshift.io", "DeploymentConfig"),
}


def _stop(obj: Object) -> None:
    """`startApplications: false` as Stork does it: zero replicas, the count in an annotation; CronJobs suspended."""
    annotations, spec = obj["metadata"]["annotations"], obj.get("spec")
    if not isinstance(spec, dict):
        return
    if type_of(obj) in STOPPED:
        replicas = spec.get("replicas")
        if replicas is None:
            replicas = 1
        if replicas or REPLICAS_ANNOTATION not in annotations:
            annotations[REPLICAS_ANNOTATION] = str(replicas)
        spec["replicas"] = 0
    elif type_of(obj) == ("batch", "CronJob"):
        # An earlier migration's note counts only as long as the CronJob is still suspended.
        if not spec.get("suspend"):
            annotations[SUSPENDED_ANNOTATION] = "false"
        annotations.setdefault(SUSPENDED_ANNOTATION, "true")
        spec["suspend"] = True
