"""Images from other registries: prefixes of references, replaced wherever pods and image streams name them."""

from __future__ import annotations

from collections.abc import Mapping

from migrations_app.resources.marks import type_of
from migrations_app.resources.shapes import containers, items, mappings, pod_specs, section
from migrations_app.resources.transform.options import Object, Options

DEFAULT_REGISTRY = "docker.io"
BUILT_IN_GROUPS = ("", "apps", "batch", "extensions")


def mapped(image: str, mapping: Mapping[str, str]) -> str:
    """The reference with its longest mapped prefix replaced.

    A prefix ends where a part of the reference ends, so that `registry.example.com/cms` leaves
    `registry.example.com/cms-tools` alone. What names no registry comes from Docker Hub, and can be mapped as such.
    """
    for reference in dict.fromkeys((image, _whole(image))):
        fitting = [prefix for prefix in mapping if _is_prefix(prefix.rstrip("/"), reference)]
        if fitting:
            prefix = max(fitting, key=len)
            return mapping[prefix].rstrip("/") + reference[len(prefix.rstrip("/")) :]
    return image


def _is_prefix(prefix: str, reference: str) -> bool:
    return bool(prefix) and reference.startswith(prefix) and reference[len(prefix) :][:1] in ("", "/", ":", "@")


def _whole(image: str) -> str:
    """As distribution/reference completes names: `nginx:1` is `docker.io/library/nginx:1`."""
    first, slash, _rest = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return image
    return f"{DEFAULT_REGISTRY}/{image}" if slash else f"{DEFAULT_REGISTRY}/library/{image}"


def map_images(obj: Object, options: Options) -> None:
    mapping = options.spec.image_mapping
    for _at, spec in pod_specs(obj):
        for _place, container in containers(spec):
            _map(container, "image", mapping)
        for volume in items(spec, "volumes"):
            _map(section(volume, "image"), "reference", mapping)
    group, kind = type_of(obj)
    if (group, kind) == ("image.openshift.io", "ImageStream"):
        _map(section(obj, "spec"), "dockerImageRepository", mapping)
    if group.endswith(".openshift.io"):
        for each in mappings(section(obj, "spec")):
            if each.get("kind") == "DockerImage":
                _map(each, "name", mapping)
    elif group not in BUILT_IN_GROUPS and "." in group:
        # Operators' own kinds: only what says in full where it comes from, since `image` may mean anything there.
        done = {id(container) for _at, spec in pod_specs(obj) for _place, container in containers(spec)}
        for each in mappings(section(obj, "spec")):
            if isinstance(image := each.get("image"), str) and _whole(image) == image and id(each) not in done:
                _map(each, "image", mapping)


def _map(place: Object, key: str, mapping: Mapping[str, str]) -> None:
    if isinstance(image := place.get(key), str) and image.strip():
        place[key] = mapped(image, mapping)
