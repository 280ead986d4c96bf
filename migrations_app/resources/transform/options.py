"""How to transform, and the form of a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from migrations_app.resources import rules
from migrations_app.resources.marks import MIGRATION_LABEL
from migrations_app.resources.registrations import Suspensions
from migrations_app.resources.shapes import section
from migrations_app.resources.spec import Spec

Object = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """How to transform: `spec` says what was asked for, `source` names the cluster in the mark.

    `suspensions` say what stops operators' own kinds, where the source knows.
    """

    migration_id: str
    source: str = ""
    spec: Spec = field(default_factory=lambda: Spec(namespaces=()))
    suspensions: Suspensions = field(default_factory=dict)

    @property
    def storage_classes(self) -> Mapping[str, str]:
        return self.spec.storage_class_mapping

    @cached_property
    def transformations(self) -> tuple[rules.Transformation, ...]:
        """The user's rules, read once for all objects. Raises RuleError."""
        return rules.transformations(self.spec.transformations)


# Changes the object in place; the last argument is the object as the source has it.
Rule = Callable[[Object, Options, Object], None]


def was_transformed(obj: Object, options: Options) -> bool:
    """Whether this migration has transformed it: then it tells no more what was asked for, and names are mapped.

    Mapping twice would follow a chain: a class may be called on the destination as another one is on the source.
    """
    return bool(section(obj, "metadata", "labels").get(MIGRATION_LABEL) == options.migration_id)
