"""One object of a plan as YAML, asked of the clusters now: on the source, as it is to be, and on the destination."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import yaml
from django.utils.translation import gettext as _

from clusters.translation import translated
from migrations_app.engines import ForeseesObjects, MigrationError, RetriableError, engine_for
from migrations_app.plans.models import PlannedAction, PlannedObject
from migrations_app.resources import diffs
from migrations_app.resources.masking import masked
from teams.refusals import Refusal, Unavailable

Object = dict[str, Any]
# What the API server adds to every answer and nobody compares.
NOISE = ("managedFields",)
CONTEXT_LINES = 4


@dataclass(frozen=True)
class Texts:
    """YAML texts, empty where there is no such object, and what differs, line by line as `diff -u` has it."""

    source: str
    wanted: str
    present: str
    changed_on_the_way: list[str]
    changed_on_the_destination: list[str]


def texts(row: PlannedObject) -> Texts:
    """The object with the values of Secrets masked. Raises Refusal, Unavailable."""
    plan = row.plan
    engine = engine_for(plan.pair)
    if not isinstance(engine, ForeseesObjects):
        raise Refusal(_("The engine of this pair does not apply objects itself."))
    try:
        found = engine.contents(
            plan.pair,
            plan.asked(),
            migration_id=str(plan.pk),
            resource=row.resource,
            namespace=row.source_namespace,
            name=row.name,
        )
    except RetriableError as error:
        raise Unavailable(translated(error.message)) from None
    except MigrationError as error:
        raise Refusal(translated(error.message)) from None
    source, wanted, present = (_text(each) for each in (found.source, found.wanted, found.present))
    if row.shown_action == PlannedAction.PURGE:
        return Texts(source, wanted, present, [], [f"-{line}" for line in present.splitlines()])
    before, after = (_changeable(each) for each in (found.present, found.outcome or found.wanted))
    return Texts(source, wanted, present, _differences(source, wanted), _differences(before, after))


def _text(obj: Object | None) -> str:
    return "" if obj is None else to_yaml(masked(without_noise(obj)))


def _changeable(obj: Object | None) -> str:
    """What applying can change of it: neither its status nor what the server keeps for itself."""
    return "" if obj is None else to_yaml(diffs.without_noise(masked(obj)))


def without_noise(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in NOISE}
    return {**obj, "metadata": metadata}


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, lists indented, nothing said by reference: as people write manifests."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def to_yaml(obj: Any) -> str:
    """The object as people write manifests."""
    return yaml.dump(obj, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _differences(before: str, after: str) -> list[str]:
    if not before or not after:
        return []
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=CONTEXT_LINES)
    return list(lines)[2:]
