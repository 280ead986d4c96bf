"""Deletion: preconditions, finalizers, grace, and what only marks an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.cluster import definitions, statuses, webhooks
from demo.cluster.registry import ResourceInfo
from demo.cluster.times import later, now

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

Object = dict[str, Any]


def delete(
    api: ClusterAPI,
    info: ResourceInfo,
    namespace: str,
    name: str,
    options: Object,
    *,
    user: str = "",
    dry_run: bool = False,
) -> tuple[Object, bool]:
    """Delete, or mark for deletion: the object as it is then, and whether it is gone. Raises APIError."""
    old = api.store.get(info.name, namespace, name)
    if old is None:
        raise statuses.not_found(info, name)
    metadata = dict(old["metadata"])
    preconditions = options.get("preconditions") or {}
    for field, words in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted = preconditions.get(field)
        if wanted and wanted != metadata[field]:
            message = (
                f'Operation cannot be fulfilled on {info.kind} "{name}": the {words} in the precondition '
                f"({wanted}) does not match the {words} in record ({metadata[field]}). "
                "The object might have been deleted and then recreated"
            )
            raise statuses.APIError(409, "Conflict", message, {"name": name, "kind": info.kind})
    webhooks.validate(api, webhooks.Request("DELETE", info, None, old, user, dry_run), [])
    finalizers = list(metadata.get("finalizers") or ())
    propagation = options.get("propagationPolicy")
    if options.get("orphanDependents") or orphans_by_default(info, options):
        propagation = "Orphan"
    if propagation == "Foreground" and "foregroundDeletion" not in finalizers:
        finalizers.append("foregroundDeletion")
    if propagation == "Orphan" and "orphan" not in finalizers:
        finalizers.append("orphan")
    grace = options.get("gracePeriodSeconds")
    grace = _pod_grace(old, grace) if info.name == "pods" else 0
    if info.name == definitions.CRDS:
        return _delete_definition(api, old, dry_run=dry_run), False
    waits = bool(finalizers) or (info.name == "pods" and grace > 0) or info.name == "namespaces"
    if not waits:
        if dry_run:
            return old, True
        gone = api.store.write("DELETED", info.name, {**old, "metadata": metadata})
        definitions.noticed(api, info, gone, deleted=True)
        return gone, True
    if "deletionTimestamp" in metadata and finalizers == (metadata.get("finalizers") or []):
        shortened = info.name == "pods" and grace < metadata.get("deletionGracePeriodSeconds", 0)
        if not shortened:
            return old, False
    metadata.setdefault("deletionTimestamp", later(grace) if info.name == "pods" else now())
    if info.name != "namespaces":
        metadata["deletionGracePeriodSeconds"] = grace
    if finalizers:
        metadata["finalizers"] = finalizers
    if "generation" in metadata and info.name != "namespaces":
        metadata["generation"] += 1
    changed = {**old, "metadata": metadata}
    if info.name == "namespaces":
        changed["status"] = {**old.get("status", {}), "phase": "Terminating"}
    if dry_run:
        return changed, False
    return api.store.write("MODIFIED", info.name, changed), False


def orphans_by_default(info: ResourceInfo, options: Object) -> bool:
    """Whether the kind leaves its dependents behind unless told otherwise: batch/v1 does, for old clients' sake."""
    return info.name == "jobs.batch" and not {"propagationPolicy", "orphanDependents"} & options.keys()


def _pod_grace(pod: Object, asked: int | None) -> int:
    grace = asked if asked is not None else pod["spec"].get("terminationGracePeriodSeconds", 30)
    if not pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(grace)


def _delete_definition(api: ClusterAPI, old: Object, *, dry_run: bool) -> Object:
    """Its objects go at once, unless finalizers hold them, and the definition with the last of them."""
    if "deletionTimestamp" in old["metadata"]:
        return old
    marked = definitions.mark(api, old, dry_run=dry_run)
    if not dry_run:
        custom = api.registry.named(old["metadata"]["name"])
        for each in list(api.store.objects(custom.name)):
            delete(api, custom, each["metadata"].get("namespace", ""), each["metadata"]["name"], {})
        definitions.clean_up(api, marked)
    return marked
