"""Deployments and their like, owners, namespaces and Services of a simulated cluster."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from demo.cluster.api import APIError, ClusterAPI
from demo.cluster.controllers.small import is_due
from tests.simulator.inside import Object, claim, cluster, condition, gone, reasons, until

DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"


def workload(name: str, image: str = "registry.example.com/server:1", **spec: Any) -> Object:
    containers = [{"name": "server", "image": image, "ports": [{"containerPort": 80, "name": "http"}]}]
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": containers},
    }
    body = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": body}


def pods_of(api: ClusterAPI, app: str) -> list[Object]:
    return api.list("pods", "default", {"app": app})


def available(api: ClusterAPI, name: str, resource: str = DEPLOYMENTS) -> int:
    return int(api.get(resource, "default", name)["status"].get("availableReplicas", 0))


async def test_a_deployment_comes_up_and_goes_down(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(DEPLOYMENTS, workload("web", replicas=2))
        await until(lambda: available(api, "web") == 2)
        found = api.get(DEPLOYMENTS, "default", "web")
        assert condition(found, "Available")["reason"] == "MinimumReplicasAvailable"
        assert condition(found, "Progressing")["reason"] == "NewReplicaSetAvailable"
        assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
        api.patch(DEPLOYMENTS, "default", "web", {"spec": {"replicas": 0}})
        await until(lambda: pods_of(api, "web") == [])
        await until(lambda: "replicas" not in api.get(DEPLOYMENTS, "default", "web")["status"])
        assert "ScalingReplicaSet" in reasons(api, "web")


@pytest.mark.parametrize("strategy", ["Recreate", "RollingUpdate"])
async def test_a_new_template_replaces_the_pods(tmp_path: Path, strategy: str) -> None:
    async with cluster(tmp_path) as api:
        api.create(DEPLOYMENTS, workload("web", replicas=2, strategy={"type": strategy}))
        await until(lambda: available(api, "web") == 2)
        old = {pod["metadata"]["uid"] for pod in pods_of(api, "web")}
        newer = workload("web", "registry.example.com/server:2")["spec"]["template"]
        api.patch(DEPLOYMENTS, "default", "web", {"spec": {"template": newer}})

        def replaced() -> bool:
            pods = pods_of(api, "web")
            return len(pods) == 2 and not old & {pod["metadata"]["uid"] for pod in pods} and available(api, "web") == 2

        await until(replaced)
        sets = api.list(SETS, "default")
        assert sorted(each["spec"]["replicas"] for each in sets) == [0, 2]
        revision = api.get(DEPLOYMENTS, "default", "web")["metadata"]["annotations"][
            "deployment.kubernetes.io/revision"
        ]
        assert revision == "2"


async def test_a_pod_that_goes_away_is_replaced(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(DEPLOYMENTS, workload("web"))
        await until(lambda: available(api, "web") == 1)
        first = pods_of(api, "web")[0]["metadata"]["name"]
        api.delete("pods", "default", first)
        await gone(api, "pods", "default", first)
        await until(lambda: available(api, "web") == 1)
        assert pods_of(api, "web")[0]["metadata"]["name"] != first


async def test_deployments_that_cannot_run_say_so(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(DEPLOYMENTS, workload("web", "registry.invalid/none:1"))
        await until(lambda: condition(api.get(DEPLOYMENTS, "default", "web"), "Available").get("status") == "False")
        found = api.get(DEPLOYMENTS, "default", "web")
        assert condition(found, "Available")["reason"] == "MinimumReplicasUnavailable"
        assert condition(found, "Progressing")["reason"] == "ReplicaSetUpdated"
        assert found["status"]["unavailableReplicas"] == 1


async def test_a_stateful_set_starts_in_order_with_claims_of_its_own(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        templates = [{"metadata": {"name": "data"}, "spec": claim("x", "late")["spec"]}]
        api.create("statefulsets.apps", workload("db", replicas=2, serviceName="db", volumeClaimTemplates=templates))
        await until(lambda: available(api, "db", "statefulsets.apps") == 2)
        assert [pod["metadata"]["name"] for pod in pods_of(api, "db")] == ["db-0", "db-1"]
        names = [each["metadata"]["name"] for each in api.list("persistentvolumeclaims", "default")]
        assert names == ["data-db-0", "data-db-1"]
        assert pods_of(api, "db")[0]["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "0"
        api.patch("statefulsets.apps", "default", "db", {"spec": {"replicas": 0}})
        await until(lambda: pods_of(api, "db") == [])
        assert len(api.list("persistentvolumeclaims", "default")) == 2


async def test_a_daemon_set_has_a_pod_on_every_node(tmp_path: Path) -> None:
    async with cluster(tmp_path, count=3) as api:
        api.create("daemonsets.apps", workload("agent"))
        await until(lambda: api.get("daemonsets.apps", "default", "agent")["status"].get("numberAvailable") == 3)
        assert {pod["spec"]["nodeName"] for pod in pods_of(api, "agent")} == {"node-0", "node-1", "node-2"}


async def test_a_deployment_config_works_through_replication_controllers(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        config = workload("web", replicas=1)
        config["spec"]["selector"] = {"app": "web"}
        api.create("deploymentconfigs.apps.openshift.io", config)
        resource = "deploymentconfigs.apps.openshift.io"
        await until(lambda: api.get(resource, "default", "web").get("status", {}).get("availableReplicas") == 1)
        assert api.list("replicationcontrollers", "default")[0]["metadata"]["name"] == "web-1"
        api.patch(resource, "default", "web", {"spec": {"replicas": 0}})
        await until(lambda: pods_of(api, "web") == [])


async def test_what_belongs_to_an_owner_goes_with_it(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for name, propagation in (("a", "Background"), ("b", "Foreground")):
            api.create(DEPLOYMENTS, workload(name))
            await until(lambda name=name: available(api, name) == 1)
            api.delete(DEPLOYMENTS, "default", name, propagation=propagation)
            if propagation == "Foreground":
                assert "foregroundDeletion" in api.get(DEPLOYMENTS, "default", name)["metadata"]["finalizers"]
            await gone(api, DEPLOYMENTS, "default", name)
            await until(lambda name=name: pods_of(api, name) == [])
        await until(lambda: api.list(SETS, "default") == [])


async def test_orphans_stay(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(DEPLOYMENTS, workload("web"))
        await until(lambda: available(api, "web") == 1)
        api.delete(DEPLOYMENTS, "default", "web", propagation="Orphan")
        await gone(api, DEPLOYMENTS, "default", "web")
        left = api.list(SETS, "default")
        assert len(left) == 1
        assert "ownerReferences" not in left[0]["metadata"]
        assert len(pods_of(api, "web")) == 1


async def test_an_object_with_an_owner_that_never_was_is_collected(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        owner = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "never",
            "uid": "8c3a0a8e-0000-4000-8000-000000000000",
        }
        metadata = {"name": "lonely", "namespace": "default", "ownerReferences": [owner]}
        api.create("configmaps", {"metadata": metadata})
        await gone(api, "configmaps", "default", "lonely")


async def test_a_namespace_is_given_what_every_project_has(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        api.create("namespaces", {"metadata": {"name": "new"}})
        await until(lambda: api.get("configmaps", "new", "kube-root-ca.crt"))
        await until(lambda: api.get("configmaps", "new", "openshift-service-ca.crt"))
        for account in ("default", "builder", "deployer"):
            found = await until(
                lambda account=account: (
                    (got := api.get("serviceaccounts", "new", account)).get("imagePullSecrets") and got
                )
            )
            secret = api.get("secrets", "new", found["imagePullSecrets"][0]["name"])
            assert secret["type"] == "kubernetes.io/dockercfg"
        binding = await until(lambda: api.get("rolebindings.rbac.authorization.k8s.io", "new", "system:image-pullers"))
        assert binding["subjects"][0]["name"] == "system:serviceaccounts:new"
        annotations = api.get("namespaces", None, "new")["metadata"]["annotations"]
        assert annotations["openshift.io/sa.scc.uid-range"].endswith("/10000")
        ranges = {each["metadata"]["annotations"]["openshift.io/sa.scc.uid-range"] for each in api.list("namespaces")}
        assert len(ranges) == len(api.list("namespaces"))


async def test_a_namespace_is_emptied_before_it_goes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create("namespaces", {"metadata": {"name": "old"}})
        deployment = workload("web")
        deployment["metadata"]["namespace"] = "old"
        api.create(DEPLOYMENTS, deployment)
        held = {"metadata": {"name": "held", "namespace": "old", "finalizers": ["example.com/hold"]}}
        api.create("configmaps", held)
        await until(lambda: api.get(DEPLOYMENTS, "old", "web")["status"].get("availableReplicas"))
        api.delete("namespaces", None, "old")
        remaining = await until(
            lambda: (
                (one := condition(api.get("namespaces", None, "old"), "NamespaceFinalizersRemaining")).get("status")
                == "True"
                and "web" not in str(api.list("pods", "old"))
                and one
            )
        )
        assert remaining["message"].endswith("example.com/hold in 1 resource instances")
        with pytest.raises(APIError) as refusal:
            api.create("configmaps", {"metadata": {"name": "more", "namespace": "old"}})
        assert refusal.value.code == 403
        api.patch("configmaps", "old", "held", {"metadata": {"finalizers": None}})
        await gone(api, "namespaces", None, "old")


async def test_services_know_their_pods(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(DEPLOYMENTS, workload("web", replicas=2))
        spec = {"selector": {"app": "web"}, "ports": [{"port": 8080, "targetPort": "http"}], "type": "LoadBalancer"}
        api.create("services", {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})

        def complete() -> bool:
            subsets = api.get("endpoints", "default", "web").get("subsets", [])
            return bool(subsets) and len(subsets[0].get("addresses", [])) == 2

        await until(complete)
        subset = api.get("endpoints", "default", "web")["subsets"][0]
        assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]
        addresses = {pod["status"]["podIP"] for pod in pods_of(api, "web")}
        assert {each["ip"] for each in subset["addresses"]} == addresses
        slices = api.list("endpointslices.discovery.k8s.io", "default", {"kubernetes.io/service-name": "web"})
        assert {each["addresses"][0] for each in slices[0]["endpoints"]} == addresses
        ingress = api.get("services", "default", "web")["status"]["loadBalancer"]["ingress"]
        assert ingress[0]["hostname"].endswith(".elb.amazonaws.com")
        api.delete("services", "default", "web")
        await gone(api, "endpoints", "default", "web")
        await until(lambda: api.list("endpointslices.discovery.k8s.io", "default") == [])


async def test_a_route_gets_a_host(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        resource = "routes.route.openshift.io"

        def route(name: str, **spec: Any) -> Object:
            to = {"to": {"kind": "Service", "name": "web"}}
            return {"metadata": {"name": name, "namespace": "default"}, "spec": {**to, **spec}}

        api.create(resource, route("wp"))
        found = await until(
            lambda: (got := api.get(resource, "default", "wp")).get("status", {}).get("ingress") and got
        )
        assert found["spec"]["host"] == "wp-default.apps.dev.example.com"
        assert found["status"]["ingress"][0]["conditions"][0]["status"] == "True"


async def test_a_token_secret_is_filled(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        metadata = {
            "name": "token",
            "namespace": "default",
            "annotations": {"kubernetes.io/service-account.name": "default"},
        }
        await until(lambda: api.get("serviceaccounts", "default", "default"))
        api.create("secrets", {"metadata": metadata, "type": "kubernetes.io/service-account-token"})
        found = await until(lambda: "token" in (api.get("secrets", "default", "token").get("data") or {}))
        assert found


async def test_budgets_and_autoscalers_report(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        api.create(DEPLOYMENTS, workload("web", replicas=3))
        spec: Object = {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}}
        api.create("poddisruptionbudgets.policy", {"metadata": {"name": "b", "namespace": "default"}, "spec": spec})
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        spec = {"scaleTargetRef": reference, "maxReplicas": 5}
        resource = "horizontalpodautoscalers.autoscaling"
        api.create(resource, {"metadata": {"name": "h", "namespace": "default"}, "spec": spec})
        await until(
            lambda: api.get("poddisruptionbudgets.policy", "default", "b")["status"].get("disruptionsAllowed") == 1
        )
        await until(lambda: api.get(resource, "default", "h")["status"].get("currentReplicas") == 3)


async def test_the_older_of_two_routes_keeps_their_host(tmp_path: Path) -> None:
    async with cluster(tmp_path, nodes=False) as api:
        resource = "routes.route.openshift.io"
        spec = {"host": "one.example.com", "to": {"kind": "Service", "name": "web"}}
        api.create(resource, {"metadata": {"name": "older", "namespace": "default"}, "spec": spec})
        await until(lambda: api.get(resource, "default", "older").get("status", {}).get("ingress"))
        older = api.get(resource, "default", "older")
        # Times of creation are whole seconds.
        older["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        api.store.write("MODIFIED", resource, older)
        api.create(resource, {"metadata": {"name": "newer", "namespace": "default"}, "spec": spec})
        await until(lambda: api.get(resource, "default", "newer").get("status", {}).get("ingress"))
        refused = api.get(resource, "default", "newer")["status"]["ingress"][0]["conditions"][0]
        assert (refused["status"], refused["reason"]) == ("False", "HostAlreadyClaimed")


@pytest.mark.parametrize(
    ("schedule", "moment", "expected"),
    [
        ("15 3 * * *", "2026-11-23T03:15:00", True),
        ("15 3 * * *", "2026-11-23T03:16:00", False),
        ("*/10 * * * *", "2026-11-23T03:20:00", True),
        ("*/10 * * * *", "2026-11-23T03:21:00", False),
        ("0 0 * * 1-5", "2026-11-23T00:00:00", True),
        ("0 0 * * 0", "2026-11-22T00:00:00", True),
        ("0 0 1,15 * *", "2026-11-15T00:00:00", True),
        ("@hourly", "2026-11-15T07:00:00", True),
    ],
)
def test_schedules_are_read_as_cron_reads_them(schedule: str, moment: str, expected: bool) -> None:
    assert is_due(schedule, datetime.fromisoformat(moment)) is expected
