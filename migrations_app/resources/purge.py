"""What an earlier migration brought and the source has no longer: it is deleted on the destination, when asked.

Only objects in the namespaces of the migration which an earlier one over the same pair made, and which carry its mark
still. Never what others made, what is excluded by name, kind or selector, what a controller owns, what lies outside of
namespaces (others may use it), or claims: their data would be lost. Kinds that could not be read on the source are left
alone: nobody knows what it has of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Resource
from clusters.kube.errors import Forbidden, Invalid, NotFound
from migrations_app.resources.belonging import RECREATED, is_candidate
from migrations_app.resources.collect import Collected
from migrations_app.resources.marks import MIGRATION_LABEL, key_of, migration_of
from migrations_app.resources.ownership import made_by
from migrations_app.resources.selection import Chooser
from migrations_app.resources.spec import Spec

Object = dict[str, Any]
Key = tuple[str, str, str, str]
WORKERS = 6


def outlived(
    connection: Connection, collected: Collected, wanted: Iterable[Object], spec: Spec, earlier: Collection[str]
) -> list[Object]:
    """The destination's objects that are to be purged, in no particular order. Raises KubeError.

    `wanted` are the collected objects as they are to be: a user's rule may have given them other names.
    """
    return [obj for obj, stays in candidates(connection, collected, wanted, spec, earlier) if not stays]


def candidates(
    connection: Connection, collected: Collected, wanted: Iterable[Object], spec: Spec, earlier: Collection[str]
) -> list[tuple[Object, str]]:
    """What the source has no longer, each with why it stays all the same: what is left out is left alone too."""
    if not earlier:
        return []
    there = on_the_source(collected, spec) | {key_of(obj) for obj in wanted}
    unread = {each.resource for each in collected.skipped}
    chooser, sources = Chooser(spec.selection), source_namespaces(spec)
    return [
        (obj, chooser.why_not(resource.name, _as_on_the_source(obj, sources), needed=True))
        for resource, obj in marked(connection, spec.destination_namespaces())
        if resource.name not in RECREATED
        and is_candidate(resource)
        and resource.name not in unread
        and resource.api_version not in unread
        and key_of(obj) not in there
        and migration_of(obj) in earlier
        and made_by(obj, migration_of(obj))
    ]


def source_namespaces(spec: Spec) -> dict[str, str]:
    """The source's namespace for each of the destination's."""
    return {spec.namespace_for(name): name for name in spec.namespaces}


def _as_on_the_source(obj: Object, sources: Mapping[str, str]) -> Object:
    """With the namespace by which a selection names it."""
    return {**obj, "metadata": {**obj["metadata"], "namespace": sources[obj["metadata"]["namespace"]]}}


def on_the_source(collected: Collected, spec: Spec) -> set[Key]:
    """The keys that the source's objects have on the destination, those that stay behind included."""
    keys = [*(key_of(obj) for obj in collected.objects), *(each.key for each in collected.left_out)]
    return {(group, kind, spec.namespace_for(namespace), name) for group, kind, namespace, name in keys}


def marked(
    connection: Connection, namespaces: Collection[str], migration_id: str = "", *, beyond: bool = False
) -> Iterator[tuple[Resource, Object]]:
    """What carries a migration's mark in the namespaces, of every kind that can be deleted; owned objects left out.

    What has an owner goes with it, and may have our mark from it without being ours. With `beyond` also what lies
    outside of namespaces, but for those themselves.
    """
    selector = f"{MIGRATION_LABEL}={migration_id}" if migration_id else MIGRATION_LABEL
    resources = [
        each
        for each in connection.discovery().resources()
        if {"list", "create", "delete"} <= each.verbs and (each.namespaced or (beyond and each.name != "namespaces"))
    ]

    def found(place: tuple[Resource, str]) -> list[Object]:
        try:
            return list(connection.list(place[0], place[1] or None, label_selector=selector))
        except (NotFound, Forbidden, Invalid):
            return []

    places = [(each, namespace) for namespace in namespaces for each in resources if each.namespaced]
    places += [(each, "") for each in resources if not each.namespaced]
    seen: set[str] = set()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="marked") as pool:
        for (resource, _namespace), objects in zip(places, pool.map(found, places), strict=True):
            for obj in objects:
                metadata = obj["metadata"]
                # The same object may be served by two groups.
                if metadata["uid"] not in seen and not metadata.get("ownerReferences"):
                    seen.add(metadata["uid"])
                    yield resource, obj
