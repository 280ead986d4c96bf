"""What a migration was asked for, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from clusters.models import ClusterPair, Engine
from migrations_app.models import ConflictPolicy, VolumeSnapshots
from migrations_app.resources.spec import Spec


def in_words(pair: ClusterPair, spec: Spec) -> list[tuple[str, list[str]]]:
    """Names and values: the namespaces, and what goes beyond the defaults. Options of Stork have its own names."""
    selection = spec.selection
    is_storks = pair.engine == Engine.PORTWORX
    found = [
        (_("Namespaces"), [f"{name} → {spec.namespace_for(name)}" for name in spec.namespaces]),
        (_("Storage classes"), [] if is_storks else _arrows(spec.storage_class_mapping)),
        (_("Access modes"), _arrows(spec.access_mode_mapping)),
        (_("Images"), _arrows(spec.image_mapping)),
        (_("Hosts"), _arrows(spec.host_mapping)),
        (_("Label selector"), [selection.label_selector] if selection.label_selector else []),
        (_("Exclude selectors"), list(selection.exclude_selectors)),
        (_("Only these kinds"), list(selection.include_kinds)),
        (_("Without these kinds"), list(selection.exclude_kinds)),
        (_("Also these objects"), list(selection.include_objects)),
        (_("Without these objects"), list(selection.exclude_objects)),
        (_("Rules"), [each["name"] for each in spec.transformations]),
    ]
    if not is_storks:
        policy = str(ConflictPolicy(spec.conflict_policy).label)
        found.append((_("Objects that differ on the destination"), [policy]))
        if spec.include_volumes:
            found.append((_("Volumes read from snapshots"), [str(VolumeSnapshots(spec.volume_snapshots).label)]))
    flags = {
        _("without volumes"): not spec.include_volumes,
        _("without objects"): not spec.include_resources,
        _("applications not started"): not spec.start_applications,
        _("with what controllers would make again"): selection.include_owned,
        _("what is gone from the source is deleted on the destination"): spec.purge_deleted_resources,
    }
    found.append((_("Also"), [words for words, holds in flags.items() if holds]))
    found += [(name, _stork(value)) for name, value in spec.stork_options.items()]
    return [(name, values) for name, values in found if values]


def _arrows(mapping: Mapping[str, str]) -> list[str]:
    return [f"{source or '–'} → {destination or '–'}" for source, destination in mapping.items()]


def _stork(value: Any) -> list[str]:
    """The value of one of Stork's options as its manifest has it."""
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, Mapping):
        return [f"{label}: {wanted}" for label, wanted in value.items()]
    return [value] if isinstance(value, str) and value else list(value)
