"""The application as the source has it: everything namespaced that matters, and what it needs from outside.

Not a fixed list of kinds: all that discovery serves and that can be listed and created, minus what the destination's
own controllers make again (`belonging`), minus what was not chosen (`selection`), plus what lies outside of namespaces
(`cluster_scoped`). What stays behind is told with the reason, and so is what the rest needs of it (`dependencies`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from clusters.kube.connection import Connection
from clusters.kube.discovery import Discovery, Resource
from clusters.kube.errors import Forbidden, NotFound, Unavailable
from clusters.texts import NOTHING, Text, said
from migrations_app.resources import cluster_scoped, dependencies, notes
from migrations_app.resources.belonging import RECREATED, is_candidate, why_left_out
from migrations_app.resources.dependencies import Key, Missing
from migrations_app.resources.marks import key_of, type_of
from migrations_app.resources.notes import Note
from migrations_app.resources.once import once
from migrations_app.resources.registrations import Suspensions, suspensions
from migrations_app.resources.selection import CLAIMS, Chooser
from migrations_app.resources.spec import Spec

Object = dict[str, Any]

# Kubernetes before 1.22 shows workloads and Ingresses here as well; what is served elsewhere too is taken from there.
LEGACY = "extensions"
# One request per kind and namespace: what takes time is the way there and back.
WORKERS = 6
SILENT = said("The server behind this API does not answer.")
GOING = said("is being deleted on the source")
# Nothing asks for these again, except that a Service's tell who chose its node ports.
FIELD_OWNERS_MATTER = frozenset({("", "Service")})


@dataclass(frozen=True)
class Skipped:
    """A kind that could not be read; the migration says so instead of leaving it out silently."""

    resource: str
    reason: Text

    @property
    def group(self) -> str:
        """Of a resource (`routes.route.openshift.io`), or of what a version serves (`route.openshift.io/v1`)."""
        version, slash, _rest = self.resource.partition("/")
        return version if slash else self.resource.partition(".")[2]


@dataclass(frozen=True)
class LeftOut:
    """An object that stays behind. The key is group, kind, namespace and name; the reason continues its name."""

    key: Key
    reason: Text


@dataclass(frozen=True)
class Collected:
    """The objects as the source has them; what could not be read, what stays behind, what is lacking, and remarks."""

    objects: list[Object]
    skipped: list[Skipped]
    left_out: list[LeftOut] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    # What stops operators' own kinds, where they are to be stopped.
    suspensions: Suspensions = field(default_factory=dict)


def collect(connection: Connection, spec: Spec) -> Collected:
    """What goes along of these namespaces, and the rest with reasons.

    Raises SelectorError where the selection cannot be read, KubeError when the cluster cannot be read at all.
    """
    chooser = Chooser(spec.selection)
    found = Collected([], [], suspensions=suspensions(connection, spec))
    discovery = connection.discovery()
    found.skipped.extend(Skipped(each, SILENT) for each in discovery.unavailable)
    claims: list[Key] = []
    for resource, obj in _listed(connection, spec, chooser, found):
        by_hand = chooser.is_named(resource.name, obj)
        if resource.name in RECREATED and not by_hand:
            continue
        if obj["metadata"].get("deletionTimestamp"):
            found.left_out.append(LeftOut(key_of(obj), GOING))
            continue
        if resource.name == CLAIMS:
            if reason := chooser.why_not_claim(obj):
                found.left_out.append(LeftOut(key_of(obj), reason))
            else:
                claims.append(key_of(obj))
            continue
        reason = NOTHING if by_hand else why_left_out(obj, discovery, include_owned=spec.selection.include_owned)
        if reason := reason or chooser.why_not(resource.name, obj):
            found.left_out.append(LeftOut(key_of(obj), reason))
        else:
            found.objects.append(obj)
    _drop_kept_endpoints(found)
    needed = cluster_scoped.needed_by(connection, found.objects, spec, whole=not chooser.narrows)
    found.skipped.extend(Skipped(resource, reason) for resource, reason in needed.unreadable.items())
    for name, obj in needed.objects:
        if reason := chooser.why_not(name, obj, needed=True):
            found.left_out.append(LeftOut(key_of(obj), reason))
        else:
            found.objects.append(obj)
    reasons = {each.key: each.reason for each in found.left_out}
    lacking = dependencies.missing(found.objects, namespaces=spec.namespaces, left_out=reasons, claims=claims)
    found.missing.extend([*lacking, *needed.grants])
    found.notes.extend(notes.about(found.objects, spec))
    return found


def _listed(
    connection: Connection, spec: Spec, chooser: Chooser, found: Collected
) -> Iterator[tuple[Resource, Object]]:
    """Every object of the kinds that can matter, namespace by namespace, each once; claims are among them."""
    discovery = connection.discovery()
    resources = sorted(asked_for(discovery, chooser), key=lambda each: each.group == LEGACY)
    asked = [(namespace, resource) for namespace in spec.namespaces for resource in resources]

    def read(at: tuple[str, Resource]) -> list[Object] | Skipped:
        namespace, resource = at
        try:
            return [_slim(obj) for obj in connection.list(resource, namespace)]
        except (Forbidden, NotFound) as error:
            return Skipped(resource.name, error.message)
        except Unavailable:
            # An API of its own whose server has fallen silent meanwhile, or the cluster itself?
            if resource.api_version not in fresh().unavailable:
                raise
            return Skipped(resource.name, SILENT)

    fresh = once(lambda: connection.discovery(fresh=True))
    seen: set[str] = set()
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="collect")
    try:
        for (_namespace, resource), answer in zip(asked, pool.map(read, asked), strict=True):
            if isinstance(answer, Skipped):
                found.skipped.append(answer)
                continue
            for obj in answer:
                # The same object can be served by two groups.
                uid = obj["metadata"].get("uid")
                if uid is None or uid not in seen:
                    yield resource, obj
                seen.add(uid or "")
    finally:
        pool.shutdown(cancel_futures=True)


def asked_for(discovery: Discovery, chooser: Chooser) -> list[Resource]:
    """The kinds in namespaces whose objects can matter."""
    return [
        each
        for each in discovery.resources()
        if _is_asked_for(each, chooser) and each.api_version not in discovery.unavailable
    ]


def _is_asked_for(resource: Resource, chooser: Chooser) -> bool:
    if resource.name == CLAIMS:
        return True
    if not is_candidate(resource):
        return False
    return resource.name not in RECREATED or resource.name in chooser.named_kinds()


def _slim(obj: Object) -> Object:
    """Without the record of field owners, which is often half of an object."""
    if type_of(obj) not in FIELD_OWNERS_MATTER:
        obj["metadata"].pop("managedFields", None)
    return obj


def _drop_kept_endpoints(found: Collected) -> None:
    """Leave out the Endpoints of Services that select their pods: the destination's controller writes those."""
    by_hand = {
        key_of(obj)[2:]
        for obj in found.objects
        if type_of(obj) == ("", "Service") and not (obj.get("spec") or {}).get("selector")
    }
    kept = [obj for obj in found.objects if type_of(obj) == ("", "Endpoints") and key_of(obj)[2:] not in by_hand]
    found.left_out.extend(LeftOut(key_of(obj), said("has no Service that was made without a selector")) for obj in kept)
    dropped = {key_of(obj) for obj in kept}
    found.objects[:] = [obj for obj in found.objects if key_of(obj) not in dropped]
