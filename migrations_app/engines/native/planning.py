"""What would become of every object: collected and transformed as a migration would, and asked of the destination."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Discovery, Resource
from clusters.kube.errors import NotFound
from clusters.models import ClusterPair
from migrations_app.engines import Contents, Foreseen
from migrations_app.engines.claims import chosen_claims, volume_of
from migrations_app.engines.native import manifests
from migrations_app.engines.native.wanted import Wanted
from migrations_app.engines.sides import destination_of, source_of
from migrations_app.models import Migration, earlier_over
from migrations_app.resources import order, purge
from migrations_app.resources.collect import Collected, collect
from migrations_app.resources.dependencies import Key
from migrations_app.resources.diffs import differences
from migrations_app.resources.dry_run import Planned
from migrations_app.resources.dry_run import dry_run as asked_of_each
from migrations_app.resources.marks import key_of, named
from migrations_app.resources.meeting import outcome
from migrations_app.resources.references import references
from migrations_app.resources.registrations import suspensions
from migrations_app.resources.rules import RuleError
from migrations_app.resources.spec import Spec
from migrations_app.resources.suggestions import Suggestion, unsettled
from migrations_app.resources.transform import transformed

Object = dict[str, Any]
PURGED = "is deleted on the destination: an earlier migration brought it, and the source has it no longer"


def foresee(pair: ClusterPair, spec: Spec, *, migration_id: str) -> list[Foreseen]:
    """See `engines.ForeseesObjects`."""
    with source_of(pair).asked() as connection:
        collected = collect(connection, spec)
        discovery = connection.discovery()
    options = Wanted(pair, spec, migration_id).options(collected.suspensions)
    notes, missing = _by_key(collected)
    originals: dict[int, Object] = {}
    made, found = [], []
    for obj in collected.objects:
        try:
            wanted = transformed(obj, options)
        except RuleError as error:
            found.append(_foreseen(obj, None, discovery, reason=str(error), refused=True))
            continue
        originals[id(wanted)] = obj
        made.append(wanted)
    proposed: dict[Key, list[Suggestion]] = {}
    for each in unsettled([(originals[id(wanted)], wanted) for wanted in made], spec):
        proposed.setdefault(each.key, []).append(each)
    for wanted in order.ordered(made):
        obj = originals[id(wanted)]
        key = key_of(obj)
        told: dict[str, Any] = {"needs": _needs(obj), "missing": missing.get(key, []), "notes": notes.get(key, [])}
        told["suggestions"] = proposed.get(key, [])
        found.append(_foreseen(obj, wanted, discovery, **told))
    for left in collected.left_out:
        group, kind = left.key[:2]
        version = next(iter(discovery.versions_of(group, kind)), "")
        resource = discovery.by_kind(f"{group}/{version}" if group else version, kind)
        found.append(Foreseen(left.key, _name(resource, kind), version, None, left.reason))
    if spec.purge_deleted_resources:
        found += _purged(pair, spec, collected, [each.wanted for each in found if each.wanted is not None])
    return found


def _purged(pair: ClusterPair, spec: Spec, collected: Collected, wanted: list[Object]) -> list[Foreseen]:
    """What would be deleted on the destination, under the namespaces that it came from, the last first."""
    sources = purge.source_namespaces(spec)
    with destination_of(pair).asked() as connection:
        discovery = connection.discovery()
        candidates = purge.candidates(connection, collected, wanted, spec, earlier_over(pair))
    stays = {key_of(obj): reason for obj, reason in candidates}
    found = []
    for obj in order.ordered(obj for obj, _reason in candidates)[::-1]:
        group, kind, namespace, name = key = key_of(obj)
        resource = _name(discovery.by_kind(obj["apiVersion"], kind), kind)
        version = obj["apiVersion"].rpartition("/")[2]
        place = (group, kind, sources[namespace], name)
        if reason := stays[key]:
            found.append(Foreseen(place, resource, version, None, reason))
        else:
            goes = differences(obj, {"apiVersion": obj["apiVersion"], "kind": kind})
            found.append(Foreseen(place, resource, version, None, PURGED, purged=goes))
    return found


def _foreseen(obj: Object, wanted: Object | None, discovery: Discovery, **told: Any) -> Foreseen:
    resource = discovery.by_kind(obj["apiVersion"], obj["kind"])
    version = (wanted or obj)["apiVersion"].rpartition("/")[2]
    return Foreseen(key_of(obj), _name(resource, obj["kind"]), version, wanted, **told)


def _needs(obj: Object) -> dict[Key, bool]:
    """What it refers to; optional only where every place that does so can do without."""
    found: dict[Key, bool] = {}
    for each in references(obj):
        found[each.key] = each.optional and found.get(each.key, True)
    return found


def _by_key(collected: Collected) -> tuple[dict[Key, list[str]], dict[Key, list[dict[str, Any]]]]:
    """What is worth saying of an object, and what it refers to that does not go along."""
    notes: dict[Key, list[str]] = {}
    for note in collected.notes:
        notes.setdefault(note.key, []).append(note.text)
    missing: dict[Key, list[dict[str, Any]]] = {}
    for each in collected.missing:
        lacking = {
            "key": list(each.needed),
            "needed": named(each.needed),
            "reason": each.reason,
            "optional": each.optional,
        }
        missing.setdefault(each.user, []).append(lacking)
    return notes, missing


def _name(resource: Resource | None, kind: str) -> str:
    return resource.name if resource is not None else kind.lower()


def dry_run(
    pair: ClusterPair,
    spec: Spec,
    objects: Iterable[Object],
    *,
    migration_id: str,
    on_planned: Callable[[Planned], None],
    stop_at: float,
) -> bool:
    """See `engines.ForeseesObjects`."""
    with destination_of(pair).asked() as connection:
        return asked_of_each(
            connection,
            objects,
            migration_id=migration_id,
            policy=spec.conflict_policy,
            on_planned=on_planned,
            stop_at=stop_at,
            earlier=earlier_over(pair),
        )


def contents(pair: ClusterPair, spec: Spec, *, migration_id: str, resource: str, namespace: str, name: str) -> Contents:
    """See `engines.ForeseesObjects`."""
    with source_of(pair).asked() as connection:
        source = _got(connection, resource, name, namespace)
        registered = suspensions(connection, spec)
    place = spec.namespace_for(namespace) if namespace else ""
    if source is None:
        # Gone from the source: only the destination may still have it.
        with destination_of(pair).asked() as connection:
            return Contents(None, None, _got(connection, resource, name, place))
    try:
        wanted = transformed(source, Wanted(pair, spec, migration_id).options(registered))
    except RuleError:
        # Its row says which rule.
        wanted = None
    with destination_of(pair).asked() as connection:
        try:
            there = connection.resource_of(wanted or source).name
        except NotFound:
            return Contents(source, wanted, None)
        present = _got(connection, there, name, place)
        applied = outcome(connection, wanted, present) if wanted and present else None
    return Contents(source, wanted, present, applied)


def _got(connection: Connection, resource: str, name: str, namespace: str) -> Object | None:
    try:
        return connection.get(resource, name, namespace or None)
    except NotFound:
        return None


def whole(pair: ClusterPair, spec: Spec, *, migration_id: str) -> list[Object]:
    """See `engines.ForeseesObjects`."""
    # Never saved: what namespaces and claims are made from.
    migration = Migration(pk=uuid.UUID(migration_id), pair=pair, **spec.to_dict())
    wanted = Wanted(pair, spec, migration_id)
    with source_of(pair).asked() as connection:
        found = [manifests.namespace(migration, connection.get("namespaces", name)) for name in spec.namespaces]
        for namespace in spec.namespaces:
            for claim in chosen_claims(connection, namespace, spec):
                volume = volume_of(migration, claim, wanted.class_for(claim.storage_class))
                found.append(manifests.claim(migration, volume))
    if spec.include_resources:
        foreseen = foresee(pair, spec, migration_id=migration_id)
        found += [each.wanted for each in foreseen if each.wanted is not None]
    return order.ordered(found)
