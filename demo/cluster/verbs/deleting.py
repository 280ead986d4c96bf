"""Delete one object, or all that fit."""

from __future__ import annotations

from typing import Any

from demo.cluster import deletion, selectors
from demo.cluster.api import ClusterAPI
from demo.cluster.authentication import User
from demo.cluster.exchanges import is_dry_run, options_of, send, send_object
from demo.cluster.http import Exchange
from demo.cluster.targets import Target

Object = dict[str, Any]
# A deletion answers with the object for these, and with a Status for all others.
DELETED_SHOWN = {
    "pods", "services", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts", "namespaces",
    "storageclasses.storage.k8s.io",
}  # fmt: skip
# What the real server says to who deletes a Job without saying what is to become of its pods.
PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)


async def delete(api: ClusterAPI, exchange: Exchange, user: User, target: Target) -> None:
    info, options = target.info, options_of(exchange)
    obj, gone = deletion.delete(
        api,
        info,
        target.namespace,
        target.name,
        options,
        user=user.name,
        dry_run=is_dry_run(exchange) or "All" in str(options.get("dryRun", "")),
    )
    if not gone or info.name in DELETED_SHOWN:
        warnings = [PODS_STAY] if deletion.orphans_by_default(info, options) else []
        await send_object(exchange, info, 200, obj, warnings)
        return
    details: Object = {"name": target.name, **({"group": info.group} if info.group else {})}
    details |= {"kind": info.plural, "uid": obj["metadata"]["uid"]}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    await send(exchange, 200, status)


async def delete_collection(api: ClusterAPI, exchange: Exchange, target: Target) -> None:
    info = target.info
    matches = selectors.labels(exchange.first("labelSelector"))
    matches_fields = selectors.fields(exchange.first("fieldSelector"), info.name)
    options = options_of(exchange)
    found = [
        each
        for each in list(api.store.objects(info.name, target.namespace if info.namespaced else None))
        if (matches is None or matches(each["metadata"].get("labels") or {}))
        and (matches_fields is None or matches_fields(each))
    ]
    version = str(api.store.version)
    for each in found:
        metadata = each["metadata"]
        deletion.delete(api, info, metadata.get("namespace", ""), metadata["name"], options)
    head = {"kind": f"{info.kind}List", "apiVersion": info.api_version, "metadata": {"resourceVersion": version}}
    items = [{k: v for k, v in each.items() if k not in ("kind", "apiVersion")} for each in found]
    await send(exchange, 200, {**head, "items": items})
