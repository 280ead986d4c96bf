"""Which resources a cluster serves: Kubernetes' own, OpenShift's, snapshots, and those of its CRDs.

Kubernetes' own are read from `data/discovery.json`, the aggregated discovery documents of v1.36; the others are stated
here in the same form.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
DATA = Path(__file__).parent / "data"

# Groups whose objects only pass through: reviews and bindings are answered, never stored.
NOT_STORED = {"bindings", "tokenreviews", "selfsubjectreviews", "localsubjectaccessreviews", "subjectaccessreviews"}
NOT_STORED |= {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "componentstatuses"}
# Resources whose storage is named for an older version than they are served at.
HASHED_AS = {"customresourcedefinitions.apiextensions.k8s.io": "v1beta1"}


@dataclass(frozen=True)
class ResourceInfo:
    """One resource at one version. `subresources` maps names such as `status` to their discovery entries."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, dict[str, Any]] = field(default_factory=dict, hash=False, compare=False)
    # The structural schema and printer columns of a custom resource; None for built-in ones.
    custom: dict[str, Any] | None = field(default=None, hash=False, compare=False)

    @cached_property
    def name(self) -> str:
        """`pods`, `deployments.apps`: what stores and controllers call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def qualified_kind(self) -> str:
        """`Deployment.apps`, `ConfigMap`: how validation messages begin."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    @cached_property
    def storage_version_hash(self) -> str:
        """As k8s.io/apiserver/pkg/endpoints/discovery.StorageVersionHash makes it."""
        stored = HASHED_AS.get(self.name, self.version)
        digest = hashlib.sha256(f"{self.group}/{stored}/{self.kind}".encode()).digest()
        return base64.b64encode(digest[:8]).decode()


def _from_discovery(group: str, versions: Iterable[dict[str, Any]]) -> Iterator[ResourceInfo]:
    for version in versions:
        for each in version["resources"]:
            yield ResourceInfo(
                group=group,
                version=version["version"],
                plural=each["resource"],
                singular=each.get("singularResource", ""),
                kind=each["responseKind"]["kind"],
                namespaced=each["scope"] == "Namespaced",
                verbs=tuple(each["verbs"]),
                short_names=tuple(each.get("shortNames", ())),
                categories=tuple(each.get("categories", ())),
                subresources={sub["subresource"]: sub for sub in each.get("subresources", ())},
            )


def _status(kind: str) -> dict[str, dict[str, Any]]:
    response = {"group": "", "version": "", "kind": kind}
    return {"status": {"subresource": "status", "responseKind": response, "verbs": ["get", "patch", "update"]}}


def _scale() -> dict[str, dict[str, Any]]:
    response = {"group": "extensions", "version": "v1beta1", "kind": "Scale"}
    return {"scale": {"subresource": "scale", "responseKind": response, "verbs": ["get", "patch", "update"]}}


_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# The reference to the snapshot is one value to whoever manages it.
_SNAPSHOT_CONTENT = {
    **_OPEN,
    "properties": {
        "spec": {**_OPEN, "properties": {"volumeSnapshotRef": {**_OPEN, "x-kubernetes-map-type": "atomic"}}}
    },
}


def _extra() -> list[ResourceInfo]:
    route, config = "route.openshift.io", "apps.openshift.io"
    snapshot, image = "snapshot.storage.k8s.io", "image.openshift.io"
    return [
        ResourceInfo(route, "v1", "routes", "route", "Route", True, categories=("all",), subresources=_status("Route")),
        ResourceInfo(
            config, "v1", "deploymentconfigs", "deploymentconfig", "DeploymentConfig", True,
            short_names=("dc",), categories=("all",), subresources=_status("DeploymentConfig") | _scale(),
        ),
        ResourceInfo(
            image, "v1", "imagestreams", "imagestream", "ImageStream", True,
            short_names=("is",), categories=("all",), subresources=_status("ImageStream"),
        ),
        ResourceInfo(
            "config.openshift.io", "v1", "clusterversions", "clusterversion", "ClusterVersion", False,
            subresources=_status("ClusterVersion"),
        ),
        ResourceInfo(
            "security.openshift.io", "v1", "securitycontextconstraints", "securitycontextconstraints",
            "SecurityContextConstraints", False, short_names=("scc",),
        ),
        ResourceInfo("template.openshift.io", "v1", "templates", "template", "Template", True),
        ResourceInfo(
            snapshot, "v1", "volumesnapshotclasses", "volumesnapshotclass", "VolumeSnapshotClass", False,
            short_names=("vsclass", "vsclasses"), custom={},
        ),
        ResourceInfo(
            snapshot, "v1", "volumesnapshotcontents", "volumesnapshotcontent", "VolumeSnapshotContent", False,
            short_names=("vsc", "vscs"), subresources=_status("VolumeSnapshotContent"),
            custom={"schema": {"openAPIV3Schema": _SNAPSHOT_CONTENT}},
        ),
        ResourceInfo(
            snapshot, "v1", "volumesnapshots", "volumesnapshot", "VolumeSnapshot", True,
            short_names=("vs",), subresources=_status("VolumeSnapshot"), custom={},
        ),
    ]  # fmt: skip


class Registry:
    """The served resources, by group and version; CRDs add to it and take away from it."""

    def __init__(self, *, extra: bool = True) -> None:
        documents = json.loads((DATA / "discovery.json").read_text())
        found = list(_from_discovery("", documents["core"][0]["versions"]))
        for item in documents["groups"]:
            found += _from_discovery(item["metadata"]["name"], item["versions"])
        if extra:
            found += _extra()
        self._by_path: dict[tuple[str, str, str], ResourceInfo] = {}
        self._by_name: dict[str, ResourceInfo] = {}
        # CRDs come and go; a kind is never stored twice under two of its versions.
        for info in found:
            self.add(info)

    def add(self, info: ResourceInfo) -> None:
        self._by_path[info.group, info.version, info.plural] = info
        self._by_name.setdefault(info.name, info)

    def remove(self, group: str, plural: str) -> None:
        for key in [key for key in self._by_path if (key[0], key[2]) == (group, plural)]:
            del self._by_path[key]
        self._by_name.pop(f"{plural}.{group}" if group else plural, None)

    def get(self, group: str, version: str, plural: str) -> ResourceInfo | None:
        return self._by_path.get((group, version, plural))

    def named(self, name: str) -> ResourceInfo:
        """The resource called `pods` or `deployments.apps`, at its preferred version. Raises KeyError."""
        return self._by_name[name]

    def all(self) -> list[ResourceInfo]:
        return list(self._by_path.values())

    def preferred(self) -> list[ResourceInfo]:
        return list(self._by_name.values())

    def by_kind(self, api_version: str, kind: str) -> ResourceInfo | None:
        return next(
            (each for each in self._by_path.values() if (each.api_version, each.kind) == (api_version, kind)), None
        )

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, in the order of their adding; the core group is not among them."""
        found: dict[str, list[str]] = {}
        for info in self._by_path.values():
            if info.group and info.version not in found.setdefault(info.group, []):
                found[info.group].append(info.version)
        return found
