"""Discovery documents, legacy and aggregated, made from the registry."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from demo.cluster.registry import NOT_STORED, Registry, ResourceInfo

Document = dict[str, Any]


def api_versions(address: str) -> Document:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _group(name: str, versions: list[str]) -> Document:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(registry: Registry) -> Document:
    groups = [_group(name, versions) for name, versions in registry.groups().items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Document | None:
    versions = registry.groups().get(name)
    if versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def resource_list(registry: Registry, group: str, version: str) -> Document | None:
    found = [info for info in registry.all() if (info.group, info.version) == (group, version)]
    if not found:
        return None
    rows: list[Document] = []
    for info in found:
        rows.append(_row(info))
        rows += [_subrow(info, name, sub) for name, sub in info.subresources.items()]
    custom = any(info.custom is not None for info in found)
    rows = rows if custom else sorted(rows, key=lambda row: row["name"])
    head: Document = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": rows}


def _row(info: ResourceInfo) -> Document:
    row: Document = {
        "name": info.plural,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": list(info.verbs),
    }
    if info.short_names:
        row["shortNames"] = list(info.short_names)
    if info.categories:
        row["categories"] = list(info.categories)
    if info.plural not in NOT_STORED:
        row["storageVersionHash"] = info.storage_version_hash
    return row


def _subrow(info: ResourceInfo, name: str, sub: Document) -> Document:
    response = sub["responseKind"]
    row: Document = {
        "name": f"{info.plural}/{name}",
        "singularName": "",
        "namespaced": info.namespaced,
        "kind": response["kind"],
        "verbs": sub["verbs"],
    }
    group, version = response.get("group", ""), response.get("version", "")
    if response["kind"] == "Scale":
        group, version = "autoscaling", "v1"
    if version and (group, version) != (info.group, info.version):
        row |= {"group": group, "version": version}
    return row


def aggregated(registry: Registry, *, core: bool, silent: Collection[str] = ()) -> Document:
    """The document; what a group's server said before it fell silent is still told, as stale."""
    items: list[Document] = []
    names = [""] if core else list(registry.groups())
    for name in names:
        versions = ["v1"] if core else registry.groups()[name]
        items.append(
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {
                        "version": version,
                        "resources": [
                            _aggregated_row(info)
                            for info in sorted(registry.all(), key=lambda each: each.plural)
                            if (info.group, info.version) == (name, version)
                        ],
                        "freshness": "Stale" if name in silent else "Current",
                    }
                    for version in versions
                ],
            }
        )
    head: Document = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2"}
    return {**head, "metadata": {}, "items": items}


def _aggregated_row(info: ResourceInfo) -> Document:
    response = {"group": "", "version": "", "kind": info.kind}
    if info.custom is not None:
        response = {"group": info.group, "version": info.version, "kind": info.kind}
    row: Document = {
        "resource": info.plural,
        "responseKind": response,
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": list(info.verbs),
    }
    if info.short_names:
        row["shortNames"] = list(info.short_names)
    if info.categories:
        row["categories"] = list(info.categories)
    if info.subresources:
        row["subresources"] = list(info.subresources.values())
    return row
