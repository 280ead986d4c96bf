"""An OpenShift application: a DeploymentConfig that an ImageStream triggers, Routes, and a grant of an SCC."""

from __future__ import annotations

from tests.engine.conftest import eventually
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import Object, make, pod_spec, workload

PROJECT, THERE = "storefront", "storefront-production"
REGISTRY = "image-registry.openshift-image-registry.svc:5000"
RBAC = "rbac.authorization.k8s.io"
CONFIGS, STREAMS = "deploymentconfigs.apps.openshift.io", "imagestreams.image.openshift.io"
ROUTES = "routes.route.openshift.io"
CLAIM = "uploads"


def config() -> Object:
    """Two replicas, which a tag of the stream triggers and whose account may run as any user."""
    spec = pod_spec(
        serviceAccountName="store", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}]
    )
    spec["containers"][0] |= {
        "image": f"{REGISTRY}/{PROJECT}/store@sha256:{'a' * 64}",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    source = {"kind": "ImageStreamTag", "name": "store:latest", "namespace": PROJECT}
    last = f"{REGISTRY}/{PROJECT}/store@sha256:{'a' * 64}"
    image = {"automatic": True, "containerNames": ["main"], "from": source, "lastTriggeredImage": last}
    found = workload("DeploymentConfig", "store", PROJECT, spec={"replicas": 2, "selector": {"app": "store"}})
    found["spec"]["template"]["spec"] = spec
    found["spec"]["triggers"] = [{"type": "ConfigChange"}, {"type": "ImageChange", "imageChangeParams": image}]
    return found


def route(name: str, **spec: str) -> Object:
    target = {"kind": "Service", "name": "store", "weight": 100}
    return make("Route", name, PROJECT, spec={"to": target, "port": {"targetPort": "http"}, **spec})


def plant(scenario: Scenario) -> None:
    claim = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "efs-rwx",
        "resources": {"requests": {"storage": "64Mi"}},
    }
    tags = [{"name": "latest", "generation": 3, "from": {"kind": "DockerImage", "name": "quay.io/example/store:1"}}]
    grant = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "system:openshift:scc:anyuid"}
    subjects = [{"kind": "ServiceAccount", "name": "store", "namespace": PROJECT}]
    scenario.plant(
        make("ServiceAccount", "store", PROJECT),
        make("RoleBinding", "system:openshift:scc:anyuid", PROJECT, roleRef=grant, subjects=subjects),
        make("PersistentVolumeClaim", CLAIM, PROJECT, spec=claim),
        make("ImageStream", "store", PROJECT, spec={"lookupPolicy": {"local": False}, "tags": tags}),
        make("Service", "store", PROJECT, spec={"selector": {"app": "store"}, "ports": [{"name": "http", "port": 80}]}),
        config(),
        route("chosen", host="store.example.com"),
        route("made-up"),
    )
    scenario.until_running(CONFIGS, "store", PROJECT, 2)
    eventually(lambda: "host" in scenario.dev.get(ROUTES, "made-up", PROJECT)["spec"])
    scenario.fill(PROJECT, CLAIM, 6)


def admitted(found: Object) -> bool:
    ingress = (found.get("status") or {}).get("ingress") or ()
    return any(
        (condition["type"], condition["status"]) == ("Admitted", "True")
        for each in ingress
        for condition in each["conditions"]
    )


def test_the_application_is_rolled_out_and_reached_there(scenario: Scenario) -> None:
    plant(scenario)
    migration = scenario.migrate(PROJECT, namespace_mapping={PROJECT: THERE})

    found = scenario.there(CONFIGS, "store", THERE)
    assert found["status"]["availableReplicas"] == 2
    # One version of its own there: nothing of the source's versions came along.
    assert scenario.names_there("replicationcontrollers", THERE) == {"store-1"}
    assert len(scenario.ready_pods_there(THERE, "deploymentconfig=store")) == 2
    trigger = found["spec"]["triggers"][1]["imageChangeParams"]
    assert trigger["from"] == {"kind": "ImageStreamTag", "name": "store:latest", "namespace": THERE}
    assert "lastTriggeredImage" not in trigger
    image = found["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith(f"{REGISTRY}/{THERE}/store@sha256:")
    (tag,) = scenario.there(STREAMS, "store", THERE)["spec"]["tags"]
    assert tag == {"name": "latest", "from": {"kind": "DockerImage", "name": "quay.io/example/store:1"}}
    chosen, made_up = (scenario.there(ROUTES, name, THERE) for name in ("chosen", "made-up"))
    assert chosen["spec"]["host"] == "store.example.com"
    # A name that the router made lies in the domain of the cluster that made it.
    assert made_up["spec"]["host"] == f"made-up-{THERE}.apps.prod.example.com"
    assert admitted(chosen)
    assert admitted(made_up)
    binding = scenario.there(f"rolebindings.{RBAC}", "system:openshift:scc:anyuid", THERE)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "store", "namespace": THERE}]
    assert binding["roleRef"]["name"] == "system:openshift:scc:anyuid"
    # OpenShift makes its own in every project.
    pullers = "system:image-pullers"
    assert scenario.dev.get(f"rolebindings.{RBAC}", pullers, PROJECT)
    assert not migration.resources.filter(name=pullers).exists()
    assert scenario.same_files(PROJECT, CLAIM, THERE)
    assert scenario.there("persistentvolumeclaims", CLAIM, THERE)["spec"]["storageClassName"] == "efs-sc"
