"""What belongs to the application: asked of a cluster whose controllers have made their own objects around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clusters.kube.connection import Connection
from clusters.kube.discovery import Discovery, Resource
from clusters.kube.errors import KubeError
from demo.cluster.server import ClusterHandle
from migrations_app.resources.belonging import is_candidate, why_left_out
from migrations_app.resources.cluster_scoped import binds
from migrations_app.resources.collect import Collected, collect
from migrations_app.resources.spec import Spec
from tests.resources.objects import Object, make, pod_spec, workload
from tests.resources.waiting import until

RBAC = "rbac.authorization.k8s.io"


BOOTSTRAP = {"kubernetes.io/bootstrapping": "rbac-defaults"}


def put(connection: Connection, *objects: Object) -> None:
    for obj in objects:
        connection.create(connection.resource_of(obj), obj)


def names(collected: Collected, *kinds: str) -> set[str]:
    """`Kind name` of what was collected, of these kinds or of all."""
    return {
        f"{obj['kind']} {obj['metadata']['name']}" for obj in collected.objects if not kinds or obj["kind"] in kinds
    }


def definition(plural: str, kind: str, group: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    }
    return make("CustomResourceDefinition", f"{plural}.{group}", spec=spec)


def test_an_application_is_collected_and_what_controllers_make_of_it_is_not(
    connection: Connection, namespace: str
) -> None:
    service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    budget = {"apiVersion": "policy/v1", "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    put(
        connection,
        make("ConfigMap", "settings", namespace, data={"a": "1"}),
        make("Secret", "password", namespace, data={"a": "MQ=="}),
        make("ServiceAccount", "web", namespace),
        make("Service", "web", namespace, spec=service),
        make("PersistentVolumeClaim", "data", namespace, spec=claim),
        make("LimitRange", "limits", namespace, spec={"limits": [{"type": "Container", "max": {"cpu": "2"}}]}),
        make("ResourceQuota", "quota", namespace, spec={"hard": {"pods": "20"}}),
        make("NetworkPolicy", "closed", namespace, apiVersion="networking.k8s.io/v1", spec={"podSelector": {}}),
        make("PodDisruptionBudget", "web", namespace, **budget),
        workload("Deployment", "web", namespace),
        workload("StatefulSet", "db", namespace),
        workload("CronJob", "backup", namespace),
        make("Role", "reader", namespace, rules=[]),
        make("Pod", "bare", namespace, spec=pod_spec()),
    )
    until(lambda: [each for each in connection.list("pods", namespace) if each["metadata"].get("ownerReferences")])
    until(lambda: list(connection.list("endpoints", namespace)))
    until(lambda: [each for each in connection.list("configmaps", namespace) if "ca.crt" in each["metadata"]["name"]])
    until(
        lambda: [
            each for each in connection.list("serviceaccounts", namespace) if each["metadata"]["name"] == "default"
        ]
    )
    found = collect(connection, Spec(namespaces=(namespace,)))
    assert found.skipped == []
    assert names(found) == {
        "ConfigMap settings",
        "Secret password",
        "ServiceAccount web",
        "Service web",
        "LimitRange limits",
        "ResourceQuota quota",
        "NetworkPolicy closed",
        "PodDisruptionBudget web",
        "Deployment web",
        "StatefulSet db",
        "CronJob backup",
        "Role reader",
    }
    assert len(found.objects) == 12
    assert all(obj["metadata"]["namespace"] == namespace and obj["apiVersion"] for obj in found.objects)


def test_other_namespaces_are_left_alone_and_several_come_together(connection: Connection, namespace: str) -> None:
    other, third = f"{namespace}-b", f"{namespace}-c"
    put(connection, *(make("Namespace", name) for name in (other, third)))
    put(connection, *(make("ConfigMap", f"of-{name}", name) for name in (namespace, other, third)))
    assert names(collect(connection, Spec(namespaces=(namespace,)))) == {f"ConfigMap of-{namespace}"}
    assert names(collect(connection, Spec(namespaces=(namespace, third)))) == {
        f"ConfigMap of-{namespace}",
        f"ConfigMap of-{third}",
    }
    assert collect(connection, Spec(namespaces=())).objects == []


def test_custom_resources_bring_their_definition_and_no_other(connection: Connection, namespace: str) -> None:
    group = f"{namespace}.example.com"
    put(connection, definition("carts", "Cart", group), definition("trolleys", "Trolley", group))
    until(lambda: connection.discovery(fresh=True).find(f"carts.{group}"))
    put(connection, make("Cart", "mine", namespace, apiVersion=f"{group}/v1", spec={"template": "text", "n": 1}))
    assert names(collect(connection, Spec(namespaces=(namespace,)))) == {
        "Cart mine",
        f"CustomResourceDefinition carts.{group}",
    }


def test_a_kind_named_like_one_of_kubernetes_is_judged_by_its_group(connection: Connection, namespace: str) -> None:
    group = f"{namespace}.example.com"
    put(connection, definition("configmaps", "ConfigMap", group), definition("rolebindings", "RoleBinding", group))
    until(lambda: connection.discovery(fresh=True).find(f"rolebindings.{group}"))
    put(
        connection,
        make("ConfigMap", "kube-root-ca.crt", namespace, apiVersion=f"{group}/v1"),
        make("RoleBinding", "system:b", namespace, apiVersion=f"{group}/v1", spec={"about": "something else"}),
    )
    found = names(collect(connection, Spec(namespaces=(namespace,))), "ConfigMap", "RoleBinding")
    assert found == {"ConfigMap kube-root-ca.crt", "RoleBinding system:b"}


def test_priority_classes_come_with_whatever_uses_them(connection: Connection, namespace: str) -> None:
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
        name = f"{namespace}-{kind.lower()}"
        put(connection, make("PriorityClass", name, value=10))
        obj = workload(kind, "w", namespace)
        spec = obj["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else obj["spec"]
        spec["template"]["spec"] |= {"priorityClassName": name}
        put(connection, obj)
    critical = workload("Deployment", "critical", namespace)
    critical["spec"]["template"]["spec"]["priorityClassName"] = "system-cluster-critical"
    put(connection, make("PriorityClass", f"{namespace}-unused", value=10), critical)
    kinds = ("deployment", "statefulset", "daemonset", "cronjob")
    found = names(collect(connection, Spec(namespaces=(namespace,))), "PriorityClass")
    assert found == {f"PriorityClass {namespace}-{kind}" for kind in kinds}


def test_cluster_roles_come_with_the_bindings_that_name_the_namespace(connection: Connection, namespace: str) -> None:
    def role(name: str) -> Object:
        return make("ClusterRole", f"{namespace}-{name}", rules=[])

    def reference(name: str) -> Object:
        return {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}

    def binding(name: str, role_name: str, *subjects: Object) -> Object:
        return make("ClusterRoleBinding", f"{namespace}-{name}", roleRef=reference(role_name), subjects=list(subjects))

    account = {"kind": "ServiceAccount", "name": "web", "namespace": namespace}
    group = {"apiGroup": RBAC, "kind": "Group", "name": f"system:serviceaccounts:{namespace}"}
    user = {"apiGroup": RBAC, "kind": "User", "name": f"system:serviceaccount:{namespace}:web"}
    stranger = {"kind": "ServiceAccount", "name": "web", "namespace": "elsewhere"}
    put(
        connection,
        *(role(name) for name in ("by-account", "by-group", "by-binding", "strange", "unused")),
        make("ClusterRole", f"{namespace}-standard", metadata={"labels": BOOTSTRAP}, rules=[]),
        binding("account", f"{namespace}-by-account", stranger, account),
        binding("group", f"{namespace}-by-group", group),
        binding("user", f"{namespace}-standard", user),
        binding("strange", f"{namespace}-strange", stranger),
        make("RoleBinding", "local", namespace, roleRef=reference(f"{namespace}-by-binding"), subjects=[stranger]),
    )
    assert names(collect(connection, Spec(namespaces=(namespace,)))) == {
        "RoleBinding local",
        *(f"ClusterRoleBinding {namespace}-{name}" for name in ("account", "group", "user")),
        *(f"ClusterRole {namespace}-{name}" for name in ("by-account", "by-group", "by-binding")),
    }


def test_webhooks_come_with_the_service_that_they_call(connection: Connection, namespace: str) -> None:
    def webhook(kind: str, name: str, client: Object) -> Object:
        hook = {
            "name": "check.example.com",
            "clientConfig": client,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Ignore",
            "rules": [
                {"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["none"]}
            ],
        }
        return make(kind, f"{namespace}-{name}", webhooks=[hook])

    ours, theirs = ({"service": {"namespace": place, "name": "hook"}} for place in (namespace, "elsewhere"))
    put(
        connection,
        webhook("ValidatingWebhookConfiguration", "checks", ours),
        webhook("MutatingWebhookConfiguration", "changes", ours),
        webhook("ValidatingWebhookConfiguration", "theirs", theirs),
        webhook("ValidatingWebhookConfiguration", "outside", {"url": "https://hook.example.com"}),
    )
    assert names(collect(connection, Spec(namespaces=(namespace,)))) == {
        f"ValidatingWebhookConfiguration {namespace}-checks",
        f"MutatingWebhookConfiguration {namespace}-changes",
    }


def test_endpoints_come_only_where_somebody_wrote_them_for_a_service(connection: Connection, namespace: str) -> None:
    subsets = [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 5432}]}]
    port = {"ports": [{"port": 5432}]}
    put(
        connection,
        make("Service", "outside", namespace, spec=port),
        make("Endpoints", "outside", namespace, subsets=subsets),
        make("Service", "inside", namespace, spec={**port, "selector": {"app": "db"}}),
        make("Endpoints", "nobodys", namespace, subsets=subsets),
    )
    until(lambda: [each for each in connection.list("endpoints", namespace) if each["metadata"]["name"] == "inside"])
    found = collect(connection, Spec(namespaces=(namespace,)))
    assert names(found) == {"Service outside", "Service inside", "Endpoints outside"}


def test_what_may_not_be_listed_is_said_and_the_rest_is_collected(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    put(connection, make("ConfigMap", "settings", namespace), make("Secret", "password", namespace))
    served.faults.fail(f"/namespaces/{namespace}/secrets", status=403)
    served.faults.fail("/clusterrolebindings", status=403)
    found = collect(connection, Spec(namespaces=(namespace,)))
    assert names(found) == {"ConfigMap settings"}
    skipped = {each.resource: each.reason for each in found.skipped}
    assert set(skipped) == {"secrets", f"clusterrolebindings.{RBAC}"}
    assert f"list secrets in {namespace}" in skipped["secrets"]


def test_a_cluster_that_is_down_is_no_empty_application(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    put(connection, make("ConfigMap", "settings", namespace))
    served.faults.fail(f"/namespaces/{namespace}/configmaps", status=500, times=9, retry_after=0)
    with pytest.raises(KubeError):
        collect(connection, Spec(namespaces=(namespace,)))


class Recorded(Connection):
    """What an older cluster serves: two groups with the same Deployment, and one whose server is down."""

    def __init__(self) -> None:
        self.listed = [make("Deployment", "web", apiVersion="", metadata={"uid": "1"})]

    def discovery(self, *, fresh: bool = False) -> Discovery:
        verbs = frozenset({"list", "create"})
        served = (
            ("authorization.openshift.io", "v1", "rolebindings", "RoleBinding"),
            ("extensions", "v1beta1", "deployments", "Deployment"),
            ("apps", "v1", "deployments", "Deployment"),
        )
        return Discovery([Resource(*each, True, verbs) for each in served], ["broken.example.com/v1"])

    def list(self, resource: Resource | str, namespace: str | None = None, **options: Any) -> Iterator[Object]:
        if isinstance(resource, Resource) and resource.plural == "deployments":
            for each in self.listed:
                yield {**each, "apiVersion": resource.api_version}
        if isinstance(resource, Resource) and resource.plural == "rolebindings":
            yield make("RoleBinding", "b", apiVersion=resource.api_version, roleRef={"name": "view"})


def test_an_object_that_two_groups_serve_comes_once_and_a_silent_api_is_said() -> None:
    found = collect(Recorded(), Spec(namespaces=("shop",)))
    assert [(obj["apiVersion"], obj["kind"]) for obj in found.objects] == [("apps/v1", "Deployment")]
    assert [each.resource for each in found.skipped] == ["broken.example.com/v1"]


# -- what is left out, object by object


def owned(kind: str, by: str = "Deployment", api_version: str = "apps/v1", **fields: Any) -> Object:
    owner = {"apiVersion": api_version, "kind": by, "name": "web", "uid": "1", "controller": True}
    return make(kind, "c", metadata={"ownerReferences": [owner]}, **fields)


def ended(type_: str, status: str = "True") -> Object:
    return workload("Job", "j", status={"conditions": [{"type": type_, "status": status}]})


def marked(kind: str, *, labels: Object | None = None, annotations: Object | None = None, **fields: Any) -> Object:
    return make(kind, "c", metadata={"labels": labels, "annotations": annotations}, **fields)


VERSION = {"apiVersion": "operators.coreos.com/v1alpha1"}
LEFT_OUT: dict[str, Object] = {
    "a ReplicaSet of a Deployment": owned("ReplicaSet"),
    "a Service of a custom resource": owned("Service", "Cart", "example.com/v1"),
    "what has an owner that is not served": owned("Deployment", "Trolley", "example.com/v1"),
    "a Secret of a pod": owned("Secret", "Pod", "v1"),
    "a ConfigMap of a build": owned("ConfigMap", "Build", "build.openshift.io/v1"),
    "a registry password of an account": owned("Secret", "ServiceAccount", "v1", type="kubernetes.io/dockercfg"),
    "what asks for it": marked("ConfigMap", annotations={"stork.libopenstorage.org/skip-resource": "true"}),
    "what asks for it in the old way": marked(
        "Deployment", annotations={"stork.libopenstorage.org/skipresource": "true"}
    ),
    "what this product works with": make("Secret", "kubemotion-push-1"),
    "the cluster's authority": make("ConfigMap", "kube-root-ca.crt"),
    "OpenShift's authority": make("ConfigMap", "openshift-service-ca.crt"),
    "a token": make("Secret", "t", type="kubernetes.io/service-account-token"),
    "a registry password of OpenShift": make("Secret", "p", type="kubernetes.io/dockercfg"),
    "a token by its name": make("Secret", "builder-token-x7", type="Opaque"),
    "the default account": make("ServiceAccount", "default"),
    "the default account with its generated password": make(
        "ServiceAccount", "builder", imagePullSecrets=[{"name": "builder-dockercfg-x7"}]
    ),
    "a role of the system": make("Role", "system:leader"),
    "a binding of the system": make("RoleBinding", "system:image-pullers"),
    "the API's own Service": make("Service", "kubernetes", "default"),
    "a quota of GKE": make("ResourceQuota", "gke-resource-quotas"),
    "a Job that is done": ended("Complete"),
    "a Job that has failed": ended("Failed"),
    "Endpoints of a controller": marked("Endpoints", labels={"endpoints.kubernetes.io/managed-by": "x"}),
    "Endpoints of an older controller": marked(
        "Endpoints", annotations={"endpoints.kubernetes.io/last-change-trigger-time": "x"}
    ),
    "Endpoints that are a lock": marked("Endpoints", annotations={"control-plane.alpha.kubernetes.io/leader": "{}"}),
    "Endpoints that lead to a pod": make(
        "Endpoints", "c", subsets=[{"notReadyAddresses": [{"ip": "10.0.0.1", "targetRef": {"kind": "Pod"}}]}]
    ),
    "a slice of a controller": marked("EndpointSlice", labels={"endpointslice.kubernetes.io/managed-by": "x"}),
    "a slice that leads to a pod": make("EndpointSlice", "c", endpoints=[{"targetRef": {"kind": "Pod"}}]),
    "a copied operator": marked("ClusterServiceVersion", labels={"olm.copiedFrom": "operators"}, **VERSION),
}
KEPT: dict[str, Object] = {
    "a ConfigMap": make("ConfigMap", "c"),
    "a password that an operator made": owned("Secret", "Cart", "example.com/v1"),
    "settings that an operator made": owned("ConfigMap", "Cart", "example.com/v1"),
    "what is made for something outside of namespaces": owned("Deployment", "Fleet", "example.com/v1"),
    # Nobody makes it again: a claim has no controller that would.
    "what goes with its claim": owned("Service", "PersistentVolumeClaim", "v1"),
    "what declines to be skipped": marked("ConfigMap", annotations={"stork.libopenstorage.org/skip-resource": "false"}),
    "a registry password": make("Secret", "registry", type="kubernetes.io/dockerconfigjson"),
    "a release of Helm": make("Secret", "sh.helm.release.v1.shop.v1", type="helm.sh/release.v1"),
    "an account": make("ServiceAccount", "web"),
    "the default account with somebody's password": make(
        "ServiceAccount", "default", imagePullSecrets=[{"name": "default-dockercfg-x7"}, {"name": "registry"}]
    ),
    "a binding to a security context": make("RoleBinding", "system:openshift:scc:anyuid"),
    "a Service that is called kubernetes": make("Service", "kubernetes", "shop"),
    "a Job that runs": workload("Job", "j", status={"active": 1, "conditions": None}),
    "a Job that is suspended": ended("Suspended"),
    "a Job that has not failed": ended("Failed", "False"),
    "a slice of somebody": make("EndpointSlice", "c", endpoints=[{"addresses": ["192.0.2.7"]}]),
    "an operator": make("ClusterServiceVersion", "c", **VERSION),
    "a custom Job": make("Job", "j", apiVersion="batch.example.com/v1", status={"conditions": [{"type": "Complete"}]}),
}


SERVED = Discovery(
    [
        Resource("apps", "v1", "deployments", "Deployment", True),
        Resource("example.com", "v1", "carts", "Cart", True),
        Resource("example.com", "v1", "fleets", "Fleet", False),
        Resource("", "v1", "pods", "Pod", True),
    ]
)


@pytest.mark.parametrize("obj", LEFT_OUT.values(), ids=LEFT_OUT)
def test_it_is_left_out(obj: Object) -> None:
    assert why_left_out(obj, SERVED)


@pytest.mark.parametrize("obj", KEPT.values(), ids=KEPT)
def test_it_belongs(obj: Object) -> None:
    assert not why_left_out(obj, SERVED)


@pytest.mark.parametrize(
    ("metadata", "subjects", "expected"),
    [
        ({}, [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}], True),
        ({}, [{"kind": "ServiceAccount", "name": "shop", "namespace": "web"}], False),
        ({}, [{"kind": "User", "name": "system:serviceaccount:shop:web"}], True),
        ({}, [{"kind": "User", "name": "shop"}], False),
        ({}, [{"kind": "Group", "name": "system:serviceaccounts:shop"}], True),
        ({}, [{"kind": "Group", "name": "system:serviceaccounts"}], False),
        ({}, [{"kind": "Group", "name": "shop"}], False),
        ({}, None, False),
        ({"name": "system:node"}, [{"kind": "Group", "name": "system:serviceaccounts:shop"}], False),
        (
            {"labels": BOOTSTRAP},
            [{"kind": "Group", "name": "system:serviceaccounts:shop"}],
            False,
        ),
    ],
)
def test_a_cluster_role_binding_belongs_by_its_subjects(
    metadata: Object, subjects: list[Object] | None, expected: bool
) -> None:
    obj = make("ClusterRoleBinding", "b", metadata=metadata, subjects=subjects, roleRef={"kind": "ClusterRole"})
    assert binds(obj, {"shop", "cms"}) is expected


# -- APIs with servers of their own, and clusters that change while they are read


def test_an_api_whose_server_is_down_is_told_and_stops_nothing(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    put(connection, make("ConfigMap", "settings", namespace), make("Route", "web", namespace, spec={"to": {}}))
    served.faults.silent_groups |= {"route.openshift.io", "image.openshift.io"}
    connection.discovery(fresh=True)
    found = collect(connection, Spec(namespaces=(namespace,)))
    assert names(found) == {"ConfigMap settings"}
    assert {each.resource: each.reason for each in found.skipped} == dict.fromkeys(
        ("route.openshift.io/v1", "image.openshift.io/v1"), "The server behind this API does not answer."
    )


def test_an_api_whose_server_falls_silent_meanwhile_is_told_as_well(
    served: ClusterHandle, connection: Connection, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.kube.requests.FIRST_PAUSE", 0.01)
    put(connection, make("ConfigMap", "settings", namespace), make("Route", "web", namespace, spec={"to": {}}))
    # What is served was looked up while all was well.
    connection.discovery(fresh=True)
    served.faults.silent_groups.add("route.openshift.io")
    found = collect(connection, Spec(namespaces=(namespace,)))
    assert names(found) == {"ConfigMap settings"}
    assert [(each.resource, each.group) for each in found.skipped] == [
        ("routes.route.openshift.io", "route.openshift.io")
    ]
    served.faults.clear()
    connection.discovery(fresh=True)
    assert names(collect(connection, Spec(namespaces=(namespace,)))) == {"ConfigMap settings", "Route web"}


def test_kinds_that_cannot_be_listed_or_made_are_not_asked_for() -> None:
    every = ("get", "list", "create", "watch")
    kinds = {
        "things": every,
        "readings": ("get", "list"),  # as metrics are
        "reviews": ("create",),  # as reviews are
        "secrets": ("get", "create"),
    }
    served = [
        Resource("example.com", "v1", plural, plural.title(), True, frozenset(verbs)) for plural, verbs in kinds.items()
    ]
    assert [each.plural for each in served if is_candidate(each)] == ["things"]


def test_events_of_both_groups_and_an_empty_namespace_are_nothing(connection: Connection, namespace: str) -> None:
    reference = {"kind": "Pod", "namespace": namespace, "name": "p"}
    event = make("Event", "p.1", namespace, involvedObject=reference, reason="Started", message="", type="Normal")
    put(connection, event)
    assert list(connection.list("events.events.k8s.io", namespace))
    until(lambda: list(connection.list("configmaps", namespace)))
    found = collect(connection, Spec(namespaces=(namespace,)))
    assert (found.objects, found.skipped, found.missing) == ([], [], [])
    assert {key[1] for key in (each.key for each in found.left_out)} <= {
        "ConfigMap",
        "RoleBinding",
        "Secret",
        "ServiceAccount",
    }


def test_page_tokens_that_run_out_lose_nothing_and_give_nothing_twice(
    served: ClusterHandle, connection: Connection, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {f"c{number:02}" for number in range(12)}
    put(connection, *(make("ConfigMap", name, namespace) for name in wanted))
    paged = Connection.list

    def small_pages(self: Connection, *arguments: Any, **options: Any) -> Iterator[Object]:
        return paged(self, *arguments, **{**options, "page_size": 5})

    monkeypatch.setattr(Connection, "list", small_pages)
    asked = []

    def second_page(method: str, path: str) -> bool:
        # The path alone is known here, not whether it goes on from a token: each collection is read page by page.
        if not path.endswith(f"/namespaces/{namespace}/configmaps"):
            return False
        asked.append(path)
        return len(asked) == 2

    served.faults.fail(second_page, status=410)
    found = collect(connection, Spec(namespaces=(namespace,)))
    kept = [obj["metadata"]["name"] for obj in found.objects]
    assert sorted(kept) == sorted(wanted)
    # The first page, and the token's that had run out; once that has been answered nobody looks any more.
    assert len(asked) == 2


def test_what_goes_while_it_is_read_is_not_there_or_told_as_going(
    served: ClusterHandle, connection: Connection, namespace: str
) -> None:
    put(
        connection,
        make("ConfigMap", "held", namespace, metadata={"finalizers": ["example.com/keep"]}),
        make("ConfigMap", "kept", namespace),
        make("Secret", "gone", namespace),
    )

    def deleted_before_it_is_read(method: str, path: str) -> bool:
        if path.endswith(f"/namespaces/{namespace}/secrets"):
            served.api.delete("secrets", namespace, "gone")
        return False

    connection.delete("configmaps", "held", namespace)
    served.faults.fail(deleted_before_it_is_read)
    found = collect(connection, Spec(namespaces=(namespace,)))
    assert names(found) == {"ConfigMap kept"}
    reasons = {each.key[3]: each.reason for each in found.left_out}
    assert reasons["held"] == "is being deleted on the source"
    connection.patch("configmaps", "held", namespace, {"metadata": {"finalizers": None}})
