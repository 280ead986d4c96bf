"""What fits the engine of a pair: Stork's own options need Stork, and what Stork cannot do is refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clusters.models import ClusterPair, Engine
from migrations_app.resources.spec import ConflictPolicy, Spec, VolumeSnapshots
from teams.refusals import Refusal, WrongFields, messages


class Takes(Enum):
    """What an option of Stork takes."""

    NAME = "the name of an object"
    SWITCH = "true or false"
    NAMES = "a list of names"
    LABELS = "labels with their values"


@dataclass(frozen=True)
class Option:
    """A field of a Migration's spec that no other engine knows, spelled as Stork spells it."""

    name: str
    takes: Takes
    meaning: Promise
    # Of a switch: what Stork does unless it is told.
    default: bool = False

    def says_something(self, value: Any) -> bool:
        """Whether a value is anything else than what Stork takes it to be when the option is left out."""
        return bool(value) != self.default if self.takes is Takes.SWITCH else bool(value)


OPTIONS = (
    Option(
        "adminClusterPair",
        Takes.NAME,
        gettext_lazy("ClusterPair in Stork's admin namespace: for cluster-scoped objects, namespaces, PVs and PVCs."),
    ),
    Option("preExecRule", Takes.NAME, gettext_lazy("Rule in the Migration's namespace, run before the volumes.")),
    Option(
        "postExecRule",
        Takes.NAME,
        gettext_lazy("Rule in the Migration's namespace, run as soon as the volumes' snapshots are triggered."),
    ),
    Option(
        "transformSpecs",
        Takes.NAMES,
        gettext_lazy("ResourceTransformation, one at most: it must be there and Ready in each namespace."),
    ),
    Option(
        "namespaceSelectors",
        Takes.LABELS,
        gettext_lazy("Also the namespaces that have any of these labels. One per line: team = content"),
    ),
    Option(
        "includeOptionalResourceTypes",
        Takes.NAMES,
        gettext_lazy("Kinds that Stork leaves out unless asked, one per line. It knows but one: Job"),
    ),
    Option(
        "skipServiceUpdate",
        Takes.SWITCH,
        gettext_lazy("Services are sent as they are on the source, with its cluster IPs."),
    ),
    Option(
        "includeNetworkPolicyWithCIDR",
        Takes.SWITCH,
        gettext_lazy("Also NetworkPolicies with an ipBlock; their addresses are the source's."),
    ),
    Option(
        "skipDeletedNamespaces",
        Takes.SWITCH,
        gettext_lazy("A namespace that is gone is a warning. Otherwise the migration fails."),
        default=True,
    ),
    Option(
        "ignoreOwnerReferencesCheck",
        Takes.SWITCH,
        gettext_lazy("Also objects whose owner goes along: controllers may make them a second time."),
    ),
)
BY_NAME = {each.name: each for each in OPTIONS}
# How Stork spells the only kind that it takes when asked.
OPTIONAL_KINDS = ("Job", "Jobs")
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
    "volume_snapshots": gettext_lazy("Portworx always moves what is of one moment: it takes cloud snapshots itself."),
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
    wrong: dict[str, Any] = {name: [str(NOT_OF_STORK[name])] for name in _beyond_stork(spec)}
    if selection := _wrong_selection(spec):
        wrong["selection"] = selection
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


def _wrong_selection(spec: Spec) -> dict[str, list[str]]:
    wrong = {}
    if spec.selection.label_selector and equalities(spec.selection.label_selector) is None:
        wrong["label_selector"] = [_("Stork takes only labels with their values: app=mysql,tier=database.")]
    if any(len(equalities(each) or ()) != 1 for each in spec.selection.exclude_selectors):
        said = _("Stork takes one label with its value in each selector that excludes: app=cache.")
        wrong["exclude_selectors"] = [said]
    return wrong


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
    asked["volume_snapshots"] = spec.volume_snapshots != VolumeSnapshots.WHEN_NEEDED
    return [name for name in NOT_OF_STORK if asked.get(name)]


def require_known(options: Any) -> None:
    """Raises WrongFields, naming every option that Stork does not know or does not take in this form."""
    if not isinstance(options, Mapping):
        raise ValueError(_("The options of Stork are an object, by their names."))
    wrong = {str(name): [said] for name, value in options.items() if (said := _what_is_wrong(name, value))}
    if wrong:
        raise WrongFields(wrong)


def _what_is_wrong(name: Any, value: Any) -> str:
    if name not in BY_NAME:
        message = _("%(name)s is not an option of Stork. There are: %(all)s.")
        return message % {"name": name, "all": ", ".join(BY_NAME)}
    match BY_NAME[name].takes:
        case Takes.NAME if not (isinstance(value, str) and (not value or OBJECT_NAME.fullmatch(value))):
            return _("%(name)s takes the name of an object, such as quiesce-mysql.") % {"name": name}
        case Takes.SWITCH if not isinstance(value, bool):
            return _("%(name)s takes true or false.") % {"name": name}
        case Takes.NAMES if not _are_texts(value):
            return _("%(name)s takes a list of names.") % {"name": name}
        case Takes.LABELS if not (isinstance(value, Mapping) and _are_texts([*value.keys(), *value.values()])):
            return _("%(name)s takes labels with their values.") % {"name": name}
    if name == "transformSpecs" and len(value) > 1:
        return _("Stork takes one ResourceTransformation at most (transformSpecs).")
    if name == "transformSpecs" and not all(OBJECT_NAME.fullmatch(each) for each in value):
        return _("%(name)s takes the name of an object, such as quiesce-mysql.") % {"name": name}
    if name == "includeOptionalResourceTypes" and (unknown := [each for each in value if each not in OPTIONAL_KINDS]):
        return _("Stork leaves out unless asked only Job, not %(kinds)s.") % {"kinds": ", ".join(unknown)}
    return ""


def _are_texts(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(isinstance(each, str) for each in values)


def _refusal(wrong: dict[str, Any]) -> Refusal:
    return Refusal(" ".join(messages(wrong)), errors=wrong)
