"""What a cluster serves: resources by group, version and kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from clusters.kube import errors
from clusters.texts import said


@dataclass(frozen=True)
class Resource:
    """One kind of object as a cluster serves it. `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """As kubectl and RBAC spell it: `deployments.apps`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, or of an object or its subresource where a name is given.

        Raises Invalid for a name that would lead somewhere else: an empty one to the whole collection.
        """
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


def _segment(name: str) -> str:
    if name in ("", ".", ".."):
        raise errors.Invalid(said("“{name}” cannot be the name of an object.", name=name))
    # RBAC names such as system:node need no escape.
    return quote(name, safe=":")


class Discovery:
    """The resources of one cluster, at the versions that it prefers, subresources left out.

    `unavailable` names the group versions whose own server gives no answer: what they serve is not known.
    """

    def __init__(self, resources: Iterable[Resource], unavailable: Iterable[str] = ()) -> None:
        self._resources = list(resources)
        self.unavailable = list(unavailable)
        self._by_kind = {(each.api_version, each.kind): each for each in self._resources}
        self._preferred: dict[tuple[str, str], Resource] = {}
        for each in self._resources:
            self._preferred.setdefault((each.group, each.plural), each)

    def resources(self) -> list[Resource]:
        """Every resource once, at its group's preferred version."""
        return list(self._preferred.values())

    def groups(self) -> set[str]:
        return {each.group for each in self._resources}

    def find(self, name: str, group: str | None = None) -> Resource | None:
        """The resource named `deployments.apps` or `deployments`; `group` narrows the short form."""
        plural, _dot, named_group = name.partition(".")
        wanted = named_group or group
        if wanted is not None:
            return self._preferred.get((wanted, plural))
        core = self._preferred.get(("", plural))
        return core or next((each for each in self._preferred.values() if each.plural == plural), None)

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource for exactly this version and kind, or None where the cluster does not serve it."""
        return self._by_kind.get((api_version, kind))

    def versions_of(self, group: str, kind: str) -> list[str]:
        """The versions of the kind that the cluster serves, preferred first."""
        return [each.version for each in self._resources if (each.group, each.kind) == (group, kind)]


def from_aggregated(*documents: dict[str, Any]) -> Discovery:
    """Discovery from `APIGroupDiscoveryList` documents (apidiscovery.k8s.io/v2 and v2beta1)."""
    found, silent = [], []
    for document in documents:
        for group in document.get("items") or []:
            for version in group.get("versions") or []:
                if version.get("freshness") == "Stale":
                    silent.append(f"{group['metadata'].get('name', '')}/{version['version']}")
                for resource in version.get("resources") or []:
                    kind = resource.get("responseKind") or {}
                    if not resource.get("verbs") or not kind.get("kind"):
                        continue
                    found.append(
                        Resource(
                            group=group["metadata"].get("name", ""),
                            version=version["version"],
                            plural=resource["resource"],
                            kind=kind["kind"],
                            namespaced=resource.get("scope") == "Namespaced",
                            verbs=frozenset(resource["verbs"]),
                        )
                    )
    return Discovery(found, silent)


def from_resource_list(group: str, version: str, document: dict[str, Any]) -> list[Resource]:
    """Resources from one legacy `APIResourceList`."""
    return [
        Resource(
            group, version, each["name"], each["kind"], bool(each.get("namespaced")), frozenset(each.get("verbs", []))
        )
        for each in document.get("resources") or []
        if "/" not in each["name"] and each.get("verbs")
    ]
