"""Strategic merge patch: as a merge patch, but lists of Kubernetes' own kinds are merged item by item.

The keys of lists are those of the API's types (`patchMergeKey` in k8s.io/api). Custom resources have none, and the API
server refuses strategic patches for them; so do we.
"""

from __future__ import annotations

import copy
from typing import Any

from migrations_app.resources.marks import type_of
from migrations_app.resources.rules.errors import RuleError

Object = dict[str, Any]
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "secrets": "name",
    "webhooks": "name",
    "conditions": "type",
}
# Lists of simple values that are united.
UNITED = frozenset({"finalizers"})
# The kinds' own, beside those without a dot.
BUILT_IN_ENDINGS = (".k8s.io", ".openshift.io")


def merged(obj: Object, patch: Object) -> Object:
    """The object with the patch. Raises RuleError for kinds that have no strategy, and for items without their key."""
    group, kind = type_of(obj)
    if "." in group and not group.endswith(BUILT_IN_ENDINGS):
        raise RuleError(f"{kind} of {group} knows no strategic patches; use mergePatches or patches.")
    found = _mapping(obj, patch, "")
    return found if found is not None else {}


def _mapping(obj: Any, patch: Object, at: str) -> Object | None:
    directive = patch.get("$patch")
    if directive == "delete":
        return None
    if directive not in (None, "merge", "replace"):
        raise RuleError(f"{at or '/'}: there is no directive $patch: {directive}; there are merge, replace and delete.")
    result: Object = {} if directive == "replace" or not isinstance(obj, dict) else dict(obj)
    if isinstance(kept := patch.get("$retainKeys"), list):
        result = {name: value for name, value in result.items() if name in kept}
    for name, value in patch.items():
        path = f"{at}/{name}"
        if name.startswith("$deleteFromPrimitiveList/"):
            _remove(result, name.partition("/")[2], value, path)
        elif name.startswith("$"):
            # The order of items is told by $setElementOrder, which says nothing about what there is.
            continue
        elif value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            _set(result, name, _mapping(result.get(name), value, path))
        elif isinstance(value, list):
            result[name] = _list(result.get(name), value, name, path)
        else:
            result[name] = value
    return result


def _set(result: Object, name: str, value: Any) -> None:
    if value is None:
        result.pop(name, None)
    else:
        result[name] = value


def _remove(result: Object, name: str, values: Any, at: str) -> None:
    if not isinstance(values, list):
        raise RuleError(f"{at} must be a list.")
    if isinstance(result.get(name), list):
        result[name] = [each for each in result[name] if each not in values]


def _list(present: Any, patch: list[Any], name: str, at: str) -> list[Any]:
    here = list(present) if isinstance(present, list) else []
    if name in UNITED:
        return [*here, *(each for each in patch if each not in here)]
    if (key := _key_of(name, [*here, *patch])) is None:
        return copy.deepcopy(patch)
    if any(isinstance(each, dict) and each.get("$patch") == "replace" for each in patch):
        return [copy.deepcopy(each) for each in patch if not (isinstance(each, dict) and "$patch" in each)]
    # What is new comes first, as the API server puts it.
    new: list[Any] = []
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise RuleError(f"{at}: each item needs `{key}`, by which it is found.")
        place = next((n for n, each in enumerate(here) if isinstance(each, dict) and each.get(key) == item[key]), None)
        result = _mapping(here[place] if place is not None else None, item, f"{at}/{item[key]}")
        if place is None and result is not None:
            new.append(result)
        elif place is not None and result is None:
            del here[place]
        elif place is not None:
            here[place] = result
    return [*new, *here]


def _key_of(name: str, given: list[Any]) -> str | None:
    """The key of a list's items; ports are told by where they lead to in containers, and from in Services."""
    if name == "ports":
        return "containerPort" if any(isinstance(each, dict) and "containerPort" in each for each in given) else "port"
    return MERGE_KEYS.get(name)
