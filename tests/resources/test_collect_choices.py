"""A choice of objects, collected from a cluster's API: what goes along, what stays and why, what is lacking."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.kube.connection import Connection
from migrations_app.resources.collect import Collected, collect
from migrations_app.resources.selection import SelectorError
from migrations_app.resources.spec import Selection, Spec
from tests.resources.objects import Object, make, pod_spec, workload
from tests.resources.test_collect import definition, names, put
from tests.resources.waiting import until

RBAC = "rbac.authorization.k8s.io"
SECURITY = "security.openshift.io"


def labelled(**labels: str) -> Object:
    return {"labels": labels}


def chosen(connection: Connection, namespace: str, **selection: Any) -> Collected:
    return collect(connection, Spec(namespaces=(namespace,), selection=Selection(**selection)))


def reasons(found: Collected, *kinds: str) -> dict[str, str]:
    return {f"{each.key[1]} {each.key[3]}": each.reason for each in found.left_out if not kinds or each.key[1] in kinds}


@pytest.fixture
def shop(connection: Connection, namespace: str) -> str:
    """A namespace with a web part, a database part, and what belongs to neither."""
    web = workload("Deployment", "web", namespace, metadata=labelled(app="web"))
    container = {"name": "main", "image": "web", "envFrom": [{"secretRef": {"name": "db"}}]}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    web["spec"]["template"]["spec"] = pod_spec(containers=[container], volumes=volumes, serviceAccountName="web")
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    put(
        connection,
        make("ServiceAccount", "web", namespace, metadata=labelled(app="web")),
        web,
        make("Secret", "db", namespace, metadata=labelled(app="db")),
        make("ConfigMap", "db", namespace, metadata=labelled(app="db", tier="back")),
        make("ConfigMap", "plain", namespace),
        make("PersistentVolumeClaim", "data", namespace, metadata=labelled(app="db"), spec=claim),
    )
    until(lambda: list(connection.list("replicasets.apps", namespace)))
    return namespace


def test_labels_choose_and_what_the_chosen_need_of_the_rest_is_told(connection: Connection, shop: str) -> None:
    found = chosen(connection, shop, label_selector="app in (web)")
    assert names(found) == {"Deployment web", "ServiceAccount web"}
    left = reasons(found, "Secret", "ConfigMap", "PersistentVolumeClaim")
    said = "is not selected by `app in (web)`"
    assert {key: reason for key, reason in left.items() if "selected" in reason} == {
        "Secret db": said,
        "ConfigMap db": said,
        "ConfigMap plain": said,
        "PersistentVolumeClaim data": said,
    }
    assert {(each.needed[1], each.needed[3], each.reason) for each in found.missing} == {
        ("Secret", "db", said),
        ("PersistentVolumeClaim", "data", said),
    }
    assert {each.user[1:] for each in found.missing} == {("Deployment", shop, "web")}


def test_kinds_objects_and_exclusions_choose_together(connection: Connection, shop: str) -> None:
    found = chosen(
        connection,
        shop,
        exclude_selectors=("tier=back",),
        exclude_kinds=("serviceaccounts",),
        exclude_objects=(f"deployments.apps/{shop}/web",),
    )
    assert names(found) == {"Secret db", "ConfigMap plain"}
    assert reasons(found)["ConfigMap db"] == "is left out by the exclude selector `tier=back`"
    assert reasons(found)["ServiceAccount web"] == "is left out with all serviceaccounts"
    assert reasons(found)["Deployment web"] == "is left out by name"
    found = chosen(connection, shop, exclude_kinds=("*",), include_objects=(f"configmaps/{shop}/plain",))
    assert names(found) == {"ConfigMap plain"}


def test_what_controllers_make_comes_when_it_is_asked_for(connection: Connection, shop: str) -> None:
    found = chosen(connection, shop)
    (replica_set,) = connection.list("replicasets.apps", shop)
    name = replica_set["metadata"]["name"]
    assert reasons(found)[f"ReplicaSet {name}"] == "is made again by its owner, Deployment web"
    assert f"ReplicaSet {name}" in names(chosen(connection, shop, include_owned=True))
    named = chosen(connection, shop, include_objects=(f"replicasets.apps/{shop}/{name}",))
    assert names(named, "ReplicaSet", "Deployment") == {f"ReplicaSet {name}", "Deployment web"}


def test_a_bare_pod_comes_when_it_is_named_and_no_other_pod_does(connection: Connection, shop: str) -> None:
    put(connection, make("Pod", "bare", shop, spec=pod_spec()), make("Pod", "other", shop, spec=pod_spec()))
    assert names(chosen(connection, shop), "Pod") == set()
    assert names(chosen(connection, shop, include_objects=(f"pods/{shop}/bare",)), "Pod") == {"Pod bare"}


def test_a_selection_that_cannot_be_read_is_refused_before_anything_is_asked(
    connection: Connection, namespace: str
) -> None:
    with pytest.raises(SelectorError):
        chosen(connection, namespace, label_selector="app web")


def test_a_chosen_part_brings_the_cluster_rbac_and_the_webhooks_of_its_own_accounts_and_services(
    connection: Connection, namespace: str
) -> None:
    def binding(name: str) -> Object:
        subjects = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
        ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{namespace}-{name}"}
        return make("ClusterRoleBinding", f"{namespace}-{name}", subjects=subjects, roleRef=ref)

    def hook(name: str) -> Object:
        client = {"service": {"namespace": namespace, "name": name}}
        rules = [
            {"apiGroups": ["none.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["x"]}
        ]
        each = {"name": "a.example.com", "clientConfig": client, "sideEffects": "None", "rules": rules}
        return make(
            "ValidatingWebhookConfiguration",
            f"{namespace}-{name}",
            webhooks=[{**each, "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore"}],
        )

    for name in ("web", "db"):
        put(
            connection,
            make("ServiceAccount", name, namespace, metadata=labelled(app=name)),
            make("Service", name, namespace, metadata=labelled(app=name), spec={"ports": [{"port": 80}]}),
            make("ClusterRole", f"{namespace}-{name}", rules=[]),
            binding(name),
            hook(name),
        )
    kinds = ("ClusterRole", "ClusterRoleBinding", "ValidatingWebhookConfiguration")
    assert len(names(chosen(connection, namespace), *kinds)) == 6
    found = names(chosen(connection, namespace, label_selector="app=web"), *kinds)
    assert found == {f"{kind} {namespace}-web" for kind in kinds}
    out = chosen(connection, namespace, exclude_kinds=(f"clusterroles.{RBAC}",))
    assert ("ClusterRole", f"{namespace}-web") in {(each.needed[1], each.needed[3]) for each in out.missing}


def test_an_aggregated_role_brings_those_that_it_is_made_of(connection: Connection, namespace: str) -> None:
    label = f"{namespace}.example.com/aggregate"
    selectors = {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{namespace}-whole"}
    put(
        connection,
        make("ClusterRole", f"{namespace}-whole", aggregationRule=selectors, rules=[]),
        make("ClusterRole", f"{namespace}-part", metadata=labelled(**{label: "true"}), rules=[]),
        make("ClusterRole", f"{namespace}-other", rules=[]),
        make("RoleBinding", "b", namespace, roleRef=ref, subjects=[]),
    )
    found = names(chosen(connection, namespace), "ClusterRole")
    assert found == {f"ClusterRole {namespace}-whole", f"ClusterRole {namespace}-part"}


def test_an_api_behind_a_service_of_the_namespace_comes_along(connection: Connection, namespace: str) -> None:
    spec = {
        "group": f"{namespace}.example.com",
        "version": "v1",
        "groupPriorityMinimum": 1000,
        "versionPriority": 10,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": namespace, "name": "api"},
    }
    if connection.discovery(fresh=True).find("apiservices.apiregistration.k8s.io") is None:
        pytest.skip("this cluster serves no APIServices")
    put(connection, make("APIService", f"v1.{namespace}.example.com", spec=spec))
    assert names(chosen(connection, namespace), "APIService") == {f"APIService v1.{namespace}.example.com"}


def test_a_definition_of_several_versions_is_told_with_its_conversion(connection: Connection, namespace: str) -> None:
    group = f"{namespace}.example.com"
    crd = definition("carts", "Cart", group)
    (version,) = crd["spec"]["versions"]
    crd["spec"]["versions"] = [version, {**version, "name": "v1beta1", "storage": False}]
    client = {"service": {"namespace": namespace, "name": "hook", "path": "/convert"}}
    crd["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client},
    }
    put(connection, crd)
    until(lambda: connection.discovery(fresh=True).find(f"carts.{group}"))
    put(connection, make("Cart", "mine", namespace, apiVersion=f"{group}/v1", spec={}))
    found = chosen(connection, namespace)
    (note,) = found.notes
    assert note.key == ("apiextensions.k8s.io", "CustomResourceDefinition", "", f"carts.{group}")
    assert "serves v1, v1beta1 and stores v1" in note.text
    assert f"the webhook at {namespace}/hook, which goes along" in note.text
    assert ("Service", "hook") in {(each.needed[1], each.needed[3]) for each in found.missing}


def test_what_stork_works_with_stays_where_it_is(connection: Connection, namespace: str) -> None:
    """A ClusterPair holds the credentials of another cluster."""
    if connection.discovery(fresh=True).find("clusterpairs.stork.libopenstorage.org") is None:
        put(connection, definition("clusterpairs", "ClusterPair", "stork.libopenstorage.org"))
        until(lambda: connection.discovery(fresh=True).find("clusterpairs.stork.libopenstorage.org"))
    pair = make("ClusterPair", "p", namespace, apiVersion="stork.libopenstorage.org/v1", spec={"config": {}})
    put(connection, pair)
    assert names(chosen(connection, namespace)) == set()


def test_a_grant_by_security_context_constraints_is_told_with_the_command(
    connection: Connection, namespace: str
) -> None:
    if connection.discovery(fresh=True).find(f"securitycontextconstraints.{SECURITY}") is None:
        crd = definition("securitycontextconstraints", "SecurityContextConstraints", SECURITY)
        crd["spec"]["scope"] = "Cluster"
        put(connection, crd)
        until(lambda: connection.discovery(fresh=True).find(f"securitycontextconstraints.{SECURITY}"))
    users = [f"system:serviceaccount:{namespace}:web", "system:serviceaccount:elsewhere:web", "admin"]
    groups = [f"system:serviceaccounts:{namespace}", "system:authenticated"]
    name = f"{namespace}-anyuid"
    put(connection, make("SecurityContextConstraints", name, users=users, groups=groups))
    spec = Spec(namespaces=(namespace,), namespace_mapping={namespace: "store"})
    found = {each.user: each for each in collect(connection, spec).missing}
    assert found.keys() == {("", "ServiceAccount", namespace, "web"), ("", "Namespace", "", namespace)}
    account = found["", "ServiceAccount", namespace, "web"]
    assert account.needed == (SECURITY, "SecurityContextConstraints", "", name)
    assert f"oc adm policy add-scc-to-user {name} -z web -n store" in account.reason
    group = found["", "Namespace", "", namespace]
    assert f"oc adm policy add-scc-to-group {name} system:serviceaccounts:store" in group.reason


def test_a_token_that_somebody_asked_for_comes_without_its_content(connection: Connection, namespace: str) -> None:
    annotation = {"annotations": {"kubernetes.io/service-account.name": "web"}}
    kind = "kubernetes.io/service-account-token"
    put(
        connection,
        make("ServiceAccount", "web", namespace),
        make("Secret", "asked", namespace, metadata=annotation, type=kind),
        make("Secret", "web-token-x7k2p", namespace, metadata=annotation, type=kind),
    )
    found = chosen(connection, namespace)
    assert names(found, "Secret") == {"Secret asked"}
    assert reasons(found)["Secret web-token-x7k2p"] == "is a generated token, which is void on another cluster"


def test_the_order_and_the_set_are_the_same_every_time(connection: Connection, shop: str) -> None:
    """Kinds are asked for side by side."""
    seen = [[each["metadata"]["uid"] for each in chosen(connection, shop).objects] for _time in range(3)]
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == len(set(seen[0]))


def test_field_owners_are_kept_of_services_only(connection: Connection, namespace: str) -> None:
    spec = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30117}, {"port": 81}]}
    put(connection, make("Service", "web", namespace, spec=spec), make("ConfigMap", "c", namespace))
    found = {each["kind"]: each for each in chosen(connection, namespace).objects}
    assert "managedFields" in found["Service"]["metadata"]
    assert "managedFields" not in found["ConfigMap"]["metadata"]
