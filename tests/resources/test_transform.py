"""What an object loses, keeps and gets on its way: one test per rule."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from migrations_app.resources.marks import (
    MIGRATION_LABEL,
    REPLICAS_ANNOTATION,
    SOURCE_ANNOTATION,
    SUSPENDED_ANNOTATION,
)
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import FOREIGN_ANNOTATIONS, Options, transformed
from tests.resources.objects import LAST_APPLIED, Object, applied, make, pod_spec, workload

OPTIONS = Options(migration_id="m1", source="dev")
STOPPED = Options(migration_id="m1", source="dev", spec=Spec(namespaces=(), start_applications=False))
SERVER_FIELDS: Object = {
    "uid": "0d8f",
    "resourceVersion": "815",
    "generation": 3,
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "deletionTimestamp": "2026-01-02T00:00:00Z",
    "deletionGracePeriodSeconds": 30,
    "selfLink": "/api/v1/namespaces/shop/configmaps/c",
    "managedFields": [{"manager": "kubectl", "operation": "Update"}],
    "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "1"}],
    "finalizers": ["example.com/keep"],
    "generateName": "c-",
}


def on_destination(obj: Object, options: Options = OPTIONS) -> Any:
    return transformed(obj, options)


@pytest.mark.parametrize("field", SERVER_FIELDS)
def test_what_the_api_server_sets_stays_behind(field: str) -> None:
    obj = make("ConfigMap", "c", metadata={field: SERVER_FIELDS[field]}, data={"a": "1"})
    assert set(on_destination(obj)["metadata"]) == {"name", "namespace", "labels", "annotations"}


def test_the_status_stays_behind() -> None:
    assert "status" not in on_destination(workload("Deployment", "web", status={"replicas": 1}))


def test_name_namespace_labels_annotations_and_content_are_kept() -> None:
    metadata = {"labels": {"app": "web"}, "annotations": {"owner": "us"}}
    found = on_destination(make("ConfigMap", "c", metadata=metadata, data={"a": "1"}, binaryData={"b": "AA=="}))
    assert (found["metadata"]["name"], found["metadata"]["namespace"]) == ("c", "shop")
    assert found["metadata"]["labels"]["app"] == "web"
    assert found["metadata"]["annotations"]["owner"] == "us"
    assert (found["data"], found["binaryData"]) == ({"a": "1"}, {"b": "AA=="})


def test_the_object_says_which_migration_made_it_and_where_it_came_from() -> None:
    earlier = {"labels": {MIGRATION_LABEL: "m0"}, "annotations": {SOURCE_ANNOTATION: "lab"}}
    for metadata in (None, earlier):
        found = on_destination(make("ConfigMap", "c", metadata=metadata))["metadata"]
        assert found["labels"][MIGRATION_LABEL] == "m1"
        assert found["annotations"][SOURCE_ANNOTATION] == "dev"


@pytest.mark.parametrize("name", FOREIGN_ANNOTATIONS)
def test_notes_about_the_source_cluster_stay_behind(name: str) -> None:
    obj = make("ConfigMap", "c", metadata={"annotations": {name: "x", "mine": "y"}})
    assert on_destination(obj)["metadata"]["annotations"] == {"mine": "y", SOURCE_ANNOTATION: "dev"}


# -- Services


def test_a_service_gets_new_addresses() -> None:
    spec = {
        "clusterIP": "10.0.0.7",
        "clusterIPs": ["10.0.0.7"],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "loadBalancerIP": "192.0.2.7",
        "healthCheckNodePort": 31000,
        "type": "LoadBalancer",
        "selector": {"app": "web"},
        "sessionAffinity": "ClientIP",
        "externalTrafficPolicy": "Local",
        "ports": [{"port": 80}],
    }
    assert on_destination(make("Service", "web", spec=spec))["spec"] == {
        "type": "LoadBalancer",
        "selector": {"app": "web"},
        "sessionAffinity": "ClientIP",
        "externalTrafficPolicy": "Local",
        "ports": [{"port": 80}],
    }


def test_a_headless_service_stays_headless() -> None:
    spec = {"clusterIP": "None", "clusterIPs": ["None"], "selector": {"app": "db"}}
    assert on_destination(make("Service", "db", spec=spec))["spec"]["clusterIP"] == "None"


def test_an_external_name_is_kept() -> None:
    spec = {"type": "ExternalName", "externalName": "db.example.com"}
    assert on_destination(make("Service", "db", spec=spec))["spec"] == spec


def test_a_node_port_is_kept_only_where_somebody_asked_for_it() -> None:
    obj = applied(make("Service", "web", spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}))
    obj["spec"] = {
        "type": "NodePort",
        "ports": [
            {"port": 80, "protocol": "TCP", "nodePort": 30080},
            {"port": 80, "protocol": "UDP", "nodePort": 30123},
            {"port": 81, "protocol": "TCP", "nodePort": 30124},
        ],
    }
    found = on_destination(obj)
    assert [port.get("nodePort") for port in found["spec"]["ports"]] == [30080, None, None]
    # The note by which it is known is gone afterwards; repeating must not lose the port.
    assert on_destination(found) == found


def test_unreadable_notes_of_kubectl_do_no_harm() -> None:
    for text in ("{", "[]", "null", '{"spec": null}', '{"spec": {"ports": null}}', '{"spec": {"ports": [1]}}'):
        metadata = {"annotations": {LAST_APPLIED: text}}
        obj = make("Service", "web", metadata=metadata, spec={"ports": [{"port": 80, "nodePort": 30080}]})
        assert on_destination(obj)["spec"]["ports"] == [{"port": 80}]


def test_a_service_of_an_operator_is_not_taken_for_one_of_kubernetes() -> None:
    spec = {"clusterIP": "mine", "ports": [{"port": 1, "nodePort": 2}], "replicas": 3}
    obj = make("Service", "web", apiVersion="serving.knative.dev/v1", spec=spec)
    assert on_destination(obj, STOPPED)["spec"] == spec


# -- accounts and RBAC


def test_generated_secrets_of_an_account_stay_behind_and_its_own_are_kept() -> None:
    obj = make(
        "ServiceAccount",
        "web",
        secrets=[{"name": "web-token-x1"}, {"name": "web-dockercfg-x1"}, {"name": "vault"}],
        imagePullSecrets=[{"name": "web-dockercfg-x1"}, {"name": "registry"}],
    )
    found = on_destination(obj)
    assert (found["secrets"], found["imagePullSecrets"]) == ([{"name": "vault"}], [{"name": "registry"}])


def test_an_account_with_generated_secrets_only_names_none() -> None:
    obj = make("ServiceAccount", "web", secrets=[{"name": "web-token-x1"}], imagePullSecrets=[])
    assert not {"secrets", "imagePullSecrets"} & set(on_destination(obj))


def test_a_role_binding_is_carried_as_it_is() -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "ci", "namespace": "build"}, {"kind": "User", "name": "jane"}]
    found = on_destination(
        make("RoleBinding", "b", subjects=subjects, roleRef=role), Options("m1", spec=Spec(namespaces=("a",)))
    )
    assert (found["subjects"], found["roleRef"]) == (subjects, role)


def test_a_cluster_role_binding_gives_nothing_to_who_is_not_migrated() -> None:
    kept = [
        {"kind": "ServiceAccount", "name": "web", "namespace": "shop"},
        {"kind": "User", "name": "system:serviceaccount:shop:web"},
        {"kind": "Group", "name": "system:serviceaccounts:shop"},
    ]
    others = [
        {"kind": "ServiceAccount", "name": "web", "namespace": "other"},
        {"kind": "User", "name": "system:serviceaccount:other:shop"},
        {"kind": "User", "name": "jane"},
        {"kind": "Group", "name": "system:serviceaccounts:shopping"},
        {"kind": "Group", "name": "system:authenticated"},
    ]
    obj = make("ClusterRoleBinding", "b", subjects=[*others, *kept], roleRef={"kind": "ClusterRole", "name": "r"})
    found = on_destination(obj, Options("m1", spec=Spec(namespaces=("shop",))))
    assert found["subjects"] == kept
    assert found["roleRef"] == obj["roleRef"]


# -- workloads


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "DeploymentConfig", "Job"])
def test_a_pod_template_names_no_node_of_the_source(kind: str) -> None:
    obj = workload(kind, "web")
    template = obj["spec"]["template"]
    template["metadata"]["creationTimestamp"] = None
    expected = copy.deepcopy(template)
    del expected["metadata"]["creationTimestamp"]
    template["spec"]["nodeName"] = "worker-1"
    assert on_destination(obj)["spec"]["template"] == expected


def test_the_pod_template_of_a_cron_job_names_no_node_either() -> None:
    obj = workload("CronJob", "backup")
    job_template = obj["spec"]["jobTemplate"]
    job_template["metadata"] = {"creationTimestamp": None}
    job_template["spec"]["template"]["spec"]["nodeName"] = "worker-1"
    found = on_destination(obj)["spec"]["jobTemplate"]
    assert found == {
        "metadata": {},
        "spec": {"template": {"metadata": {"labels": {"app": "backup"}}, "spec": pod_spec()}},
    }


def test_a_job_gets_a_new_selector() -> None:
    generated = {"controller-uid": "1", "batch.kubernetes.io/controller-uid": "1", "job-name": "j"}
    obj = workload("Job", "j", metadata={"labels": {**generated, "app": "j"}})
    obj["spec"]["selector"] = {"matchLabels": {"controller-uid": "1"}}
    obj["spec"]["template"]["metadata"]["labels"] |= generated
    found = on_destination(obj)
    assert "selector" not in found["spec"]
    assert found["spec"]["template"]["metadata"]["labels"] == {"app": "j"}
    assert found["metadata"]["labels"] == {"app": "j", MIGRATION_LABEL: "m1"}


def test_a_job_that_selects_by_itself_keeps_its_selector_and_labels() -> None:
    obj = workload("Job", "j", spec={"manualSelector": True, "selector": {"matchLabels": {"job-name": "mine"}}})
    obj["spec"]["template"]["metadata"]["labels"] = {"job-name": "mine"}
    assert on_destination(obj)["spec"] == obj["spec"]


CLASSES = Options(
    "m1", spec=Spec(namespaces=(), storage_class_mapping={"gp2": "standard", "": "cheap", "standard": "gold"})
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"storageClassName": "gp2"}, {"storageClassName": "standard"}),
        ({"storageClassName": "standard"}, {"storageClassName": "gold"}),
        ({"storageClassName": "local"}, {"storageClassName": "local"}),
        ({}, {"storageClassName": "cheap"}),
    ],
)
def test_storage_classes_are_mapped_in_claim_templates(before: Object, after: Object) -> None:
    claim = {"metadata": {"name": "data", "creationTimestamp": None}, "spec": before, "status": {"phase": "Pending"}}
    found = on_destination(workload("StatefulSet", "db", spec={"volumeClaimTemplates": [claim]}), CLASSES)
    assert found["spec"]["volumeClaimTemplates"] == [{"metadata": {"name": "data"}, "spec": after}]
    assert on_destination(found, CLASSES) == found
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": before}}}
    obj = workload("Deployment", "web")
    obj["spec"]["template"]["spec"]["volumes"] = [volume, {"name": "c", "configMap": {"name": "c"}}]
    volumes = on_destination(obj, CLASSES)["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["ephemeral"]["volumeClaimTemplate"]["spec"] == after
    assert volumes[1] == {"name": "c", "configMap": {"name": "c"}}


# -- stopped applications


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "ReplicaSet", "DeploymentConfig"])
@pytest.mark.parametrize(
    ("spec", "noted", "count"),
    [
        ({"replicas": 3}, None, "3"),
        ({}, None, "1"),
        ({"replicas": None}, None, "1"),
        ({"replicas": 0}, None, "0"),
        ({"replicas": 0}, "4", "4"),
        ({"replicas": 2}, "4", "2"),
    ],
)
def test_a_stopped_workload_has_no_replicas_and_says_how_many_it_had(
    kind: str, spec: Object, noted: str | None, count: str
) -> None:
    metadata = {"annotations": {REPLICAS_ANNOTATION: noted}} if noted else {}
    found = on_destination(workload(kind, "web", spec=spec, metadata=metadata), STOPPED)
    assert found["spec"]["replicas"] == 0
    assert found["metadata"]["annotations"][REPLICAS_ANNOTATION] == count
    assert on_destination(found, STOPPED) == found


def test_the_annotation_of_stopped_workloads_is_the_one_of_stork() -> None:
    assert REPLICAS_ANNOTATION == "stork.libopenstorage.org/migrationReplicas"


@pytest.mark.parametrize(
    ("suspend", "noted", "remembered"),
    [
        (None, None, "false"),
        (False, None, "false"),
        (True, None, "true"),
        (True, "false", "false"),
        (False, "true", "false"),
    ],
)
def test_a_stopped_cron_job_is_suspended_and_says_whether_it_was(
    suspend: bool | None, noted: str | None, remembered: str
) -> None:
    metadata = {"annotations": {SUSPENDED_ANNOTATION: noted}} if noted else {}
    found = on_destination(workload("CronJob", "backup", spec={"suspend": suspend}, metadata=metadata), STOPPED)
    assert found["spec"]["suspend"] is True
    assert found["metadata"]["annotations"][SUSPENDED_ANNOTATION] == remembered
    assert on_destination(found, STOPPED) == found


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "CronJob", "DaemonSet", "Job"])
def test_a_started_workload_is_as_it_was(kind: str) -> None:
    obj = workload(kind, "web", spec={"replicas": 3, "suspend": False})
    assert on_destination(obj)["spec"] == obj["spec"]


@pytest.mark.parametrize("kind", ["DaemonSet", "Job"])
def test_daemons_and_jobs_are_not_stopped_as_in_stork(kind: str) -> None:
    obj = workload(kind, "web")
    assert on_destination(obj, STOPPED)["spec"] == obj["spec"]


# -- others


def test_a_generated_host_of_a_route_is_made_anew() -> None:
    spec = {"host": "web-shop.apps.dev.example.com", "to": {"kind": "Service", "name": "web"}}
    obj = make("Route", "web", metadata={"annotations": {"openshift.io/host.generated": "true"}}, spec=spec)
    found = on_destination(obj)
    assert found["spec"] == {"to": {"kind": "Service", "name": "web"}}
    assert on_destination(found) == found


@pytest.mark.parametrize("annotations", [{}, {"openshift.io/host.generated": "false"}])
def test_a_host_that_somebody_chose_is_kept(annotations: Object) -> None:
    spec = {"host": "shop.example.com", "to": {"kind": "Service", "name": "web"}}
    assert on_destination(make("Route", "web", metadata={"annotations": annotations}, spec=spec))["spec"] == spec


CLIENT = {"caBundle": "QQ==", "service": {"namespace": "shop", "name": "hook"}}
CALLERS = {
    "CustomResourceDefinition": {"spec": {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": CLIENT}}}},
    "ValidatingWebhookConfiguration": {"webhooks": [{"name": "a", "clientConfig": CLIENT}]},
    "MutatingWebhookConfiguration": {"webhooks": [{"name": "a", "clientConfig": CLIENT}]},
    "APIService": {"spec": CLIENT},
}


@pytest.mark.parametrize("kind", CALLERS)
@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({}, True),
        ({"annotations": {"cert-manager.io/inject-ca-from": "shop/hook"}}, False),
        ({"annotations": {"service.beta.openshift.io/inject-cabundle": "true"}}, False),
        ({"labels": {"olm.managed": "true"}}, False),
    ],
)
def test_an_authority_that_is_injected_stays_behind_and_one_that_somebody_wrote_goes_along(
    kind: str, metadata: Object, kept: bool
) -> None:
    """cert-manager's cainjector, OpenShift's service-ca and OLM write the field themselves."""
    found = json.dumps(on_destination(make(kind, "c", metadata=metadata, **copy.deepcopy(CALLERS[kind]))))
    assert ("caBundle" in found) is kept
    assert '"name": "hook"' in found


def test_a_custom_resource_keeps_everything_it_says() -> None:
    spec = {"replicas": 3, "suspend": False, "nodeName": "a", "template": {"spec": {"nodeName": "b"}}, "clusterIP": "c"}
    obj = make("Cart", "c", apiVersion="example.com/v1", spec=spec, extra=[1, {"a": None}])
    found = on_destination(obj, STOPPED)
    assert (found["spec"], found["extra"]) == (spec, [1, {"a": None}])
