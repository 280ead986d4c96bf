"""What has to be there before what. The ranks are those of Velero's code (pkg/cmd/server/config/config.go).

Three things are different. Services come before workloads and not after ReplicaSets, since pods are told of Services
in their environment when they start. NetworkPolicies and quotas, which Velero leaves to the alphabet, come before what
they are to hold in check. What acts on workloads, and webhooks that would be asked about all else, come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

from migrations_app.resources.marks import key_of

Object = dict[str, Any]
Key = tuple[str, str, str, str]

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


def ranks(objects: Iterable[Object], before: Callable[[Object], Iterable[Key]] = lambda obj: ()) -> list[list[Object]]:
    """The objects in groups that can be applied side by side, in order.

    `before` names what has to be there before an object, whatever their kinds: its owners.
    """
    wanted = ordered(objects)
    by_key = {key_of(obj): obj for obj in wanted}
    known: dict[Key, tuple[int, int]] = {}

    def group_of(obj: Object) -> tuple[int, int]:
        key = key_of(obj)
        if key not in known:
            known[key] = found = (rank(obj), 0)
            for owner in before(obj):
                if owner in by_key:
                    above, depth = group_of(by_key[owner])
                    found = max(found, (above, depth + 1))
            known[key] = found
        return known[key]

    wanted.sort(key=group_of)
    return [list(group) for _group, group in groupby(wanted, key=group_of)]
