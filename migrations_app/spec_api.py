"""How the API reads and shows what moves and how: the fields of a `Spec`, the same of migrations and plans.

Only shapes are checked here; whether they can be is `choices.checked`'s to say, for pages and API alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from migrations_app.models import ConflictPolicy, VolumeSnapshots
from migrations_app.resources.spec import Selection, Spec
from teams.api import StrictSerializer

MOST_NAMESPACES = 100


def _texts(what: str) -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(max_length=600), required=False, help_text=what)


def _mapping(what: str, *, blank: bool = False) -> serializers.DictField:
    child = serializers.CharField(max_length=500, allow_blank=blank)
    return serializers.DictField(child=child, required=False, help_text=what)


class SelectionSerializer(StrictSerializer):
    """Which objects go along; empty means all. Kinds are `plural.group`, objects `plural.group/namespace/name`."""

    label_selector = serializers.CharField(
        required=False, allow_blank=True, help_text="As `kubectl -l` takes it: app=web,tier in (a, b),!canary."
    )
    exclude_selectors = _texts("An object that any of them selects stays.")
    include_kinds = _texts("Only these kinds, such as deployments.apps; * stands for any part of a name.")
    exclude_kinds = _texts("All but these kinds.")
    include_objects = _texts("These go along, whatever else keeps them back.")
    exclude_objects = _texts("These stay, whatever else takes them along.")
    include_owned = serializers.BooleanField(
        required=False, help_text="Also what a controller on the destination would make again from its owners."
    )

    def to_representation(self, instance: Any) -> dict[str, Any]:
        given = {each.name: each.default for each in dataclasses.fields(Selection)} | dict(instance or {})
        return {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}


class AppliedRulesSerializer(StrictSerializer):
    """Rules under one name, as they are applied."""

    name = serializers.CharField(max_length=253)
    rules = serializers.JSONField(help_text="A list of rules, as a transformation of the team shows them.")


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "description": "Name or id of a transformation of the team; only sent, never shown."},
            {
                "type": "object",
                "required": ["name", "rules"],
                "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": {"type": "object"}}},
            },
        ]
    }
)
class RulesOrNameField(serializers.Field[Any, Any, Any, Any]):
    """Rules themselves; on the way in also the name or id of a transformation of the team."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            return data
        given = AppliedRulesSerializer(data=data)
        given.is_valid(raise_exception=True)
        return given.validated_data

    def to_representation(self, value: Any) -> Any:
        return value


class SpecSerializer(StrictSerializer):
    """The fields of a Spec. All but the namespaces can be left out."""

    namespaces = serializers.ListField(
        child=serializers.CharField(max_length=63), min_length=1, max_length=MOST_NAMESPACES
    )
    include_volumes = serializers.BooleanField(required=False)
    include_resources = serializers.BooleanField(required=False)
    start_applications = serializers.BooleanField(
        required=False, help_text="Otherwise workloads arrive with zero replicas."
    )
    selection = SelectionSerializer(required=False)
    namespace_mapping = _mapping("Source namespace to destination namespace; others keep their names.")
    storage_class_mapping = _mapping(
        "Source class to destination class; adds to, and wins over, the pair's mapping.", blank=True
    )
    access_mode_mapping = _mapping("Access mode to access mode, such as ReadWriteOnce to ReadWriteOncePod.")
    image_mapping = _mapping("Registry or repository prefix to prefix.")
    host_mapping = _mapping("Suffix of the hosts of Routes and Ingresses to suffix.")
    transformations = serializers.ListField(
        child=RulesOrNameField(),
        required=False,
        max_length=100,
        help_text="Applied in this order, after all mappings; the team's by name or id, or rules themselves.",
    )
    conflict_policy = serializers.ChoiceField(
        choices=ConflictPolicy.choices,
        required=False,
        help_text="What is done with a different object of the same name on the destination.",
    )
    volume_snapshots = serializers.ChoiceField(
        choices=VolumeSnapshots.choices,
        required=False,
        help_text="Which volumes are read from a VolumeSnapshot, which is of one moment, instead of as they are used.",
    )
    purge_deleted_resources = serializers.BooleanField(
        required=False,
        help_text="Also delete on the destination what an earlier migration brought and the source has no longer.",
    )
    stork_options = serializers.DictField(
        required=False, help_text="Fields of Stork's Migration that only it knows; for pairs of the engine portworx."
    )


NAMES = tuple(each.name for each in dataclasses.fields(Spec))


def plain(given: Any) -> Any:
    """What a serializer validated, in plain dicts and lists that JSON can hold."""
    if isinstance(given, Mapping):
        return {key: plain(value) for key, value in given.items()}
    return [plain(each) for each in given] if isinstance(given, list | tuple) else given
