"""What keeps pods from being let in or from finding a node, provoked and read.

Where the simulated cluster enforces the rule itself, it is asked as well: what preflight says is what it does.
"""

from __future__ import annotations

from typing import Any

import pytest

from clusters.kube.errors import Forbidden
from tests.kube.conftest import until
from tests.preflight.conftest import Lab

Object = dict[str, Any]
ENFORCE, WARN = "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"


def refused_pod(lab: Lab, **spec: Any) -> str:
    """What the destination says to a pod like those of the lab's deployment."""
    container = {"name": "app", "image": "registry.example.com/shop/web:1", **spec.pop("container", {})}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "try"}, "spec": {"containers": [container], **spec}}
    with pytest.raises(Forbidden) as refusal:
        lab.prod.create("pods", pod, lab.namespace, dry_run=True)
    return refusal.value.message


def asks(cpu: str, memory: str, limits: Object | None = None) -> Object:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}, **({"limits": limits} if limits else {})}}


# -- quota and limits


def test_a_quota_that_is_too_small_fails_with_the_numbers_unless_nothing_starts(lab: Lab) -> None:
    lab.there()
    lab.on_prod("ResourceQuota", "compute", spec={"hard": {"requests.cpu": "1", "pods": "10"}})
    lab.deployment(replicas=3, container=asks("400m", "64Mi"))
    check = lab.failure(
        "quota",
        f"ResourceQuota {lab.namespace}/compute of the destination cluster prod is too small",
        "requests.cpu: 1200m more on top of 0, of 1",
        "Raise the quota there",
        f"kubectl --context prod edit resourcequota compute -n {lab.namespace}",
    )
    assert f"Deployment {lab.namespace}/web" in check["objects"]
    lab.passes("quota", start_applications=False)
    assert "exceeded quota: compute, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1" in (
        refused_pod(lab, container=asks("2", "64Mi"))
    )


def test_what_is_used_already_counts_and_what_is_there_under_the_same_name_does_not_count_twice(lab: Lab) -> None:
    lab.there()
    lab.on_prod("ConfigMap", "settings", data={"a": "b"})
    lab.on_dev("ConfigMap", "settings", data={"a": "b"})
    quota = lab.on_prod("ResourceQuota", "objects", spec={"hard": {"count/configmaps": "10", "secrets": "50"}})
    used = 0

    def reported() -> bool:
        nonlocal used
        status = lab.prod.get("resourcequotas", "objects", lab.namespace).get("status") or {}
        used = int((status.get("used") or {}).get("count/configmaps", 0))
        return used >= 1

    until(reported)
    place = quota["metadata"]["name"], lab.namespace
    lab.prod.patch("resourcequotas", *place, {"spec": {"hard": {"count/configmaps": str(used)}}})
    lab.passes("quota")
    lab.on_dev("ConfigMap", "more", data={"a": "b"})
    lab.failure("quota", f"count/configmaps: 1 more on top of {used}, of {used}")


def test_storage_of_a_class_is_limited_too(lab: Lab) -> None:
    lab.there()
    hard = {"io2-retain.storageclass.storage.k8s.io/requests.storage": "5Gi"}
    lab.on_prod("ResourceQuota", "storage", spec={"hard": hard})
    lab.claim(size="6Gi")
    check = lab.failure("quota", "requests.storage: 6.0 GiB more", "of 5.0 GiB")
    assert check["objects"] == [f"PersistentVolumeClaim {lab.namespace}/data"]


def test_a_quota_on_limits_demands_them_of_each_container(lab: Lab) -> None:
    lab.there()
    lab.on_prod("ResourceQuota", "strict", spec={"hard": {"limits.memory": "4Gi"}})
    lab.deployment()
    lab.failure(
        "quota-needs-limits",
        f"demands limits.memory of every container, and Deployment {lab.namespace}/web does not say it",
        '"kind": "LimitRange"',
    )
    assert "failed quota: strict: must specify limits.memory for: app" in refused_pod(lab)
    lab.on_prod("LimitRange", "defaults", spec={"limits": [{"type": "Container", "default": {"memory": "128Mi"}}]})
    lab.silent("quota-needs-limits")
    lab.passes("quota")


