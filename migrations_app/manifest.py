"""A migration in declarative form, as people keep it in a repository:

    apiVersion: kubemotion.io/v1alpha1
    kind: Migration
    metadata:
      name: cmsmigration
    spec:
      pair: dev-to-prod
      namespaces: [cms]
      namespaceMapping: {cms: cms-blue}

`paused: true` lets it stand still, `paused: false` resumes it; without either that is left as it is.
The other fields of `spec` are those of `resources.spec.Spec` in camel case, and the pair by its name; what is left
out has its default. What `document` gives, `read` takes back.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from clusters.models import ClusterPair
from migrations_app.models import Migration
from migrations_app.resources.spec import Selection, Spec
from teams import access
from teams.access import Action
from teams.refusals import Refusal

API_VERSION = "kubemotion.io/v1alpha1"
KIND = "Migration"


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


SPEC = {_camel(each.name): each.name for each in dataclasses.fields(Spec)}
SELECTION = {_camel(each.name): each.name for each in dataclasses.fields(Selection)}
SHOWN_NAMES = {name: shown for shown, name in {**SPEC, **SELECTION}.items()}


def document(migration: Migration) -> dict[str, Any]:
    """The migration's manifest; of its mapping of storage classes what it adds to the pair's."""
    asked = {name: getattr(migration, name) for name in SPEC.values()}
    given = Spec.from_dict(asked).to_dict()
    defaults = Spec(namespaces=()).to_dict()
    spec: dict[str, Any] = {"pair": migration.pair.name}
    for shown, name in SPEC.items():
        if name == "selection":
            unlike = {
                each: given[name][key] for each, key in SELECTION.items() if given[name][key] != defaults[name][key]
            }
            if unlike:
                spec[shown] = unlike
        elif given[name] != defaults[name]:
            spec[shown] = given[name]
    if migration.is_paused:
        spec["paused"] = True
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": migration.name}, "spec": spec}


def read(given: Any, user: Any) -> dict[str, Any]:
    """Pair, name and the fields of a Spec, by the names that the API has for them.

    What is not known is refused by its place; values are not looked at yet. Raises Refusal.
    """
    errors: dict[str, Any] = {}
    if not isinstance(given, Mapping):
        raise Refusal(_("A manifest is an object with apiVersion, kind, metadata and spec."))
    if given.get("apiVersion") != API_VERSION:
        errors["apiVersion"] = [_("This is %(version)s.") % {"version": API_VERSION}]
    if given.get("kind") != KIND:
        errors["kind"] = [_("This is %(kind)s.") % {"kind": KIND}]
    _refuse_unknown(given, ("apiVersion", "kind", "metadata", "spec"), errors)
    metadata, spec = given.get("metadata"), given.get("spec")
    found: dict[str, Any] = {}
    if isinstance(metadata, Mapping):
        _refuse_unknown(metadata, ("name", "labels", "annotations"), errors.setdefault("metadata", {}))
        found["name"] = metadata.get("name", "")
    else:
        errors["metadata"] = [_("This is an object.")]
    if isinstance(spec, Mapping):
        found |= _read_spec(spec, user, errors.setdefault("spec", {}))
    else:
        errors["spec"] = [_("This is an object.")]
    if errors := _kept(errors):
        raise Refusal(_("The manifest has errors; each is named with its place."), errors)
    return found


def _read_spec(spec: Mapping[str, Any], user: Any, errors: dict[str, Any]) -> dict[str, Any]:
    _refuse_unknown(spec, ("pair", "paused", *SPEC), errors)
    found: dict[str, Any] = {name: spec[shown] for shown, name in SPEC.items() if shown in spec}
    if "paused" in spec:
        found["paused"] = spec["paused"]
        if not isinstance(spec["paused"], bool):
            errors["paused"] = [_("This is true or false.")]
    if isinstance(selection := found.get("selection"), Mapping):
        _refuse_unknown(selection, SELECTION, errors.setdefault("selection", {}))
        found["selection"] = {name: selection[shown] for shown, name in SELECTION.items() if shown in selection}
    try:
        found["pair"] = _pair(spec.get("pair"), user)
    except Refusal as refusal:
        errors["pair"] = [str(refusal)]
    return found


def _refuse_unknown(given: Mapping[str, Any], known: Any, errors: dict[str, Any]) -> None:
    for name in given:
        if name not in known:
            errors[str(name)] = [_("There is no such field. It may be misspelt.")]


def _kept(errors: dict[str, Any]) -> dict[str, Any]:
    """Without empty branches."""
    found = {key: _kept(value) if isinstance(value, dict) else value for key, value in errors.items()}
    return {key: value for key, value in found.items() if value}


def _pair(name: Any, user: Any) -> ClusterPair:
    """The pair of that name over which `user` may migrate. Raises Refusal; PermissionDenied where it is only seen."""
    seen = access.visible(ClusterPair.objects.select_related("team"), user).filter(name=name)
    found = list(seen) if isinstance(name, str) else []
    if not found:
        raise Refusal(_("You have no pair of this name."))
    usable = [each for each in found if access.may(user, Action.OPERATE, each.team)]
    if len(usable) > 1:
        raise Refusal(_("Several of your teams have a pair of this name. Start this migration by the pair's id."))
    pair = (usable or found)[0]
    access.require(user, Action.OPERATE, pair.team)
    return pair


def placed(errors: Mapping[str, Any]) -> dict[str, Any]:
    """Errors by the API's field names as errors by their places in a manifest."""
    found: dict[str, Any] = {}
    for name, messages in errors.items():
        if name == "name":
            found.setdefault("metadata", {})[name] = messages
        elif name == "selection" and isinstance(messages, Mapping):
            inner = {SHOWN_NAMES.get(key, key): value for key, value in messages.items()}
            found.setdefault("spec", {})[name] = inner
        else:
            found.setdefault("spec", {})[SHOWN_NAMES.get(name, name)] = messages
    return found
