"""What leads to the application and what judges its objects, provoked and read."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.kube.errors import Invalid
from tests.preflight.conftest import Lab
from tests.preflight.test_api_labs import define, definition

Object = dict[str, Any]
ADMISSION = "admissionregistration.k8s.io/v1"


def ingress(lab: Lab, name: str, host: str, path: str = "/", **spec: Any) -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rules = [{"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}]
    lab.on_dev("Ingress", name, spec={"rules": rules, **spec})


def test_an_ingress_class_that_is_not_there_is_told_with_those_that_are(lab: Lab) -> None:
    lab.on_prod("IngressClass", "nginx", spec={"controller": "k8s.io/ingress-nginx"})
    ingress(lab, "web", f"{lab.namespace}.example.com", ingressClassName="traefik")
    lab.warning(
        "ingress-class", f"has no ingress class traefik, which Ingress {lab.namespace}/web names (it has: nginx)"
    )
    lab.dev.patch("ingresses.networking.k8s.io", "web", lab.namespace, {"spec": {"ingressClassName": "nginx"}})
    lab.passes("ingress-class", "has the classes of 1 Ingress")
    lab.dev.patch("ingresses.networking.k8s.io", "web", lab.namespace, {"spec": {"ingressClassName": None}})
    lab.warning("ingress-class", "names no ingress class, and the destination cluster prod has no default one")


def test_a_gateways_class_and_a_routes_gateway_have_to_be_there(lab: Lab) -> None:
    for plural, kind in (("gateways", "Gateway"), ("httproutes", "HTTPRoute"), ("gatewayclasses", "GatewayClass")):
        crd = definition(plural, kind, "v1")
        crd["metadata"]["name"], crd["spec"]["group"] = (
            f"{plural}.gateway.networking.k8s.io",
            "gateway.networking.k8s.io",
        )
        crd["spec"]["scope"] = "Cluster" if kind == "GatewayClass" else "Namespaced"
        for connection in (lab.dev, lab.prod):
            define(lab, connection, crd)
    version = "gateway.networking.k8s.io/v1"
    gateway = {
        "apiVersion": version,
        "kind": "Gateway",
        "metadata": {"name": "edge"},
        "spec": {"gatewayClassName": "istio"},
    }
    lab.dev.create("gateways.gateway.networking.k8s.io", gateway, lab.namespace)
    lab.warning("gateway-class", f"has no GatewayClass istio, which Gateway {lab.namespace}/edge names (it has: none)")
    made = {
        "apiVersion": version,
        "kind": "GatewayClass",
        "metadata": {"name": "istio"},
        "spec": {"controllerName": "x/y"},
    }
    lab.made.append((lab.prod, lab.prod.create("gatewayclasses.gateway.networking.k8s.io", made)))
    spec = {"parentRefs": [{"name": "edge"}]}
    route = {"apiVersion": version, "kind": "HTTPRoute", "metadata": {"name": "web"}, "spec": spec}
    lab.dev.create("httproutes.gateway.networking.k8s.io", route, lab.namespace)
    lab.passes("gateway-class", "2 references to Gateways and their classes can be followed")
    change = {"spec": {"parentRefs": [{"name": "shared", "namespace": "infrastructure"}]}}
    lab.dev.patch("httproutes.gateway.networking.k8s.io", "web", lab.namespace, change)
    lab.warning("gateway-class", "hangs on the Gateway infrastructure/shared")


def test_a_host_that_somebody_serves_already_fails_and_a_shared_one_is_warned_of(lab: Lab) -> None:
    host = f"{lab.namespace}.example.com"
    ingress(lab, "web", host)
    lab.passes("host-collision", "1 host is free")
    theirs = f"theirs-{lab.namespace}"
    lab.on_prod("Namespace", theirs)
    lab.on_prod("Route", "site", namespace=theirs, spec={"host": host, "to": {"kind": "Service", "name": "site"}})
    check = lab.failure(
        "host-collision",
        f"Ingress {lab.namespace}/web wants the host {host}/, which Route {theirs}/site on the destination cluster",
        "Map the suffix of the host",
        f"kubectl --context prod get route site -n {theirs}",
    )
    assert check["objects"] == [f"Ingress {lab.namespace}/web", f"Route {theirs}/site"]
    lab.prod.patch("routes.route.openshift.io", "site", theirs, {"spec": {"path": "/api"}})
    lab.warning("host-collision", f"of which Route {theirs}/site", "serves /api")
    lab.passes("host-collision", "is free", host_mapping={"example.com": "example.org"})


def test_a_node_port_that_is_taken_fails_as_the_server_would(lab: Lab) -> None:
    theirs = f"theirs-{lab.namespace}"
    lab.on_prod("Namespace", theirs)
    port = {"port": 80, "nodePort": 31777}
    service = {"type": "NodePort", "selector": {"app": "web"}, "ports": [port]}
    last_applied = '{"spec":{"ports":[{"port":80,"nodePort":31777}]}}'
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": last_applied}
    lab.on_dev("Service", "web", metadata={"annotations": annotations}, spec=service)
    lab.passes("node-port", "1 node port that is asked for is free")
    lab.on_prod("Service", "site", namespace=theirs, spec=service)
    lab.failure("node-port", f"Service {lab.namespace}/web asks for the node port 31777, which Service {theirs}/site")
    lab.there()
    with pytest.raises(Invalid, match="provided port is already allocated"):
        lab.on_prod("Service", "try", spec=service)


def webhook(lab: Lab, name: str, **fields: Any) -> Object:
    """A configuration that is asked about Deployments of the lab's namespace."""
    rule = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["deployments"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": lab.namespace}}
    service = {"namespace": "policies", "name": "judge"}
    hook = {
        "name": "judge.example.com",
        "clientConfig": {"service": service},
        "rules": [rule],
        "namespaceSelector": selector,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **fields,
    }
    return lab.on_prod("ValidatingWebhookConfiguration", name, webhooks=[hook])


def test_a_webhook_that_nobody_answers_for_keeps_objects_out(lab: Lab) -> None:
    lab.deployment()
    lab.passes("admission-webhooks", "No webhook of the destination cluster prod is asked")
    webhook(lab, "judge", failurePolicy="Fail")
    lab.failure(
        "admission-webhooks",
        "ValidatingWebhookConfiguration judge of the destination cluster prod is asked about Deployment",
        "nobody answers behind its Service policies/judge (failurePolicy Fail)",
        "kubectl --context prod get pods -n policies",
    )
    lab.on_prod("Namespace", "policies")
    endpoints = [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
    labels = {"kubernetes.io/service-name": "judge"}
    lab.on_prod(
        "EndpointSlice",
        "judge-1",
        namespace="policies",
        metadata={"labels": labels},
        addressType="IPv4",
        endpoints=endpoints,
    )
    lab.passes("admission-webhooks", "1 webhook is asked about what comes, and can be reached")


def test_a_webhook_that_may_be_ignored_is_a_warning_and_one_about_others_is_nothing(lab: Lab) -> None:
    lab.deployment()
    webhook(lab, "elsewhere", namespaceSelector={"matchLabels": {"team": "other"}})
    lab.passes("admission-webhooks", "No webhook")
    service = {"namespace": "nowhere", "name": "judge"}
    webhook(lab, "lenient", failurePolicy="Ignore", clientConfig={"service": service})
    lab.warning("admission-webhooks", "(failurePolicy Ignore)", "and then lets the objects in")


DEPLOYMENTS = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}


def test_a_webhook_with_conditions_may_be_asked(lab: Lab) -> None:
    lab.deployment()
    webhook(lab, "picky", matchConditions=[{"name": "c", "expression": "object.metadata.name != 'x'"}])
    lab.warning(
        "admission-webhooks",
        "ValidatingWebhookConfiguration picky of the destination cluster prod may be asked about",
        "which only it can tell",
    )


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"rules": [{**DEPLOYMENTS, "scope": "Cluster"}]}, False),
        ({"rules": [{**DEPLOYMENTS, "scope": "Namespaced"}]}, True),
        ({"rules": [{**DEPLOYMENTS, "operations": ["UPDATE"]}]}, False),
        ({"rules": [{**DEPLOYMENTS, "resources": ["deployments/*"]}]}, True),
        ({"rules": [{**DEPLOYMENTS, "resources": ["deployments/scale"]}]}, False),
        ({"rules": [{**DEPLOYMENTS, "apiVersions": ["v1beta1"]}]}, False),
        ({"objectSelector": {"matchLabels": {"tier": "gold"}}}, False),
        ({"objectSelector": {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}}, True),
    ],
)
def test_rules_and_selectors_say_what_a_webhook_is_asked_about(lab: Lab, fields: Object, asked: bool) -> None:
    lab.deployment()
    webhook(lab, "judge", **fields)
    assert [each["status"] for each in lab.of("admission-webhooks")] == ["failure" if asked else "pass"]


