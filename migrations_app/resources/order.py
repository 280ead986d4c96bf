"""What has to be there before what. The ranks are those of Velero's code (pkg/cmd/server/config/config.go)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

Object = dict[str, Any]

RANKS = (
    "CustomResourceDefinition",
    "Namespace",
    "StorageClass",
    "PriorityClass",
    "ClusterRole",
    "Role",
    "ServiceAccount",
    "ClusterRoleBinding",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "Service",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "DeploymentConfig",
    "Job",
    "CronJob",
)
_RANK = {kind: rank for rank, kind in enumerate(RANKS)}
# Custom resources and whatever else comes before what consumes them is unknown: after Services, beside workloads.
_OTHER = _RANK["ReplicaSet"]
# What acts on workloads comes when they are there.
_LAST = {"HorizontalPodAutoscaler", "PodDisruptionBudget", "Route", "Ingress"}
# These stand in the way of whatever is made before what they call is up.
_WEBHOOKS = {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}


def rank(obj: Object) -> int:
    """The higher, the later. A rank's objects do not need each other."""
    if obj["kind"] in _WEBHOOKS:
        return len(RANKS) + 1
    if obj["kind"] in _LAST:
        return len(RANKS)
    return _RANK.get(obj["kind"], _OTHER)


def _place(obj: Object) -> tuple[int, str, str, str]:
    metadata = obj["metadata"]
    return rank(obj), obj["kind"], metadata.get("namespace", ""), metadata["name"]


def ordered(objects: Iterable[Object]) -> list[Object]:
    """By rank, then kind, namespace and name: the same set always comes in the same order."""
    return sorted(objects, key=_place)


def ranks(objects: Iterable[Object]) -> list[list[Object]]:
    """The objects in groups that can be applied side by side, in order."""
    return [list(group) for _rank, group in groupby(ordered(objects), key=rank)]
