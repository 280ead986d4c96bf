"""Rules as text: our own, Velero's resource modifiers, and Stork's ResourceTransformation.

Both of theirs say some things in their own way (`operation`, values as texts, dotted paths); what is read here is a
list of rules as `rules.parse` takes it, and is checked by that.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from jsonpointer import escape

from migrations_app.resources.rules.errors import (
    RuleError,
    checked_list,
    checked_mapping,
    unknown_names,
)

Object = dict[str, Any]
MAX_LETTERS = 200_000
STORK = "stork.libopenstorage.org"


def read(text: str) -> list[Object]:
    """The rules in the text, YAML or JSON, whoever's they are; not checked yet. Raises RuleError."""
    if len(text) > MAX_LETTERS:
        raise RuleError(f"The text has {len(text)} letters; at most {MAX_LETTERS} are read.")
    rules: list[Object] = []
    for document in _documents(text):
        rules += _of_document(document)
    if not rules:
        raise RuleError("There is no rule in the text.")
    return rules


def _documents(text: str) -> list[Any]:
    try:
        # Anchors make a text of a few lines as large as memory; nobody needs them for rules.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)):
            raise RuleError("The text uses YAML aliases (`*name`), which are not read: write the value out.")
        return [each for each in yaml.safe_load_all(text) if each is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, RuleError):
            raise
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is no YAML"
        raise RuleError(f"The text cannot be read{where}: {problem}.") from None


def _of_document(document: Any) -> list[Object]:
    if isinstance(document, list):
        return [checked_mapping(each, "A rule") for each in document]
    found = checked_mapping(document, "The text")
    if "resourceModifierRules" in found:
        return _velero(found)
    match found.get("kind"):
        case "ConfigMap":
            data = checked_mapping(found.get("data") or {}, "The data of the ConfigMap")
            if len(data) != 1:
                raise RuleError(f"A ConfigMap of resource modifiers has one entry (Velero); this one has {len(data)}.")
            (inner,) = data.values()
            return [rule for each in _documents(str(inner)) for rule in _of_document(each)]
        case "ResourceTransformation":
            return _stork(found)
    if "rules" in found:
        return [checked_mapping(each, "A rule") for each in checked_list(found["rules"], "rules")]
    raise RuleError(
        "These are no rules that are known here: neither a list of rules, nor Velero's resource modifiers "
        "(resourceModifierRules), nor Stork's ResourceTransformation."
    )


# -- Velero (internal/resourcemodifiers)


def _velero(given: Object) -> list[Object]:
    if str(given.get("version", "v1")).lower() != "v1":
        raise RuleError(f"Resource modifiers of version {given['version']} are not known; v1 is.")
    found = []
    for number, each in enumerate(checked_list(given["resourceModifierRules"], "resourceModifierRules"), 1):
        with RuleError.about(f"resource modifier {number}"):
            found.append(_velero_rule(checked_mapping(each, "It")))
    return found


def _velero_rule(given: Object) -> Object:
    unknown_names(given, ("conditions", "patches", "mergePatches", "strategicPatches"), "a resource modifier")
    conditions = checked_mapping(given.get("conditions") or {}, "conditions")
    known = ("groupResource", "resourceNameRegex", "namespaces", "labelSelector", "matches")
    unknown_names(conditions, known, "a condition")
    if not (resource := conditions.get("groupResource")):
        raise RuleError("groupResource is missing, which says which kind it is about.")
    rule: Object = {"conditions": {"kinds": [str(resource)]}}
    for theirs, ours in (("resourceNameRegex", "nameRegex"), ("namespaces", "namespaces"), ("labelSelector",) * 2):
        if conditions.get(theirs):
            rule["conditions"][ours] = conditions[theirs]
    if matches := conditions.get("matches"):
        rule["conditions"]["matches"] = [_velero_match(each) for each in checked_list(matches, "matches")]
    # Velero takes the first kind of patches that there is.
    if given.get("patches"):
        rule["patches"] = [_velero_patch(each) for each in checked_list(given["patches"], "patches")]
    for kind in ("mergePatches", "strategicPatches"):
        if given.get(kind) and len(rule) == 1:
            rule[kind] = [_velero_data(each, kind) for each in checked_list(given[kind], kind)]
    return rule


def _velero_match(given: Any) -> Object:
    match = checked_mapping(given, "Each of matches")
    return {"path": match.get("path"), "value": _velero_value(match.get("value", ""))}


def _velero_patch(given: Any) -> Object:
    patch = checked_mapping(given, "Each of patches")
    unknown_names(patch, ("operation", "op", "path", "from", "value"), "a patch")
    op = str(patch.get("operation") or patch.get("op") or "").lower()
    found: Object = {"op": op, "path": patch.get("path")}
    if op in ("add", "replace", "test"):
        found["value"] = _velero_value(patch.get("value", ""))
    if patch.get("from"):
        found["from"] = patch["from"]
    return found


