"""Quotas: how much of each is used is written into its status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster import quotas
from demo.cluster.controllers.loop import Key, Object, find, own_key, reconcile_loop, update_status

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

# What changes the usage of a quota of the same namespace.
COUNTED = ("pods", "services", "persistentvolumeclaims", "secrets", "configmaps")


async def run(api: ClusterAPI) -> None:
    """Keep the statuses of quotas up to date, for ever."""

    def quotas_beside(obj: Object) -> list[Key]:
        namespace = obj["metadata"]["namespace"]
        return [(namespace, each["metadata"]["name"]) for each in api.store.objects(quotas.QUOTAS, namespace)]

    watched = {quotas.QUOTAS: own_key, **dict.fromkeys(COUNTED, quotas_beside)}
    await reconcile_loop(api, watched, report)


def report(api: ClusterAPI, key: Key) -> float | None:
    """The status of one quota."""
    quota = find(api, quotas.QUOTAS, *key)
    if quota is None:
        return None
    used = {name: quotas.shown(name, amount) for name, amount in quotas.used_of(api, quota).items()}
    update_status(api, quotas.QUOTAS, quota, {"hard": quota.get("spec", {}).get("hard") or {}, "used": used})
    return None
