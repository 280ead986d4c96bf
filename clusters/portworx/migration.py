"""Stork's Migration: its manifest from a plain value, and its status as a plain value.

Field names, defaults and texts are those of stork.libopenstorage.org/v1alpha1 (Stork 24). Stork's definitions have an
open schema: the server takes anything, so whatever is read here may be missing, null or of another type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from clusters.portworx import durations

Object = dict[str, Any]
GROUP = "stork.libopenstorage.org"
API_VERSION = f"{GROUP}/v1alpha1"
MIGRATIONS = f"migrations.{GROUP}"
# A Migration here may be about any namespace; anywhere else only about its own.
ADMIN_NAMESPACE = "kube-system"
FINALIZER = f"{GROUP}/finalizer-cleanup"

PROGRESS = re.compile(
    r"Volume migration has started\. (?P<stage>\w+) in progress\.?"
    r"(?: BytesDone: (?P<done>\d+) BytesTotal: (?P<total>\d+) ETA: (?P<eta>\d+) seconds)?"
)


@dataclass(frozen=True, kw_only=True)
class MigrationSpec:
    """Every field of the spec. What is None or empty is left out of the manifest, so that Stork's default holds."""

    cluster_pair: str
    namespaces: tuple[str, ...] = ()
    admin_cluster_pair: str = ""
    namespace_selectors: Mapping[str, str] = field(default_factory=dict)
    include_resources: bool | None = None
    include_volumes: bool | None = None
    start_applications: bool | None = None
    purge_deleted_resources: bool | None = None
    skip_service_update: bool | None = None
    include_network_policy_with_cidr: bool | None = None
    selectors: Mapping[str, str] = field(default_factory=dict)
    exclude_selectors: Mapping[str, str] = field(default_factory=dict)
    exclude_resource_types: tuple[str, ...] = ()
    include_optional_resource_types: tuple[str, ...] = ()
    pre_exec_rule: str = ""
    post_exec_rule: str = ""
    skip_deleted_namespaces: bool | None = None
    transform_specs: tuple[str, ...] = ()
    ignore_owner_references_check: bool | None = None

    def to_object(self) -> Object:
        """The spec as Stork reads it."""
        found: Object = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None or value == "" or (not isinstance(value, bool) and not value):
                continue
            plain = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
            found[stork_name(each.name)] = plain
        return found

    @classmethod
    def of(cls, obj: Object) -> Self:
        """What a Migration in a cluster asks for."""
        spec = _mapping(obj.get("spec"))
        values: dict[str, Any] = {"cluster_pair": str(spec.get("clusterPair") or "")}
        for each in fields(cls):
            given = spec.get(stork_name(each.name))
            kind = str(each.type)
            if each.name == "cluster_pair" or given is None:
                continue
            if kind.startswith("tuple"):
                values[each.name] = tuple(str(item) for item in given) if isinstance(given, list) else ()
            elif kind.startswith("Mapping"):
                values[each.name] = {str(key): str(value) for key, value in _mapping(given).items()}
            elif kind.startswith("bool"):
                values[each.name] = given if isinstance(given, bool) else None
            else:
                values[each.name] = str(given)
        return cls(**values)


def stork_name(name: str) -> str:
    """`include_network_policy_with_cidr` as Stork spells it: `includeNetworkPolicyWithCIDR`."""
    first, *rest = name.split("_")
    return first + "".join("CIDR" if word == "cidr" else word.capitalize() for word in rest)


