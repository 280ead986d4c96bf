"""Namespaces: what every one of them is given, and its end.

OpenShift gives a project more than Kubernetes gives a namespace; `run_openshift` adds that on clusters that say so.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from typing import TYPE_CHECKING

from demo.cluster.api import APIError
from demo.cluster.controllers.loop import (
    Key,
    Object,
    delete_quietly,
    find,
    generated_name,
    now,
    own_key,
    reconcile_loop,
    update_status,
)

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

DELETION_CHECK_SECONDS = 0.2
ROOT_CA_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
OPENSHIFT_ACCOUNTS = ("builder", "default", "deployer")
OPENSHIFT_BINDINGS = {
    "system:image-pullers": ("system:image-puller", "Group", "system:serviceaccounts:{namespace}"),
    "system:image-builders": ("system:image-builder", "ServiceAccount", "builder"),
    "system:deployers": ("system:deployer", "ServiceAccount", "deployer"),
}
REGISTRY = "image-registry.openshift-image-registry.svc:5000"
# Each project of OpenShift has a block of this many user ids.
UIDS_PER_PROJECT = 10_000
FIRST_UID = 1_000_000_000


def _namespace_of(obj: Object) -> list[Key]:
    return [(None, obj["metadata"]["namespace"])]


async def run(api: ClusterAPI) -> None:
    """Give namespaces what they need, and take down those that are deleted, for ever."""
    watched = {"namespaces": own_key, "serviceaccounts": _namespace_of, "configmaps": _namespace_of}
    await reconcile_loop(api, watched, reconcile)


async def run_openshift(api: ClusterAPI) -> None:
    """Give projects what OpenShift gives them, for ever."""
    watched = {"namespaces": own_key, "serviceaccounts": _namespace_of, "secrets": _namespace_of}
    await reconcile_loop(api, watched, reconcile_project)


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one namespace."""
    namespace = find(api, "namespaces", *key)
    if namespace is None:
        return None
    if "deletionTimestamp" in namespace["metadata"]:
        return _take_down(api, namespace)
    name = key[1]
    if find(api, "serviceaccounts", name, "default") is None:
        _create(api, "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount"}, name, "default")
    if find(api, "configmaps", name, "kube-root-ca.crt") is None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": _root_ca(api)}}
        annotations = {"kubernetes.io/description": ROOT_CA_DESCRIPTION}
        _create(api, "configmaps", body, name, "kube-root-ca.crt", annotations=annotations)
    if find(api, "configmaps", name, "openshift-service-ca.crt") is None:
        # Every pod's token volume names it, so that it has to be there even where nobody fills it.
        body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"service-ca.crt": ""}}
        annotations = {"service.beta.openshift.io/inject-cabundle": "true"}
        _create(api, "configmaps", body, name, "openshift-service-ca.crt", annotations=annotations)
    return None


def _root_ca(api: ClusterAPI) -> str:
    path = api.state / "ca.crt"
    return path.read_text() if path.exists() else ""


def _create(api: ClusterAPI, resource: str, body: Object, namespace: str, name: str, **metadata: object) -> Object:
    return api.create(resource, {**body, "metadata": {"name": name, "namespace": namespace, **metadata}})


def _take_down(api: ClusterAPI, namespace: Object) -> float | None:
    """Delete all that is in the namespace; once nothing is left, let the namespace itself go."""
    name = namespace["metadata"]["name"]
    left: list[tuple[str, Object]] = []
    for resource in api.namespaced_resources():
        for obj in api.list(resource, name):
            with contextlib.suppress(APIError):
                delete_quietly(api, resource, obj, propagation="Background")
            if (still := find(api, resource, name, obj["metadata"]["name"])) is not None:
                left.append((resource, still))
    status = {"phase": "Terminating", "conditions": _deletion_conditions(namespace, left)}
    namespace = update_status(api, "namespaces", namespace, status)
    if left:
        return DELETION_CHECK_SECONDS
    namespace["spec"] = {**namespace["spec"], "finalizers": []}
    api.update("namespaces", namespace, subresource="finalize")
    return None


