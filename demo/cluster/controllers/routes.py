"""OpenShift's router: a Route gets a host and is admitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo.cluster.controllers.loop import Key, Object, find, key_of, now, own_key, reconcile_loop, update_status

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

ROUTES = "routes.route.openshift.io"
INGRESSES = "ingresses.config.openshift.io"
GENERATED = "openshift.io/host.generated"


async def run(api: ClusterAPI) -> None:
    """Admit Routes for ever."""
    await reconcile_loop(api, {ROUTES: own_key}, reconcile)


def apps_domain(api: ClusterAPI) -> str:
    """The domain under which the cluster's routes are."""
    ingress = find(api, INGRESSES, None, "cluster")
    return ingress["spec"]["domain"] if ingress else f"apps.{api.name}.example.com"


def reconcile(api: ClusterAPI, key: Key) -> float | None:
    """One step for one Route."""
    route = find(api, ROUTES, *key)
    if route is None or "deletionTimestamp" in route["metadata"]:
        return None
    if not route["spec"].get("host"):
        namespace, name = key_of(route)
        route["spec"]["host"] = f"{name}-{namespace}.{apps_domain(api)}"
        route["metadata"].setdefault("annotations", {})[GENERATED] = "true"
        route = api.update(ROUTES, route)
    update_status(api, ROUTES, route, {"ingress": _ingress(api, route)})
    return None


def _ingress(api: ClusterAPI, route: Object) -> list[Object]:
    host, domain = route["spec"]["host"], apps_domain(api)
    before = next(iter(route.get("status", {}).get("ingress", ())), None)
    # Two Routes cannot have one host; the older one keeps it.
    rival = next(
        (
            other
            for other in api.list(ROUTES)
            if other["spec"].get("host") == host
            and other["metadata"]["uid"] != route["metadata"]["uid"]
            and other["spec"].get("path", "") == route["spec"].get("path", "")
            and other["metadata"]["creationTimestamp"] < route["metadata"]["creationTimestamp"]
        ),
        None,
    )
    condition: Object = {"type": "Admitted", "status": "False" if rival else "True"}
    if rival:
        owner = f"{rival['metadata']['namespace']}/{rival['metadata']['name']}"
        condition |= {"reason": "HostAlreadyClaimed", "message": f"route {owner} already exposes {host} and is older"}
    same = before is not None and before["conditions"][0]["status"] == condition["status"]
    condition["lastTransitionTime"] = before["conditions"][0]["lastTransitionTime"] if before and same else now()
    return [
        {
            "conditions": [condition],
            "host": host,
            "routerCanonicalHostname": f"router-default.{domain}",
            "routerName": "default",
            "wildcardPolicy": route["spec"].get("wildcardPolicy", "None"),
        }
    ]
