"""Applications that a migration brought stopped are started: their replicas from its note, their CronJobs resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.portworx.preparing import REPLICAS

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
SCALED = ("statefulsets.apps", "deployments.apps", "replicasets.apps", "deploymentconfigs.apps.openshift.io")


def activate(api: ClusterAPI, namespace: str) -> None:
    """Start what carries the note; every CronJob of the namespace is resumed, as Stork does."""
    for resource in SCALED:
        for obj in api.list(resource, namespace):
            replicas = int((obj["metadata"].get("annotations") or {}).get(REPLICAS) or 0)
            if replicas and obj["spec"].get("replicas") != replicas:
                api.update(resource, {**obj, "spec": {**obj["spec"], "replicas": replicas}})
    for obj in api.list("cronjobs.batch", namespace):
        if obj["spec"].get("suspend"):
            api.update("cronjobs.batch", {**obj, "spec": {**obj["spec"], "suspend": False}})
