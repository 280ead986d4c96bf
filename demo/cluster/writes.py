"""The path of a write: check, default, validate, admit, keep track of managers, store.

`create` serves POST and the creation by server-side apply; `update` serves PUT and every patch, of an object or of one
of its subresources.
"""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING, Any

from demo.cluster import (
    admission,
    crds,
    defaults,
    definitions,
    managed_fields,
    ownership,
    schemas,
    statuses,
    validation,
    webhooks,
)
from demo.cluster.registry import ResourceInfo
from demo.cluster.statuses import Cause, required
from demo.cluster.times import now

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
# Kinds whose generation counts changes of the spec (beside every custom resource).
COUNTED = {
    "deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps", "jobs.batch", "cronjobs.batch",
    "pods",
    "networkpolicies.networking.k8s.io", "ingresses.networking.k8s.io", "poddisruptionbudgets.policy",
    "customresourcedefinitions.apiextensions.k8s.io", "deploymentconfigs.apps.openshift.io",
    "endpointslices.discovery.k8s.io",
    "volumesnapshots.snapshot.storage.k8s.io", "volumesnapshotcontents.snapshot.storage.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io",
}  # fmt: skip
# Kinds whose creator may give the status as well.
STATUS_AT_CREATION = {"pods", "persistentvolumeclaims", "namespaces", "nodes", "persistentvolumes"}
# What only the server sets.
SERVERS_OWN = (
    "resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "uid", "generation",
    "managedFields",
)  # fmt: skip