def test_movers_need_room_in_the_quota_as_well(lab: Lab) -> None:
    lab.claim()
    lab.on_dev("ResourceQuota", "full", spec={"hard": {"pods": "0"}})
    # What comes along is a quota on the destination too, where it lets no pod in either.
    lab.failure("mover-quota", "cannot run in namespace", "on the source cluster dev", "has no room left for one (pods")
    lab.dev.patch("resourcequotas", "full", lab.namespace, {"spec": {"hard": {"pods": "5"}}})
    lab.passes("mover-quota", "fit into 1 quota")
    lab.dev.patch("resourcequotas", "full", lab.namespace, {"spec": {"hard": {"limits.cpu": "5"}}})
    lab.failure("mover-quota", "demands limits.cpu of every container, which theirs do not say", "LimitRange")


def test_a_limit_range_refuses_what_is_outside_of_it(lab: Lab) -> None:
    lab.there()
    limits = [
        {"type": "Container", "max": {"memory": "1Gi"}},
        {"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}},
    ]
    lab.on_prod("LimitRange", "small", spec={"limits": limits})
    lab.deployment(container=asks("100m", "64Mi", {"memory": "2Gi"}))
    lab.failure(
        "limit-range",
        f"LimitRange {lab.namespace}/small of the destination cluster prod refuses Deployment {lab.namespace}/web",
        "maximum memory usage per Container is 1Gi, but limit is 2.0 GiB",
    )
    assert "maximum memory usage per Container is 1Gi, but limit is 2Gi" in refused_pod(
        lab, container=asks("100m", "64Mi", {"memory": "2Gi"})
    )
    lab.dev.delete("deployments.apps", "web", lab.namespace)
    lab.claim(size="1Gi")
    lab.passes("limit-range", "keeps to 1 LimitRange")
    lab.claim("large", size="3Gi")
    lab.failure("limit-range", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3.0 GiB")


# -- Pod Security and OpenShift's constraints


def test_a_level_that_is_enforced_names_the_rules_that_the_pods_violate(lab: Lab) -> None:
    lab.there(labels={ENFORCE: "restricted"})
    lab.deployment()
    check = lab.failure(
        "pod-security",
        f'The pods of Deployment {lab.namespace}/web violate PodSecurity "restricted:latest"',
        'allowPrivilegeEscalation != false (container "app" must set securityContext.allowPrivilegeEscalation=false)',
        f"kubectl --context prod label --overwrite namespace {lab.namespace} {ENFORCE}=baseline",
    )
    said = refused_pod(lab)
    for rule in check["message"].partition("enforces: ")[2].removesuffix(".").split("), "):
        assert rule in said
    [warned] = [each for each in lab.of("pod-security", start_applications=False) if each["status"] == "warning"]
    assert "enforces" in warned["message"]


def test_pods_that_meet_the_level_pass_and_a_level_that_only_warns_is_a_warning(lab: Lab) -> None:
    strict = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    lab.there(labels={ENFORCE: "restricted", WARN: "restricted"})
    lab.deployment("good", container={"securityContext": strict})
    lab.passes("pod-security", "meet what their namespaces enforce (restricted)")
    lab.prod.patch("namespaces", lab.namespace, None, {"metadata": {"labels": {ENFORCE: "baseline"}}})
    lab.deployment("plain")
    lab.warning(
        "pod-security", f'warns of what violates PodSecurity "restricted:latest": Deployment {lab.namespace}/plain'
    )


RESTRICTED_SCC = {
    "runAsUser": {"type": "MustRunAsRange"},
    "fsGroup": {"type": "MustRunAs"},
    "seLinuxContext": {"type": "MustRunAs"},
    "volumes": ["configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"],
    "groups": ["system:authenticated"],
    "allowHostNetwork": False,
    "allowPrivilegedContainer": False,
    "allowPrivilegeEscalation": False,
}
ANYUID_SCC = {**RESTRICTED_SCC, "runAsUser": {"type": "RunAsAny"}, "fsGroup": {"type": "RunAsAny"}, "groups": []}


def test_openshifts_constraints_have_to_fit_the_pods_and_be_allowed_to_their_account(lab: Lab) -> None:
    lab.deployment(securityContext={"runAsUser": 0})
    lab.silent("scc")
    lab.on_prod("SecurityContextConstraints", "restricted-v2", **RESTRICTED_SCC)
    lab.on_prod("SecurityContextConstraints", "anyuid", **ANYUID_SCC)
    lab.failure(
        "scc",
        f"that the account default of namespace {lab.namespace} may use fit the pods of Deployment {lab.namespace}/web",
        "restricted-v2: user 0 is not in the range",
        f"oc --context prod adm policy add-scc-to-user anyuid -z default -n {lab.namespace}",
    )
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:openshift:scc:anyuid"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": lab.namespace}
    lab.on_dev("RoleBinding", "system:openshift:scc:anyuid", roleRef=role, subjects=[subject])
    lab.passes("scc", "fit constraints that their accounts may use")


RANGE = "openshift.io/sa.scc.uid-range"


def test_another_range_of_users_would_not_own_the_files(lab: Lab) -> None:
    lab.claim()
    here = lab.dev.get("namespaces", lab.namespace)["metadata"]["annotations"][RANGE]
    lab.passes("uid-range", "its pods keep to them")
    lab.there(annotations={RANGE: "1000990000/10000"})
    lab.warning(
        "uid-range",
        "run as users from 1000990000 on the destination cluster prod",
        f"who own the files of {lab.namespace}/data",
        f"kubectl --context prod annotate --overwrite namespace {lab.namespace} {RANGE}={here}",
    )


def test_a_fixed_user_outside_of_the_range_is_named(lab: Lab) -> None:
    lab.deployment(securityContext={"runAsUser": 1001})
    lab.warning("uid-range", f"Deployment {lab.namespace}/web asks for the user or group 1001, outside of the range")


# -- nodes and classes


def test_an_architecture_that_only_the_source_has_fails(lab: Lab) -> None:
    lab.deployment()
    lab.passes("architecture", "linux/amd64")
    nodes = [each["metadata"]["name"] for each in lab.prod.list("nodes")]

    def become(architecture: str, *names: str) -> None:
        for name in names:
            info = {"status": {"nodeInfo": {"architecture": architecture}}}
            lab.prod.patch("nodes", name, None, info, subresource="status")

    try:
        become("arm64", nodes[0])
        lab.warning(
            "architecture", "may land on nodes of an architecture that they never ran on", "kubernetes.io/arch="
        )
        become("arm64", *nodes)
        lab.failure("architecture", "no architecture is common to both", "exec format error")
    finally:
        become("amd64", *nodes)


def test_pods_that_no_node_takes_are_told_with_the_reason_of_each(lab: Lab) -> None:
    lab.deployment(nodeSelector={"disk": "nvme"})
    lab.failure(
        "node-placement",
        f"No node of the destination cluster prod takes the pods of Deployment {lab.namespace}/web: of 3 nodes 3 lacks "
        "the label disk=nvme",
        "disk=nvme",
    )
    lab.dev.delete("deployments.apps", "web", lab.namespace)
    node = next(iter(lab.prod.list("nodes")))["metadata"]["name"]
    others = [each["metadata"]["name"] for each in lab.prod.list("nodes")][1:]
    taint = {"key": "team", "value": "data", "effect": "NoSchedule"}
    lab.prod.patch("nodes", node, None, {"spec": {"taints": [taint]}})
    for each in others:
        lab.prod.patch("nodes", each, None, {"spec": {"unschedulable": True}})
    try:
        lab.deployment("plain")
        lab.warning(
            "node-placement", "1 has the taint team=data:NoSchedule", "2 takes no new pods (cordoned)", "Uncordon"
        )
        lab.dev.delete("deployments.apps", "plain", lab.namespace)
        lab.deployment("patient", tolerations=[{"key": "team", "operator": "Exists"}])
        lab.passes("node-placement")
    finally:
        lab.prod.patch("nodes", node, None, {"spec": {"taints": None}})
        for each in others:
            lab.prod.patch("nodes", each, None, {"spec": {"unschedulable": None}})


def test_a_node_affinity_that_no_node_meets_is_spelled_out(lab: Lab) -> None:
    expression = {"key": "zone", "operator": "In", "values": ["mars"]}
    term = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": term}
    lab.deployment(affinity={"nodeAffinity": required})
    lab.failure("node-placement", "does not meet the node affinity (zone In mars)")


def test_pods_larger_than_any_node_fail_and_many_that_do_not_fit_are_warned_of(lab: Lab) -> None:
    lab.deployment(container=asks("100m", "64Mi"))
    lab.passes("node-resources", "1 pod would start and asks for 100m cpu, 64.0 MiB memory")
    lab.deployment("many", replicas=30, container=asks("1", "64Mi"))
    lab.warning("node-resources", "cpu of 22500m that are free", "Add nodes there")
    lab.passes("node-placement", start_applications=False)
    lab.silent("node-resources", start_applications=False)
    lab.deployment("huge", container=asks("20", "64Mi"))
    lab.failure("node-resources", f"A pod of Deployment {lab.namespace}/huge asks for 20 cpu", "more than any node")


def test_classes_that_pods_name_have_to_be_there(lab: Lab) -> None:
    lab.there()
    lab.deployment("urgent", priorityClassName="urgent")
    lab.failure("priority-class", "has no PriorityClass urgent", f"Deployment {lab.namespace}/urgent names")
    assert "no PriorityClass with name urgent was found" in refused_pod(lab, priorityClassName="urgent")
    lab.on_prod("PriorityClass", "urgent", value=1000)
    lab.passes("priority-class", "urgent")
    lab.deployment("boxed", runtimeClassName="gvisor")
    lab.failure("runtime-class", "has no RuntimeClass gvisor", "kubectl --context dev get runtimeclass gvisor")
    assert 'RuntimeClass "gvisor" not found' in refused_pod(lab, runtimeClassName="gvisor")
    lab.on_prod("RuntimeClass", "gvisor", handler="runsc")
    lab.passes("runtime-class", "gvisor")


def test_a_priority_class_that_comes_along_is_no_fault(lab: Lab) -> None:
    lab.on_dev("PriorityClass", f"mine-{lab.namespace}", value=10)
    lab.deployment(priorityClassName=f"mine-{lab.namespace}")
    lab.passes("priority-class", f"mine-{lab.namespace}")


def test_another_scheduler_has_to_be_there(lab: Lab) -> None:
    lab.deployment(schedulerName="stork")
    lab.warning("scheduler", "asks for the scheduler stork, which no pod on the destination cluster prod uses")


# -- images


def test_a_pull_secret_that_neither_comes_nor_is_there_is_named(lab: Lab) -> None:
    lab.deployment(imagePullSecrets=[{"name": "registry"}])
    lab.warning("pull-secrets", f"with the Secret {lab.namespace}/registry", "create secret docker-registry registry")
    key = {".dockerconfigjson": "e30="}
    lab.on_dev("Secret", "registry", type="kubernetes.io/dockerconfigjson", data=key)
    lab.passes("pull-secrets", "1 pull Secret comes along or is there")


def test_an_image_of_the_sources_own_registry_is_not_there_unless_it_is_mapped(lab: Lab) -> None:
    image = "image-registry.openshift-image-registry.svc:5000/shop/web:1"
    lab.deployment(container={"image": image})
    lab.failure(
        "registries", f"The image {image}", "lies in the source cluster dev's own registry", "skopeo copy docker://"
    )
    mapping = {"image-registry.openshift-image-registry.svc:5000": "quay.io"}
    lab.passes("registries", "The images come from quay.io", image_mapping=mapping)
