"""Which objects Stork takes along: by the name of their kind, less what its filters leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.volumes import CLAIMS, VOLUMES
from demo.cluster.registry import ResourceInfo
from demo.portworx.classes import owns_claim, owns_volume

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
PREFIX = "stork.libopenstorage.org/"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KINDS = {
    "PersistentVolumeClaim", "PersistentVolume", "Deployment", "DeploymentConfig", "StatefulSet", "ConfigMap",
    "Service", "Secret", "DaemonSet", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
    "ImageStream", "Ingress", "Route", "Template", "CronJob", "ResourceQuota", "ReplicaSet", "LimitRange",
    "NetworkPolicy", "PodDisruptionBudget", "Endpoints", "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration", "PriorityClass",
}  # fmt: skip
FOREIGN_GROUPS = {
    "autopilot.libopenstorage.org", "core.libopenstorage.org", "stork.libopenstorage.org", "kdmp.portworx.com",
    "volumesnapshot.external-storage.k8s.io", "snapshot.storage.k8s.io",
}  # fmt: skip
# Kinds that go with their owner when that is taken along.
FOLLOW_OWNER = {
    "Deployment", "StatefulSet", "ReplicaSet", "DeploymentConfig", "ServiceAccount", "Role", "RoleBinding", "Service",
}  # fmt: skip
SECRET_PREFIXES = (
    "builder-dockercfg-", "builder-token-", "default-dockercfg-", "default-token-", "deployer-dockercfg-",
    "deployer-token-",
)  # fmt: skip
DEFAULT_ACCOUNTS = ("default", "builder", "deployer")
CRITICAL_CLASSES = (
    "openshift-user-critical", "system-cluster-critical", "system-node-critical", "k8s-cluster-critical",
)  # fmt: skip

# The resource, the object, and whether its kind is one of the cluster's own definitions.
Collected = tuple[ResourceInfo, Object]


def collect(api: ClusterAPI, spec: Object, namespaces: list[str]) -> list[Collected]:
    """Everything of the namespaces that the Migration's spec takes along, and what they use of the whole cluster."""
    claims = volume_claims(api, spec, namespaces, bound_only=True)
    wanted = {"PersistentVolumeClaim", "PersistentVolume"} if not spec["includeResources"] else None
    found: list[Collected] = []
    for info in api.registry.preferred():
        if not _is_taken(info, spec) or (wanted is not None and info.kind not in wanted):
            continue
        if info.name == CLAIMS:
            candidates = claims
        elif info.name == VOLUMES:
            candidates = _volumes(api, claims)
        elif info.namespaced:
            candidates = [each for namespace in namespaces for each in api.list(info.name, namespace)]
        else:
            candidates = _cluster_wide(api, info, namespaces)
        for each in candidates:
            if info.name == VOLUMES or _is_selected(each, spec):
                found.append((info, {**each, "apiVersion": info.api_version, "kind": info.kind}))
    keep = [each for each in found if _passes(api, *each, spec)]
    owners = {obj["metadata"]["uid"] for _info, obj in keep}
    return [each for each in keep if not _goes_with_owner(each[1], owners, spec)]


def volume_claims(api: ClusterAPI, spec: Object, namespaces: list[str], *, bound_only: bool = False) -> list[Object]:
    """The claims whose volumes are migrated; without `bound_only` also those that have no volume yet, as Stork does."""
    return [
        claim
        for namespace in namespaces
        for claim in api.list(CLAIMS, namespace)
        if "deletionTimestamp" not in claim["metadata"]
        and owns_claim(api, claim)
        and _is_selected(claim, spec)
        and not _is_skipped(claim)
        and (not bound_only or (claim.get("status") or {}).get("phase") == "Bound")
    ]


def _is_taken(info: ResourceInfo, spec: Object) -> bool:
    excluded = {each.lower() for each in spec.get("excludeResourceTypes") or ()}
    if info.kind.lower() in excluded or info.group in FOREIGN_GROUPS or info.group == "events.k8s.io":
        return False
    if info.kind == "Job":
        return any(each.lower() in ("job", "jobs") for each in spec.get("includeOptionalResourceTypes") or ())
    # Only a cluster's own Ingress is there for whole clusters.
    if info.kind == "Ingress" and not info.namespaced:
        return False
    return info.kind in KINDS or (info.custom is not None and info.namespaced)


def _is_skipped(obj: Object) -> bool:
    annotations = obj["metadata"].get("annotations") or {}
    return "true" in (annotations.get(PREFIX + "skip-resource"), annotations.get(PREFIX + "skipresource"))


def _is_selected(obj: Object, spec: Object) -> bool:
    labels = obj["metadata"].get("labels") or {}
    if not (spec.get("selectors") or {}).items() <= labels.items():
        return False
    return not any(labels.get(key) == value for key, value in (spec.get("excludeSelectors") or {}).items())


def _volumes(api: ClusterAPI, claims: list[Object]) -> list[Object]:
    names = {claim["spec"].get("volumeName") for claim in claims}
    return [
        each
        for each in api.list(VOLUMES)
        if each["metadata"]["name"] in names and each["status"].get("phase") == "Bound" and owns_volume(each)
    ]


def _cluster_wide(api: ClusterAPI, info: ResourceInfo, namespaces: list[str]) -> list[Object]:
    candidates = api.list(info.name)
    match info.kind:
        case "ClusterRoleBinding":
            return [each for each in candidates if kept_subjects(api, each, namespaces)]
        case "ClusterRole":
            used = _used_roles(api, namespaces)
            return [each for each in candidates if each["metadata"]["name"] in used]
        case "PriorityClass":
            classes = {
                each["spec"]["template"]["spec"].get("priorityClassName")
                for namespace in namespaces
                for each in api.list("deployments.apps", namespace)
            } - set(CRITICAL_CLASSES)
            return [each for each in candidates if each["metadata"]["name"] in classes]
        case "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration":
            return [each for each in candidates if _hooks_into(each, namespaces)]
    return []


