"""What a path names, and whether somebody may do there what is asked."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from demo.cluster import rbac, statuses
from demo.cluster.api import ClusterAPI
from demo.cluster.authentication import User
from demo.cluster.http import Exchange
from demo.cluster.registry import Registry, ResourceInfo

Object = dict[str, Any]


class Target:
    """What a resource path names."""

    def __init__(self, info: ResourceInfo, namespace: str, name: str, subresource: str) -> None:
        self.info = info
        self.namespace = namespace
        self.name = name
        self.subresource = subresource


def target_of(registry: Registry, parts: list[str]) -> Target | None:
    """What the parts of a path name; None where nothing like it is served."""
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        namespace, rest = unquote(rest[1]), rest[2:]
    info = registry.get(group, version, rest[0])
    if info is None:
        return None
    name = unquote(rest[1]) if len(rest) > 1 else ""
    subresource = "/".join(rest[2:])
    if subresource and subresource.partition("/")[0] not in info.subresources:
        return None
    return Target(info, namespace, name, subresource)


def authorize(api: ClusterAPI, exchange: Exchange, user: User, target: Target, *, verb: str = "") -> None:
    """Raises Forbidden unless RBAC lets the user do this, or `verb` if it is given."""
    verb = verb or verb_of(exchange, target)
    resource = target.info.plural + (f"/{target.subresource.partition('/')[0]}" if target.subresource else "")
    wanted = rbac.Attributes(verb, target.info.group, resource, target.namespace, target.name)
    if target.info.name == "namespaces" and target.name:
        wanted = wanted._replace(namespace=target.name)
    if not rbac.allowed(api, user, wanted):
        if target.info.name == "namespaces":
            wanted = wanted._replace(namespace=target.name)
        raise statuses.forbidden(target.info, target.name, rbac.refusal(user, wanted))


def verb_of(exchange: Exchange, target: Target) -> str:
    match exchange.method:
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case "DELETE":
            return "delete" if target.name else "deletecollection"
    if exchange.first("watch") in ("true", "1"):
        return "watch"
    return "get" if target.name else "list"


def stored_name(info: ResourceInfo) -> str:
    """The name under which a resource is stored: events of both groups are the same objects."""
    return "events" if info.plural == "events" else info.name


def stored(api: ClusterAPI, target: Target) -> Object:
    """The object that is named. Raises NotFound."""
    found = api.store.get(stored_name(target.info), target.namespace, target.name)
    if found is None:
        raise statuses.not_found(target.info, target.name)
    return found
