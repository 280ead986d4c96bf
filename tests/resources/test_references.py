"""What objects refer to, and which of that does not go along."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.resources.dependencies import missing
from migrations_app.resources.references import references
from tests.resources.objects import Object, make, pod_spec, workload

RBAC = "rbac.authorization.k8s.io"
SHOP = "shop"
REGISTRY = "registry.example.com"


def with_pods(kind: str = "Deployment", **spec: Any) -> Object:
    obj = workload(kind, "web")
    template = obj["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else obj["spec"]
    template["template"]["spec"] = pod_spec(**spec)
    return obj


def environment(**container: Any) -> Object:
    return with_pods(containers=[{"name": "main", "image": "web", **container}])


def volume(**source: Any) -> Object:
    return with_pods(volumes=[{"name": "v", **source}])


def role(kind: str, name: str) -> Object:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def ingress(**spec: Any) -> Object:
    return make("Ingress", "web", spec=spec)


BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
REFERRED: dict[str, tuple[Object, tuple[str, str, str, str]]] = {
    "a variable of a Secret": (
        environment(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        ("", "Secret", SHOP, "s"),
    ),
    "a variable of a ConfigMap": (
        environment(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]),
        ("", "ConfigMap", SHOP, "c"),
    ),
    "all of a Secret": (environment(envFrom=[{"secretRef": {"name": "s"}}]), ("", "Secret", SHOP, "s")),
    "all of a ConfigMap": (environment(envFrom=[{"configMapRef": {"name": "c"}}]), ("", "ConfigMap", SHOP, "c")),
    "a container that runs first": (
        with_pods(initContainers=[{"name": "i", "envFrom": [{"secretRef": {"name": "s"}}]}]),
        ("", "Secret", SHOP, "s"),
    ),
    "a Secret as files": (volume(secret={"secretName": "s"}), ("", "Secret", SHOP, "s")),
    "a ConfigMap as files": (volume(configMap={"name": "c"}), ("", "ConfigMap", SHOP, "c")),
    "a claim": (volume(persistentVolumeClaim={"claimName": "d"}), ("", "PersistentVolumeClaim", SHOP, "d")),
    "a projected Secret": (volume(projected={"sources": [{"secret": {"name": "s"}}]}), ("", "Secret", SHOP, "s")),
    "a projected ConfigMap": (
        volume(projected={"sources": [{"configMap": {"name": "c"}}]}),
        ("", "ConfigMap", SHOP, "c"),
    ),
    "a driver's Secret": (
        volume(csi={"driver": "d", "nodePublishSecretRef": {"name": "s"}}),
        ("", "Secret", SHOP, "s"),
    ),
    "an account": (with_pods(serviceAccountName="web"), ("", "ServiceAccount", SHOP, "web")),
    "an account in the old field": (with_pods(serviceAccount="web"), ("", "ServiceAccount", SHOP, "web")),
    "a priority": (with_pods(priorityClassName="fast"), ("scheduling.k8s.io", "PriorityClass", "", "fast")),
    "a runtime": (with_pods(runtimeClassName="kata"), ("node.k8s.io", "RuntimeClass", "", "kata")),
    "a pull Secret": (with_pods(imagePullSecrets=[{"name": "s"}]), ("", "Secret", SHOP, "s")),
    "a CronJob's": (with_pods("CronJob", imagePullSecrets=[{"name": "s"}]), ("", "Secret", SHOP, "s")),
    "a custom workload's": (
        make(
            "Cart",
            "c",
            apiVersion="example.com/v1",
            spec={"template": {"spec": pod_spec(imagePullSecrets=[{"name": "s"}])}},
        ),
        ("", "Secret", SHOP, "s"),
    ),
    "the Service of a StatefulSet": (workload("StatefulSet", "db"), ("", "Service", SHOP, "db")),
    "the class of a claim template": (
        workload("StatefulSet", "db", spec={"volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]}),
        ("storage.k8s.io", "StorageClass", "", "fast"),
    ),
    "an account's pull Secret": (
        make("ServiceAccount", "web", imagePullSecrets=[{"name": "s"}]),
        ("", "Secret", SHOP, "s"),
    ),
    "a role": (make("RoleBinding", "b", roleRef=role("Role", "r"), subjects=[]), (RBAC, "Role", SHOP, "r")),
    "a cluster role": (
        make("RoleBinding", "b", roleRef=role("ClusterRole", "r"), subjects=None),
        (RBAC, "ClusterRole", "", "r"),
    ),
    "a subject": (
        make(
            "ClusterRoleBinding",
            "b",
            roleRef=role("ClusterRole", "r"),
            subjects=[{"kind": "ServiceAccount", "name": "web", "namespace": SHOP}],
        ),
        ("", "ServiceAccount", SHOP, "web"),
    ),
    "an ingress class": (ingress(ingressClassName="nginx"), ("networking.k8s.io", "IngressClass", "", "nginx")),
    "a certificate": (ingress(tls=[{"secretName": "s"}]), ("", "Secret", SHOP, "s")),
    "a backend": (ingress(rules=[{"http": {"paths": [{"backend": BACKEND}]}}]), ("", "Service", SHOP, "web")),
    "a default backend": (ingress(defaultBackend=BACKEND), ("", "Service", SHOP, "web")),
    "a Route's Service": (
        make("Route", "web", spec={"to": {"kind": "Service", "name": "web"}}),
        ("", "Service", SHOP, "web"),
    ),
    "a Gateway of another namespace": (
        make("HTTPRoute", "web", spec={"parentRefs": [{"name": "edge", "namespace": "infra"}]}),
        ("gateway.networking.k8s.io", "Gateway", "infra", "edge"),
    ),
    "an HTTPRoute's Service": (
        make("HTTPRoute", "web", spec={"rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}),
        ("", "Service", SHOP, "web"),
    ),
    "a Gateway's class": (
        make("Gateway", "edge", spec={"gatewayClassName": "envoy"}),
        ("gateway.networking.k8s.io", "GatewayClass", "", "envoy"),
    ),
    "a Gateway's certificate": (
        make("Gateway", "edge", spec={"listeners": [{"tls": {"certificateRefs": [{"name": "s"}]}}]}),
        ("", "Secret", SHOP, "s"),
    ),
    "what is scaled": (
        make(
            "HorizontalPodAutoscaler",
            "web",
            spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
        ),
        ("apps", "Deployment", SHOP, "web"),
    ),
    "an image stream": (
        make(
            "DeploymentConfig",
            "web",
            spec={"triggers": [{"imageChangeParams": {"from": {"kind": "ImageStreamTag", "name": "web:1"}}}]},
        ),
        ("image.openshift.io", "ImageStream", SHOP, "web"),
    ),
    "a webhook's Service": (
        make(
            "ValidatingWebhookConfiguration",
            "w",
            webhooks=[{"name": "a", "clientConfig": {"service": {"namespace": "infra", "name": "hook"}}}],
        ),
        ("", "Service", "infra", "hook"),
    ),
    "who converts": (
        make(
            "CustomResourceDefinition",
            "c",
            spec={"conversion": {"webhook": {"clientConfig": {"service": {"namespace": SHOP, "name": "hook"}}}}},
        ),
        ("", "Service", SHOP, "hook"),
    ),
    "whose token it is": (
        make(
            "Secret",
            "t",
            type="kubernetes.io/service-account-token",
            metadata={"annotations": {"kubernetes.io/service-account.name": "web"}},
        ),
        ("", "ServiceAccount", SHOP, "web"),
    ),
}


@pytest.mark.parametrize(("obj", "key"), REFERRED.values(), ids=REFERRED)
def test_a_reference_is_found(obj: Object, key: tuple[str, str, str, str]) -> None:
    assert key in [each.key for each in references(obj)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(
        ["spec", "template", "containers", "volumes", "name", "secret", "env", "tls", "rules", "http", "webhooks"]
    ), inner, max_size=3),
)  # fmt: skip


@given(st.sampled_from([obj for obj, _key in REFERRED.values()]), JSON)
def test_no_shape_makes_it_fail(obj: Object, value: Any) -> None:
    list(references({**obj, "spec": value, "webhooks": value, "subjects": value, "roleRef": value}))


def lacking(*objects: Object, left_out: dict[Any, str] | None = None, claims: tuple[Any, ...] = ()) -> list[Any]:
    found = missing(objects, namespaces=[SHOP], left_out=left_out or {}, claims=claims)
    return [(each.needed, each.reason, each.optional) for each in found]


SECRET = ("", "Secret", SHOP, "s")


def test_what_goes_along_is_not_missing() -> None:
    obj = volume(secret={"secretName": "s"})
    assert lacking(obj, make("Secret", "s")) == []
    assert lacking(obj) == [(SECRET, "is not there on the source either", False)]


def test_the_reason_for_which_it_stays_is_told() -> None:
    obj = volume(secret={"secretName": "s"})
    assert lacking(obj, left_out={SECRET: "is left out by name"}) == [(SECRET, "is left out by name", False)]


def test_what_may_be_absent_is_told_as_such_unless_another_place_needs_it() -> None:
    optional = {"name": "o", "envFrom": [{"secretRef": {"name": "s", "optional": True}}]}
    needed = {"name": "n", "envFrom": [{"secretRef": {"name": "s"}}]}
    assert [each[2] for each in lacking(with_pods(containers=[optional]))] == [True]
    assert [each[2] for each in lacking(with_pods(containers=[optional, needed]))] == [False]
    assert [each[2] for each in lacking(with_pods(containers=[needed, optional]))] == [False]


def test_claims_come_with_the_volumes() -> None:
    obj = volume(persistentVolumeClaim={"claimName": "d"})
    claim = ("", "PersistentVolumeClaim", SHOP, "d")
    assert lacking(obj, claims=(claim,)) == []
    assert [each[0] for each in lacking(obj)] == [claim]


@pytest.mark.parametrize(
    "obj",
    [
        with_pods(serviceAccountName="default"),
        with_pods(priorityClassName="system-node-critical"),
        volume(configMap={"name": "kube-root-ca.crt"}),
        make("RoleBinding", "b", roleRef=role("ClusterRole", "view")),
        make("RoleBinding", "b", roleRef=role("ClusterRole", "system:auth-delegator")),
        make(
            "DeploymentConfig",
            "web",
            spec={"triggers": [{"imageChangeParams": {"from": {"namespace": "openshift", "name": "php:8"}}}]},
        ),
    ],
)
def test_what_every_cluster_has_is_not_missing(obj: Object) -> None:
    assert lacking(obj) == []


@pytest.mark.parametrize(
    "obj",
    [
        ingress(ingressClassName="nginx"),
        make("Gateway", "edge", spec={"gatewayClassName": "envoy"}),
        with_pods(runtimeClassName="kata"),
        make("RoleBinding", "b", roleRef=role("ClusterRole", "system:openshift:scc:anyuid")),
    ],
)
def test_what_belongs_to_a_cluster_is_told_to_be_needed_there(obj: Object) -> None:
    ((_key, reason, _optional),) = lacking(obj)
    assert reason == "belongs to the cluster and is not carried: the destination needs one of this name"


def test_another_namespace_is_named() -> None:
    obj = make("HTTPRoute", "web", spec={"parentRefs": [{"name": "edge", "namespace": "infra"}]})
    ((_key, reason, _optional),) = lacking(obj)
    assert reason == "lies in the namespace infra, which is not migrated"


def custom(spec: Object) -> Object:
    obj = make("Database", "main", "cms", spec=spec)
    return {**obj, "apiVersion": "db.example.com/v1"}


@pytest.mark.parametrize(
    ("spec", "needed"),
    [
        ({"auth": {"secretName": "pw"}}, ("", "Secret", "cms", "pw")),
        ({"replicas": [{"source": {"secretKeyRef": {"name": "pw", "key": "k"}}}]}, ("", "Secret", "cms", "pw")),
        ({"backup": {"secretRef": {"name": "pw", "namespace": "shared"}}}, ("", "Secret", "shared", "pw")),
        ({"configMapRef": {"name": "cnf"}}, ("", "ConfigMap", "cms", "cnf")),
        ({"configMapName": "cnf"}, ("", "ConfigMap", "cms", "cnf")),
        ({"storage": {"persistentVolumeClaim": {"claimName": "d"}}}, ("", "PersistentVolumeClaim", "cms", "d")),
        ({"storage": {"persistentVolumeClaim": "d"}}, ("", "PersistentVolumeClaim", "cms", "d")),
        ({"pod": {"serviceAccountName": "db"}}, ("", "ServiceAccount", "cms", "db")),
        ({"pod": {"priorityClassName": "high"}}, ("scheduling.k8s.io", "PriorityClass", "", "high")),
        ({"secretName": ["a"], "secretRef": {"key": "x"}, "name": "pw", "secret": {"name": "pw"}}, None),
    ],
)
def test_fields_of_operators_own_kinds_are_presumed_to_refer(spec: Object, needed: Any) -> None:
    found = list(references(custom(spec)))
    assert [each.key for each in found] == ([needed] if needed else [])
    assert all(each.presumed and each.optional for each in found)
    assert not list(references({**custom(spec), "apiVersion": "things.k8s.io/v1"})), "not of an operator"


def test_what_a_field_is_presumed_to_name_is_lacking_only_where_it_is_kept_back() -> None:
    obj = custom({"auth": {"secretName": "pw"}, "out": {"secretName": "made-by-the-operator"}})
    found = missing([obj], namespaces=["cms"], left_out={("", "Secret", "cms", "pw"): "is left out by name"}, claims=())
    assert [(each.needed, each.reason, each.presumed) for each in found] == [
        (("", "Secret", "cms", "pw"), "is left out by name", True)
    ]
    beside = custom({"auth": {"secretRef": {"name": "pw", "namespace": "shared"}}})
    (elsewhere,) = missing([beside], namespaces=["cms"], left_out={}, claims=())
    assert elsewhere.reason == "lies in the namespace shared, which is not migrated"