@pytest.mark.parametrize(("policy", "asked"), [("Equivalent", True), ("Exact", False)])
def test_a_rule_for_another_version_counts_unless_it_is_to_be_exact(lab: Lab, policy: str, asked: bool) -> None:
    spec = {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
    lab.on_dev("HorizontalPodAutoscaler", "web", spec=spec)
    rule = {**DEPLOYMENTS, "apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"]}
    webhook(lab, "judge", rules=[rule], matchPolicy=policy)
    assert [each["status"] for each in lab.of("admission-webhooks")] == ["failure" if asked else "pass"]


def test_the_pods_of_what_comes_are_made_there_as_well(lab: Lab) -> None:
    lab.deployment()
    webhook(lab, "injector", rules=[{**DEPLOYMENTS, "apiGroups": [""], "resources": ["pods"]}])
    lab.failure("admission-webhooks", f"is asked about pods of Deployment {lab.namespace}/web, and nobody answers")
    assert [each["status"] for each in lab.of("admission-webhooks", start_applications=False)] == ["pass"]


def test_a_policy_that_denies_is_named_with_its_rules(lab: Lab) -> None:
    lab.deployment()
    rule = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.spec.replicas > 1", "message": "two replicas at least"}],
    }
    lab.on_prod("ValidatingAdmissionPolicy", "replicas", spec=spec)
    lab.silent("admission-policies")
    lab.on_prod(
        "ValidatingAdmissionPolicyBinding", "replicas", spec={"policyName": "replicas", "validationActions": ["Deny"]}
    )
    lab.warning("admission-policies", "ValidatingAdmissionPolicy replicas", "two replicas at least", "dry run")


