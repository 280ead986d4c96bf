"""What every object loses: what servers, controllers and clients wrote about it on the source."""

from __future__ import annotations

from typing import Any

from migrations_app.resources.shapes import section

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
    "deprecated.daemonset.template.generation",
    "batch.kubernetes.io/job-tracking",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "endpoints.kubernetes.io/last-change-trigger-time",
    # HorizontalPodAutoscalers of version 1 hold their status here, and what version 2 adds, which is kept.
    "autoscaling.alpha.kubernetes.io/conditions",
    "autoscaling.alpha.kubernetes.io/current-metrics",
    # The uid of the account, which is another one there.
    "kubernetes.io/service-account.uid",
    # When OpenShift last looked for the images.
    "openshift.io/image.dockerRepositoryCheck",
    HOST_GENERATED,
)


def stripped(obj: Object) -> Object:
    """The metadata that is the application's own. Labels and annotations are mappings of its own."""
    metadata = {k: v for k, v in section(obj, "metadata").items() if v and k not in SERVER_METADATA}
    metadata["labels"] = dict(section(metadata, "labels"))
    annotations = section(metadata, "annotations")
    metadata["annotations"] = {key: value for key, value in annotations.items() if key not in FOREIGN_ANNOTATIONS}
    return metadata
