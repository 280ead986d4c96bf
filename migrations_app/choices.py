"""Whether what somebody asks for can be: the fields of a `Spec`, each refused by its name with what it should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from clusters.models import ClusterPair
from migrations_app import stork_options
from migrations_app.models import DNS_LABEL
from migrations_app.resources import rules
from migrations_app.resources.selection import Chooser
from migrations_app.resources.spec import ConflictPolicy, Selection, Spec, VolumeSnapshots
from migrations_app.transformations import services as transformations
from teams.models import Team
from teams.refusals import Refusal, WrongFields, messages

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Registry, port and path of an image's name, or the beginning of them (distribution/reference).
IMAGE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._]*(:\d{1,5})?(/[-A-Za-z0-9._]+)*/?")
ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
# Namespaces of the cluster itself: moving them, or into them, breaks a cluster.
CLUSTERS_OWN = ("kube-system", "kube-public", "kube-node-lease", "default", "openshift")
MOST_ENTRIES = 10_000


def belongs_to_the_cluster(namespace: str) -> bool:
    """Whether the namespace is one of the cluster's own, which cannot be migrated."""
    return namespace in CLUSTERS_OWN or namespace.startswith(("kube-", "openshift-"))


def checked(team: Team, namespaces: Iterable[str], choices: Mapping[str, Any]) -> Spec:
    """The spec that was asked for; `choices` are the fields of `Spec` but the namespaces.

    Among `transformations` may be names or ids of the team's, which are replaced by what they say now. Raises Refusal
    with everything that is wrong, by field.
    """
    errors: dict[str, Any] = {}
    chosen = _checked_namespaces(namespaces, errors)
    given = _with_rules(team, choices, errors)
    for name, check in CHECKS.items():
        if name in given:
            try:
                check(given[name])
            except WrongFields as error:
                errors[name] = error.errors
            except ValueError as error:
                errors.setdefault(name, []).append(str(error))
    spec = None
    if not errors:
        spec = Spec.from_dict({**given, "namespaces": chosen})
        _check_together(spec, errors)
    if errors or spec is None:
        raise Refusal(" ".join(messages(errors)), dict(errors))
    return spec


def asked_of(
    pair: ClusterPair, team: Team, namespaces: Iterable[str], choices: Mapping[str, Any], name: str = ""
) -> Spec:
    """The spec that a team asks of a pair, and that the pair's engine can do, under a name that objects can bear.

    Raises Refusal.
    """
    if pair.team_id != team.pk:
        raise Refusal(_("The pair belongs to another team."), {"pair": [_("The pair belongs to another team.")]})
    spec = checked(team, namespaces, choices)
    stork_options.require_fitting(pair, spec)
    if name:
        try:
            DNS_LABEL(name)
        except ValidationError as error:
            raise Refusal(str(DNS_LABEL.message), {"name": error.messages}) from None
    return spec


def _with_rules(team: Team, choices: Mapping[str, Any], errors: dict[str, Any]) -> dict[str, Any]:
    """The choices with the rules of the transformations that are only named."""
    given = dict(choices)
    named = given.get("transformations")
    if isinstance(named, list | tuple):
        found: list[Any] = []
        for each in named:
            try:
                found += transformations.snapshot(team, [each]) if isinstance(each, str) else [each]
            except Refusal as refusal:
                errors.setdefault("transformations", []).append(str(refusal))
        given["transformations"] = found
    return given


def _checked_namespaces(namespaces: Iterable[str], errors: dict[str, Any]) -> list[str]:
    chosen = list(dict.fromkeys(name.strip() for name in namespaces if name.strip()))
    if not chosen:
        errors["namespaces"] = [_("Name at least one namespace.")]
    if wrong := [message for name in chosen if (message := _wrong_namespace(name))]:
        errors["namespaces"] = wrong
    return chosen


def _wrong_namespace(name: str) -> str:
    if not NAMESPACE.fullmatch(name):
        return _("%(name)s is not a namespace's name.") % {"name": name}
    if belongs_to_the_cluster(name):
        return _("%(name)s belongs to the cluster itself and cannot be migrated.") % {"name": name}
    return ""


def _check_together(spec: Spec, errors: dict[str, Any]) -> None:
    """What no field is wrong about alone."""
    if not spec.include_volumes and not spec.include_resources:
        errors["include_resources"] = [_("Nothing would move: include volumes, resources, or both.")]
    for source in spec.namespace_mapping:
        if source not in spec.namespaces:
            message = _("%(name)s is mapped, but is not among the namespaces.") % {"name": source}
            errors.setdefault("namespace_mapping", []).append(message)
    # Two that met in one namespace would overwrite each other.
    if len(spec.destination_namespaces()) < len(spec.namespaces):
        message = _("Two namespaces are mapped to the same one. Give each one of its own.")
        errors.setdefault("namespace_mapping", []).append(message)


