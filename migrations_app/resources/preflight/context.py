"""What every check starts from: both sides, what was asked for, and what would come to be on the destination."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from clusters.kube.discovery import Discovery
from migrations_app.resources.dependencies import Missing
from migrations_app.resources.marks import key_of, type_of
from migrations_app.resources.preflight.facts import Facts
from migrations_app.resources.preflight.workloads import Workload, workloads
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
CLASSES = "storageclasses.storage.k8s.io"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


@dataclass(frozen=True)
class WantedClaim:
    """A claim as it is to be on the destination. An empty class stands for the destination's default one."""

    namespace: str
    name: str
    bytes: int
    storage_class: str
    access_modes: tuple[str, ...]
    mode: str = "Filesystem"
    # Whether data comes with it.
    with_data: bool = True
    # The claim as the source has it, and the pods there that use it.
    source: Object = field(default_factory=dict)
    users: tuple[Object, ...] = ()
    # Of the snapshot that the engine reads instead, where it can; empty where it reads the claim itself.
    snapshot_class: str = ""
    why_live: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def label(self) -> str:
        return f"PersistentVolumeClaim {self}"

    @property
    def source_name(self) -> str:
        return str(self.source["metadata"]["name"])

    @property
    def source_label(self) -> str:
        """The claim's place on the source."""
        return f"{self.source['metadata']['namespace']}/{self.source_name}"


@dataclass
class Context:
    """What is known when the checks begin. `planned` are the collected objects, transformed for the destination.

    `namespaces` are the destination's by name, as they are there or will be made; `existing` those of them that are
    there; `source_namespaces` are the source's.
    """

    source: Facts
    destination: Facts
    spec: Spec
    migration_id: str = ""
    # Earlier migrations over the same pair, whose objects this one may change.
    earlier: Collection[str] = ()
    # Where the migration purges, the kinds that those brought: version, kind, and namespace on the destination.
    purgeable: Collection[tuple[str, str, str]] = ()
    collected: Sequence[Object] = ()
    planned: Sequence[Object] = ()
    claims: Sequence[WantedClaim] = ()
    namespaces: Mapping[str, Object] = field(default_factory=dict)
    source_namespaces: Mapping[str, Object] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    missing: Sequence[Missing] = ()
    # The pod spec of the engine's movers, where it has some.
    mover: Object | None = None
    # Whether the movers' Secrets are written again while they run.
    renews_keys: bool = False

    @cached_property
    def workloads(self) -> list[Workload]:
        return workloads(self.planned)

    @cached_property
    def planned_keys(self) -> set[tuple[str, str, str, str]]:
        """Group, kind, namespace and name of all that comes."""
        return {key_of(obj) for obj in self.planned}

    def of_type(self, group: str, kind: str) -> list[Object]:
        """The objects of the kind that come."""
        return [obj for obj in self.planned if type_of(obj) == (group, kind)]

    def has(self, resource: str, group: str, kind: str, name: str, namespace: str = "") -> bool:
        """Whether the destination has the object, or will have it. Raises Unreadable."""
        if (group, kind, namespace, name) in self.planned_keys:
            return True
        if namespace in self.namespaces and namespace not in self.existing:
            return False
        return name in self.destination.named(resource, namespace)

    def is_ours(self, kind: str, group: str, obj: Object) -> bool:
        """Whether an object of the destination is one that comes: the same name in the same place."""
        metadata = obj["metadata"]
        return (group, kind, metadata.get("namespace", ""), metadata["name"]) in self.planned_keys

    def class_of(self, claim: WantedClaim) -> Object | None:
        """The destination's storage class of the claim. Raises Unreadable."""
        classes = self.destination.named(CLASSES)
        if claim.storage_class:
            return classes.get(claim.storage_class)
        return next((each for each in classes.values() if is_default(each)), None)

    @property
    def discovery(self) -> Discovery:
        """What the destination serves."""
        return self.destination.discovery


def is_default(storage_class: Object) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"


def label(obj: Object) -> str:
    """`Deployment cms/mysql`, as results name objects."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{obj['kind']} {namespace}/{metadata['name']}" if namespace else f"{obj['kind']} {metadata['name']}"