def create(
    api: ClusterAPI,
    info: ResourceInfo,
    obj: Object,
    *,
    namespace: str | None = None,
    user: str = "",
    manager: str = "unknown",
    owned: list[Object] | None = None,
    dry_run: bool = False,
    warnings: list[str] | None = None,
) -> Object:
    """Store a new object; its managedFields are `owned`, or all that it holds is the manager's. Raises APIError.

    What webhooks warn of is added to `warnings`.
    """
    metadata = dict(obj.get("metadata") or {})
    namespace = namespace if namespace is not None else metadata.get("namespace", "")
    if not info.namespaced:
        namespace = ""
        metadata.pop("namespace", None)
    given = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"] + "".join(secrets.choice(NAME_LETTERS) for _ in range(5))
    if not metadata.get("name"):
        raise statuses.invalid(info, "", [required("metadata.name", "name or generateName is required")])
    name = metadata["name"]
    if info.namespaced:
        metadata["namespace"] = namespace
    for field in SERVERS_OWN:
        metadata.pop(field, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now()
    obj = {"kind": info.kind, "apiVersion": info.api_version, "metadata": metadata, **given}
    if info.has_status and info.name not in STATUS_AT_CREATION:
        obj.pop("status", None)
    obj, causes = _completed(info, obj)
    said = [] if warnings is None else warnings
    asked = webhooks.Request("CREATE", info, obj, None, user, dry_run)
    if (changed := webhooks.mutated(api, asked, said)) is not None:
        # What webhooks change belongs to nobody.
        owned = ownership.after_create(info, obj, manager) if owned is None else owned
        obj, causes = _completed(info, changed)
    metadata = obj["metadata"]
    if info.custom is not None or info.name in COUNTED:
        metadata["generation"] = 1
    causes = validation.name(info.kind, name) + causes
    if not causes and info.custom is None and info.name in validation.VALIDATORS:
        causes = validation.VALIDATORS[info.name](obj)
    if causes:
        raise statuses.invalid(info, name, causes)
    if info.name == definitions.CRDS:
        definitions.check(info, obj)
        definitions.prepare(obj)
    if info.namespaced:
        admission.check_namespace(api, info, namespace, name)
    if api.store.get(info.name, namespace, name) is not None:
        if info.name == "services":
            # A Service gets its address before anybody looks for its name.
            admission.check_wanted_address(api, info, obj)
        raise statuses.already_exists(info, name)
    # What admission allocates from here on belongs to nobody.
    owned = ownership.after_create(info, obj, manager) if owned is None else owned
    admission.admit(api, info, obj, user)
    webhooks.validate(api, asked._replace(obj=obj), said)
    if owned:
        metadata["managedFields"] = owned
    if dry_run:
        return obj
    stored = api.store.write("ADDED", info.name, obj)
    definitions.noticed(api, info, stored)
    return stored


def _completed(info: ResourceInfo, obj: Object) -> tuple[Object, list[Cause]]:
    """The object with its defaults, and what its definition's schema has against it."""
    if info.custom is not None:
        obj = crds.default(info, obj)
        return obj, crds.validate(info, obj)
    _fill(info, obj)
    return obj, []


def _fill(info: ResourceInfo, obj: Object) -> None:
    if info.kind not in ("Namespace", "ConfigMap", "Secret", "Event") and "spec" not in obj:
        node = schemas.of_kind(info.group, info.version, info.kind)
        if node and "spec" in node.get("properties", {}):
            obj["spec"] = {}
    if info.name in ("deployments.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch"):
        obj["spec"].setdefault("template", {})
    fill = defaults.DEFAULTS.get(info.name)
    if fill:
        fill(obj)
    if info.kind == "Secret" and "stringData" in obj:
        admission.encode_string_data(obj)
    if info.has_status and "status" not in obj:
        obj["status"] = {}


def update(
    api: ClusterAPI,
    info: ResourceInfo,
    obj: Object,
    *,
    subresource: str | None = None,
    user: str = "",
    manager: str = "unknown",
    dry_run: bool = False,
    track: bool = True,
    disowned: frozenset[managed_fields.Path] = frozenset(),
    warnings: list[str] | None = None,
) -> Object:
    """Store a changed object (PUT, or the outcome of a patch). Raises APIError.

    What webhooks warn of is added to `warnings`.
    """
    said = [] if warnings is None else warnings
    metadata = dict(obj.get("metadata") or {})
    name = metadata.get("name", "")
    namespace = metadata.get("namespace", "") if info.namespaced else ""
    old = api.store.get(info.name, namespace, name)
    if old is None:
        raise statuses.not_found(info, name)
    was = old["metadata"]
    version = metadata.get("resourceVersion")
    if metadata.get("uid") and metadata["uid"] != was["uid"]:
        key = f"/registry/{info.plural}/{namespace + '/' if namespace else ''}{name}"
        why = (
            f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
            f"failed: UID in precondition: {metadata['uid']}, UID in object meta: {was['uid']}"
        )
        raise statuses.conflict(info, name, why)
    if version and version != was["resourceVersion"]:
        raise statuses.modified(info, name)
    obj = {"kind": info.kind, "apiVersion": info.api_version, **obj}
    asked = webhooks.Request("UPDATE", info, obj, old, user, dry_run, subresource or "")
    if subresource == "status":
        obj = {**old, "metadata": dict(was), "status": obj.get("status", {})}
        for field in ("labels", "annotations", "finalizers"):
            if field in metadata and info.custom is None:
                obj["metadata"][field] = metadata[field]
    elif subresource == "finalize":
        obj = {**old, "metadata": dict(was), "spec": obj.get("spec", {})}
    else:
        kept = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
        metadata = {key: value for key, value in metadata.items() if key not in kept}
        metadata |= {key: was[key] for key in kept if key in was}
        obj = {**obj, "metadata": metadata}
        if info.has_status:
            obj.pop("status", None)
            if "status" in old:
                obj["status"] = old["status"]
        if info.custom is None:
            admission.carry_over(info, old, obj)
        obj, causes = _completed(info, obj)
        if (changed := webhooks.mutated(api, asked._replace(obj=obj), said)) is not None:
            obj, causes = _completed(info, changed)
        if info.custom is None:
            causes = validation.immutable(info.name, old, obj)
            if not causes and info.name in validation.VALIDATORS and info.name != "pods":
                causes = validation.VALIDATORS[info.name](obj)
        if causes:
            raise statuses.invalid(info, name, causes)
        admission.admit_update(api, info, old, obj)
        if (info.name in COUNTED or info.custom is not None) and _spec_changed(info, old, obj):
            obj["metadata"]["generation"] = was.get("generation", 0) + 1
    webhooks.validate(api, asked._replace(obj=obj), said)
    obj["metadata"] = {**obj["metadata"], "uid": was["uid"], "resourceVersion": was["resourceVersion"]}
    if track and not obj["metadata"].get("managedFields"):
        obj["metadata"]["managedFields"] = was.get("managedFields") or []
    if _same(old, obj) and _same_managers(old, obj):
        return old
    if track:
        owned = ownership.after_update(info, old, obj, manager, subresource)
        obj["metadata"]["managedFields"] = ownership.without(owned, disowned)
    if info.name == "persistentvolumes" and old["status"].get("phase") != obj["status"].get("phase"):
        # Set by the server itself, so that nobody manages it.
        obj["status"] = {**obj["status"], "lastPhaseTransitionTime": now()}
    if not obj["metadata"].get("managedFields"):
        obj["metadata"].pop("managedFields", None)
    if dry_run:
        return obj
    if "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers"):
        finished = info.name != "namespaces" or not obj.get("spec", {}).get("finalizers")
        if finished and (info.name != "pods" or obj["metadata"].get("deletionGracePeriodSeconds") == 0):
            gone = api.store.write("DELETED", info.name, obj)
            definitions.noticed(api, info, gone, deleted=True)
            return gone
    stored = api.store.write("MODIFIED", info.name, obj)
    definitions.noticed(api, info, stored)
    return stored


def _spec_changed(info: ResourceInfo, old: Object, new: Object) -> bool:
    ignored = {"metadata", "status"} if info.has_status or info.custom is None else {"metadata"}
    return {key: old[key] for key in old if key not in ignored} != {key: new[key] for key in new if key not in ignored}


def _same(old: Object, new: Object) -> bool:
    def plain(obj: Object) -> Object:
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields" and value}
        return {**obj, "metadata": metadata}

    return plain(old) == plain(new)


def _same_managers(old: Object, new: Object) -> bool:
    def untimed(obj: Object) -> list[Object]:
        return [{k: v for k, v in entry.items() if k != "time"} for entry in obj["metadata"].get("managedFields") or ()]

    return untimed(old) == untimed(new)
