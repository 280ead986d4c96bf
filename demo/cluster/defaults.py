"""What the API fills in when it is not said: per kind, as v1.36 does (pkg/apis/*/v1/defaults.go and the registries)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from demo.cluster import webhook_configurations

Object = dict[str, Any]


def _set(target: Object, **values: Any) -> None:
    for name, value in values.items():
        target.setdefault(name, value)


def container(spec: Object) -> None:
    _set(spec, resources={}, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")
    image = spec.get("image", "")
    name, _at, digest = image.partition("@")
    tag = name.rsplit("/", 1)[-1].partition(":")[2]
    spec.setdefault("imagePullPolicy", "Always" if not digest and tag in ("", "latest") else "IfNotPresent")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for env in spec.get("env", ()):
        reference = env.get("valueFrom", {}).get("fieldRef")
        if reference:
            reference.setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = spec.get(name)
        if probe:
            _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if "httpGet" in probe:
                _set(probe["httpGet"], path="/", scheme="HTTP")
    limits = spec["resources"].get("limits")
    if limits:
        requests = spec["resources"].setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)


def pod_spec(spec: Object) -> None:
    for each in [*spec.get("initContainers", ()), *spec.get("containers", ())]:
        container(each)
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    if "serviceAccountName" in spec:
        spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for volume in spec.get("volumes", ()):
        for kind in ("secret", "configMap", "projected", "downwardAPI"):
            if kind in volume:
                volume[kind].setdefault("defaultMode", 420)
        if "hostPath" in volume:
            volume["hostPath"].setdefault("type", "")
        if len(volume) == 1:
            volume["emptyDir"] = {}


def pod(obj: Object) -> None:
    pod_spec(obj["spec"])
    obj["spec"].setdefault("enableServiceLinks", True)
    obj["status"] = obj.get("status") or {}


def deployment(obj: Object) -> None:
    spec = obj["spec"]
    pod_spec(spec["template"].setdefault("spec", {}))
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)


def replica_set(obj: Object) -> None:
    obj["spec"].setdefault("replicas", 1)
    if "template" in obj["spec"]:
        pod_spec(obj["spec"]["template"].setdefault("spec", {}))


def stateful_set(obj: Object) -> None:
    spec = obj["spec"]
    pod_spec(spec["template"].setdefault("spec", {}))
    _set(
        spec,
        podManagementPolicy="OrderedReady",
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        revisionHistoryLimit=10,
        replicas=1,
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
    )
    for template in spec.get("volumeClaimTemplates", ()):
        _set(template, kind="PersistentVolumeClaim", apiVersion="v1")
        template["spec"].setdefault("volumeMode", "Filesystem")
        template.setdefault("status", {"phase": "Pending"})
    obj["status"] = obj.get("status") or {"replicas": 0, "availableReplicas": 0}


def daemon_set(obj: Object) -> None:
    spec = obj["spec"]
    pod_spec(spec["template"].setdefault("spec", {}))
    _set(
        spec,
        updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        revisionHistoryLimit=10,
    )


def job_spec(spec: Object) -> None:
    pod_spec(spec["template"].setdefault("spec", {}))
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _set(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False, manualSelector=False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")


def job(obj: Object) -> None:
    job_spec(obj["spec"])


def cron_job(obj: Object) -> None:
    spec = obj["spec"]
    inner = spec["jobTemplate"]["spec"]
    pod_spec(inner["template"].setdefault("spec", {}))
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)


def service(obj: Object) -> None:
    spec = obj["spec"]
    _set(spec, sessionAffinity="None", type="ClusterIP")
    obj["status"] = obj.get("status") or {"loadBalancer": {}}
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def event(obj: Object) -> None:
    obj.setdefault("eventTime", None)
    _set(obj, reportingComponent="", reportingInstance="")


def claim(obj: Object) -> None:
    obj["spec"].setdefault("volumeMode", "Filesystem")
    obj["status"] = obj.get("status") or {"phase": "Pending"}


def volume(obj: Object) -> None:
    _set(obj["spec"], volumeMode="Filesystem", persistentVolumeReclaimPolicy="Retain")
    if "hostPath" in obj["spec"]:
        obj["spec"]["hostPath"].setdefault("type", "")
    obj["status"] = obj.get("status") or {"phase": "Pending"}


def ingress(obj: Object) -> None:
    obj["status"] = obj.get("status") or {"loadBalancer": {}}


def secret(obj: Object) -> None:
    obj.setdefault("type", "Opaque")


def storage_class(obj: Object) -> None:
    _set(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def autoscaler(obj: Object) -> None:
    obj["spec"].setdefault("minReplicas", 1)


def network_policy(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("policyTypes", ["Ingress", *(["Egress"] if "egress" in spec else [])])
    for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def role_binding(obj: Object) -> None:
    obj["roleRef"].setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in obj.get("subjects", ()):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def namespace(obj: Object) -> None:
    obj["status"] = obj.get("status") or {"phase": "Active"}
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]


def route(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("wildcardPolicy", "None")
    spec["to"].setdefault("weight", 100)
    spec["to"].setdefault("kind", "Service")


DEFAULTS: dict[str, Callable[[Object], None]] = {
    "pods": pod,
    "deployments.apps": deployment,
    "replicasets.apps": replica_set,
    "statefulsets.apps": stateful_set,
    "daemonsets.apps": daemon_set,
    "jobs.batch": job,
    "cronjobs.batch": cron_job,
    "services": service,
    "persistentvolumeclaims": claim,
    "persistentvolumes": volume,
    "secrets": secret,
    "events": event,
    "ingresses.networking.k8s.io": ingress,
    "storageclasses.storage.k8s.io": storage_class,
    "horizontalpodautoscalers.autoscaling": autoscaler,
    "networkpolicies.networking.k8s.io": network_policy,
    "rolebindings.rbac.authorization.k8s.io": role_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": role_binding,
    "namespaces": namespace,
    "routes.route.openshift.io": route,
    webhook_configurations.MUTATING: webhook_configurations.fill_mutating,
    webhook_configurations.VALIDATING: webhook_configurations.fill,
}

TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


def admit_pod(obj: Object) -> None:
    """What the admission plugins ServiceAccount, DefaultTolerationSeconds and Priority add at creation."""
    spec = obj["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    tolerations = spec.setdefault("tolerations", [])
    for wanted in TOLERATIONS:
        if not any(
            each.get("key") in (wanted["key"], None) and each.get("effect") in ("NoExecute", None)
            for each in tolerations
        ):
            tolerations.append(dict(wanted))
    _set(spec, priority=0, preemptionPolicy="PreemptLowerPriority")
    if spec.get("automountServiceAccountToken", True) is not False:
        _mount_token(spec)
    obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _mount_token(spec: Object) -> None:
    mount_path = "/var/run/secrets/kubernetes.io/serviceaccount"
    letters = "bcdfghjklmnpqrstvwxz2456789"
    name = "kube-api-access-" + "".join(secrets.choice(letters) for _ in range(5))
    sources: list[Object] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
        {
            "configMap": {
                "name": "openshift-service-ca.crt",
                "items": [{"key": "service-ca.crt", "path": "service-ca.crt"}],
            }
        },
    ]
    mounted = False
    for each in [*spec.get("initContainers", ()), *spec.get("containers", ())]:
        mounts = each.setdefault("volumeMounts", [])
        if not any(mount.get("mountPath") == mount_path for mount in mounts):
            mounts.append({"name": name, "readOnly": True, "mountPath": mount_path})
            mounted = True
    if mounted:
        spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 420}})


def _quality(spec: Object) -> str:
    resources = [each.get("resources", {}) for each in spec.get("containers", ())]
    if not any(each.get("requests") or each.get("limits") for each in resources):
        return "BestEffort"
    if all(
        each.get("limits", {}).keys() >= {"cpu", "memory"} and each.get("requests") == each.get("limits")
        for each in resources
    ):
        return "Guaranteed"
    return "Burstable"
