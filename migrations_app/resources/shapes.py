"""Looking into objects whatever their shape: what is absent, null or of another type is empty, never an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from migrations_app.resources.marks import type_of

Object = dict[str, Any]
BUILT_IN = re.compile(r"[^.]*|.*\.(k8s|openshift)\.io")


def is_custom(obj: Object) -> bool:
    """Whether its kind is an operator's own: neither Kubernetes' nor OpenShift's."""
    return not BUILT_IN.fullmatch(type_of(obj)[0])


def section(obj: Any, *names: str) -> Object:
    """The part at the path, or an empty one where it is absent, null or no mapping."""
    for name in names:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


def items(obj: Any, name: str) -> list[Object]:
    """The mappings in a list, or none where it is absent, null or no list."""
    found = obj.get(name) if isinstance(obj, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def pod_specs(obj: Object) -> Iterator[tuple[str, Object]]:
    """The pod specs of a workload with their paths, operators' own included where they are built alike."""
    if type_of(obj) == ("", "Pod"):
        yield "spec", section(obj, "spec")
        return
    for names in (("spec", "template"), ("spec", "jobTemplate", "spec", "template"), ("template",)):
        spec = section(obj, *names, "spec")
        if items(spec, "containers"):
            yield ".".join((*names, "spec")), spec


def containers(spec: Object) -> Iterator[tuple[str, Object]]:
    """All containers of a pod spec with their paths."""
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for number, each in enumerate(items(spec, group)):
            yield f"{group}[{number}]", each


def texts(obj: Any, name: str) -> list[str]:
    """The texts in a list, or none where it is absent, null or no list."""
    found = obj.get(name) if isinstance(obj, dict) else None
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def mappings(value: Any) -> Iterator[Object]:
    """Every mapping within the value, itself included, the outer ones first."""
    if isinstance(value, dict):
        yield value
        for each in list(value.values()):
            yield from mappings(each)
    elif isinstance(value, list):
        for each in value:
            yield from mappings(each)
