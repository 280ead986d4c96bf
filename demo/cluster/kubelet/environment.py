"""What a container's process gets: its environment, its arguments, and folders in the place of its mounts."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.cluster.controllers.loop import Object, find

if TYPE_CHECKING:
    from demo.cluster.api import ClusterAPI

_REFERENCE = re.compile(r"\$(\$)?\(([-._a-zA-Z0-9]+)\)")


class ConfigError(Exception):
    """What the container refers to is not there; the message is what its status says."""


def environment(api: ClusterAPI, pod: Object, container: Object) -> dict[str, str]:
    """The container's variables; raises ConfigError when a Secret or ConfigMap that it needs is missing."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables |= _all_of(api, pod, source)
    for variable in container.get("env", ()):
        if "valueFrom" in variable:
            value = _value_from(api, pod, container, variable["valueFrom"])
            if value is None:
                continue
        else:
            value = expand(variable.get("value", ""), variables)
        variables[variable["name"]] = value
    return variables


def expand(text: str, variables: dict[str, str]) -> str:
    """Replace `$(NAME)` by the variable's value; `$$(NAME)` and unknown names stay."""

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def _all_of(api: ClusterAPI, pod: Object, source: Object) -> dict[str, str]:
    prefix = source.get("prefix", "")
    kind = "configMapRef" if "configMapRef" in source else "secretRef"
    reference = source[kind]
    data = content_of(api, pod, "configmaps" if kind == "configMapRef" else "secrets", reference)
    return {prefix + key: value.decode(errors="surrogateescape") for key, value in data.items()}


def _value_from(api: ClusterAPI, pod: Object, container: Object, source: Object) -> str | None:
    if "fieldRef" in source:
        return field_of(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        section, _, resource = source["resourceFieldRef"]["resource"].partition(".")
        return str(container.get("resources", {}).get(section, {}).get(resource, "0"))
    kind = "configMapKeyRef" if "configMapKeyRef" in source else "secretKeyRef"
    reference = source[kind]
    resource = "configmaps" if kind == "configMapKeyRef" else "secrets"
    data = content_of(api, pod, resource, reference)
    if reference["key"] not in data:
        if reference.get("optional"):
            return None
        word = "ConfigMap" if kind == "configMapKeyRef" else "Secret"
        place = f"{pod['metadata']['namespace']}/{reference['name']}"
        raise ConfigError(f"couldn't find key {reference['key']} in {word} {place}")
    return data[reference["key"]].decode(errors="surrogateescape")


def content_of(api: ClusterAPI, pod: Object, resource: str, reference: Object) -> dict[str, bytes]:
    """What a Secret or ConfigMap holds; nothing for an optional one that is absent; raises ConfigError otherwise."""
    name = reference.get("name") or reference.get("secretName", "")
    found = find(api, resource, pod["metadata"]["namespace"], name)
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{resource.removesuffix("s")} "{name}" not found')
    if resource == "secrets":
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    texts = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    return texts | {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}


def field_of(pod: Object, path: str) -> str:
    """The value of a field of the pod, as the downward API gives it."""
    match = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if match:
        return pod["metadata"].get(match[1], {}).get(match[2], "")
    value: Any = pod
    for step in path.split("."):
        value = value.get(step, "") if isinstance(value, dict) else ""
    return str(value)


def with_folders(text: str, mounts: dict[str, Path]) -> str:
    """The text with a leading mount path replaced by the real folder; the longest mount path wins."""
    for mount_path in sorted(mounts, key=len, reverse=True):
        stem = mount_path.rstrip("/")
        if text in (stem, mount_path) or text.startswith(f"{stem}/"):
            return str(mounts[mount_path]) + text[len(stem) :]
    return text