def kept_subjects(api: ClusterAPI, binding: Object, namespaces: list[str]) -> list[Object]:
    """The subjects of a binding that live in the namespaces; groups of service accounts are not among them."""
    kept = []
    for subject in binding.get("subjects") or ():
        if subject["kind"] == "ServiceAccount" and subject.get("namespace") in namespaces:
            accounts = {each["metadata"]["name"] for each in api.list("serviceaccounts", subject["namespace"])}
            if subject["name"] != "default" and subject["name"] in accounts:
                kept.append(subject)
        elif subject["kind"] == "User" and any(
            subject["name"].startswith(f"system:serviceaccount:{namespace}:") for namespace in namespaces
        ):
            kept.append(subject)
    return kept


def _is_of_the_system(obj: Object) -> bool:
    metadata = obj["metadata"]
    bootstrap = (metadata.get("labels") or {}).get("kubernetes.io/bootstrapping") == "rbac-defaults"
    return metadata["name"].startswith("system:") or bootstrap


def _used_roles(api: ClusterAPI, namespaces: list[str]) -> set[str]:
    group = "rbac.authorization.k8s.io"
    bindings = [
        each
        for each in api.list(f"clusterrolebindings.{group}")
        if not _is_of_the_system(each) and kept_subjects(api, each, namespaces)
    ]
    bindings += [
        each
        for namespace in namespaces
        for each in api.list(f"rolebindings.{group}", namespace)
        if _passes_by_name(each)
    ]
    return {each["roleRef"]["name"] for each in bindings if each["roleRef"]["kind"] == "ClusterRole"}


def _hooks_into(configuration: Object, namespaces: list[str]) -> bool:
    return any(
        (hook.get("clientConfig", {}).get("service") or {}).get("namespace") in namespaces
        for hook in configuration.get("webhooks") or ()
    )


def _passes_by_name(binding: Object) -> bool:
    name = binding["metadata"]["name"]
    return not name.startswith("system:") or name.startswith("system:openshift:scc")


def _service_account(api: ClusterAPI, account: Object) -> bool:
    """Accounts that every namespace has go along only with pull secrets that somebody added."""
    name = account["metadata"]["name"]
    if name not in DEFAULT_ACCOUNTS:
        return True
    return any(not each["name"].startswith(f"{name}-dockercfg-") for each in account.get("imagePullSecrets") or ())


def _endpoints(api: ClusterAPI, endpoints: Object) -> bool:
    metadata = endpoints["metadata"]
    annotations = metadata.get("annotations") or {}
    if PREFIX + "include-resource" in annotations:
        return True
    if metadata["name"] == "kubernetes" or (annotations and LAST_APPLIED not in annotations):
        return False
    if "service.kubernetes.io/headless" in (metadata.get("labels") or {}):
        return False
    return not any(
        address.get("targetRef") for subset in endpoints.get("subsets") or () for address in subset.get("addresses", ())
    )


def _secret(_: ClusterAPI, secret: Object) -> bool:
    return not secret["metadata"]["name"].startswith(SECRET_PREFIXES)


def _config_map(_: ClusterAPI, config: Object) -> bool:
    return config["metadata"]["name"] not in ("kube-root-ca.crt", "openshift-service-ca.crt")


FILTERS: dict[str, Callable[[ClusterAPI, Object], bool]] = {
    "ConfigMap": _config_map,
    "Secret": _secret,
    "ServiceAccount": _service_account,
    "Endpoints": _endpoints,
    "Service": lambda _, each: each["metadata"]["name"] != "kubernetes",
    "Role": lambda _, each: not each["metadata"]["name"].startswith("system:"),
    "RoleBinding": lambda _, each: _passes_by_name(each),
    "ClusterRole": lambda _, each: not _is_of_the_system(each),
    "ClusterRoleBinding": lambda _, each: not _is_of_the_system(each),
    "ResourceQuota": lambda _, each: each["metadata"]["name"] != "gke-resource-quotas",
    "DataVolume": lambda *_: False,
    "VirtualMachineInstance": lambda *_: False,
    "VirtualMachineInstanceMigration": lambda *_: False,
}


def _passes(api: ClusterAPI, info: ResourceInfo, obj: Object, spec: Object) -> bool:
    if _is_skipped(obj) or any(each["kind"] == "Pod" for each in obj["metadata"].get("ownerReferences") or ()):
        return False
    if info.kind == "NetworkPolicy" and not spec.get("includeNetworkPolicyWithCIDR") and _has_block(obj):
        return False
    accepts = FILTERS.get(info.kind)
    return accepts is None or accepts(api, obj)


def _has_block(policy: Object) -> bool:
    spec = policy["spec"]
    peers = [peer for rule in spec.get("ingress") or () for peer in rule.get("from") or ()]
    peers += [peer for rule in spec.get("egress") or () for peer in rule.get("to") or ()]
    return any("ipBlock" in peer for peer in peers)


def _goes_with_owner(obj: Object, owners: set[str], spec: Object) -> bool:
    annotations = obj["metadata"].get("annotations") or {}
    if obj["kind"] not in FOLLOW_OWNER or spec.get("ignoreOwnerReferencesCheck"):
        return False
    if annotations.get(PREFIX + "skip-owner-ref-check") == "true":
        return False
    return any(each["uid"] in owners for each in obj["metadata"].get("ownerReferences") or ())
