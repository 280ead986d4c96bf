"""What belongs to the application: everything namespaced that matters, and the cluster-scoped objects that it needs.

Not a fixed list of kinds: all that discovery serves and that can be listed and created, minus what the destination's
own controllers make again. Each rule below names where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Resource
from clusters.kube.errors import Forbidden, NotFound
from migrations_app.resources.marks import annotations_of

Object = dict[str, Any]

# Kinds that are made again by controllers, or that describe the moment. Names are `plural.group`.
RECREATED = frozenset(
    {
        "pods",  # by their workloads; bare ones are not migrated, as in Stork
        "events",
        "events.events.k8s.io",
        "endpoints",  # by the endpoints controller, from Services
        "endpointslices.discovery.k8s.io",
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
        "packagemanifests.packages.operators.coreos.com",
    }
)
# stork pkg/resourcecollector: what every cluster makes in every namespace.
GENERATED_CONFIG_MAPS = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
GENERATED_ACCOUNTS = frozenset({"default", "builder", "deployer"})
GENERATED_SECRET_TYPES = frozenset(
    {"kubernetes.io/service-account-token", "kubernetes.io/dockercfg", "bootstrap.kubernetes.io/token"}
)
GENERATED_SECRET_PREFIXES = tuple(
    f"{account}-{kind}-" for account in GENERATED_ACCOUNTS for kind in ("dockercfg", "token")
)
SKIP_ANNOTATIONS = ("stork.libopenstorage.org/skip-resource", "stork.libopenstorage.org/skipresource")
OWN_PREFIX = "kubemotion-"


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
    resources = [each for each in connection.discovery().resources() if _is_candidate(each)]
    for namespace in wanted:
        for resource in resources:
            try:
                found = [obj for obj in connection.list(resource, namespace) if belongs(obj)]
            except (Forbidden, NotFound) as error:
                skipped.append(Skipped(resource.name, error.message))
                continue
            objects += found
    objects += _cluster_scoped(connection, objects, set(wanted), skipped)
    return Collected(objects, skipped)


def _is_candidate(resource: Resource) -> bool:
    return (
        resource.namespaced
        and resource.name not in RECREATED
        and {"list", "create"} <= resource.verbs
        and not resource.group.endswith("metrics.k8s.io")
    )


def belongs(obj: Object) -> bool:
    """Whether an object of a collected kind is part of the application rather than made by a controller."""
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp"):
        return False
    if any(annotations_of(obj).get(name) == "true" for name in SKIP_ANNOTATIONS):
        return False
    if metadata.get("ownerReferences"):
        return False
    if metadata["name"].startswith(OWN_PREFIX):
        return False
    rule = RULES.get(obj["kind"])
    return rule is None or rule(obj)


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


RULES: dict[str, Callable[[Object], bool]] = {
    "ConfigMap": _config_map,
    "Secret": _secret,
    "ServiceAccount": _service_account,
    "Role": _role,
    "RoleBinding": _role_binding,
    "Service": _service,
}


def _cluster_scoped(
    connection: Connection, objects: list[Object], namespaces: set[str], skipped: list[Skipped]
) -> list[Object]:
    """CRDs of collected custom resources, PriorityClasses in use, cluster RBAC whose subjects lie in the namespaces."""
    needed: list[Object] = []
    for resource, select in (
        ("customresourcedefinitions.apiextensions.k8s.io", lambda each: _defines(each, objects)),
        ("priorityclasses.scheduling.k8s.io", lambda each: each["metadata"]["name"] in _priority_classes(objects)),
        ("clusterrolebindings.rbac.authorization.k8s.io", lambda each: binds(each, namespaces)),
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


def _pod_specs(objects: list[Object]) -> Iterable[Object]:
    for obj in objects:
        spec = obj.get("spec") or {}
        template = spec.get("template") or (spec.get("jobTemplate") or {}).get("spec", {}).get("template") or {}
        if isinstance(template, dict) and template.get("spec"):
            yield template["spec"]


def _priority_classes(objects: list[Object]) -> set[str]:
    names = {spec.get("priorityClassName", "") for spec in _pod_specs(objects)}
    return {name for name in names if name and not name.startswith("system-") and name != "openshift-user-critical"}


def binds(binding: Object, namespaces: set[str]) -> bool:
    """Whether a ClusterRoleBinding has a subject in the namespaces: an account, its user name, or its group."""
    if _is_bootstrap(binding):
        return False
    for subject in binding.get("subjects") or ():
        name = subject.get("name", "")
        match subject.get("kind"):
            case "ServiceAccount":
                if subject.get("namespace") in namespaces:
                    return True
            case "User":
                parts = name.split(":")
                if name.startswith("system:serviceaccount:") and len(parts) == 4 and parts[2] in namespaces:
                    return True
            case "Group":
                # Stork drops these (defect 3 of its real run); the application needs them as much.
                if name.startswith("system:serviceaccounts:") and name.rpartition(":")[2] in namespaces:
                    return True
    return False


def _cluster_roles(objects: list[Object]) -> set[str]:
    return {
        obj["roleRef"]["name"]
        for obj in objects
        if obj["kind"] in ("RoleBinding", "ClusterRoleBinding") and obj["roleRef"]["kind"] == "ClusterRole"
    }


def _is_bootstrap(obj: Object) -> bool:
    name = obj["metadata"]["name"]
    labels = obj["metadata"].get("labels") or {}
    return name.startswith("system:") or labels.get("kubernetes.io/bootstrapping") == "rbac-defaults"