def _velero_value(value: Any) -> Any:
    """Texts that look like null, true, a number, a list or a mapping are these; in quotes they are texts."""
    if not isinstance(value, str) or not value:
        return value
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        return value[1:-1]
    if value == "null" or value.lower() in ("true", "false") or value[0] in "{[" or _is_number(value):
        try:
            return json.loads(value.lower() if value.lower() in ("true", "false") else value)
        except ValueError:
            if value[0] in "{[":
                raise RuleError(f"The value {value[:40]!r} begins like JSON and is none.") from None
    return value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _velero_data(given: Any, kind: str) -> Object:
    patch = checked_mapping(given, f"Each of {kind}")
    data = patch.get("patchData", patch.get("patchBytes"))
    if isinstance(data, str):
        documents = _documents(data)
        data = documents[0] if len(documents) == 1 else None
    return checked_mapping(data, f"The patchData of {kind}")


# -- Stork (pkg/apis/stork/v1alpha1/resourcetransformation.go)


def _stork(given: Object) -> list[Object]:
    specs = checked_mapping(given.get("specs") or given.get("spec") or {}, "specs")
    metadata = checked_mapping(given.get("metadata") or {}, "metadata")
    transforms = specs.get("transformSpecs") or specs.get("objects") or []
    found = []
    for number, each in enumerate(checked_list(transforms, "transformSpecs"), 1):
        with RuleError.about(f"transformSpecs {number}"):
            found += _stork_rules(checked_mapping(each, "It"), str(metadata.get("namespace") or ""))
    return found


def _stork_rules(given: Object, namespace: str) -> list[Object]:
    unknown_names(given, ("resource", "selectors", "paths"), "a transformSpec")
    parts = str(given.get("resource") or "").split("/")
    if len(parts) != 3 or not parts[2]:
        raise RuleError(f"The resource {given.get('resource')!r} is not of the form group/version/Kind.")
    group, _version, kind = parts
    conditions: Object = {"kinds": [f"{kind}.{group}" if group and group != "core" else kind]}
    if namespace:
        conditions["namespaces"] = [namespace]
    if selectors := checked_mapping(given.get("selectors") or {}, "selectors"):
        conditions["labelSelector"] = ",".join(f"{key}={value}" for key, value in selectors.items())
    patches = [
        _stork_patch(checked_mapping(each, "Each of paths")) for each in checked_list(given.get("paths"), "paths")
    ]
    rules: list[Object] = []
    for sort, patch in patches:
        # One rule for each run of patches of a sort: their order is kept.
        if rules and sort in rules[-1]:
            rules[-1][sort] += patch
        else:
            rules.append({"conditions": conditions, sort: list(patch)})
    return rules


def _stork_patch(given: Object) -> tuple[str, list[Object]]:
    """What Stork does to the path: `add` sets, `modify` merges mappings, appends to lists and sets all else."""
    unknown_names(given, ("path", "value", "type", "operation"), "a path")
    path = given.get("path")
    if not isinstance(path, str) or not path:
        raise RuleError("The path is missing.")
    names = [name for name in re.split(r"[.\[\]]+", path) if name]
    pointer = "/" + "/".join(escape(name) for name in names)
    # A place in a list, as in `spec.ports[0].nodePort`: merge patches know none.
    indexed = re.search(r"\[\d+\]", path) is not None
    operation, sort = given.get("operation"), given.get("type") or "string"
    if operation == "delete":
        return ("patches", [{"op": "remove", "path": pointer}]) if indexed else ("mergePatches", [_nested(names, None)])
    if operation not in ("add", "modify"):
        raise RuleError(f"{path}: there is no operation {operation!r}; Stork has add, modify and delete.")
    value = _stork_value(path, given.get("value"), sort)
    if operation == "modify" and sort == "slice":
        return "patches", [{"op": "add", "path": f"{pointer}/-", "value": each} for each in value]
    if indexed and operation == "modify" and sort == "keypair":
        return "patches", [{"op": "add", "path": f"{pointer}/{escape(k)}", "value": v} for k, v in value.items()]
    if indexed:
        return "patches", [{"op": "add", "path": pointer, "value": value}]
    if operation == "add" and sort == "keypair":
        return "mergePatches", [_nested(names, None), _nested(names, value)]
    return "mergePatches", [_nested(names, value)]


def _nested(names: list[str], value: Any) -> Object:
    for name in reversed(names):
        value = {name: value}
    found: Object = value
    return found


def _stork_value(path: str, value: Any, sort: Any) -> Any:
    """Stork sets numbers and booleans as texts, which API servers refuse; here they are what their type says."""
    text = "" if value is None else str(value)
    match sort:
        case "string":
            return text
        case "int":
            if not text.lstrip("-").isdigit():
                raise RuleError(f"{path}: {text!r} is no whole number.")
            return int(text)
        case "bool":
            if text.lower() not in ("true", "false"):
                raise RuleError(f"{path}: {text!r} is neither true nor false.")
            return text.lower() == "true"
        case "slice":
            return text.split(",")
        case "keypair":
            pairs = [each.partition(":") for each in text.split(",")]
            if not all(colon for _key, colon, _value in pairs):
                raise RuleError(f"{path}: {text!r} is not of the form key:value,key:value.")
            return {key.strip(): rest for key, _colon, rest in pairs}
    raise RuleError(f"{path}: there is no type {sort!r}; Stork has int, string, bool, slice and keypair.")
