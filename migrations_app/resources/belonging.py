"""What is part of the application, and what controllers on the destination make again: each rule names its source."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from clusters.kube.discovery import Discovery, Resource
from clusters.texts import NOTHING, Text, said
from migrations_app.resources.marks import annotations_of, labels_of, type_of

Object = dict[str, Any]

# Never objects of an application: requests, what engines make of volumes, and what describes the moment.
NEVER = frozenset(
    {
        "bindings",
        "localsubjectaccessreviews.authorization.k8s.io",
        "persistentvolumeclaims",  # the engine makes them for the volumes
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "podmetrics.metrics.k8s.io",
        "pods.metrics.k8s.io",
        "volumesnapshots.snapshot.storage.k8s.io",  # name content that stays where it is
        "imagestreamtags.image.openshift.io",
        "imagestreamimages.image.openshift.io",
        "imagetags.image.openshift.io",
        "packagemanifests.packages.operators.coreos.com",
        "datavolumes.cdi.kubevirt.io",  # fill claims, which come with their data (Stork leaves these three out too)
        "virtualmachineinstances.kubevirt.io",
        "virtualmachineinstancemigrations.kubevirt.io",
    }
)
# Made again by controllers; one that somebody made by hand can be named to go along.
RECREATED = frozenset(
    {
        "pods",  # by their workloads; bare ones are not migrated, as in Stork
        "controllerrevisions.apps",  # by StatefulSets and DaemonSets
        "replicationcontrollers",  # by DeploymentConfigs; bare ones are a thing of the past
        "resourceclaims.resource.k8s.io",
        "builds.build.openshift.io",  # have happened; would build again
        "templateinstances.template.openshift.io",  # would make a second time what they made
        "installplans.operators.coreos.com",  # by Subscriptions
        "operatorconditions.operators.coreos.com",  # by ClusterServiceVersions
        "certificaterequests.cert-manager.io",  # by Certificates (cert-manager's notes on back-up)
        "orders.acme.cert-manager.io",
        "challenges.acme.cert-manager.io",
        "ciliumendpoints.cilium.io",  # by the network's agents
        "policyreports.wgpolicyk8s.io",  # by policy engines
    }
)
# What moves applications does not move itself (Stork skips these groups): a ClusterPair holds the other side's
# credentials, and a Migration that arrives where Stork runs would run.
MACHINERY = frozenset(
    {
        "stork.libopenstorage.org",
        "autopilot.libopenstorage.org",
        "core.libopenstorage.org",
        "volumesnapshot.external-storage.k8s.io",
        "kdmp.portworx.com",
    }
)
# OpenShift shows RBAC a second time here, in a form of its own.
SECOND_VIEWS = frozenset({"roles.authorization.openshift.io", "rolebindings.authorization.openshift.io"})
# stork pkg/resourcecollector: what every cluster makes in every namespace.
GENERATED_CONFIG_MAPS = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})
GENERATED_QUOTAS = frozenset({"gke-resource-quotas"})
GENERATED_ACCOUNTS = frozenset({"default", "builder", "deployer"})
GENERATED_SECRET_TYPES = frozenset({"kubernetes.io/dockercfg", "bootstrap.kubernetes.io/token"})
TOKEN = "kubernetes.io/service-account-token"
TOKEN_OF = "kubernetes.io/service-account.name"
GENERATED_SECRET_PREFIXES = tuple(
    f"{account}-{kind}-" for account in GENERATED_ACCOUNTS for kind in ("dockercfg", "token")
)
SKIP_ANNOTATIONS = ("stork.libopenstorage.org/skip-resource", "stork.libopenstorage.org/skipresource")
# Stork's word for: take it although it has an owner that goes along.
SKIP_OWNER_CHECK = "stork.libopenstorage.org/skip-owner-ref-check"
OWN_PREFIX = "kubemotion-"
# Generated passwords and settings: whoever made them would make others, which do not fit the data that is carried.
KEPT_WITH_OWNERS = frozenset({("", "Secret"), ("", "ConfigMap")})
PASSING_OWNERS = frozenset({("", "Pod"), ("build.openshift.io", "Build")})
# They make nothing: what they own goes with them when they go, but nobody makes it again.
INERT_OWNERS = frozenset({("", "PersistentVolumeClaim"), ("", "Secret"), ("", "ConfigMap")})
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


def is_candidate(resource: Resource) -> bool:
    """Whether objects of the kind can be part of an application."""
    return (
        resource.namespaced
        and resource.name not in NEVER
        and {"list", "create"} <= resource.verbs
        and resource.name not in SECOND_VIEWS
        and resource.group not in MACHINERY
        and not resource.group.endswith("metrics.k8s.io")
    )


def why_left_out(obj: Object, discovery: Discovery, *, include_owned: bool = False) -> Text:
    """Why the object is no part of the application, or an empty text.

    `discovery` tells which owners are outside of namespaces; `include_owned` takes what an owner would make again.
    """
    if any(annotations_of(obj).get(name) == "true" for name in SKIP_ANNOTATIONS):
        return said("asks for it with the annotation stork.libopenstorage.org/skip-resource")
    if reason := _owner(obj, discovery, include_owned):
        return reason
    if obj["metadata"]["name"].startswith(OWN_PREFIX):
        return said("is part of this product's own work")
    rule = RULES.get(type_of(obj))
    return rule(obj) if rule else NOTHING


def _owner(obj: Object, discovery: Discovery, include_owned: bool) -> Text:
    """Whether an owner in the namespace makes it again; what lies outside of namespaces is not migrated (Stork)."""
    owners = obj["metadata"].get("ownerReferences") or ()
    for owner in owners:
        if type_of(owner) in PASSING_OWNERS:
            return said("ends with its owner, {kind} {name}", kind=owner["kind"], name=owner["name"])
    if type_of(obj) in KEPT_WITH_OWNERS or include_owned or annotations_of(obj).get(SKIP_OWNER_CHECK) == "true":
        return NOTHING
    for owner in owners:
        if type_of(owner) in INERT_OWNERS:
            continue
        served = discovery.by_kind(owner["apiVersion"], owner["kind"])
        if served is None or served.namespaced:
            return said("is made again by its owner, {kind} {name}", kind=owner["kind"], name=owner["name"])
    return NOTHING


def _config_map(obj: Object) -> Text:
    return said("is made in every namespace") if obj["metadata"]["name"] in GENERATED_CONFIG_MAPS else NOTHING


def _secret(obj: Object) -> Text:
    """Generated tokens and registry credentials of ServiceAccounts are void elsewhere (defect 4 of Stork's real run).

    A token that somebody asked for by making its Secret goes along without its content, and is filled in there.
    """
    name = obj["metadata"]["name"]
    if obj.get("type") in GENERATED_SECRET_TYPES or name.startswith(GENERATED_SECRET_PREFIXES):
        return said("is a generated credential, which is void on another cluster")
    if obj.get("type") == TOKEN and _is_generated_token(obj):
        return said("is a generated token, which is void on another cluster")
    return NOTHING


def _is_generated_token(obj: Object) -> bool:
    """Controllers name them for their account and five letters by chance (kube-controller-manager's tokens, 1.23)."""
    annotations = annotations_of(obj)
    account = annotations.get(TOKEN_OF)
    if not account or any(name.startswith("openshift.io/") for name in annotations):
        return True
    return re.fullmatch(rf"{re.escape(account)}-token-[a-z0-9]{{5}}", obj["metadata"]["name"]) is not None


def _service_account(obj: Object) -> Text:
    """The generated accounts travel only when somebody gave them a pull secret of their own."""
    if obj["metadata"]["name"] not in GENERATED_ACCOUNTS:
        return NOTHING
    own = [each["name"] for each in obj.get("imagePullSecrets") or ()]
    travels = any(not name.startswith(GENERATED_SECRET_PREFIXES) for name in own)
    return NOTHING if travels else said("is made in every namespace")


def _role(obj: Object) -> Text:
    return said("is the system's own") if obj["metadata"]["name"].startswith("system:") else NOTHING


def _role_binding(obj: Object) -> Text:
    """OpenShift makes `system:*` bindings in each project; those that grant an SCC are the application's (Stork)."""
    name = obj["metadata"]["name"]
    return _role(obj) if not name.startswith("system:openshift:scc") else NOTHING


def _service(obj: Object) -> Text:
    metadata = obj["metadata"]
    is_api = (metadata.get("namespace"), metadata["name"]) == ("default", "kubernetes")
    return said("is the cluster's own API") if is_api else NOTHING


def _resource_quota(obj: Object) -> Text:
    return said("is made in every namespace") if obj["metadata"]["name"] in GENERATED_QUOTAS else NOTHING


def _job(obj: Object) -> Text:
    """A Job that has ended would run again on data that has its result already."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    ended = any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)
    return said("has ended; it would run again") if ended else NOTHING


def _endpoints(obj: Object) -> Text:
    """Only those that somebody wrote, for a Service without a selector, are the application's."""
    if KEPT_ENDPOINTS & {*labels_of(obj), *annotations_of(obj)}:
        return said("is written by a controller")
    addresses = [
        address
        for subset in obj.get("subsets") or ()
        for address in [*(subset.get("addresses") or ()), *(subset.get("notReadyAddresses") or ())]
    ]
    leads = any(each.get("targetRef") for each in [*addresses, *(obj.get("endpoints") or ())])
    return said("leads to pods of the source") if leads else NOTHING


def _service_version(obj: Object) -> Text:
    """Operators for all namespaces are copied into each of them by their manager."""
    return (
        said("is a copy that its manager makes in every namespace") if "olm.copiedFrom" in labels_of(obj) else NOTHING
    )


RULES: dict[tuple[str, str], Callable[[Object], Text]] = {
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
