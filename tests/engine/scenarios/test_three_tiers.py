"""A web application in three tiers: an Ingress with its certificate, an autoscaler, an interface, a cache."""

from __future__ import annotations

from demo.estate.cms import WORDPRESS_IMAGE
from tests.engine.scenarios.conftest import Scenario
from tests.resources.objects import Object, make, pod_spec, workload

SHOP = "webshop"
HOST = "shop.example.com"
CERTIFICATE = {"tls.crt": "Y2VydGlmaWNhdGU=", "tls.key": "a2V5"}


def web() -> Object:
    """Two replicas, which take their settings from a ConfigMap and a Secret."""
    container = {
        "name": "main",
        "image": WORDPRESS_IMAGE,
        "envFrom": [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}],
        "ports": [{"containerPort": 80, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "50m"}},
    }
    deployment = workload("Deployment", "web", SHOP, spec={"replicas": 2})
    deployment["spec"]["template"]["spec"] = {"serviceAccountName": "web", "containers": [container]}
    return deployment


def cache() -> Object:
    """One replica with a claim."""
    deployment = workload("Deployment", "cache", SHOP, spec={"replicas": 1, "strategy": {"type": "Recreate"}})
    spec = pod_spec(volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "cache"}}])
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    deployment["spec"]["template"]["spec"] = spec
    return deployment


def service(name: str, port: int) -> Object:
    ports = [{"name": "http", "port": port, "targetPort": port}]
    return make("Service", name, SHOP, spec={"selector": {"app": name}, "ports": ports})


def ingress() -> Object:
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    rules = [{"host": HOST, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    return make("Ingress", "web", SHOP, spec={"rules": rules, "tls": [{"hosts": [HOST], "secretName": "web-tls"}]})


def autoscaler() -> Object:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 6}
    spec["metrics"] = [{"type": "Resource", "resource": cpu}]
    return make("HorizontalPodAutoscaler", "web", SHOP, spec=spec)


def test_the_application_answers_under_its_host_and_scales(scenario: Scenario) -> None:
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gp3",
        "resources": {"requests": {"storage": "64Mi"}},
    }
    scenario.plant(
        make("ServiceAccount", "web", SHOP),
        make("ConfigMap", "settings", SHOP, data={"API": f"http://api.{SHOP}.svc:8080"}),
        make("Secret", "password", SHOP, data={"PASSWORD": "c2VzYW1l"}),
        make("Secret", "web-tls", SHOP, type="kubernetes.io/tls", data=CERTIFICATE),
        make("PersistentVolumeClaim", "cache", SHOP, spec=claim),
        service("web", 80),
        service("api", 8080),
        service("cache", 6379),
        web(),
        workload("Deployment", "api", SHOP, spec={"replicas": 1}),
        cache(),
        ingress(),
        autoscaler(),
    )
    for name, replicas in (("web", 2), ("api", 1), ("cache", 1)):
        scenario.until_running("deployments.apps", name, SHOP, replicas)
    scenario.fill(SHOP, "cache", 3)
    before = scenario.dev.get("services", "web", SHOP)
    scenario.migrate(SHOP)

    for name, replicas in (("web", 2), ("api", 1), ("cache", 1)):
        assert scenario.there("deployments.apps", name, SHOP)["status"]["availableReplicas"] == replicas
        assert len(scenario.ready_pods_there(SHOP, f"app={name}")) == replicas
    assert scenario.same_files(SHOP, "cache")
    found = scenario.there("ingresses.networking.k8s.io", "web", SHOP)
    assert found["spec"] == scenario.dev.get("ingresses.networking.k8s.io", "web", SHOP)["spec"]
    secret = scenario.there("secrets", found["spec"]["tls"][0]["secretName"], SHOP)
    assert (secret["type"], secret["data"]) == ("kubernetes.io/tls", CERTIFICATE)
    backend = found["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    front = scenario.there("services", backend["name"], SHOP)
    assert front["spec"]["ports"] == before["spec"]["ports"]
    assert front["metadata"]["uid"] != before["metadata"]["uid"]
    addresses = {
        address["targetRef"]["name"]
        for subset in scenario.there("endpoints", "web", SHOP)["subsets"]
        for address in subset["addresses"]
    }
    assert addresses == scenario.ready_pods_there(SHOP, "app=web")
    scaler = scenario.there("horizontalpodautoscalers.autoscaling", "web", SHOP)
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (2, 6)
    assert scaler["spec"]["scaleTargetRef"]["name"] == "web"
    assert [each["reason"] for each in scaler["status"]["conditions"]] == ["SucceededGetScale"]


def test_a_host_of_the_source_is_rewritten_in_rules_and_certificate(scenario: Scenario) -> None:
    scenario.plant(
        make("Secret", "web-tls", SHOP, type="kubernetes.io/tls", data=CERTIFICATE), service("web", 80), ingress()
    )
    scenario.migrate(SHOP, host_mapping={"example.com": "apps.prod.example.com"})
    spec = scenario.there("ingresses.networking.k8s.io", "web", SHOP)["spec"]
    assert spec["rules"][0]["host"] == "shop.apps.prod.example.com"
    assert spec["tls"] == [{"hosts": ["shop.apps.prod.example.com"], "secretName": "web-tls"}]
