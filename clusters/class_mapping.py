"""Form fields that translate storage classes: one choice per class of the source, as far as both sides are known."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from clusters.models import Cluster

PREFIX = "class:"
FREE_TEXT = "class_mapping"


def class_names(cluster: Cluster | None) -> list[str]:
    """The storage classes that the last check of the cluster found."""
    return [row["name"] for row in cluster.storage_classes] if cluster is not None else []


def fields(source: Cluster | None, destination: Cluster | None, mapping: dict[str, str]) -> dict[str, forms.Field]:
    """A select per source class, its choices the destination's classes; text where a side is not known yet."""
    from_classes, to_classes = class_names(source), class_names(destination)
    if not from_classes:
        return {
            FREE_TEXT: forms.CharField(
                label=_("Storage classes"),
                required=False,
                widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
                help_text=_("One per line: class of the source = class of the destination."),
                initial="\n".join(f"{key} = {value}" for key, value in mapping.items()),
            )
        }
    found: dict[str, forms.Field] = {}
    for name in [*from_classes, *(key for key in mapping if key not in from_classes)]:
        label = _("Storage class %(name)s becomes") % {"name": name}
        given = mapping.get(name, "")
        field: forms.Field
        if to_classes:
            same = _("%(name)s (same name)") % {"name": name} if name in to_classes else _("same name (not there yet)")
            others = [
                (each, each) for each in dict.fromkeys([*to_classes, *([given] if given else [])]) if each != name
            ]
            field = forms.ChoiceField(label=label, required=False, choices=[("", same), *others], initial=given)
        else:
            field = forms.CharField(label=label, required=False, initial=given, max_length=253)
        found[PREFIX + name] = field
    return found


def mapping_of(cleaned: dict[str, Any]) -> dict[str, str]:
    """The mapping that a form with these fields says. Raises ValidationError for a line that is none."""
    mapping = {key.removeprefix(PREFIX): value for key, value in cleaned.items() if key.startswith(PREFIX) and value}
    for line in cleaned.get(FREE_TEXT, "").splitlines():
        if not line.strip():
            continue
        source, equals, destination = (part.strip() for part in line.partition("="))
        if not (source and equals and destination):
            raise forms.ValidationError(
                {FREE_TEXT: _("“%(line)s” is not of the form SOURCE = DESTINATION.") % {"line": line}}
            )
        mapping[source] = destination
    return mapping
