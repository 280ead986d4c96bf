"""What fits the engine of a pair: Stork's own options need Stork, and what Stork cannot do is refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clusters.models import ClusterPair, Engine
from migrations_app.resources.spec import ConflictPolicy, Spec
from teams.refusals import Refusal

# Fields of a Migration's spec that no other engine knows, spelled as Stork spells them, and what each takes.
NAMES = ("adminClusterPair", "preExecRule", "postExecRule")
SWITCHES = (
    "skipServiceUpdate",
    "includeNetworkPolicyWithCIDR",
    "skipDeletedNamespaces",
    "ignoreOwnerReferencesCheck",
)
LISTS = ("includeOptionalResourceTypes", "transformSpecs")
MAPPINGS = ("namespaceSelectors",)
OPTIONS = (*NAMES, *SWITCHES, *LISTS, *MAPPINGS)
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
EQUALITY = re.compile(r"\s*([^\s=!,()]+)\s*==?\s*([^\s=!,()]*)\s*")

# Field of Spec, or of its selection, that Stork has nothing for, and what to do instead.
NOT_OF_STORK: dict[str, Promise] = {
    "namespace_mapping": gettext_lazy("Stork keeps the names of namespaces. Use a pair of the native engine."),
    "storage_class_mapping": gettext_lazy(
        "Stork takes the storage classes along under their names. Use a pair of the native engine to change them."
    ),
    "access_mode_mapping": gettext_lazy("Stork keeps access modes. Use a pair of the native engine."),
    "image_mapping": gettext_lazy("Stork keeps images. Use a ResourceTransformation (transformSpecs)."),
    "host_mapping": gettext_lazy("Stork keeps the hosts of Routes and Ingresses. Use a pair of the native engine."),
    "transformations": gettext_lazy(
        "These rules are the native engine's. With Stork use a ResourceTransformation (transformSpecs)."
    ),
    "conflict_policy": gettext_lazy(
        "Stork deletes a different object of the same name and makes its own: it cannot be told otherwise."
    ),
    "include_kinds": gettext_lazy("Stork cannot be told which kinds to take, only which to leave (exclude_kinds)."),
    "include_objects": gettext_lazy("Stork selects by labels, not by names. Label what is to go along."),
    "exclude_objects": gettext_lazy("Stork selects by labels, not by names. Label what is to stay behind."),
    "include_owned": gettext_lazy("With Stork this is its option ignoreOwnerReferencesCheck."),
}


def require_fitting(pair: ClusterPair, spec: Spec) -> None:
    """Raises Refusal, naming each field that the pair's engine cannot do anything with."""
    if pair.engine != Engine.PORTWORX:
        if spec.stork_options:
            message = _("These are options of Stork, and the pair %(pair)s is not of the engine portworx.")
            raise _refusal({"stork_options": [message % {"pair": pair.name}]})
        return
    wrong = {name: [str(NOT_OF_STORK[name])] for name in _beyond_stork(spec)}
    if spec.selection.label_selector and equalities(spec.selection.label_selector) is None:
        wrong["selection"] = [_("Stork takes only labels with their values: app=mysql,tier=database.")]
    if any(len(equalities(each) or ()) != 1 for each in spec.selection.exclude_selectors):
        wrong["selection"] = [_("Stork takes one label with its value in each selector that excludes: app=cache.")]
    home = pair.stork_namespace
    if home != pair.stork_admin_namespace and spec.namespaces != (home,):
        said_of_namespaces = _(
            "The ClusterPair %(name)s is in namespace %(namespace)s, so that Stork migrates only this one over it. "
            "A pair whose ClusterPair is in %(admin)s migrates any namespace."
        )
        named = {"name": pair.stork_name, "namespace": home, "admin": pair.stork_admin_namespace}
        wrong["namespaces"] = [said_of_namespaces % named]
    if wrong:
        raise _refusal(wrong)


def equalities(selector: str) -> dict[str, str] | None:
    """`app=mysql,tier=db` as labels; None where the selector says anything else."""
    found = {}
    for term in selector.split(","):
        match = EQUALITY.fullmatch(term)
        if match is None:
            return None
        found[match[1]] = match[2]
    return found


def _beyond_stork(spec: Spec) -> list[str]:
    """The names of what is asked for and Stork has no field for."""
    asked: dict[str, Any] = {**vars(spec), **vars(spec.selection)}
    asked["conflict_policy"] = spec.conflict_policy != ConflictPolicy.REFUSE
    return [name for name in NOT_OF_STORK if asked.get(name)]


def require_known(options: Any) -> None:
    """Raises ValueError, naming every option that Stork does not know or does not take in this form."""
    if not isinstance(options, Mapping):
        raise ValueError(_("The options of Stork are an object, by their names."))
    wrong = []
    for name, value in options.items():
        if name not in OPTIONS:
            wrong.append(_("%(name)s is not an option of Stork. There are: %(all)s.") % _all(name))
        elif name in NAMES and not (isinstance(value, str) and (not value or OBJECT_NAME.fullmatch(value))):
            wrong.append(_("%(name)s takes the name of an object.") % {"name": name})
        elif name in SWITCHES and not isinstance(value, bool):
            wrong.append(_("%(name)s takes true or false.") % {"name": name})
        elif name in LISTS and not _are_texts(value):
            wrong.append(_("%(name)s takes a list of names.") % {"name": name})
        elif name in MAPPINGS and not (isinstance(value, Mapping) and _are_texts([*value.keys(), *value.values()])):
            wrong.append(_("%(name)s takes labels with their values.") % {"name": name})
    transforms = options.get("transformSpecs")
    if isinstance(transforms, list | tuple) and len(transforms) > 1:
        wrong.append(_("Stork takes one ResourceTransformation at most (transformSpecs)."))
    if wrong:
        raise ValueError(" ".join(wrong))


def _all(name: str) -> dict[str, str]:
    return {"name": name, "all": ", ".join(OPTIONS)}


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(each, str) for each in values)


def _refusal(wrong: dict[str, list[str]]) -> Refusal:
    return Refusal(" ".join(message for said in wrong.values() for message in said), errors=wrong)
