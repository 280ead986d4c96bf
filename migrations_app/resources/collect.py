"""What belongs to the application: everything namespaced that matters, and the cluster-scoped objects that it needs.

Not a fixed list of kinds: all that discovery serves and that can be listed and created, minus what the destination's
own controllers make again. Each rule below names where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Discovery, Resource
from clusters.kube.errors import Forbidden, NotFound
from migrations_app.resources.marks import annotations_of, labels_of, type_of
from migrations_app.resources.subjects import lies_within

Object = dict[str, Any]

# Kinds that are made again by controllers, or that describe the moment. Names are `plural.group`.
RECREATED = frozenset(
    {
        "pods",  # by their workloads; bare ones are not migrated, as in Stork
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "controllerrevisions.apps",  # by StatefulSets and DaemonSets
        "bindings",
        "replicationcontrollers",  # by DeploymentConfigs; bare ones are a thing of the past
        "localsubjectaccessreviews.authorization.k8s.io",
        "podmetrics.metrics.k8s.io",
        "pods.metrics.k8s.io",
        "volumesnapshots.snapshot.storage.k8s.io",  # name content that stays where it is
        "persistentvolumeclaims",  # the engine makes them for the volumes
        "imagestreamtags.image.openshift.io",
        "imagestreamimages.image.openshift.io",
        "imagetags.image.openshift.io",
        "resourceclaims.resource.k8s.io",
        "datavolumes.cdi.kubevirt.io",  # fill claims, which come with their data (Stork leaves these three out too)
        "virtualmachineinstances.kubevirt.io",
        "virtualmachineinstancemigrations.kubevirt.io",
        "packagemanifests.packages.operators.coreos.com",
    }
)
# OpenShift shows RBAC a second time here, in a form of its own.
SECOND_VIEWS = frozenset({"authorization.openshift.io"})
# Kubernetes before 1.22 shows workloads and Ingresses here as well; what is served elsewhere too is taken from there.
LEGACY = "extensions"
# stork pkg/resourcecollector: what every cluster makes in every namespace.
GENERATED_CONFIG_MAPS = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
GENERATED_QUOTAS = frozenset({"gke-resource-quotas"})
GENERATED_ACCOUNTS = frozenset({"default", "builder", "deployer"})
GENERATED_SECRET_TYPES = frozenset(
    {"kubernetes.io/service-account-token", "kubernetes.io/dockercfg", "bootstrap.kubernetes.io/token"}
)
GENERATED_SECRET_PREFIXES = tuple(
    f"{account}-{kind}-" for account in GENERATED_ACCOUNTS for kind in ("dockercfg", "token")
)
SKIP_ANNOTATIONS = ("stork.libopenstorage.org/skip-resource", "stork.libopenstorage.org/skipresource")
OWN_PREFIX = "kubemotion-"
# Generated passwords and settings: whoever made them would make others, which do not fit the data that is carried.
KEPT_WITH_OWNERS = frozenset({("", "Secret"), ("", "ConfigMap")})
PASSING_OWNERS = frozenset({("", "Pod"), ("build.openshift.io", "Build")})
# What tells that Endpoints or slices are written by a controller, or used as a lock.
KEPT_ENDPOINTS = frozenset(
    {
        "endpoints.kubernetes.io/last-change-trigger-time",
        "endpoints.kubernetes.io/managed-by",
        "endpointslice.kubernetes.io/managed-by",
        "control-plane.alpha.kubernetes.io/leader",
        "leader",
    }
)
BINDINGS = {("rbac.authorization.k8s.io", kind) for kind in ("RoleBinding", "ClusterRoleBinding")}
BUILT_IN_PRIORITIES = frozenset({"openshift-user-critical", "k8s-cluster-critical"})
WEBHOOKS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")


@dataclass(frozen=True)
class Skipped:
    """A kind that could not be read; the migration says so instead of leaving it out silently."""

    resource: str
    reason: str


@dataclass(frozen=True)
class Collected:
    """The objects as the source has them, and what could not be looked at."""

    objects: list[Object]
    skipped: list[Skipped]


def collect(connection: Connection, namespaces: Iterable[str]) -> Collected:
    """Everything of the application in these namespaces. Raises KubeError when the cluster cannot be read at all."""
    objects: list[Object] = []
    skipped: list[Skipped] = []
    wanted = list(namespaces)
    discovery = connection.discovery()
    skipped += [Skipped(each, "The server behind this API does not answer.") for each in discovery.unavailable]
    resources = [each for each in discovery.resources() if _is_candidate(each)]
    resources.sort(key=lambda each: each.group == LEGACY)
    seen: set[str] = set()
    for namespace in wanted:
        for resource in resources:
            try:
                found = [obj for obj in connection.list(resource, namespace) if belongs(obj, discovery)]
            except (Forbidden, NotFound) as error:
                skipped.append(Skipped(resource.name, error.message))
                continue
            # The same object can be served by two groups.
            objects += [obj for obj in found if obj["metadata"].get("uid") not in seen]
            seen.update(obj["metadata"]["uid"] for obj in found if "uid" in obj["metadata"])
    objects = _without_kept_endpoints(objects)
    objects += _cluster_scoped(connection, objects, set(wanted), skipped)
    return Collected(objects, skipped)


def _is_candidate(resource: Resource) -> bool:
    return (
        resource.namespaced
        and resource.name not in RECREATED
        and {"list", "create"} <= resource.verbs
        and resource.group not in SECOND_VIEWS
        and not resource.group.endswith("metrics.k8s.io")
    )


def belongs(obj: Object, discovery: Discovery) -> bool:
    """Whether an object of a collected kind is part of the application rather than made by a controller.

    `discovery` tells which owners are outside of namespaces.
    """
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp"):
        return False
    if any(annotations_of(obj).get(name) == "true" for name in SKIP_ANNOTATIONS):
        return False
    if _comes_with_its_owner(obj, discovery):
        return False
    if metadata["name"].startswith(OWN_PREFIX):
        return False
    rule = RULES.get(type_of(obj))
    return rule is None or rule(obj)


def _comes_with_its_owner(obj: Object, discovery: Discovery) -> bool:
    """Whether an owner in the namespace makes it again; what lies outside of namespaces is not migrated (Stork)."""
    owners = obj["metadata"].get("ownerReferences") or ()
    if any(type_of(owner) in PASSING_OWNERS for owner in owners):
        return True
    if type_of(obj) in KEPT_WITH_OWNERS:
        return False
    served = [discovery.by_kind(owner["apiVersion"], owner["kind"]) for owner in owners]
    return any(found is None or found.namespaced for found in served)


def _config_map(obj: Object) -> bool:
    return obj["metadata"]["name"] not in GENERATED_CONFIG_MAPS


def _secret(obj: Object) -> bool:
    """Tokens and registry credentials of ServiceAccounts are void elsewhere (defect 4 of Stork's real run)."""
    name = obj["metadata"]["name"]
    return obj.get("type") not in GENERATED_SECRET_TYPES and not name.startswith(GENERATED_SECRET_PREFIXES)


def _service_account(obj: Object) -> bool:
    """The generated accounts travel only when somebody gave them a pull secret of their own."""
    if obj["metadata"]["name"] not in GENERATED_ACCOUNTS:
        return True
    own = [each["name"] for each in obj.get("imagePullSecrets") or ()]
    return any(not name.startswith(GENERATED_SECRET_PREFIXES) for name in own)


def _role(obj: Object) -> bool:
    return not obj["metadata"]["name"].startswith("system:")


def _role_binding(obj: Object) -> bool:
    """OpenShift makes `system:*` bindings in each project; those that grant an SCC are the application's (Stork)."""
    name = obj["metadata"]["name"]
    return not name.startswith("system:") or name.startswith("system:openshift:scc")


def _service(obj: Object) -> bool:
    metadata = obj["metadata"]
    return (metadata.get("namespace"), metadata["name"]) != ("default", "kubernetes")


def _resource_quota(obj: Object) -> bool:
    return obj["metadata"]["name"] not in GENERATED_QUOTAS


def _job(obj: Object) -> bool:
    """A Job that has ended would run again on data that has its result already."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return not any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def _endpoints(obj: Object) -> bool:
    """Only those that somebody wrote, for a Service without a selector, are the application's."""
    if KEPT_ENDPOINTS & {*labels_of(obj), *annotations_of(obj)}:
        return False
    addresses = [
        address
        for subset in obj.get("subsets") or ()
        for address in [*(subset.get("addresses") or ()), *(subset.get("notReadyAddresses") or ())]
    ]
    return not any(each.get("targetRef") for each in [*addresses, *(obj.get("endpoints") or ())])


def _service_version(obj: Object) -> bool:
    """Operators for all namespaces are copied into each of them by their manager."""
    return "olm.copiedFrom" not in labels_of(obj)


RULES: dict[tuple[str, str], Callable[[Object], bool]] = {
    ("", "ConfigMap"): _config_map,
    ("", "Secret"): _secret,
    ("", "ServiceAccount"): _service_account,
    ("", "Service"): _service,
    ("", "ResourceQuota"): _resource_quota,
    ("", "Endpoints"): _endpoints,
    ("discovery.k8s.io", "EndpointSlice"): _endpoints,
    ("rbac.authorization.k8s.io", "Role"): _role,
    ("rbac.authorization.k8s.io", "RoleBinding"): _role_binding,
    ("batch", "Job"): _job,
    ("operators.coreos.com", "ClusterServiceVersion"): _service_version,
}


def _without_kept_endpoints(objects: list[Object]) -> list[Object]:
    """Without the Endpoints of Services that select their pods: the destination's controller writes those."""
    by_hand = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"])
        for obj in objects
        if type_of(obj) == ("", "Service") and not obj["spec"].get("selector")
    }
    return [
        obj
        for obj in objects
        if type_of(obj) != ("", "Endpoints") or (obj["metadata"]["namespace"], obj["metadata"]["name"]) in by_hand
    ]


def _cluster_scoped(
    connection: Connection, objects: list[Object], namespaces: set[str], skipped: list[Skipped]
) -> list[Object]:
    """CRDs of collected custom resources, PriorityClasses in use, webhooks and cluster RBAC of the namespaces."""
    needed: list[Object] = []
    classes = _priority_classes(objects)
    for resource, select in (
        ("customresourcedefinitions.apiextensions.k8s.io", lambda each: _defines(each, objects)),
        ("priorityclasses.scheduling.k8s.io", lambda each: each["metadata"]["name"] in classes),
        ("clusterrolebindings.rbac.authorization.k8s.io", lambda each: binds(each, namespaces)),
        *((f"{name}.admissionregistration.k8s.io", lambda each: _calls(each, namespaces)) for name in WEBHOOKS),
    ):
        try:
            needed += [each for each in connection.list(resource) if select(each)]
        except (Forbidden, NotFound) as error:
            skipped.append(Skipped(resource, error.message))
    roles = _cluster_roles([*objects, *needed])
    try:
        for role in connection.list("clusterroles.rbac.authorization.k8s.io"):
            if role["metadata"]["name"] in roles and not _is_bootstrap(role):
                needed.append(role)
    except (Forbidden, NotFound) as error:
        skipped.append(Skipped("clusterroles.rbac.authorization.k8s.io", error.message))
    return needed


