"""The controllers of a simulated cluster: what a real one's controller manager, scheduler and drivers do.

One module per controller, each with `run(api)`. They know the cluster only through its `ClusterAPI`: they watch,
compare what is with what should be, and take one step (`loop.reconcile_loop`), so that any of them can stop and start
anywhere.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

__all__ = ["controllers"]


def controllers(api: ClusterAPI, *, nodes: bool) -> list[Coroutine[Any, Any, None]]:
    """All controllers of the cluster, to be run as tasks; with `nodes` also the scheduler and the kubelets."""
    # Imported here because the kubelet's modules use this package's.
    from demo.cluster import kubelet
    from demo.cluster.controllers import (
        daemonsets,
        deploymentconfigs,
        deployments,
        garbage,
        jobs,
        namespaces,
        quotas,
        replicasets,
        routes,
        scheduler,
        services,
        small,
        snapshots,
        statefulsets,
        volumes,
    )

    running = [
        garbage.run,
        namespaces.run,
        volumes.run,
        jobs.run,
        deployments.run,
        replicasets.run,
        replicasets.run_replication_controllers,
        statefulsets.run,
        daemonsets.run,
        services.run,
        quotas.run,
        small.run_tokens,
        small.run_autoscalers,
        small.run_budgets,
        small.run_cron_jobs,
    ]
    if _is_openshift(api):
        running += [namespaces.run_openshift, deploymentconfigs.run, routes.run]
    started = [run(api) for run in running]
    started.append(snapshots.run(api.acting_as("snapshot-controller")))
    if nodes:
        started += [scheduler.run(api.acting_as("ksched")), kubelet.run(api.acting_as("kubelet"))]
    return started


def _is_openshift(api: ClusterAPI) -> bool:
    """Whether the cluster serves OpenShift's resources."""
    return any(info.group == "route.openshift.io" for info in api.registry.preferred())
