"""What rules do to an object of a cluster, asked now: as it would arrive without them, and with them.

Values of Secrets are replaced before any rule sees them, so that none can be carried to where it would be shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from clusters.connections import connect
from clusters.kube import errors
from clusters.kube.connection import Connection
from clusters.models import Cluster
from clusters.translation import translated
from migrations_app.plans.contents import to_yaml
from migrations_app.resources import rules
from migrations_app.resources.belonging import MACHINERY, NEVER, is_candidate
from migrations_app.resources.masking import masked
from migrations_app.resources.rules import RuleError
from migrations_app.resources.spec import Spec
from migrations_app.resources.transform import Options, transformed
from migrations_app.transformations import services
from teams.refusals import Refusal, Unavailable

Object = dict[str, Any]
MOST_NAMES = 500
CONTEXT_LINES = 3


@dataclass(frozen=True)
class Preview:
    """An object as it would arrive without the rules and with them, as YAML, and what differs as `diff -u` has it."""

    before: str
    after: str
    lines: list[str]
    # The labels of the rules that are about the object.
    matching: list[str]


@dataclass
class Choice:
    """What can be picked, given what is picked already: each list is in order, and empty where it has to wait."""

    namespaces: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


@contextmanager
def _asked(cluster: Cluster) -> Iterator[Connection]:
    try:
        with connect(cluster) as connection:
            yield connection
    except errors.KubeError as error:
        raise (Unavailable if isinstance(error, errors.RETRIABLE) else Refusal)(translated(error.message)) from None


def choices(cluster: Cluster, namespace: str = "", resource: str = "") -> Choice:
    """The cluster's namespaces, the kinds that migrations carry, objects of the kind. Raises Refusal, Unavailable."""
    found = Choice()
    with _asked(cluster) as connection:
        found.namespaces = sorted(each["metadata"]["name"] for each in connection.list("namespaces"))
        found.resources = sorted(each.name for each in connection.discovery().resources() if is_candidate(each))
        if namespace in found.namespaces and resource in found.resources:
            names = (each["metadata"]["name"] for each in connection.list(resource, namespace))
            found.names = sorted(names)[:MOST_NAMES]
    return found


def preview(cluster: Cluster, source: str, *, resource: str, namespace: str, name: str) -> Preview:
    """What the rules in the text do to the object. Raises Refusal, at `source` where it is the rules; Unavailable."""
    given = services.read(source)
    obj = _object(cluster, resource, namespace, name)
    spec = Spec(namespaces=(namespace,) if namespace else ())
    with_rules = Spec(namespaces=spec.namespaces, transformations=({"name": "", "rules": given},))
    before = transformed(obj, Options("preview", cluster.name, spec))
    try:
        after = transformed(obj, Options("preview", cluster.name, with_rules))
    except RuleError as error:
        raise Refusal(str(error), {"source": [str(error)]}) from None
    without, having = to_yaml(before), to_yaml(after)
    lines = difflib.unified_diff(without.splitlines(), having.splitlines(), lineterm="", n=CONTEXT_LINES)
    matching = [rule.label for rule in rules.parse(given) if rule.conditions.hold_for(obj)]
    return Preview(without, having, list(lines)[2:], matching)


def _object(cluster: Cluster, resource: str, namespace: str, name: str) -> Object:
    with _asked(cluster) as connection:
        found = connection.discovery().find(resource)
        if found is None or found.name in NEVER or found.group in MACHINERY:
            raise Refusal(_("%(kind)s are not carried by migrations.") % {"kind": resource})
        return masked(connection.get(found, name, namespace or None))