def _defines(crd: Object, objects: list[Object]) -> bool:
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    return any(obj["kind"] == kind and obj["apiVersion"].rpartition("/")[0] == group for obj in objects)


def _calls(configuration: Object, namespaces: set[str]) -> bool:
    """Whether a webhook configuration calls a Service of the namespaces."""
    clients = [each.get("clientConfig") or {} for each in configuration.get("webhooks") or ()]
    return any((client.get("service") or {}).get("namespace") in namespaces for client in clients)


def _pod_specs(objects: list[Object]) -> Iterable[Object]:
    """Those of all workloads, operators' own included where they are built alike."""
    for obj in objects:
        spec = obj.get("spec")
        for names in (("template",), ("jobTemplate", "spec", "template")):
            template = spec
            for name in names:
                template = template.get(name) if isinstance(template, dict) else None
            if isinstance(template, dict) and isinstance(template.get("spec"), dict):
                yield template["spec"]


def _priority_classes(objects: list[Object]) -> set[str]:
    names = {name for spec in _pod_specs(objects) if isinstance(name := spec.get("priorityClassName"), str)}
    return {name for name in names if not name.startswith("system-") and name not in BUILT_IN_PRIORITIES}


def binds(binding: Object, namespaces: set[str]) -> bool:
    """Whether a ClusterRoleBinding has a subject in the namespaces."""
    return not _is_bootstrap(binding) and any(lies_within(each, namespaces) for each in binding.get("subjects") or ())


def _cluster_roles(objects: list[Object]) -> set[str]:
    return {
        obj["roleRef"]["name"]
        for obj in objects
        if type_of(obj) in BINDINGS and obj["roleRef"]["kind"] == "ClusterRole"
    }


def _is_bootstrap(obj: Object) -> bool:
    name = obj["metadata"]["name"]
    labels = obj["metadata"].get("labels") or {}
    return name.startswith("system:") or labels.get("kubernetes.io/bootstrapping") == "rbac-defaults"
