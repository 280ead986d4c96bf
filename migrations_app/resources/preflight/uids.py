"""OpenShift's ranges of user ids: each namespace has its own, which its pods run in and own their files with."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.texts import counted, listed, said
from migrations_app.resources.marks import annotations_of
from migrations_app.resources.preflight.context import Context, Object
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.preflight.workloads import Workload
from migrations_app.resources.references import items, section

UID_RANGE = Check("uid-range", said("Ranges of user ids"))
SCCS = "securitycontextconstraints.security.openshift.io"
RANGE_ANNOTATION = "openshift.io/sa.scc.uid-range"
GROUPS_ANNOTATION = "openshift.io/sa.scc.supplemental-groups"
# From where OpenShift gives namespaces their ranges (uidAllocatorRange).
ALLOCATED = range(1_000_000_000, 2_000_000_000)


def uid_ranges(context: Context) -> Iterator[Result]:
    """Fixed ids outside of the destination's range, and files whose owners come from another range."""
    if not context.destination.serves(SCCS):
        return
    for old in context.spec.namespaces:
        new = context.spec.namespace_for(old)
        namespace = context.namespaces.get(new)
        there = range_of(namespace or {})
        if namespace is None or there is None:
            continue
        outside = [each for each in context.workloads if each.namespace == new and _fixed_outside(each, there)]
        here = range_of(context.source_namespaces.get(old, {}))
        first = there.start
        if outside:
            ids = sorted({uid for each in outside for uid in _ids(each.spec) if uid not in there})
            yield UID_RANGE.warning(
                counted(
                    len(outside),
                    "{workloads} asks for the user or group {ids}, outside of the range {first}-{last} of namespace "
                    "{namespace} on the {destination}.",
                    "{workloads} ask for the user or group {ids}, outside of the range {first}-{last} of namespace "
                    "{namespace} on the {destination}.",
                    workloads=listed(outside),
                    ids=listed(ids),
                    first=first,
                    last=there.stop - 1,
                    namespace=new,
                    destination=context.destination,
                ),
                map(str, outside),
                why=said("Under restricted constraints the pods would be refused; under anyuid they run as they ask."),
                remedy=said(
                    "Let their accounts use nonroot-v2 or anyuid there, or give the namespace the source's range."
                ),
                command=f"{context.destination.kubectl} annotate --overwrite namespace {new} "
                f"{RANGE_ANNOTATION}={here.start if here else ids[0]}/10000",
            )
        moved = [each for each in context.claims if each.namespace == new and each.with_data]
        if here is not None and here != there and moved:
            yield UID_RANGE.warning(
                said(
                    "Pods of namespace {new} run as users from {first} on the {destination}, and as users from "
                    "{start} on the source, who own the files of {moved}.",
                    new=new,
                    first=first,
                    destination=context.destination,
                    start=here.start,
                    moved=listed(map(str, moved)),
                ),
                [each.label for each in moved],
                why=said("The application may find files that it can neither read nor write."),
                remedy=said(
                    "Give the namespace the source's range before the migration, or let a group own the files "
                    "(fsGroup)."
                ),
                command=f"{context.destination.kubectl} annotate --overwrite namespace {new} "
                f"{RANGE_ANNOTATION}={here.start}/{len(here)} {GROUPS_ANNOTATION}={here.start}/{len(here)}",
            )
        elif not outside:
            yield UID_RANGE.passed(
                said(
                    "Namespace {new} has the users {first}-{stop}, and its pods keep to them.",
                    new=new,
                    first=first,
                    stop=there.stop - 1,
                )
            )


def _ids(spec: Object) -> set[int]:
    pod = section(spec, "securityContext")
    containers = [*items(spec, "initContainers"), *items(spec, "containers")]
    found = [section(each, "securityContext").get("runAsUser") for each in containers]
    return {each for each in [*found, pod.get("runAsUser"), pod.get("fsGroup")] if each}


def _fixed_outside(workload: Workload, there: range) -> bool:
    return any(uid not in there for uid in _ids(workload.spec))


def range_of(namespace: Object) -> range | None:
    """The namespace's range of user ids, where it has one."""
    return _range(annotations_of(namespace).get(RANGE_ANNOTATION, ""))


def ids_of(namespace: Object) -> range:
    """The ids that pods of the namespace may have, or any that OpenShift would give out where none are fixed yet."""
    return range_of(namespace) or ALLOCATED


def _range(text: str) -> range | None:
    """OpenShift's forms of a range: first/size and first-last."""
    first, slash, rest = text.partition("/")
    if slash and first.isdigit() and rest.isdigit():
        return range(int(first), int(first) + int(rest))
    first, dash, last = text.partition("-")
    if dash and first.isdigit() and last.isdigit():
        return range(int(first), int(last) + 1)
    return None