# -- one field at a time; each raises ValueError with a message for people


def _mapping(given: Any) -> Mapping[str, str]:
    if not isinstance(given, Mapping) or not all(
        isinstance(key, str) and isinstance(value, str) for key, value in given.items()
    ):
        raise ValueError(_("A mapping goes from text to text."))
    if len(given) > MOST_ENTRIES:
        raise ValueError(_("A mapping has at most %(most)s entries.") % {"most": MOST_ENTRIES})
    return given


def _namespace_mapping(given: Any) -> None:
    for destination in _mapping(given).values():
        if not NAMESPACE.fullmatch(destination):
            raise ValueError(_("%(name)s is not a namespace's name.") % {"name": destination})
        if belongs_to_the_cluster(destination):
            message = _("%(name)s belongs to the cluster itself: nothing can be migrated into it.")
            raise ValueError(message % {"name": destination})


def _access_mode_mapping(given: Any) -> None:
    for mode in (each for pair in _mapping(given).items() for each in pair):
        if mode not in ACCESS_MODES:
            message = _("There is no access mode %(mode)s; there are %(modes)s.")
            raise ValueError(message % {"mode": mode, "modes": ", ".join(ACCESS_MODES)})


def _image_mapping(given: Any) -> None:
    for prefix in (each for pair in _mapping(given).items() for each in pair):
        if not IMAGE.fullmatch(prefix):
            message = _("%(prefix)s is not the beginning of an image's name, such as registry.example.com/cms.")
            raise ValueError(message % {"prefix": prefix or "“”"})


def _host_mapping(given: Any) -> None:
    for suffix in (each for pair in _mapping(given).items() for each in pair):
        if not HOST.fullmatch(suffix.removeprefix(".")):
            message = _("%(suffix)s is not the end of a host's name, such as apps.example.com.")
            raise ValueError(message % {"suffix": suffix or "“”"})


def _texts(given: Any) -> None:
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ValueError(_("This is a list of texts."))
    if len(given) > MOST_ENTRIES:
        raise ValueError(_("A list has at most %(most)s entries.") % {"most": MOST_ENTRIES})


def _selection(given: Any) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(_("A selection is an object with label_selector, exclude_selectors, include_kinds and so on."))
    known = Selection.__dataclass_fields__.keys()
    if unknown := sorted(str(name) for name in given if name not in known):
        message = _("A selection has no %(unknown)s; it has %(known)s.")
        raise ValueError(message % {"unknown": ", ".join(unknown), "known": ", ".join(known)})
    wrong = {name: [said] for name in given if (said := _wrong_selection(name, given[name]))}
    if wrong:
        raise WrongFields(wrong)


def _wrong_selection(name: str, value: Any) -> str:
    """What is wrong with one field of a selection."""
    if name == "label_selector" and not isinstance(value, str):
        return _("A label selector is a text, such as app=web,tier in (a, b).")
    if name == "include_owned" and not isinstance(value, bool):
        return _("include_owned is true or false.")
    try:
        if name not in ("label_selector", "include_owned"):
            _texts(value)
        Chooser(Spec.from_dict({"namespaces": (), "selection": {name: value}}).selection)
    except ValueError as error:
        return str(error)
    return ""


def _transformations(given: Any) -> None:
    if not isinstance(given, list | tuple):
        raise ValueError(_("Rules are a list of objects with name and rules."))
    for each in given:
        if not isinstance(each, Mapping) or set(each) != {"name", "rules"} or not isinstance(each["name"], str):
            raise ValueError(_("A rule is an object with name and rules."))
    rules.transformations(given)


def _conflict_policy(given: Any) -> None:
    if given not in [each.value for each in ConflictPolicy]:
        message = _("There is no policy %(policy)s; there are %(policies)s.")
        raise ValueError(message % {"policy": given, "policies": ", ".join(each.value for each in ConflictPolicy)})


def _volume_snapshots(given: Any) -> None:
    if given not in [each.value for each in VolumeSnapshots]:
        message = _("Volume snapshots are not taken %(given)s; they are taken %(known)s.")
        raise ValueError(message % {"given": given, "known": ", ".join(each.value for each in VolumeSnapshots)})


CHECKS: dict[str, Callable[[Any], Any]] = {
    "selection": _selection,
    "namespace_mapping": _namespace_mapping,
    "storage_class_mapping": _mapping,
    "access_mode_mapping": _access_mode_mapping,
    "image_mapping": _image_mapping,
    "host_mapping": _host_mapping,
    "transformations": _transformations,
    "conflict_policy": _conflict_policy,
    "volume_snapshots": _volume_snapshots,
    "stork_options": stork_options.require_known,
}
