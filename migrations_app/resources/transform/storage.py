"""Claims and the templates of claims: no binding to a volume of the source, classes and access modes as mapped."""

from __future__ import annotations

from collections.abc import Iterator

from migrations_app.resources.shapes import items, pod_specs, section, texts
from migrations_app.resources.transform.options import Object, Options

CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def claim(obj: Object, options: Options, source: Object) -> None:
    """The binding is the source's (Stork keeps the volume's name, since its volumes keep theirs)."""
    section(obj, "spec").pop("volumeName", None)


def volume(obj: Object, options: Options, source: Object) -> None:
    """A volume is bound by the name of its claim, whose uid is another one there."""
    for name in ("uid", "resourceVersion"):
        section(obj, "spec", "claimRef").pop(name, None)


def claim_templates(obj: Object, options: Options, source: Object) -> None:
    for template in items(section(obj, "spec"), "volumeClaimTemplates"):
        template.pop("status", None)
        section(template, "metadata").pop("creationTimestamp", None)


def map_classes(obj: Object, options: Options) -> None:
    """Storage classes as the destination calls them; the empty name stands for the default class."""
    mapping = options.storage_classes
    for metadata, spec in _claims(obj):
        name = spec.get("storageClassName") or ""
        if isinstance(name, str) and name in mapping:
            spec["storageClassName"] = mapping[name]
        annotations = section(metadata, "annotations")
        if (old := annotations.get(CLASS_ANNOTATION)) and isinstance(old, str) and old in mapping:
            annotations[CLASS_ANNOTATION] = mapping[old]
    if obj.get("kind") == "PersistentVolume":
        spec = section(obj, "spec")
        if (name := spec.get("storageClassName")) and isinstance(name, str) and name in mapping:
            spec["storageClassName"] = mapping[name]


def map_access_modes(obj: Object, options: Options) -> None:
    """Access modes as mapped, each once."""
    mapping = options.spec.access_mode_mapping
    places = [spec for _metadata, spec in _claims(obj)]
    if obj.get("kind") == "PersistentVolume":
        places.append(section(obj, "spec"))
    for spec in places:
        modes = texts(spec, "accessModes")
        if any(mode in mapping for mode in modes):
            spec["accessModes"] = list(dict.fromkeys(mapping.get(mode, mode) for mode in modes))


def _claims(obj: Object) -> Iterator[tuple[Object, Object]]:
    """Metadata and spec of the claim that the object is, or of the claims that it is a template for."""
    if (obj.get("apiVersion"), obj.get("kind")) == ("v1", "PersistentVolumeClaim"):
        yield section(obj, "metadata"), section(obj, "spec")
    if str(obj.get("apiVersion")).startswith("apps/") and obj.get("kind") == "StatefulSet":
        for each in items(section(obj, "spec"), "volumeClaimTemplates"):
            yield section(each, "metadata"), section(each, "spec")
    for _at, spec in pod_specs(obj):
        for each in items(spec, "volumes"):
            template = section(each, "ephemeral", "volumeClaimTemplate")
            yield section(template, "metadata"), section(template, "spec")
