"""Form fields for everything that a migration can be asked for beyond its namespaces: the fields of a `Spec`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from clusters.models import ClusterPair, Engine
from migrations_app.choices import ACCESS_MODES
from migrations_app.models import ConflictPolicy, VolumeSnapshots
from migrations_app.resources.spec import Selection, Spec
from migrations_app.stork_options import NOT_OF_STORK, OPTIONS, Option, Takes, require_known
from migrations_app.transformations.models import ResourceTransformation
from teams.refusals import WrongFields

ACCESS_MODE = "access_mode:"
SELECTION = tuple(Selection.__dataclass_fields__)


class LinesField(forms.CharField):
    """One text per line; its value is a list."""

    def __init__(self, **options: Any) -> None:
        widget = forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "kmw-mono"})
        super().__init__(required=False, widget=widget, **options)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]


class MappingField(LinesField):
    """One `from = to` per line; its value is a dict."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{source} = {destination}" for source, destination in value.items())
        return value

    def to_python(self, value: Any) -> Any:
        found = {}
        for line in super().to_python(value):
            source, equals, destination = (part.strip() for part in line.partition("="))
            if not (source and equals and destination):
                raise forms.ValidationError(_("“%(line)s” is not of the form FROM = TO."), params={"line": line})
            if source in found:
                raise forms.ValidationError(_("%(source)s is mapped twice."), params={"source": source})
            found[source] = destination
        return found


class RulesField(forms.MultipleChoiceField):
    """Transformations of the team by their names; rules that none of them has are carried along themselves, as JSON."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, widget=forms.CheckboxSelectMultiple, **options)

    def offer(self, names: Iterable[str], given: Iterable[str]) -> None:
        """The team's, and the rules that are given themselves."""
        found = {name: name for name in names}
        for value in given:
            if (rules := _rules_in(value)) is not None:
                n = len(rules["rules"])
                said = ngettext("%(name)s (%(n)s rule)", "%(name)s (%(n)s rules)", n)
                found[value] = said % {"name": rules["name"], "n": n}
        self.choices = list(found.items())

    def clean(self, value: Any) -> list[Any]:
        return [_rules_in(each) or each for each in super().clean(value)]


def _rules_in(value: str) -> dict[str, Any] | None:
    """Rules under a name, where the text is such; None for a mere name."""
    try:
        found = json.loads(value)
    except ValueError:
        return None
    fits = isinstance(found, dict) and isinstance(found.get("name"), str) and isinstance(found.get("rules"), list)
    return found if fits else None


def stork_field(option: Option) -> forms.Field:
    """The field of an option of Stork, under Stork's own name for it."""
    told: dict[str, Any] = {"label": option.name, "help_text": option.meaning}
    match option.takes:
        case Takes.SWITCH:
            return forms.BooleanField(required=False, initial=option.default, **told)
        case Takes.NAMES:
            return LinesField(**told)
        case Takes.LABELS:
            return MappingField(**told)
    return forms.CharField(required=False, max_length=253, **told)