def _deletion_conditions(namespace: Object, left: list[tuple[str, Object]]) -> list[Object]:
    kinds: dict[str, int] = {}
    finalizers: dict[str, int] = {}
    for resource, obj in left:
        group, _, version = obj["apiVersion"].rpartition("/")
        del version
        full = resource if group or "." in resource else f"{resource}."
        kinds[full] = kinds.get(full, 0) + 1
        for finalizer in obj["metadata"].get("finalizers", ()):
            finalizers[finalizer] = finalizers.get(finalizer, 0) + 1
    remaining = ", ".join(f"{kind} has {count} resource instances" for kind, count in sorted(kinds.items()))
    blocking = ", ".join(f"{each} in {count} resource instances" for each, count in sorted(finalizers.items()))
    wanted = [
        ("NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            False,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            ("NamespaceContentRemaining", True, "SomeResourcesRemain", f"Some resources are remaining: {remaining}")
            if left
            else ("NamespaceContentRemaining", False, "ContentRemoved", "All content successfully removed")
        ),
        (
            (
                "NamespaceFinalizersRemaining",
                True,
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers remaining: {blocking}",
            )
            if finalizers
            else (
                "NamespaceFinalizersRemaining",
                False,
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            )
        ),
    ]
    before = {each["type"]: each for each in namespace.get("status", {}).get("conditions", ())}
    conditions = []
    for kind, holds, reason, message in wanted:
        old = before.get(kind)
        since = old["lastTransitionTime"] if old and old["status"] == str(holds) else now()
        conditions.append(
            {"type": kind, "status": str(holds), "lastTransitionTime": since, "reason": reason, "message": message}
        )
    return conditions


def reconcile_project(api: ClusterAPI, key: Key) -> float | None:
    """One step for one OpenShift project."""
    namespace = find(api, "namespaces", *key)
    if namespace is None or "deletionTimestamp" in namespace["metadata"]:
        return None
    _give_ids(api, namespace)
    name = key[1]
    for account in OPENSHIFT_ACCOUNTS:
        _give_account(api, name, account)
    for binding, (role, kind, subject) in OPENSHIFT_BINDINGS.items():
        if find(api, "rolebindings.rbac.authorization.k8s.io", name, binding) is None:
            _give_binding(api, name, binding, role, kind, subject.format(namespace=name))
    return None


def _give_ids(api: ClusterAPI, namespace: Object) -> None:
    annotations = namespace["metadata"].get("annotations", {})
    if "openshift.io/sa.scc.uid-range" in annotations:
        return
    taken = {
        int(each["metadata"]["annotations"]["openshift.io/sa.scc.uid-range"].partition("/")[0])
        for each in api.list("namespaces")
        if "openshift.io/sa.scc.uid-range" in each["metadata"].get("annotations", {})
    }
    first = max(taken, default=FIRST_UID) + UIDS_PER_PROJECT
    block = (first - FIRST_UID) // UIDS_PER_PROJECT
    level = f"s0:c{20 + block // 1000},c{block % 1000}"
    namespace["metadata"]["annotations"] = annotations | {
        "openshift.io/sa.scc.mcs": level,
        "openshift.io/sa.scc.supplemental-groups": f"{first}/{UIDS_PER_PROJECT}",
        "openshift.io/sa.scc.uid-range": f"{first}/{UIDS_PER_PROJECT}",
    }
    api.update("namespaces", namespace)


def _give_account(api: ClusterAPI, namespace: str, name: str) -> None:
    account = find(api, "serviceaccounts", namespace, name)
    if account is None:
        if name == "default":
            return
        account = _create(api, "serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount"}, namespace, name)
    if any("-dockercfg-" in each["name"] for each in account.get("imagePullSecrets", ())):
        return
    secret = generated_name(f"{name}-dockercfg-")
    token = secrets.token_urlsafe(32)
    login = {"username": "<token>", "password": token, "email": "serviceaccount@example.org"}
    login["auth"] = base64.b64encode(f"<token>:{token}".encode()).decode()
    config = base64.b64encode(json.dumps({REGISTRY: login}).encode()).decode()
    _create(
        api,
        "secrets",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/dockercfg",
            "data": {".dockercfg": config},
        },
        namespace,
        secret,
        annotations={
            "kubernetes.io/service-account.name": name,
            "openshift.io/internal-registry-auth-token.service-account": name,
        },
        ownerReferences=[
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "name": name,
                "uid": account["metadata"]["uid"],
                "controller": False,
                "blockOwnerDeletion": False,
            }
        ],
    )
    account["imagePullSecrets"] = [*account.get("imagePullSecrets", ()), {"name": secret}]
    account["secrets"] = [*account.get("secrets", ()), {"name": secret}]
    annotations = account["metadata"].setdefault("annotations", {})
    annotations["openshift.io/internal-registry-pull-secret-ref"] = secret
    api.update("serviceaccounts", account)


def _give_binding(api: ClusterAPI, namespace: str, name: str, role: str, kind: str, subject: str) -> None:
    entry: Object = {"kind": kind, "name": subject}
    entry |= {"namespace": namespace} if kind == "ServiceAccount" else {"apiGroup": "rbac.authorization.k8s.io"}
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [entry],
    }
    annotations = {"openshift.io/description": f"Given to every project: {role}."}
    _create(api, "rolebindings.rbac.authorization.k8s.io", body, namespace, name, annotations=annotations)
