"""Form fields for everything that a migration can be asked for beyond its namespaces: the fields of a `Spec`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from clusters.models import ClusterPair, Engine
from migrations_app.choices import ACCESS_MODES
from migrations_app.models import ConflictPolicy
from migrations_app.resources.spec import Selection, Spec
from migrations_app.stork_options import NOT_OF_STORK
from migrations_app.transformations.models import ResourceTransformation

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
    transformations = forms.MultipleChoiceField(
        label=_("Rules"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Applied after all mappings."),
    )
    conflict_policy = forms.ChoiceField(
        label=_("A different object of the same name on the destination"),
        choices=ConflictPolicy.choices,
        initial=ConflictPolicy.REFUSE,
        required=False,
    )
    purge_deleted_resources = forms.BooleanField(
        label=_("Purge"),
        required=False,
        help_text=_("Delete on the destination what an earlier migration brought and the source has no longer."),
    )

    def __init__(self, *args: Any, pair: ClusterPair, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for mode in ACCESS_MODES:
            others = [(each, each) for each in ACCESS_MODES if each != mode]
            self.fields[ACCESS_MODE + mode] = forms.ChoiceField(
                label=_("%(mode)s becomes") % {"mode": mode},
                required=False,
                choices=[("", _("the same")), *others],
                initial=(kwargs.get("initial") or {}).get("access_mode_mapping", {}).get(mode, ""),
            )
        rules = ResourceTransformation.objects.filter(team=pair.team).values_list("name", flat=True)
        self.fields["transformations"].choices = [(name, name) for name in rules]  # type: ignore[attr-defined]
        for name in self._beyond(pair):
            del self.fields[name]

    def _beyond(self, pair: ClusterPair) -> list[str]:
        if pair.engine != Engine.PORTWORX:
            return []
        missing = {*NOT_OF_STORK, *(name for name in self.fields if name.startswith(ACCESS_MODE))}
        return [name for name in self.fields if name in missing]

    @property
    def sections(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """What is folded: title, fields, and whether it is open because something in it was said or is wrong."""
        groups = (
            (_("Mappings"), ["namespace_mapping", *self._access_modes(), "image_mapping", "host_mapping"]),
            (_("Selection"), [name for name in SELECTION if name in self.fields]),
            (_("Rules"), ["transformations"]),
            (_("Conflicts and purge"), ["conflict_policy", "purge_deleted_resources"]),
        )
        found = []
        for title, names in groups:
            bound = [self[name] for name in names if name in self.fields]
            if bound:
                found.append((str(title), bound, any(_is_said(each) for each in bound)))
        return found

    def _access_modes(self) -> list[str]:
        return [name for name in self.fields if name.startswith(ACCESS_MODE)]

    def options(self) -> dict[str, Any]:
        """The fields of a Spec that were given, by their names there."""
        given = self.cleaned_data
        names = ("namespace_mapping", "image_mapping", "host_mapping", "transformations", "purge_deleted_resources")
        found = {name: given[name] for name in names if name in given}
        if given.get("conflict_policy"):
            found["conflict_policy"] = given["conflict_policy"]
        modes = {name.removeprefix(ACCESS_MODE): given.get(name) for name in self._access_modes()}
        found["access_mode_mapping"] = {mode: becomes for mode, becomes in modes.items() if becomes}
        found["selection"] = {name: given[name] for name in SELECTION if given.get(name)}
        return found

    @staticmethod
    def initial_of(spec: Spec) -> dict[str, Any]:
        """What the fields show for a spec: to do the same again, or nearly. Rules are found again by their names."""
        given = spec.to_dict()
        selection = given.pop("selection")
        return {**given, **selection, "transformations": [each["name"] for each in given["transformations"]]}


def _is_said(bound: forms.BoundField) -> bool:
    value = bound.value()
    return bool(bound.errors) or (bool(value) and str(value) not in ("False", ConflictPolicy.REFUSE.value))
