"""Every rule of the transformation in one table: whose rule it is, what comes, and what of it is otherwise afterwards.

A rule that stands in `RULES` or `MAPPINGS` and not here fails the test. What each leaves alone, and what it makes of
odd shapes, is tested in `test_transform` and `test_mappings`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from migrations_app.resources.diffs import differences
from migrations_app.resources.marks import MIGRATION_LABEL, REPLICAS_ANNOTATION, SUSPENDED_ANNOTATION
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import (
    MAPPINGS,
    RULES,
    Options,
    accounts,
    admission,
    hosts,
    images,
    namespaces,
    openshift,
    services,
    storage,
    transformed,
    workloads,
)
from migrations_app.resources.transform.stopping import stop
from tests.resources.objects import Object, make, pod_spec, workload

KUBERNETES, VELERO, STORK, OPENSHIFT = "Kubernetes: ", "Velero: ", "Stork: ", "OpenShift: "
RBAC = "rbac.authorization.k8s.io"


class Row(NamedTuple):
    rule: Callable[..., Any]
    source: str
    given: Object
    # Path and value of what is otherwise afterwards; None for what is gone.
    expected: dict[str, Any]
    spec: dict[str, Any] = {}


def with_template(obj: Object, metadata: Object, spec: Object) -> Object:
    template = obj["spec"].get("jobTemplate", obj)["spec"]["template"]
    template["metadata"] = {**template["metadata"], **metadata}
    template["spec"] = {**template["spec"], **spec}
    return obj


TEMPLATES = [
    with_template(workload(kind, "w"), {"creationTimestamp": "2026-01-01T00:00:00Z"}, {"nodeName": "node-1"})
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "DeploymentConfig", "Job", "CronJob")
]
IMAGE = "spec.template.spec.containers[name=main].image"
TOKENS = {"name": "kube-api-access-x7", "projected": {"sources": []}}
BARE = pod_spec(nodeName="node-1", priority=0, preemptionPolicy="PreemptLowerPriority", volumes=[TOKENS])
BARE["containers"][0]["volumeMounts"] = [{"name": "kube-api-access-x7", "mountPath": "/var/run/secrets"}]
JOB_LABELS = {"controller-uid": "1", "batch.kubernetes.io/controller-uid": "1", "job-name": "j"}
OURS = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
THEIRS = {"kind": "ServiceAccount", "name": "web", "namespace": "elsewhere"}
INJECTED = {"annotations": {"cert-manager.io/inject-ca-from": "shop/hook"}}
HOOK = {"name": "hook", "clientConfig": {"caBundle": "QQ==", "service": {"namespace": "shop", "name": "hook"}}}
CONVERSION = {"webhook": {"clientConfig": {"caBundle": "QQ=="}}}

TABLE = [
    Row(
        services.addresses,
        VELERO + "pkg/restore/actions/service_action.go; Stork: resourcecollector/service.go (its defects 8 and 9)",
        make("Service", "s", spec={"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"], "ipFamilies": ["IPv4"]}),
        {"spec.clusterIP": None, "spec.clusterIPs": None, "spec.ipFamilies": None},
    ),
    Row(
        services.node_ports,
        VELERO + "pkg/restore/actions/service_action.go, deleteNodePorts",
        make("Service", "s", spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}),
        {"spec.ports[port=80].nodePort": None},
    ),
    Row(
        accounts.service_account,
        VELERO + "pkg/restore/actions/service_account_action.go; OpenShift's dockercfg Secrets likewise",
        make("ServiceAccount", "web", secrets=[{"name": "web-token-x7"}, {"name": "mine"}]),
        {"secrets[name=web-token-x7]": None},
    ),
    Row(
        accounts.token,
        KUBERNETES + "the token controller fills it, and deletes one with another account's uid (Stork's defect 4)",
        make("Secret", "t", type="kubernetes.io/service-account-token", data={"token": "QQ==", "mine": "Qg=="}),
        {"data.token": None},
    ),
    Row(
        workloads.pod,
        VELERO + "pkg/restore/actions/pod_action.go",
        make("Pod", "p", metadata={"labels": {"app": "p", "pod-template-hash": "x7"}}, spec=BARE),
        {
            "metadata.labels.pod-template-hash": None,
            "spec.nodeName": None,
            "spec.priority": None,
            "spec.preemptionPolicy": None,
            "spec.volumes[name=kube-api-access-x7]": None,
            "spec.containers[name=main].volumeMounts[name=kube-api-access-x7]": None,
        },
    ),
    Row(
        storage.claim,
        VELERO + "pkg/restore/restore.go, resetVolumeBindingInfo (Stork keeps the name, as its volumes keep theirs)",
        make("PersistentVolumeClaim", "c", spec={"volumeName": "pvc-1", "storageClassName": "gp3"}),
        {"spec.volumeName": None},
    ),
    Row(
        storage.volume,
        VELERO + "pkg/restore/restore.go, resetVolumeBindingInfo",
        make("PersistentVolume", "v", spec={"claimRef": {"name": "c", "uid": "1", "resourceVersion": "2"}}),
        {"spec.claimRef.uid": None, "spec.claimRef.resourceVersion": None},
    ),
    Row(
        workloads.job,
        VELERO + "pkg/restore/actions/job_action.go; Stork: resourcecollector/job.go",
        make(
            "Job",
            "j",
            metadata={"labels": {"app": "j", **JOB_LABELS}},
            spec={
                "selector": {"matchLabels": {"controller-uid": "1"}},
                "template": {"metadata": {"labels": {"app": "j", **JOB_LABELS}}, "spec": pod_spec()},
            },
        ),
        {
            "spec.selector": None,
            **{f"metadata.labels.{name}": None for name in JOB_LABELS},
            **{f"spec.template.metadata.labels.{name}": None for name in JOB_LABELS},
        },
    ),
    *(
        Row(
            workloads.pod_templates,
            KUBERNETES + "a pod that names its node is never scheduled (PodSpec.nodeName)",
            given,
            {
                f"spec.{'jobTemplate.spec.' if given['kind'] == 'CronJob' else ''}template.{path}": None
                for path in ("metadata.creationTimestamp", "spec.nodeName")
            },
        )
        for given in TEMPLATES
    ),
    Row(
        storage.claim_templates,
        KUBERNETES + "what the server shows in volumeClaimTemplates beside what was asked for",
        workload(
            "StatefulSet",
            "db",
            spec={
                "volumeClaimTemplates": [
                    {"metadata": {"name": "data"}, "spec": {}, "status": {"phase": "Pending"}},
                ]
            },
        ),
        {"spec.volumeClaimTemplates[0].status": None},
    ),
    Row(
        openshift.deployment_config,
        OPENSHIFT + "apps.openshift.io/v1 DeploymentTriggerImageChangeParams: set by the trigger controller",
        make(
            "DeploymentConfig",
            "d",
            spec={"triggers": [{"type": "ImageChange", "imageChangeParams": {"lastTriggeredImage": "i"}}]},
        ),
        {"spec.triggers[type=ImageChange].imageChangeParams.lastTriggeredImage": None},
    ),
    Row(
        openshift.build_config,
        OPENSHIFT + "build.openshift.io/v1 ImageChangeTrigger: set by the trigger controller",
        make(
            "BuildConfig",
            "b",
            spec={"triggers": [{"type": "ImageChange", "imageChange": {"lastTriggeredImageID": "i"}}]},
        ),
        {"spec.triggers[type=ImageChange].imageChange.lastTriggeredImageID": None},
    ),
    Row(
        openshift.image_stream,
        OPENSHIFT + "image.openshift.io/v1 TagReference: a tag with a generation counts as imported",
        make("ImageStream", "i", spec={"tags": [{"name": "latest", "generation": 3}]}),
        {"spec.tags[name=latest].generation": None},
    ),
    Row(
        openshift.route_host,
        OPENSHIFT + "openshift.io/host.generated: the router made the host up (velero-plugins for OpenShift, route)",
        make(
            "Route",
            "r",
            metadata={"annotations": {"openshift.io/host.generated": "true", "mine": "1"}},
            spec={"host": "r-shop.apps.dev.example.com", "to": {"kind": "Service", "name": "s"}},
        ),
        {"metadata.annotations.openshift.io/host.generated": None, "spec.host": None},
    ),
    Row(
        accounts.aggregated,
        KUBERNETES + "the aggregation controller overwrites the rules (rbac, Aggregated ClusterRoles)",
        make("ClusterRole", "c", aggregationRule={"clusterRoleSelectors": []}, rules=[{"verbs": ["get"]}]),
        {"rules": None},
    ),
    Row(
        accounts.subjects,
        STORK + "resourcecollector/clusterrole.go, which forgets groups (its defect 3)",
        make(
            "ClusterRoleBinding",
            "c",
            roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
            subjects=[OURS, THEIRS],
        ),
        {"subjects": [OURS]},
        {"namespaces": ("shop",)},
    ),
    Row(
        admission.authorities,
        "cert-manager: ca-injector; OpenShift: service-ca-operator; each cluster has its own authority",
        make("ValidatingWebhookConfiguration", "v", metadata=INJECTED, webhooks=[HOOK]),
        {"webhooks[name=hook].clientConfig.caBundle": None},
    ),
    Row(
        admission.authorities,
        "the same, of conversions",
        make("CustomResourceDefinition", "c", metadata=INJECTED, spec={"conversion": CONVERSION}),
        {"spec.conversion.webhook.clientConfig.caBundle": None},
    ),
    Row(
        storage.map_classes,
        VELERO + "change_storageclass_action.go",
        workload("StatefulSet", "db", spec={"volumeClaimTemplates": [{"spec": {"storageClassName": "gp3"}}]}),
        {"spec.volumeClaimTemplates[0].spec.storageClassName": "gp3-csi"},
        {"storage_class_mapping": {"gp3": "gp3-csi"}},
    ),
    Row(
        storage.map_access_modes,
        "ours: nobody else has it",
        make("PersistentVolumeClaim", "c", spec={"accessModes": ["ReadWriteOnce"]}),
        {"spec.accessModes[0]": "ReadWriteOncePod"},
        {"access_mode_mapping": {"ReadWriteOnce": "ReadWriteOncePod"}},
    ),
    Row(
        images.map_images,
        VELERO + "change_image_name_action.go",
        workload("Deployment", "web"),
        {IMAGE: "mirror.example.com/shop:1"},
        {"image_mapping": {"registry.example.com": "mirror.example.com"}},
    ),
    Row(
        hosts.map_hosts,
        "ours: Stork forgets hosts (its defect 11), Velero leaves them to resource modifiers",
        make("Ingress", "i", spec={"rules": [{"host": "shop.dev.example.com"}]}),
        {"spec.rules[0].host": "shop.example.com"},
        {"host_mapping": {"dev.example.com": "example.com"}},
    ),
    Row(
        namespaces.map_namespaces,
        VELERO + "--namespace-mappings, which renames the object and subjects alone",
        make("RoleBinding", "b", roleRef={"apiGroup": RBAC, "kind": "Role", "name": "r"}, subjects=[OURS]),
        {"metadata.namespace": "live", "subjects[name=web].namespace": "live"},
        {"namespaces": ("shop",), "namespace_mapping": {"shop": "live"}},
    ),
    Row(
        stop,
        STORK + "migration.go, StorkMigrationReplicasAnnotation",
        workload("Deployment", "web", spec={"replicas": 3}),
        {"metadata.annotations": {REPLICAS_ANNOTATION: "3"}, "spec.replicas": 0},
        {"start_applications": False},
    ),
    Row(
        stop,
        STORK + "migration.go, CronJobs are suspended",
        workload("CronJob", "c"),
        {"metadata.annotations": {SUSPENDED_ANNOTATION: "false"}, "spec.suspend": True},
        {"start_applications": False},
    ),
    Row(
        stop,
        STORK + "appregistration.go, what operators' kinds are stopped by",
        make("RabbitmqCluster", "r", apiVersion="rabbitmq.com/v1beta1", spec={"replicas": 3}),
        {"metadata.annotations": {"stork.libopenstorage.org/spec.replicas": "3,"}, "spec.replicas": 0},
        {"start_applications": False},
    ),
]  # fmt: skip


def name(row: Row) -> str:
    return f"{row.rule.__module__.rpartition('.')[2]}.{row.rule.__name__} {row.given['kind']}"


@pytest.mark.parametrize("row", TABLE, ids=map(name, TABLE))
def test_a_rule_does_this_and_nothing_else(row: Row) -> None:
    options = Options("m1", "dev", Spec(**{"namespaces": (), **row.spec}))
    found = transformed(row.given, options)
    assert {each.path: each.after for each in differences(row.given, found) if row.given["kind"] != "Secret"} == (
        row.expected if row.given["kind"] != "Secret" else {}
    )
    if row.given["kind"] == "Secret":
        # Differences of Secrets hide values, of which there are none here but these.
        assert found["data"] == {"mine": row.given["data"]["mine"]}
    assert found["metadata"]["labels"][MIGRATION_LABEL] == "m1"
    assert transformed(found, options) == found
    assert len(row.source) > len(KUBERNETES)


def test_every_rule_has_its_row() -> None:
    rules = {rule for found in RULES.values() for rule in found}
    assert {row.rule for row in TABLE} == {*rules, *MAPPINGS, stop}
    covered = {(row.rule, row.given["kind"]) for row in TABLE}
    kinds = {kind for (_group, kind), found in RULES.items() if workloads.pod_templates in found}
    assert {kind for rule, kind in covered if rule is workloads.pod_templates} == kinds
