"""OpenShift's DeploymentConfigs: a ReplicationController for each version of the template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import (
    Key,
    Object,
    find,
    is_controlled_by,
    now,
    own_key,
    owner_key,
    owner_reference,
    reconcile_loop,
    set_condition,
    update_status,
)
from demo.cluster.copies import copied

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

CONFIGS = "deploymentconfigs.apps.openshift.io"
CONTROLLERS = "replicationcontrollers"
VERSION = "openshift.io/deployment-config.latest-version"


async def run(api: ClusterAPI) -> None:
    """Follow DeploymentConfigs for ever."""
    await reconcile_loop(api, {CONFIGS: own_key, CONTROLLERS: owner_key("DeploymentConfig")}, reconcile)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one DeploymentConfig."""
    config = find(api, CONFIGS, *key)
    if config is None or "deletionTimestamp" in config["metadata"]:
        return None
    own = api.list(CONTROLLERS, key[0], where=lambda each: is_controlled_by(each, config))
    own.sort(key=lambda each: int(each["metadata"]["annotations"][VERSION]))
    replicas = config["spec"].get("replicas", 1)
    if not own or not _same(own[-1], config):
        own.append(_create(api, config, len(own) + 1))
    for controller in own:
        wanted = replicas if controller is own[-1] else 0
        if controller["spec"]["replicas"] != wanted:
            controller["spec"]["replicas"] = wanted
            api.update(CONTROLLERS, controller)
    _report(api, config, own, replicas)
    return None


def _same(controller: Object, config: Object) -> bool:
    spec = copied(controller["spec"]["template"]["spec"])
    wanted = config["spec"]["template"]["spec"]
    return all(spec.get(field) == value for field, value in wanted.items())


def _create(api: ClusterAPI, config: Object, version: int) -> Object:
    name = f"{config['metadata']['name']}-{version}"
    labels = {"deployment": name, "deploymentconfig": config["metadata"]["name"]}
    template = copied(config["spec"]["template"])
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**metadata.get("labels", {}), **labels}
    return api.create(
        CONTROLLERS,
        {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {
                "name": name,
                "namespace": config["metadata"]["namespace"],
                "labels": dict(metadata["labels"]),
                "annotations": {
                    "openshift.io/deployment-config.name": config["metadata"]["name"],
                    VERSION: str(version),
                    "openshift.io/deployment.phase": "Complete",
                },
                "ownerReferences": [owner_reference(config)],
            },
            "spec": {
                "replicas": config["spec"].get("replicas", 1),
                "selector": {**config["spec"].get("selector", {}), **labels},
                "template": template,
            },
        },
    )


def _report(api: ClusterAPI, config: Object, own: list[Object], replicas: int) -> None:
    current = own[-1].get("status", {})
    available = current.get("availableReplicas", 0)
    moment, name = now(), own[-1]["metadata"]["name"]
    times = {"lastUpdateTime": moment, "lastTransitionTime": moment}
    enough = available >= replicas
    conditions = set_condition(
        config.get("status", {}).get("conditions", []),
        {
            "type": "Available",
            "status": str(enough),
            **times,
            "message": f"Deployment config {'has' if enough else 'does not have'} minimum availability.",
        },
    )
    if enough:
        message = f'replication controller "{name}" successfully rolled out'
        progressing = {"reason": "NewReplicationControllerAvailable", "message": message}
        conditions = set_condition(conditions, {"type": "Progressing", "status": "True", **times, **progressing})
    status = {
        "latestVersion": len(own),
        "observedGeneration": config["metadata"].get("generation", 1),
        "replicas": current.get("replicas", 0),
        "updatedReplicas": current.get("replicas", 0),
        "readyReplicas": current.get("readyReplicas", 0),
        "availableReplicas": available,
        "unavailableReplicas": max(0, replicas - available),
        "details": {"message": "config change", "causes": [{"type": "ConfigChange"}]},
        "conditions": conditions,
    }
    update_status(api, CONFIGS, config, status)
