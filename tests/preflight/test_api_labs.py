"""Kinds and versions that the destination does not know, provoked and read."""

from __future__ import annotations

from typing import Any

from tests.kube.conftest import until
from tests.preflight.conftest import Lab

Object = dict[str, Any]


def definition(plural: str, kind: str, *versions: str, **spec: Any) -> Object:
    """A definition of custom resources in the group shop.example.com; the last version is stored."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.shop.example.com"},
        "spec": {
            "group": "shop.example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [
                {"name": name, "served": True, "storage": name == versions[-1], "schema": schema} for name in versions
            ],
            **spec,
        },
    }


def define(lab: Lab, connection: Any, crd: Object) -> None:
    lab.made.append((connection, connection.create("customresourcedefinitions.apiextensions.k8s.io", crd)))
    name = crd["metadata"]["name"]
    until(lambda: connection.discovery(fresh=True).find(name) is not None)


def test_versions_that_are_served_are_counted(lab: Lab) -> None:
    lab.deployment()
    lab.on_dev("ConfigMap", "settings", data={"a": "b"})
    lab.passes("api-versions", "2 API versions are served by the destination cluster prod")


def test_an_absent_version_is_told_with_the_one_that_is_served(lab: Lab) -> None:
    define(lab, lab.dev, definition("carts", "Cart", "v1", "v2"))
    define(lab, lab.prod, definition("carts", "Cart", "v1", "v3"))
    preferred = lab.dev.discovery().find("carts.shop.example.com")
    assert preferred is not None
    cart = {"apiVersion": preferred.api_version, "kind": "Cart", "metadata": {"name": "one"}, "spec": {"size": 1}}
    lab.dev.create(preferred, cart, lab.namespace)
    # The definition does not come along: the destination's own has to serve what comes.
    check = lab.failure(
        "api-versions",
        "does not serve Cart of shop.example.com/v2",
        "It serves shop.example.com/v",
        "The source serves shop.example.com/v1 too",
        f"kubectl --context dev get carts.v1.shop.example.com one -n {lab.namespace} -o yaml",
        selection={"exclude_kinds": ["customresourcedefinitions.apiextensions.k8s.io"]},
    )
    assert check["objects"] == [f"Cart {lab.namespace}/one"]


def test_a_kind_that_nothing_defines_fails_unless_its_definition_comes_along(lab: Lab) -> None:
    define(lab, lab.dev, definition("mills", "Mill", "v1"))
    lab.dev.create(
        "mills.shop.example.com",
        {"apiVersion": "shop.example.com/v1", "kind": "Mill", "metadata": {"name": "one"}, "spec": {}},
        lab.namespace,
    )
    lab.passes("custom-resources", "1 definition of custom resources comes along")
    lab.failure(
        "custom-resources",
        "Nothing on the destination cluster prod defines Mill of shop.example.com/v1",
        "migrate without mills.shop.example.com",
        selection={"exclude_kinds": ["customresourcedefinitions.apiextensions.k8s.io"]},
    )


def test_a_conversion_webhook_has_to_be_on_the_destination(lab: Lab) -> None:
    client = {"service": {"namespace": "operators", "name": "convert", "path": "/convert"}}
    webhook = {"conversionReviewVersions": ["v1"], "clientConfig": client}
    conversion = {"strategy": "Webhook", "webhook": webhook}
    define(lab, lab.dev, definition("looms", "Loom", "v1", "v2", conversion=conversion))
    resource = lab.dev.discovery().find("looms.shop.example.com")
    assert resource is not None
    loom = {"apiVersion": resource.api_version, "kind": "Loom", "metadata": {"name": "one"}, "spec": {}}
    lab.dev.create(resource, loom, lab.namespace)
    lab.warning("conversion-webhooks", "converts between v1, v2 by Service operators/convert", "Install the operator")
    lab.on_prod("Namespace", "operators")
    lab.on_prod("Service", "convert", namespace="operators", spec={"ports": [{"port": 443}]})
    lab.passes("conversion-webhooks", "is converted by Service operators/convert")


def test_an_object_that_is_needed_and_stays_behind_is_told_with_who_needs_it(lab: Lab) -> None:
    lab.on_dev("Secret", "password", type="Opaque", stringData={"password": "sesame"})
    reference = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "password"}}}
    lab.deployment(container={"env": [reference]})
    lab.passes("references", "comes along or is there")
    choices = {"selection": {"exclude_kinds": ["secrets"]}}
    lab.warning(
        "references",
        f"Deployment {lab.namespace}/web needs Secret {lab.namespace}/password",
        "the destination cluster prod does not have it either",
        **choices,
    )
    lab.there()
    lab.on_prod("Secret", "password", type="Opaque", stringData={"password": "sesame"})
    lab.passes("references", "1 of it is on the destination already", **choices)


def test_a_token_of_the_source_stays_behind_and_its_user_is_told(lab: Lab) -> None:
    annotations = {"kubernetes.io/service-account.name": "default"}
    kind = "kubernetes.io/service-account-token"
    lab.on_dev("Secret", "default-token-x2x4z", metadata={"annotations": annotations}, type=kind)
    lab.deployment(volumes=[{"name": "token", "secret": {"secretName": "default-token-x2x4z"}}])
    check = lab.warning(
        "secret-types",
        f"Secret {lab.namespace}/default-token-x2x4z is a token of the source cluster, void on any other",
        f"Deployment {lab.namespace}/web uses it",
        "kubernetes.io/service-account.name: default",
    )
    assert "sesame" not in str(check)


def test_sealed_secrets_cannot_be_opened_elsewhere(lab: Lab) -> None:
    crd = definition("sealedsecrets", "SealedSecret", "v1alpha1")
    crd["metadata"]["name"], crd["spec"]["group"] = "sealedsecrets.bitnami.com", "bitnami.com"
    define(lab, lab.dev, crd)
    sealed = {"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "key"}, "spec": {}}
    lab.dev.create("sealedsecrets.bitnami.com", sealed, lab.namespace)
    lab.warning(
        "sealed-secrets", f"SealedSecret {lab.namespace}/key is sealed for the source's controller", "Seal them"
    )
