"""What stops operators' own kinds, as the ApplicationRegistrations of a source with Stork say it.

Stork registers every CRD of its cluster; only those for which somebody wrote `suspendOptions` say how to stop them
(Stork pkg/appregistration). `podsPath`, by which Stork waits for pods to end, is for its own scaling down: nothing on
the source is stopped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.errors import Forbidden, NotFound
from migrations_app.resources.shapes import items, section
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
REGISTRATIONS = "applicationregistrations.stork.libopenstorage.org"
# A field within the object, and what says "stopped" there.
Suspension = tuple[str, int | bool | str]
Suspensions = Mapping[tuple[str, str], tuple[Suspension, ...]]


def suspensions(connection: Connection, spec: Spec) -> Suspensions:
    """By group and kind; empty where applications are to be started, or where the cluster tells nothing of it.

    Raises KubeError where the cluster cannot be asked.
    """
    resource = None if spec.start_applications else connection.discovery().find(REGISTRATIONS)
    if resource is None:
        return {}
    try:
        return read(connection.list(resource))
    except (Forbidden, NotFound):
        return {}


def read(registrations: Iterable[Object]) -> Suspensions:
    """What the registrations say; what cannot be read says nothing."""
    found = {}
    for registration in registrations:
        for each in items(registration, "resources"):
            options = (section(each, "suspendOptions"), *items(each, "customSuspendOptions"))
            if told := tuple(_told(options)):
                found[str(each.get("group") or ""), str(each.get("kind") or "")] = told
    return found


def _told(options: Iterable[Object]) -> Iterator[Suspension]:
    for each in options:
        path, value = each.get("path"), each.get("value")
        if not isinstance(path, str) or not path:
            continue
        match each.get("type"):
            case "int":
                yield path, 0
            case "bool":
                yield path, True
            case "string" if isinstance(value, str):
                yield path, value