def manifest(
    name: str,
    namespace: str,
    spec: MigrationSpec,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """The whole object."""
    metadata: Object = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": API_VERSION, "kind": "Migration", "metadata": metadata, "spec": spec.to_object()}


@dataclass(frozen=True)
class Transfer:
    """How far one volume is, as its reason says. `stage` is Backup, Restore or VolumeUpdate; bytes, and seconds."""

    stage: str
    bytes_done: int | None
    bytes_total: int | None
    eta_seconds: int | None


@dataclass(frozen=True)
class VolumeStatus:
    """One claim of the Migration."""

    namespace: str
    claim: str
    volume: str
    status: str
    reason: str
    bytes_total: int

    def transfer(self) -> Transfer | None:
        """The progress that the reason tells, while it runs; None where the reason tells none."""
        found = PROGRESS.match(self.reason)
        if found is None or self.status != "InProgress":
            return None
        numbers = [None if found[name] is None else int(found[name]) for name in ("done", "total", "eta")]
        return Transfer(found["stage"], *numbers)


@dataclass(frozen=True)
class ResourceStatus:
    """One object of the Migration. `group` is empty for the core group, though Stork writes `core`."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    status: str
    reason: str
    transformed_by: str = ""


@dataclass(frozen=True)
class Summary:
    """Stork's own numbers. The elapsed times are texts: a Go duration, `NA`, or empty."""

    volumes_migrated: int
    volumes_total: int
    resources_migrated: int
    resources_total: int
    bytes_total: int
    elapsed_for_volumes: str
    elapsed_for_resources: str


@dataclass(frozen=True)
class MigrationStatus:
    """What a Migration says of itself. Stage and status are blank while Stork has accepted nothing."""

    stage: str
    status: str
    volumes: list[VolumeStatus]
    resources: list[ResourceStatus]
    summary: Summary | None
    finished: datetime | None
    volumes_finished: datetime | None
    resources_finished: datetime | None

    @property
    def is_over(self) -> bool:
        """Whether Stork will do nothing more."""
        return self.stage == "Final"

    @property
    def is_blank(self) -> bool:
        """Whether Stork has not begun: it waits, or a check fails, which only its events tell."""
        return not self.stage and not self.status


def read(obj: Object) -> MigrationStatus:
    """The status of a Migration object, however damaged it is."""
    status = _mapping(obj.get("status"))
    return MigrationStatus(
        stage=_text(status.get("stage")),
        status=_text(status.get("status")),
        volumes=[_volume(each) for each in _rows(status.get("volumes"))],
        resources=[_resource(each) for each in _rows(status.get("resources"))],
        summary=_summary(status.get("summary")),
        finished=durations.moment(status.get("finishTimestamp")),
        volumes_finished=durations.moment(status.get("volumeMigrationFinishTimestamp")),
        resources_finished=durations.moment(status.get("resourceMigrationFinishTimestamp")),
    )


def _volume(row: Object) -> VolumeStatus:
    return VolumeStatus(
        namespace=_text(row.get("namespace")),
        claim=_text(row.get("persistentVolumeClaim")),
        volume=_text(row.get("volume")),
        status=_text(row.get("status")),
        reason=_text(row.get("reason")),
        bytes_total=_number(row.get("bytesTotal")),
    )


def _resource(row: Object) -> ResourceStatus:
    group = _text(row.get("group"))
    return ResourceStatus(
        group="" if group == "core" else group,
        version=_text(row.get("version")),
        kind=_text(row.get("kind")),
        namespace=_text(row.get("namespace")),
        name=_text(row.get("name")),
        status=_text(row.get("status")),
        reason=_text(row.get("reason")),
        transformed_by=_text(row.get("transformedBy")),
    )


def _summary(given: object) -> Summary | None:
    if not isinstance(given, dict):
        return None
    return Summary(
        volumes_migrated=_number(given.get("numOfMigratedVolumes")),
        volumes_total=_number(given.get("totalNumberOfVolumes")),
        resources_migrated=_number(given.get("numOfMigratedResources")),
        resources_total=_number(given.get("totalNumberOfResources")),
        bytes_total=_number(given.get("totalBytesMigrated")),
        elapsed_for_volumes=_text(given.get("elapsedTimeForVolumeMigration")),
        elapsed_for_resources=_text(given.get("elapsedTimeForResourceMigration")),
    )


def _mapping(given: object) -> Object:
    return given if isinstance(given, dict) else {}


def _rows(given: object) -> Iterable[Object]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _number(given: object) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else 0
