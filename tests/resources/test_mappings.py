"""What is called differently on the destination: namespaces, storage classes, access modes, images and hosts."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import Options, hosts, images, namespaces, transformed
from tests.resources.objects import Object, make, pod_spec, workload

MAPPING = {"shop": "store", "infra": "base"}
RENAMED = Options("m1", spec=Spec(namespaces=("shop", "infra"), namespace_mapping=MAPPING))
RBAC = "rbac.authorization.k8s.io"
REGISTRY = "image-registry.openshift-image-registry.svc:5000"
SELECTOR = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
ANY_OF = {
    "namespaceSelector": {
        "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["infra", "shop", "x"]}]
    }
}
SERVICE = {"service": {"namespace": "shop", "name": "hook"}}
TERM = {"topologyKey": "zone", "namespaces": ["shop", "x"], **SELECTOR}


def role_ref() -> Object:
    return {"apiGroup": RBAC, "kind": "ClusterRole", "name": "r"}


def subject(kind: str, name: str, **fields: str) -> Object:
    return {"kind": kind, "name": name, **fields}


def with_affinity() -> Object:
    affinity = {
        "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]},
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": TERM}]
        },
    }
    obj = workload("Deployment", "web")
    obj["spec"]["template"]["spec"] = pod_spec(affinity=affinity)
    return obj


def with_image(kind: str, image: str) -> Object:
    obj = workload(kind, "web")
    pods = obj["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else obj["spec"]
    pods["template"]["spec"] = pod_spec(containers=[{"name": "main", "image": image}])
    return obj


# Each object, and every namespace in it that must be renamed, counted.
REFERENCES: dict[str, tuple[Object, int]] = {
    "where it lies": (make("ConfigMap", "c"), 1),
    "accounts that a RoleBinding names": (
        make("RoleBinding", "b", roleRef=role_ref(), subjects=[subject("ServiceAccount", "web", namespace="infra")]),
        2,
    ),
    "accounts, users and groups that a ClusterRoleBinding names": (
        make(
            "ClusterRoleBinding",
            "b",
            roleRef=role_ref(),
            subjects=[
                subject("ServiceAccount", "shop", namespace="shop"),
                subject("User", "system:serviceaccount:infra:shop"),
                subject("Group", "system:serviceaccounts:shop"),
            ],
        ),
        3,
    ),
    "the peers of a NetworkPolicy": (
        make("NetworkPolicy", "n", spec={"ingress": [{"from": [SELECTOR]}], "egress": [{"to": [ANY_OF]}]}),
        4,
    ),
    "the peers of a CiliumNetworkPolicy": (
        make(
            "CiliumNetworkPolicy",
            "n",
            apiVersion="cilium.io/v2",
            spec={"ingress": [{"fromEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": "infra"}}]}]},
        ),
        2,
    ),
    "a webhook's Service and selector": (
        make("ValidatingWebhookConfiguration", "w", webhooks=[{"name": "a", "clientConfig": SERVICE, **SELECTOR}]),
        2,
    ),
    "a webhook's certificate": (
        make(
            "MutatingWebhookConfiguration",
            "w",
            metadata={"annotations": {"cert-manager.io/inject-ca-from": "infra/hook"}},
            webhooks=[],
        ),
        1,
    ),
    "who converts custom resources": (
        make("CustomResourceDefinition", "c", spec={"conversion": {"webhook": {"clientConfig": SERVICE}}}),
        1,
    ),
    "the Service behind an API": (make("APIService", "v1.example.com", spec=SERVICE), 1),
    "the pods behind Endpoints": (
        make("Endpoints", "e", subsets=[{"addresses": [{"ip": "10.0.0.1", "targetRef": {"namespace": "shop"}}]}]),
        2,
    ),
    "the pods behind a slice": (
        make("EndpointSlice", "e", endpoints=[{"addresses": ["10.0.0.1"], "targetRef": {"namespace": "shop"}}]),
        2,
    ),
    "the claim of a volume": (
        make("PersistentVolume", "v", spec={"claimRef": {"namespace": "shop", "name": "shop"}}),
        1,
    ),
    "where a claim is filled from": (
        make("PersistentVolumeClaim", "c", spec={"dataSourceRef": {"kind": "Bucket", "namespace": "infra"}}),
        2,
    ),
    "the Gateway and the Services of an HTTPRoute": (
        make(
            "HTTPRoute",
            "r",
            spec={
                "parentRefs": [{"name": "edge", "namespace": "infra"}],
                "rules": [
                    {
                        "backendRefs": [{"name": "web", "namespace": "shop"}],
                        "filters": [{"requestMirror": {"backendRef": {"name": "web", "namespace": "infra"}}}],
                    }
                ],
            },
        ),
        4,
    ),
    "who may use a Gateway, and its certificates": (
        make(
            "Gateway",
            "g",
            spec={
                "listeners": [
                    {
                        "allowedRoutes": {"namespaces": {"selector": SELECTOR["namespaceSelector"]}},
                        "tls": {"certificateRefs": [{"name": "c", "namespace": "infra"}]},
                    }
                ]
            },
        ),
        3,
    ),
    "who is granted a reference": (
        make("ReferenceGrant", "g", spec={"from": [{"kind": "HTTPRoute", "namespace": "infra"}], "to": []}),
        2,
    ),
    "what is monitored": (
        make("ServiceMonitor", "m", spec={"namespaceSelector": {"matchNames": ["infra", "shop"]}}),
        3,
    ),
    "what an operator looks after": (make("OperatorGroup", "o", spec={"targetNamespaces": ["shop"]}), 2),
    "where an operator comes from": (make("Subscription", "s", spec={"sourceNamespace": "infra", "name": "shop"}), 2),
    "pods that others are near": (with_affinity(), 5),
    "the image that a trigger watches": (
        make(
            "DeploymentConfig",
            "d",
            spec={"triggers": [{"imageChangeParams": {"from": {"kind": "ImageStreamTag", "namespace": "infra"}}}]},
        ),
        2,
    ),
    "the image that an annotation watches": (
        make(
            "ConfigMap",
            "c",
            metadata={
                "annotations": {
                    "image.openshift.io/triggers": json.dumps(
                        [{"from": {"kind": "ImageStreamTag", "name": "web:1", "namespace": "infra"}}],
                        separators=(",", ":"),
                    )
                }
            },
        ),
        2,
    ),
    "where a tag comes from": (
        make(
            "ImageStream",
            "i",
            spec={
                "tags": [
                    {"name": "a", "from": {"kind": "ImageStreamTag", "namespace": "infra", "name": "web:1"}},
                    {"name": "b", "from": {"kind": "DockerImage", "name": f"{REGISTRY}/shop/web:1"}},
                ]
            },
        ),
        3,
    ),
    "where a build puts its image": (
        make("BuildConfig", "b", spec={"output": {"to": {"kind": "ImageStreamTag", "namespace": "infra"}}}),
        2,
    ),
    "images in the cluster's registry": (with_image("StatefulSet", f"{REGISTRY}/shop/web:1"), 2),
    "accounts that constraints name": (
        make(
            "SecurityContextConstraints",
            "s",
            users=["system:serviceaccount:shop:web", "admin"],
            groups=["system:serviceaccounts:infra", "system:authenticated"],
        ),
        2,
    ),
    "Secrets of an Ingress": (
        make("Ingress", "i", metadata={"annotations": {"nginx.ingress.kubernetes.io/auth-secret": "infra/users"}}),
        2,
    ),
    "middlewares of an Ingress": (
        make(
            "Ingress",
            "i",
            metadata={
                "annotations": {
                    "traefik.ingress.kubernetes.io/router.middlewares": "infra-auth@kubernetescrd,x-y@kubernetescrd"
                }
            },
        ),
        2,
    ),
}  # fmt: skip


def separate(obj: Object) -> Object:
    """A copy in which no part stands in two places, as in what an API server sends."""
    found: Object = json.loads(json.dumps(obj))
    return found


def count(obj: Object, names: Any) -> int:
    """How often a value of the object names one of the namespaces, as a whole or between separators."""
    text = json.dumps(obj)
    for letter in '"/:,-{}[]\\ ':
        text = text.replace(letter, "\n")
    return sum(word in names for word in text.split("\n"))


@pytest.mark.parametrize(("obj", "expected"), REFERENCES.values(), ids=REFERENCES)
def test_every_reference_to_a_namespace_is_renamed_and_nothing_else(obj: Object, expected: int) -> None:
    obj = separate(obj)
    kept = count(obj, {"shop", "infra"}) - expected
    namespaces.rename(obj, MAPPING)
    assert count(obj, {"store", "base"}) == expected
    # What is left of the words are names of other things, which happen to be the same.
    assert count(obj, {"shop", "infra"}) == kept
    assert kept == {"ClusterRoleBinding": 2, "PersistentVolume": 1, "Subscription": 1, "Deployment": 1}.get(
        obj["kind"], 0
    )


@pytest.mark.parametrize(("obj", "_expected"), REFERENCES.values(), ids=REFERENCES)
def test_renaming_there_and_back_gives_what_there_was(obj: Object, _expected: int) -> None:
    found = separate(obj)
    namespaces.rename(found, MAPPING)
    namespaces.rename(found, {there: name for name, there in MAPPING.items()})
    assert found == obj


@pytest.mark.parametrize(("obj", "_expected"), REFERENCES.values(), ids=REFERENCES)
def test_names_that_are_exchanged_are_not_exchanged_twice(obj: Object, _expected: int) -> None:
    """A migration that is repeated meets what it has made: the mapping must not be followed once more."""
    swapped = Options(
        "m1", spec=Spec(namespaces=("shop", "infra"), namespace_mapping={"shop": "infra", "infra": "shop"})
    )
    once = transformed(separate(obj), swapped)
    assert transformed(once, swapped) == once
    if "namespace" in obj["metadata"]:
        assert once["metadata"]["namespace"] == "infra"


JSON = st.recursive(
    st.sampled_from(["shop", "infra", "store", "", "a/shop", f"{REGISTRY}/shop/web"]) | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["namespace", "subjects", "kind", "name", "from", "key", "values", "kubernetes.io/metadata.name", "service",
         "template", "spec", "containers", "image", "users", "matchNames", "targetRef"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
TYPES = st.sampled_from(
    [*namespaces._RULES, ("gateway.networking.k8s.io", "HTTPRoute"), ("image.openshift.io", "ImageStream")]
)


@given(TYPES, JSON)
def test_whatever_the_shape_renaming_there_and_back_is_nothing(type_: tuple[str, str], value: Any) -> None:
    group, kind = type_
    fields = {"spec": value, "subjects": value, "webhooks": value, "subsets": value, "users": value}
    obj = make(kind, "x", apiVersion=f"{group}/v1" if group else "v1", **copy.deepcopy(fields))
    before = copy.deepcopy(obj)
    namespaces.rename(obj, {"shop": "kms-a", "infra": "kms-b"})
    namespaces.rename(obj, {"kms-a": "shop", "kms-b": "infra"})
    assert obj == before


def test_a_namespace_itself_and_its_label_are_renamed() -> None:
    obj = make("Namespace", "shop", metadata={"labels": {"kubernetes.io/metadata.name": "shop", "team": "shop"}})
    namespaces.rename(obj, MAPPING)
    assert obj["metadata"]["name"] == "store"
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "store", "team": "shop"}


def test_subjects_are_chosen_by_the_sources_names_and_given_the_destinations() -> None:
    obj = make(
        "ClusterRoleBinding",
        "b",
        roleRef=role_ref(),
        subjects=[subject("ServiceAccount", "a", namespace=name) for name in ("shop", "store", "elsewhere")],
    )
    assert transformed(obj, RENAMED)["subjects"] == [subject("ServiceAccount", "a", namespace="store")]


# -- images


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.dev.example.com/cms/web:1", "registry.example.com/prod/cms/web:1"),
        ("registry.dev.example.com/cms/web@sha256:abc", "registry.example.com/prod/cms/web@sha256:abc"),
        ("registry.dev.example.com/tools/web:1", "tools.example.com/web:1"),
        ("registry.dev.example.com/tools-old/web:1", "registry.example.com/prod/tools-old/web:1"),
        ("registry.dev.example.com:5000/web", "registry.example.com/prod:5000/web"),
        ("nginx", "mirror.example.com/library/nginx"),
        ("bitnami/redis:7", "mirror.example.com/bitnami/redis:7"),
        ("docker.io/library/nginx:1", "mirror.example.com/library/nginx:1"),
        ("quay.io/web:1", "quay.io/web:1"),
        ("localhost/web", "localhost/web"),
        ("exact.example.com/web:1", "other.example.com/web:2"),
    ],
)
def test_images_come_from_the_mapped_registry_by_the_longest_prefix(image: str, expected: str) -> None:
    """distribution/reference: names without a registry are Docker Hub's, those without a folder its library's."""
    mapping = {
        "registry.dev.example.com": "registry.example.com/prod",
        "registry.dev.example.com/tools/": "tools.example.com",
        "docker.io": "mirror.example.com",
        "exact.example.com/web:1": "other.example.com/web:2",
    }
    assert images.mapped(image, mapping) == expected


IMAGES = Options("m1", spec=Spec(namespaces=(), image_mapping={"a.example.com": "b.example.com"}))
FROM, TO = "a.example.com/web:1", "b.example.com/web:1"


@pytest.mark.parametrize(
    "obj",
    [
        *(
            with_image(kind, FROM)
            for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "DeploymentConfig")
        ),
        workload(
            "Deployment", "web", spec={"template": {"spec": pod_spec(initContainers=[{"name": "i", "image": FROM}])}}
        ),
        workload(
            "Deployment",
            "web",
            spec={"template": {"spec": pod_spec(volumes=[{"name": "v", "image": {"reference": FROM}}])}},
        ),
        make("ImageStream", "i", spec={"tags": [{"from": {"kind": "DockerImage", "name": FROM}}]}),
        make("ImageStream", "i", spec={"dockerImageRepository": "a.example.com/web"}),
        make(
            "BuildConfig", "b", spec={"strategy": {"sourceStrategy": {"from": {"kind": "DockerImage", "name": FROM}}}}
        ),
        make("Cart", "c", apiVersion="example.com/v1", spec={"parts": [{"image": FROM}]}),
        make(
            "Cart",
            "c",
            apiVersion="example.com/v1",
            spec={"template": {"spec": {"containers": [{"name": "m", "image": FROM}]}}},
        ),
    ],
)
def test_images_are_mapped_wherever_they_are_named(obj: Object) -> None:
    found = transformed(obj, IMAGES)
    assert "a.example.com" not in json.dumps(found)
    assert "b.example.com/web" in json.dumps(found)
    assert transformed(found, IMAGES) == found


def test_an_image_of_a_custom_resource_that_may_be_anything_is_left_alone() -> None:
    options = Options("m1", spec=Spec(namespaces=(), image_mapping={"docker.io": "mirror.example.com"}))
    obj = make("Cart", "c", apiVersion="example.com/v1", spec={"image": "small"})
    assert transformed(obj, options)["spec"] == {"image": "small"}


def test_a_mapped_image_is_not_mapped_again_by_a_chain() -> None:
    options = Options(
        "m1", spec=Spec(namespaces=(), image_mapping={"a.example.com": "b.example.com", "b.example.com": "c"})
    )
    for obj in (
        with_image("Deployment", FROM),
        make("Cart", "c", apiVersion="example.com/v1", spec={"template": {"spec": {"containers": [{"image": FROM}]}}}),
    ):
        assert TO in json.dumps(transformed(obj, options))


# -- hosts


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("wp.apps.dev.example.com", "wp.apps.example.com"),
        ("apps.dev.example.com", "apps.example.com"),
        ("*.apps.dev.example.com", "*.apps.example.com"),
        ("a.b.apps.dev.example.com", "a.b.apps.example.com"),
        ("badapps.dev.example.com", "badapps.dev.example.com"),
        ("x.dev.example.com", "x.example.org"),
        ("x.example.com", "x.example.com"),
        ("", ""),
    ],
)
def test_a_host_moves_with_the_longest_suffix(host: str, expected: str) -> None:
    mapping = {
        "apps.dev.example.com": "apps.example.com",
        ".dev.example.com": "example.org",
        "badapps.dev.example.com": "",
    }
    del mapping["badapps.dev.example.com"]
    found = hosts.mapped(host, mapping)
    assert found == (expected if host != "badapps.dev.example.com" else "badapps.example.org")


HOSTS = Options("m1", spec=Spec(namespaces=(), host_mapping={"dev.example.com": "example.com"}))
HOST = "wp.dev.example.com"


@pytest.mark.parametrize(
    "obj",
    [
        make("Route", "r", spec={"host": HOST}),
        make("Ingress", "i", spec={"rules": [{"host": HOST}], "tls": [{"hosts": [HOST, "x"]}]}),
        make("Gateway", "g", spec={"listeners": [{"hostname": HOST}]}),
        make("HTTPRoute", "h", spec={"hostnames": [HOST]}),
        make("Certificate", "c", spec={"commonName": HOST, "dnsNames": [HOST]}),
        make("Service", "s", metadata={"annotations": {"external-dns.alpha.kubernetes.io/hostname": f"{HOST}, x"}}),
    ],
)
def test_hosts_are_mapped_wherever_an_application_is_reached_by_them(obj: Object) -> None:
    found = json.dumps(transformed(obj, HOSTS))
    assert HOST not in found
    assert "wp.example.com" in found


# -- storage


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["ReadWriteOnce"], ["ReadWriteOncePod"]),
        (["ReadWriteOnce", "ReadWriteOncePod"], ["ReadWriteOncePod"]),
        (["ReadOnlyMany"], ["ReadOnlyMany"]),
    ],
)
def test_access_modes_are_mapped_in_claims_and_templates(modes: list[str], expected: list[str]) -> None:
    options = Options("m1", spec=Spec(namespaces=(), access_mode_mapping={"ReadWriteOnce": "ReadWriteOncePod"}))
    claim = transformed(make("PersistentVolumeClaim", "c", spec={"accessModes": modes, "volumeName": "v"}), options)
    assert claim["spec"] == {"accessModes": expected}
    template = {"metadata": {"name": "d"}, "spec": {"accessModes": modes}}
    stateful = transformed(workload("StatefulSet", "db", spec={"volumeClaimTemplates": [template]}), options)
    assert stateful["spec"]["volumeClaimTemplates"][0]["spec"] == {"accessModes": expected}


def test_a_class_in_the_old_annotation_is_mapped_too() -> None:
    options = Options("m1", spec=Spec(namespaces=(), storage_class_mapping={"gp2": "fast"}))
    annotation = "volume.beta.kubernetes.io/storage-class"
    obj = make(
        "PersistentVolumeClaim", "c", metadata={"annotations": {annotation: "gp2"}}, spec={"storageClassName": "gp2"}
    )
    found = transformed(obj, options)
    assert found["metadata"]["annotations"][annotation] == found["spec"]["storageClassName"] == "fast"