def test_what_is_there_already_is_ours_the_same_or_different(lab: Lab) -> None:
    lab.on_dev("ConfigMap", "settings", data={"a": "b"})
    lab.passes("existing-objects", "The namespaces do not exist on the destination cluster prod yet")
    lab.there()
    lab.passes("existing-objects", "has no object of the same name yet")
    lab.on_prod("ConfigMap", "settings", data={"a": "b"})
    lab.passes("existing-objects", "1 object of the same names: 1 the same")
    lab.prod.patch("configmaps", "settings", lab.namespace, {"data": {"a": "c"}})
    lab.failure(
        "existing-objects",
        f"ConfigMap {lab.namespace}/settings on the destination cluster prod: The destination already has a different "
        "object of this name (it differs in data.a)",
        f"kubectl --context prod get configmap settings -n {lab.namespace} -o yaml",
    )


@pytest.mark.parametrize(("policy", "word"), [("skip", "stays as it is"), ("take-over", "is taken over")])
def test_the_conflict_policy_makes_of_a_different_object_a_warning(lab: Lab, policy: str, word: str) -> None:
    lab.on_dev("ConfigMap", "settings", data={"a": "b"})
    lab.there()
    lab.on_prod("ConfigMap", "settings", data={"a": "c"})
    check = next(each for each in lab.of("existing-objects", conflict_policy=policy) if each["status"] == "warning")
    assert word in check["message"]
    assert "conflict policy" in check["why"]


def test_the_values_of_a_different_secret_are_not_told(lab: Lab) -> None:
    lab.on_dev("Secret", "password", stringData={"password": "canary-source"})
    lab.there()
    lab.on_prod("Secret", "password", stringData={"password": "canary-destination"})
    lab.failure("existing-objects", f"Secret {lab.namespace}/password on the destination cluster prod")
    said = str(lab.checks())
    for canary in ("canary-source", "canary-destination", "Y2FuYXJ5"):
        assert canary not in said
