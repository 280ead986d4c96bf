"""What Stork would take along, by its own rules (pkg/resourcecollector of Stork 24), and what it leaves and why.

every kind that Stork knows by name, and every namespaced custom one:
    what the cluster has of it in the namespaces (or, cluster-scoped, what they use)
    less what the selectors do not select, and what a filter of its kind leaves out
less what goes with an owner that is taken itself
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.kube.discovery import Resource
from clusters.portworx.migration import GROUP, MigrationSpec
from clusters.portworx.volumes import DRIVERS, handle_of

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
PREFIX = f"{GROUP}/"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KINDS = frozenset({
    "PersistentVolumeClaim", "PersistentVolume", "Deployment", "DeploymentConfig", "StatefulSet", "ConfigMap",
    "Service", "Secret", "DaemonSet", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
    "ImageStream", "Ingress", "Route", "Template", "CronJob", "ResourceQuota", "ReplicaSet", "LimitRange",
    "NetworkPolicy", "PodDisruptionBudget", "Endpoints", "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration", "PriorityClass",
})  # fmt: skip
# Kinds that people expect to go along, and Stork never takes.
NEVER = {
    "HorizontalPodAutoscaler": "Stork never takes autoscalers",
    "Job": "Stork takes Jobs only when asked (includeOptionalResourceTypes)",
    "BuildConfig": "Stork does not take what an aggregated API serves",
}
FOREIGN_GROUPS = frozenset({
    "autopilot.libopenstorage.org", "core.libopenstorage.org", GROUP, "kdmp.portworx.com",
    "volumesnapshot.external-storage.k8s.io", "snapshot.storage.k8s.io", "events.k8s.io",
})  # fmt: skip
# Kinds that go with their owner when that is taken along.
FOLLOW_OWNER = frozenset({
    "Deployment", "StatefulSet", "ReplicaSet", "DeploymentConfig", "ServiceAccount", "Role", "RoleBinding", "Service",
})  # fmt: skip
SECRET_PREFIXES = tuple(
    f"{account}-{what}-" for account in ("builder", "default", "deployer") for what in ("dockercfg", "token")
)
CRITICAL_CLASSES = frozenset({
    "openshift-user-critical", "system-cluster-critical", "system-node-critical", "k8s-cluster-critical",
})  # fmt: skip
VIRTUAL_MACHINES = ("DataVolume", "VirtualMachineInstance", "VirtualMachineInstanceMigration")


@dataclass(frozen=True)
class Left:
    """An object that stays behind, and why."""

    kind: str
    namespace: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass
class Taken:
    """What goes along, what stays, and kinds that may not be listed (which Stork would pass over in silence)."""

    objects: list[Object] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    # Claims whose data moves, the unbound ones among them, which Stork counts as volumes all the same.
    claims: list[Object] = field(default_factory=list)


def collect(connection: Connection, spec: MigrationSpec, namespaces: Iterable[str]) -> Taken:
    """What a Migration with this spec would take of the namespaces. Raises KubeError where the cluster is away."""
    return _Collector(connection, spec, tuple(namespaces)).run()


class _Collector:
    def __init__(self, connection: Connection, spec: MigrationSpec, namespaces: tuple[str, ...]) -> None:
        self.connection, self.spec, self.namespaces = connection, spec, namespaces
        self.taken = Taken()
        self.excluded = {each.lower() for each in spec.exclude_resource_types}
        self.with_jobs = any(each.lower() in ("job", "jobs") for each in spec.include_optional_resource_types)
        self._lists: dict[tuple[str, str | None], list[Object]] = {}
        self._drivers = {
            each["metadata"]["name"]: each.get("provisioner", "")
            for each in self.listed("storageclasses.storage.k8s.io")
        }

    def run(self) -> Taken:
        claims = self._claims()
        self.taken.claims = claims
        found: list[Object] = []
        for resource in self.connection.discovery().resources():
            if not self._is_a_candidate(resource):
                continue
            for each in self._candidates(resource, claims):
                obj = {**each, "apiVersion": resource.api_version, "kind": resource.kind}
                if reason := self._why_left(obj):
                    self._leave(obj, reason)
                else:
                    found.append(obj)
        owners = {obj["metadata"]["uid"] for obj in found}
        self.taken.objects = [each for each in found if not self._goes_with_owner(each, owners)]
        return self.taken

    def listed(self, resource: str, namespace: str | None = None) -> list[Object]:
        """The objects, asked once; none where the kind is not served or may not be listed."""
        key = resource, namespace
        if key not in self._lists:
            try:
                self._lists[key] = list(self.connection.list(resource, namespace))
            except errors.Forbidden:
                self.taken.unreadable.append(resource)
                self._lists[key] = []
            except (errors.NotFound, errors.Invalid):
                self._lists[key] = []
        return self._lists[key]

    def _leave(self, obj: Object, reason: str) -> None:
        metadata = obj["metadata"]
        self.taken.left.append(Left(obj["kind"], metadata.get("namespace", ""), metadata["name"], reason))

    # -- kinds

    def _is_a_candidate(self, resource: Resource) -> bool:
        """Whether objects of the kind may go along; those that people would miss are noted where they stay."""
        kind = resource.kind
        if kind.lower() in self.excluded or resource.group in FOREIGN_GROUPS or "list" not in resource.verbs:
            return False
        if self.spec.include_resources is False:
            return kind in ("PersistentVolumeClaim", "PersistentVolume")
        if kind == "Job" and self.with_jobs:
            return True
        defined = resource.namespaced and self._is_defined(resource)
        if kind in NEVER and resource.namespaced and not defined:
            for namespace in self.namespaces:
                for each in self.listed(resource.name, namespace):
                    if not each["metadata"].get("ownerReferences"):
                        self._leave({**each, "kind": kind}, NEVER[kind])
            return False
        # Only a cluster's own Ingress is there for whole clusters.
        if kind == "Ingress" and not resource.namespaced:
            return False
        return kind in KINDS or defined

    def _is_defined(self, resource: Resource) -> bool:
        """Whether it is a custom kind: Stork registers each of them when it starts."""
        definitions = self.listed("customresourcedefinitions.apiextensions.k8s.io")
        return any(each["metadata"]["name"] == resource.name for each in definitions)

    def _candidates(self, resource: Resource, claims: list[Object]) -> list[Object]:
        bound = [each for each in claims if (each.get("status") or {}).get("phase") == "Bound"]
        if resource.name == "persistentvolumeclaims":
            return bound
        if resource.name == "persistentvolumes":
            names = {each["spec"].get("volumeName") for each in bound}
            volumes = [each for each in self.listed(resource.name) if each["metadata"]["name"] in names]
            return [each for each in volumes if handle_of(each) is not None]
        if resource.namespaced:
            return [each for namespace in self.namespaces for each in self.listed(resource.name, namespace)]
        used = CLUSTER_WIDE.get(resource.kind)
        return used(self, resource) if used else []

    # -- claims

    def _claims(self) -> list[Object]:
        found = []
        for namespace in self.namespaces:
            for each in self.listed("persistentvolumeclaims", namespace):
                claim = {**each, "kind": "PersistentVolumeClaim"}
                if "deletionTimestamp" in claim["metadata"]:
                    self._leave(claim, "it is being deleted")
                elif not self._is_portworx(claim):
                    self._leave(claim, "its volume is not Portworx'")
                elif reason := _not_selected(claim, self.spec) or _skipped(claim):
                    self._leave(claim, reason)
                else:
                    found.append(claim)
        return found

    def _is_portworx(self, claim: Object) -> bool:
        """By class, annotation or volume, as Stork judges."""
        driver = self._drivers.get(claim["spec"].get("storageClassName") or "")
        annotations = claim["metadata"].get("annotations") or {}
        driver = driver or annotations.get("volume.beta.kubernetes.io/storage-provisioner")
        if driver:
            return driver in DRIVERS
        name = claim["spec"].get("volumeName")
        volumes = self.listed("persistentvolumes") if name else []
        return any(each["metadata"]["name"] == name and handle_of(each) is not None for each in volumes)

    # -- filters

    def _why_left(self, obj: Object) -> str:
        """Why the object stays behind; empty where it goes along."""
        if obj["kind"] != "PersistentVolume" and (reason := _not_selected(obj, self.spec)):
            return reason
        if reason := _skipped(obj):
            return reason
        if any(each["kind"] == "Pod" for each in obj["metadata"].get("ownerReferences") or ()):
            return "it belongs to a Pod"
        if obj["kind"] == "NetworkPolicy" and not self.spec.include_network_policy_with_cidr and _has_block(obj):
            return "it names addresses (ipBlock); includeNetworkPolicyWithCIDR takes it along"
        accepts = FILTERS.get(obj["kind"])
        return "" if accepts is None or accepts(obj) else "every cluster makes its own"

    def _goes_with_owner(self, obj: Object, owners: set[str]) -> bool:
        annotations = obj["metadata"].get("annotations") or {}
        if obj["kind"] not in FOLLOW_OWNER or self.spec.ignore_owner_references_check:
            return False
        if annotations.get(PREFIX + "skip-owner-ref-check") == "true":
            return False
        return any(each["uid"] in owners for each in obj["metadata"].get("ownerReferences") or ())

    # -- cluster-wide ones that the namespaces use

    def bindings(self, resource: Resource) -> list[Object]:
        return [each for each in self.listed(resource.name) if self._subjects(each)]

    def _subjects(self, binding: Object) -> list[Object]:
        """The subjects that live in the namespaces; Stork overlooks groups of service accounts."""
        kept = []
        for subject in binding.get("subjects") or ():
            namespace, name = subject.get("namespace"), subject["name"]
            if subject["kind"] == "ServiceAccount" and namespace in self.namespaces and name != "default":
                if any(each["metadata"]["name"] == name for each in self.listed("serviceaccounts", namespace)):
                    kept.append(subject)
            elif subject["kind"] == "User" and name.startswith(
                tuple(f"system:serviceaccount:{each}:" for each in self.namespaces)
            ):
                kept.append(subject)
        return kept

    def roles(self, resource: Resource) -> list[Object]:
        """The cluster roles that bindings which go along refer to."""
        bindings = [each for each in self.listed(f"clusterrolebindings.{RBAC}") if not _is_of_the_system(each)]
        used = [each for each in bindings if self._subjects(each)]
        for namespace in self.namespaces:
            used += [each for each in self.listed(f"rolebindings.{RBAC}", namespace) if _is_own_binding(each)]
        names = {each["roleRef"]["name"] for each in used if each["roleRef"]["kind"] == "ClusterRole"}
        return [each for each in self.listed(resource.name) if each["metadata"]["name"] in names]

    def priorities(self, resource: Resource) -> list[Object]:
        """Those that Deployments name; Stork looks at no StatefulSets."""
        deployments = [each for namespace in self.namespaces for each in self.listed("deployments.apps", namespace)]
        names = {each["spec"]["template"]["spec"].get("priorityClassName") for each in deployments} - CRITICAL_CLASSES
        return [each for each in self.listed(resource.name) if each["metadata"]["name"] in names]

    def webhooks(self, resource: Resource) -> list[Object]:
        """Those whose service is in one of the namespaces."""
        return [
            each
            for each in self.listed(resource.name)
            if any(
                ((hook.get("clientConfig") or {}).get("service") or {}).get("namespace") in self.namespaces
                for hook in each.get("webhooks") or ()
            )
        ]


CLUSTER_WIDE: dict[str, Callable[[_Collector, Resource], list[Object]]] = {
    "ClusterRoleBinding": _Collector.bindings,
    "ClusterRole": _Collector.roles,
    "PriorityClass": _Collector.priorities,
    "ValidatingWebhookConfiguration": _Collector.webhooks,
    "MutatingWebhookConfiguration": _Collector.webhooks,
}


def _not_selected(obj: Object, spec: MigrationSpec) -> str:
    labels = obj["metadata"].get("labels") or {}
    if not spec.selectors.items() <= labels.items():
        return "the selectors do not select it"
    if any(labels.get(key) == value for key, value in spec.exclude_selectors.items()):
        return "a selector excludes it"
    return ""


def _skipped(obj: Object) -> str:
    annotations = obj["metadata"].get("annotations") or {}
    names = (PREFIX + "skip-resource", PREFIX + "skipresource")
    return next((f"its annotation {name} says so" for name in names if annotations.get(name) == "true"), "")


def _is_of_the_system(obj: Object) -> bool:
    metadata = obj["metadata"]
    bootstrap = (metadata.get("labels") or {}).get("kubernetes.io/bootstrapping") == "rbac-defaults"
    return metadata["name"].startswith("system:") or bootstrap


def _is_own_binding(obj: Object) -> bool:
    name = obj["metadata"]["name"]
    return not name.startswith("system:") or name.startswith("system:openshift:scc")


def _is_own_account(obj: Object) -> bool:
    """Accounts that every namespace has go along only with pull secrets that somebody added."""
    name = obj["metadata"]["name"]
    if name not in ("default", "builder", "deployer"):
        return True
    return any(not each["name"].startswith(f"{name}-dockercfg-") for each in obj.get("imagePullSecrets") or ())


def _are_own_endpoints(obj: Object) -> bool:
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    if PREFIX + "include-resource" in annotations:
        return True
    if metadata["name"] == "kubernetes" or (annotations and LAST_APPLIED not in annotations):
        return False
    if "service.kubernetes.io/headless" in (metadata.get("labels") or {}):
        return False
    addresses = [each for subset in obj.get("subsets") or () for each in subset.get("addresses") or ()]
    return not any(each.get("targetRef") for each in addresses)


def _has_block(policy: Object) -> bool:
    spec = policy["spec"]
    peers = [peer for rule in spec.get("ingress") or () for peer in rule.get("from") or ()]
    peers += [peer for rule in spec.get("egress") or () for peer in rule.get("to") or ()]
    return any("ipBlock" in peer for peer in peers)


FILTERS: dict[str, Callable[[Object], bool]] = {
    "ConfigMap": lambda each: each["metadata"]["name"] not in ("kube-root-ca.crt", "openshift-service-ca.crt"),
    "Secret": lambda each: not each["metadata"]["name"].startswith(SECRET_PREFIXES),
    "ServiceAccount": _is_own_account,
    "Endpoints": _are_own_endpoints,
    "Service": lambda each: each["metadata"]["name"] != "kubernetes",
    "Role": lambda each: not each["metadata"]["name"].startswith("system:"),
    "RoleBinding": _is_own_binding,
    "ClusterRole": lambda each: not _is_of_the_system(each),
    "ClusterRoleBinding": lambda each: not _is_of_the_system(each),
    "ResourceQuota": lambda each: each["metadata"]["name"] != "gke-resource-quotas",
    **dict.fromkeys(VIRTUAL_MACHINES, lambda _each: False),
}
