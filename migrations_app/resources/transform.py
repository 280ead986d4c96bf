"""What must change so that an object fits another cluster: a table of small rules per kind, each with its source.

`transformed` is pure and can be repeated: transforming twice gives what transforming once gave.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from migrations_app.resources.marks import MIGRATION_LABEL, REPLICAS_ANNOTATION, SOURCE_ANNOTATION, SUSPENDED_ANNOTATION

Object = dict[str, Any]

# What the API server sets itself.
SERVER_METADATA = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "selfLink", "managedFields", "ownerReferences", "finalizers", "generateName",
)  # fmt: skip
# Notes of controllers and clients about the source cluster, which are wrong or noise elsewhere.
FOREIGN_ANNOTATIONS = (
    "kubectl.kubernetes.io/last-applied-configuration",
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
    "openshift.io/host.generated",
)
JOB_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")


@dataclass(frozen=True)
class Options:
    """How to transform. `storage_classes` maps names; `source` names the cluster in the mark."""

    migration_id: str
    source: str = ""
    start_applications: bool = True
    storage_classes: dict[str, str] = field(default_factory=dict)


def transformed(obj: Object, options: Options) -> Object:
    """The object as it is to be on the destination."""
    last_applied = _last_applied(obj)
    result = copy.deepcopy(obj)
    metadata = {key: value for key, value in result["metadata"].items() if key not in SERVER_METADATA and value}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in FOREIGN_ANNOTATIONS}
    annotations[SOURCE_ANNOTATION] = options.source
    metadata["annotations"] = annotations
    metadata["labels"] = {**(metadata.get("labels") or {}), MIGRATION_LABEL: options.migration_id}
    result["metadata"] = metadata
    result.pop("status", None)
    for rule in RULES.get(result["kind"], ()):
        rule(result, options, last_applied)
    if not options.start_applications:
        _stop(result)
    return result


def _last_applied(obj: Object) -> Object:
    text = (obj["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/last-applied-configuration", "")
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


Rule = Callable[[Object, Options, Object], None]


def _service_addresses(obj: Object, options: Options, last_applied: Object) -> None:
    """Addresses belong to a cluster; a headless Service stays headless (Stork, Velero)."""
    spec = obj["spec"]
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    for name in ("ipFamilies", "ipFamilyPolicy", "loadBalancerIP", "healthCheckNodePort"):
        spec.pop(name, None)


def _node_ports(obj: Object, options: Options, last_applied: Object) -> None:
    """Node ports are kept where somebody asked for them, and allocated anew otherwise (velero service_action.go)."""
    asked = {
        (port.get("port"), port.get("protocol", "TCP"))
        for port in (last_applied.get("spec") or {}).get("ports") or ()
        if port.get("nodePort")
    }
    for port in obj["spec"].get("ports") or ():
        if (port.get("port"), port.get("protocol", "TCP")) not in asked:
            port.pop("nodePort", None)


def _job(obj: Object, options: Options, last_applied: Object) -> None:
    """The controller's uid selects pods; a new Job gets a new one (velero job_action.go)."""
    spec = obj["spec"]
    if not spec.get("manualSelector"):
        spec.pop("selector", None)
    for labels in (obj["metadata"].get("labels"), (spec.get("template", {}).get("metadata") or {}).get("labels")):
        for name in JOB_LABELS:
            if labels:
                labels.pop(name, None)


def _service_account(obj: Object, options: Options, last_applied: Object) -> None:
    """Generated token and registry Secrets are the destination's own business."""
    name = obj["metadata"]["name"]
    generated = (f"{name}-token-", f"{name}-dockercfg-")
    for key in ("secrets", "imagePullSecrets"):
        kept = [each for each in obj.get(key) or () if not each.get("name", "").startswith(generated)]
        if kept:
            obj[key] = kept
        else:
            obj.pop(key, None)


def _claim_templates(obj: Object, options: Options, last_applied: Object) -> None:
    for template in obj["spec"].get("volumeClaimTemplates") or ():
        template.pop("status", None)
        name = template["spec"].get("storageClassName")
        if name in options.storage_classes:
            template["spec"]["storageClassName"] = options.storage_classes[name]
        for key in ("creationTimestamp",):
            template.get("metadata", {}).pop(key, None)


def _pod_template(obj: Object, options: Options, last_applied: Object) -> None:
    template = obj.get("spec", {}).get("template") or {}
    metadata = template.get("metadata") or {}
    metadata.pop("creationTimestamp", None)
    spec = template.get("spec") or {}
    # Names a node of the source.
    spec.pop("nodeName", None)


def _custom_definition(obj: Object, options: Options, last_applied: Object) -> None:
    """A conversion webhook's CA is injected by whoever runs it there."""
    conversion = obj["spec"].get("conversion") or {}
    client = (conversion.get("webhook") or {}).get("clientConfig") or {}
    client.pop("caBundle", None)


RULES: dict[str, tuple[Rule, ...]] = {
    "Service": (_service_addresses, _node_ports),
    "Job": (_job, _pod_template),
    "ServiceAccount": (_service_account,),
    "StatefulSet": (_claim_templates, _pod_template),
    "Deployment": (_pod_template,),
    "DaemonSet": (_pod_template,),
    "ReplicaSet": (_pod_template,),
    "DeploymentConfig": (_pod_template,),
    "CustomResourceDefinition": (_custom_definition,),
}

STOPPED_KINDS = {"Deployment", "StatefulSet", "DeploymentConfig", "ReplicaSet"}


def _stop(obj: Object) -> None:
    """`startApplications: false` as Stork does it: zero replicas, the count in an annotation; CronJobs suspended."""
    annotations = obj["metadata"]["annotations"]
    if obj["kind"] in STOPPED_KINDS:
        replicas = obj["spec"].get("replicas", 1)
        if replicas or REPLICAS_ANNOTATION not in annotations:
            annotations[REPLICAS_ANNOTATION] = str(replicas)
        obj["spec"]["replicas"] = 0
    elif obj["kind"] == "CronJob":
        annotations.setdefault(SUSPENDED_ANNOTATION, str(bool(obj["spec"].get("suspend"))).lower())
        obj["spec"]["suspend"] = True
