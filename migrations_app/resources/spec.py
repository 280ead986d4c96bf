"""What moves and how, as one value: rows, plans, pages, API and engines all speak of a migration with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self


class ConflictPolicy(StrEnum):
    """What is done with an object that the destination already has, that differs, and that is not ours."""

    REFUSE = "refuse"  # the object fails, naming the fields that differ
    SKIP = "skip"  # the destination's stays, which is said and is no failure
    TAKE_OVER = "take-over"  # ours is applied over it; the former content is kept for roll-back


class VolumeSnapshots(StrEnum):
    """Which volumes are read from a VolumeSnapshot and a temporary claim, instead of as they are used."""

    NEVER = "never"
    WHEN_NEEDED = "when-needed"  # those that a pod keeps all others from (ReadWriteOncePod)
    WHENEVER_POSSIBLE = "whenever-possible"  # all whose driver has a VolumeSnapshotClass


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of the collected objects go along. Kinds are `plural.group` (`deployments.apps`, `secrets`).

    Objects are named `plural.group/namespace/name`, with an empty namespace for cluster-scoped ones. A single object
    that is named wins over kinds and selectors; exclusion wins over inclusion. Empty means: everything.
    """

    label_selector: str = ""
    # Any one of these leaves an object out (Stork's excludeSelectors).
    exclude_selectors: tuple[str, ...] = ()
    include_kinds: tuple[str, ...] = ()
    exclude_kinds: tuple[str, ...] = ()
    include_objects: tuple[str, ...] = ()
    exclude_objects: tuple[str, ...] = ()
    # Objects that a controller on the destination would make again from their owners.
    include_owned: bool = False


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What moves over a pair, and how. Mappings go from the source's word to the destination's."""

    namespaces: tuple[str, ...]
    include_volumes: bool = True
    include_resources: bool = True
    start_applications: bool = True
    selection: Selection = field(default_factory=Selection)
    namespace_mapping: Mapping[str, str] = field(default_factory=dict)
    storage_class_mapping: Mapping[str, str] = field(default_factory=dict)
    # Access mode to access mode, such as ReadWriteOnce to ReadWriteOncePod.
    access_mode_mapping: Mapping[str, str] = field(default_factory=dict)
    # Registry or repository prefix to prefix: `registry.dev.example.com/cms` to `registry.example.com/cms`.
    image_mapping: Mapping[str, str] = field(default_factory=dict)
    # Suffix of the hosts of Routes and Ingresses to suffix: `apps.dev.example.com` to `apps.example.com`.
    host_mapping: Mapping[str, str] = field(default_factory=dict)
    # User rules as they were when the migration was made: [{"name", "rules"}], see `rules.py`.
    transformations: tuple[Mapping[str, Any], ...] = ()
    conflict_policy: ConflictPolicy = ConflictPolicy.REFUSE
    volume_snapshots: VolumeSnapshots = VolumeSnapshots.WHEN_NEEDED
    # Also delete on the destination what an earlier migration brought and the source has no longer.
    purge_deleted_resources: bool = False
    # Fields of Stork's Migration that only it knows, spelled as there; for pairs of the engine portworx alone.
    stork_options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The spec that `to_dict` gave; unknown names raise ValueError."""
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"Unknown: {', '.join(unknown)}.")
        values = dict(given)
        values["namespaces"] = tuple(given["namespaces"])
        selection: dict[str, Any] = dict(given.get("selection") or {})
        values["selection"] = Selection(**{key: _frozen(value) for key, value in selection.items()})
        values["transformations"] = tuple(given.get("transformations") or ())
        values["conflict_policy"] = ConflictPolicy(given.get("conflict_policy") or ConflictPolicy.REFUSE)
        values["volume_snapshots"] = VolumeSnapshots(given.get("volume_snapshots") or VolumeSnapshots.WHEN_NEEDED)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    def namespace_for(self, source: str) -> str:
        """The destination's namespace for one of the source."""
        return self.namespace_mapping.get(source, source)

    def destination_namespaces(self) -> tuple[str, ...]:
        """The namespaces on the destination, in the order of the source's."""
        return tuple(dict.fromkeys(self.namespace_for(name) for name in self.namespaces))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Selection):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, StrEnum) else value