class SpecForm(forms.Form):
    """The options. What the pair's engine cannot do is not offered."""

    namespace_mapping = MappingField(
        label=_("Namespaces"),
        help_text=_("One per line: cms = cms-blue. Others keep their names; every reference is rewritten."),
    )
    image_mapping = MappingField(
        label=_("Images"),
        help_text=_("Beginning of an image's name, one per line: registry.dev.example.com = registry.example.com"),
    )
    host_mapping = MappingField(
        label=_("Hosts of Routes and Ingresses"),
        help_text=_("End of a host's name, one per line: apps.dev.example.com = apps.example.com"),
    )
    label_selector = forms.CharField(
        label=_("Label selector"),
        required=False,
        max_length=2000,
        help_text=_("As kubectl -l takes it: app=web,tier in (a, b),!canary. Empty: everything."),
    )
    exclude_selectors = LinesField(
        label=_("Leave out what any of these selects"), help_text=_("One label selector per line.")
    )
    include_kinds = LinesField(
        label=_("Only these kinds"), help_text=_("One per line, plural and group: deployments.apps")
    )
    exclude_kinds = LinesField(label=_("Not these kinds"), help_text=_("One per line: secrets, *.example.com"))
    include_objects = LinesField(
        label=_("Also these objects, whatever keeps them back"), help_text=_("One per line: secrets/cms/mysql")
    )
    exclude_objects = LinesField(label=_("Not these objects"), help_text=_("One per line: secrets/cms/mysql"))
    include_owned = forms.BooleanField(
        label=_("Also objects that controllers would make again from their owners"), required=False
    )
    transformations = RulesField(label=_("Rules"), help_text=_("Applied after all mappings."))
    conflict_policy = forms.ChoiceField(
        label=_("A different object of the same name on the destination"),
        choices=ConflictPolicy.choices,
        initial=ConflictPolicy.REFUSE,
        required=False,
    )
    volume_snapshots = forms.ChoiceField(
        label=_("Read volumes from snapshots"),
        choices=VolumeSnapshots.choices,
        initial=VolumeSnapshots.WHEN_NEEDED,
        required=False,
        help_text=_(
            "A snapshot is of one moment, as after a power cut. It takes a VolumeSnapshotClass of the volume's driver; "
            "the plan says which volumes have one."
        ),
    )
    purge_deleted_resources = forms.BooleanField(
        label=_("Purge"),
        required=False,
        help_text=_("Delete on the destination what an earlier migration brought and the source has no longer."),
    )

    def __init__(self, *args: Any, pair: ClusterPair, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = dict(self.initial)
        for mode in ACCESS_MODES:
            others = [(each, each) for each in ACCESS_MODES if each != mode]
            self.fields[ACCESS_MODE + mode] = forms.ChoiceField(
                label=_("%(mode)s becomes") % {"mode": mode}, required=False, choices=[("", _("the same")), *others]
            )
        self.fields.update({each.name: stork_field(each) for each in OPTIONS})
        rules = self.fields["transformations"]
        assert isinstance(rules, RulesField)
        names = list(ResourceTransformation.objects.filter(team=pair.team).values_list("name", flat=True))
        kept = self.initial.get("transformations", ())
        self.initial["transformations"] = [each["name"] if each["name"] in names else json.dumps(each) for each in kept]
        rules.offer(names, self["transformations"].value() or ())
        for name in self._beyond(pair):
            del self.fields[name]

    def _beyond(self, pair: ClusterPair) -> list[str]:
        if pair.engine != Engine.PORTWORX:
            return [each.name for each in OPTIONS]
        missing = {*NOT_OF_STORK, *(name for name in self.fields if name.startswith(ACCESS_MODE))}
        return [name for name in self.fields if name in missing]

    @property
    def sections(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """What is folded: title, fields, and whether it is open because something in it was said or is wrong."""
        groups = (
            (_("Mappings"), ["namespace_mapping", *self._access_modes(), "image_mapping", "host_mapping"]),
            (_("Volumes"), ["volume_snapshots"]),
            (_("Selection"), [name for name in SELECTION if name in self.fields]),
            (_("Rules"), ["transformations"]),
            (_("Conflicts and purge"), ["conflict_policy", "purge_deleted_resources"]),
            (_("Options of Stork"), [each.name for each in OPTIONS]),
        )
        found = []
        for title, names in groups:
            bound = [self[name] for name in names if name in self.fields]
            if bound:
                found.append((str(title), bound, any(_is_said(each) for each in bound)))
        return found

    def _access_modes(self) -> list[str]:
        return [name for name in self.fields if name.startswith(ACCESS_MODE)]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        try:
            require_known(self._stork_options(cleaned))
        except WrongFields as error:
            for name, messages in error.errors.items():
                self.add_error(name, messages)
        return cleaned

    def _stork_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those that say something else than Stork would do anyway."""
        asked = [each for each in OPTIONS if each.name in given and each.says_something(given[each.name])]
        return {each.name: given[each.name] for each in asked}

    def options(self) -> dict[str, Any]:
        """The fields of a Spec that were given, by their names there."""
        given = self.cleaned_data
        names = ("namespace_mapping", "image_mapping", "host_mapping", "transformations", "purge_deleted_resources")
        found = {name: given[name] for name in names if name in given}
        for name in ("conflict_policy", "volume_snapshots"):
            if given.get(name):
                found[name] = given[name]
        modes = {name.removeprefix(ACCESS_MODE): given.get(name) for name in self._access_modes()}
        found["access_mode_mapping"] = {mode: becomes for mode, becomes in modes.items() if becomes}
        found["selection"] = {name: given[name] for name in SELECTION if given.get(name)}
        if stork := self._stork_options(given):
            found["stork_options"] = stork
        return found

    @staticmethod
    def initial_of(spec: Spec) -> dict[str, Any]:
        """What the fields show for a spec: to do the same again, or nearly.

        Rules that the team has under their name are those as they are now.
        """
        given = spec.to_dict()
        modes = {ACCESS_MODE + mode: becomes for mode, becomes in given.pop("access_mode_mapping").items()}
        return {**given, **given.pop("selection"), **given.pop("stork_options"), **modes}


def _is_said(bound: forms.BoundField) -> bool:
    return bool(bound.errors) or (bound.value() or "") != (bound.field.initial or "")
