"""What users want changed in objects on their way: patches with conditions. Pure: dicts in and out.

    conditions.py   which objects a rule is about
    patching.py     JSON patch (RFC 6902) and merge patch (RFC 7396)
    strategic.py    strategic merge patch, as the API server has it for Kubernetes' own kinds
    importing.py    rules as text: ours, Velero's resource modifiers, Stork's ResourceTransformation

A rule in JSON, with one of the three kinds of patches:

    {"name": "small web",
     "conditions": {"kinds": ["deployments.apps"], "names": ["web-*"], "namespaces": ["shop"],
                    "labelSelector": "tier=front", "matches": [{"path": "/spec/replicas", "value": 3}]},
     "patches": [{"op": "replace", "path": "/spec/replicas", "value": 1}],
     "mergePatches": [{"spec": {"replicas": 1}}],
     "strategicPatches": [{"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}]}

Conditions are about the object as the source has it, and all rules are judged by that (as in Velero); patches are
applied one after the other to what it has become, mappings included, so that users have the last word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrations_app.resources.marks import describe, type_of
from migrations_app.resources.rules import patching, strategic
from migrations_app.resources.rules.conditions import Conditions
from migrations_app.resources.rules.errors import RuleError as RuleError
from migrations_app.resources.rules.errors import checked_list, checked_mapping, unknown_names

Object = dict[str, Any]
PATCHES = ("patches", "mergePatches", "strategicPatches")
MAX_RULES = 200
SECRET_PATHS = ("/data", "/stringData")


@dataclass(frozen=True)
class Rule:
    """One rule, checked. `label` says which it is where something is wrong with it."""

    label: str
    conditions: Conditions
    patches: tuple[patching.Operation, ...] = ()
    merge_patches: tuple[Object, ...] = ()
    strategic_patches: tuple[Object, ...] = ()

    def apply(self, obj: Object) -> Object:
        """The object with the rule's patches, a new one. Raises RuleError that names the path."""
        if self.patches:
            return patching.json_patched(obj, self.patches)
        for each in self.merge_patches:
            obj = patching.merged(obj, each)
        for each in self.strategic_patches:
            obj = strategic.merged(obj, each)
        return obj


@dataclass(frozen=True)
class Transformation:
    """Rules under one name, as a migration keeps them."""

    name: str
    rules: tuple[Rule, ...] = field(default=())


def parse(given: Any, name: str = "") -> tuple[Rule, ...]:
    """The rules of a JSON list. Raises RuleError, which names the rule and what is wrong with it."""
    found = checked_list(given, "The rules")
    if len(found) > MAX_RULES:
        raise RuleError(f"There are {len(found)} rules; at most {MAX_RULES} are allowed.")
    return tuple(_rule(each, number, name) for number, each in enumerate(found, 1))


def _rule(given: Any, number: int, name: str) -> Rule:
    label = f"rule {number}" + (f" of {name}" if name else "")
    with RuleError.about(label):
        rule = checked_mapping(given, "A rule")
        if isinstance(rule.get("name"), str) and rule["name"]:
            label = f"{label} ({rule['name']})"
        unknown_names(rule, ("name", "conditions", *PATCHES), "a rule")
        kinds = [kind for kind in PATCHES if rule.get(kind)]
        if len(kinds) != 1:
            raise RuleError(f"It needs one of {', '.join(PATCHES)}, and has {' and '.join(kinds) or 'none'}.")
        return Rule(
            label,
            Conditions.parse(rule.get("conditions") or {}),
            patching.parse(rule.get("patches") or []),
            _mappings(rule, "mergePatches"),
            _mappings(rule, "strategicPatches"),
        )


def _mappings(rule: Mapping[str, Any], key: str) -> tuple[Object, ...]:
    return tuple(checked_mapping(each, f"Each of {key}") for each in checked_list(rule.get(key) or [], key))


def transformations(given: Iterable[Mapping[str, Any]]) -> tuple[Transformation, ...]:
    """Those of a Spec: `[{"name", "rules"}]`. Raises RuleError."""
    return tuple(
        Transformation(str(each.get("name") or ""), parse(each.get("rules") or [], str(each.get("name") or "")))
        for each in given
    )


def applied(obj: Object, source: Object, given: Sequence[Transformation]) -> Object:
    """The object after all rules that are about `source`. Raises RuleError, which names rule, object and path."""
    result = obj
    for each in given:
        for rule in each.rules:
            with RuleError.about(f"{rule.label}, {describe(source)}"):
                if rule.conditions.hold_for(source):
                    _keep_secret(source, rule)
                    result = rule.apply(result)
                    _same_object(obj, result)
    return result


def idle(objects: Collection[Object], given: Sequence[Transformation]) -> list[str]:
    """The labels of the rules that are about none of the objects: a name in their conditions may be misspelt."""
    rules = [rule for each in given for rule in each.rules]
    return [rule.label for rule in rules if not any(rule.conditions.hold_for(obj) for obj in objects)]


def _keep_secret(source: Object, rule: Rule) -> None:
    """Values of a Secret stay where they are hidden from whoever may not see them."""
    if type_of(source) != ("", "Secret"):
        return
    for each in rule.patches:
        if each.source.startswith(SECRET_PATHS) and not each.path.startswith(SECRET_PATHS):
            raise RuleError(f"{each.op} {each.path}: values of a Secret may not be carried out of data and stringData.")


def _same_object(before: Object, after: Object) -> None:
    """Renaming would break what refers to the object; namespaces have a mapping of their own."""
    for names in (("kind",), ("metadata", "name"), ("metadata", "namespace")):
        was, now = _at(before, names), _at(after, names)
        if was != now:
            path = "/" + "/".join(names)
            raise RuleError(f"It changes {path} from {was!r} to {now!r}; rules may not make another object of it.")


def _at(obj: Any, names: Sequence[str]) -> Any:
    for name in names:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj
