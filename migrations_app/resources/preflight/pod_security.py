"""Which pods the Pod Security level of their namespace refuses, or warns of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clusters.texts import Text, counted, listed, said
from migrations_app.resources.marks import labels_of
from migrations_app.resources.preflight.context import Context
from migrations_app.resources.preflight.pod_standards import EASY, LEVELS, violations_of
from migrations_app.resources.preflight.result import Check, Result
from migrations_app.resources.preflight.workloads import Workload

POD_SECURITY = Check("pod-security", said("Pod Security of the namespaces"))
LABEL = "pod-security.kubernetes.io/"
Violations = dict[Workload, list[str]]


def pod_security(context: Context) -> Iterator[Result]:
    """Pods that the destination's namespaces refuse, or warn of."""
    refused: Violations = {}
    for name, namespace in context.namespaces.items():
        pods = [each for each in context.workloads if each.namespace == name]
        labels = labels_of(namespace)
        enforced = labels.get(f"{LABEL}enforce", "privileged")
        here = _violating(pods, enforced)
        refused |= here
        for workload, violations in here.items():
            yield _refused(context, name, enforced, workload, violations)
        # Who is warned of what is recorded is not told twice.
        for mode in ("warn", "audit"):
            level = labels.get(f"{LABEL}{mode}", "privileged")
            if told := {each: found for each, found in _violating(pods, level).items() if each not in here}:
                yield _told(context, name, level, mode, told)
                break
    if context.workloads and not refused:
        levels = sorted({labels_of(each).get(f"{LABEL}enforce", "privileged") for each in context.namespaces.values()})
        yield POD_SECURITY.passed(
            counted(
                len(context.workloads),
                "The pods of {n} workload meet what their namespaces enforce ({levels}).",
                "The pods of {n} workloads meet what their namespaces enforce ({levels}).",
                levels=listed(levels),
            )
        )


def _violating(workloads: Iterable[Workload], level: str) -> Violations:
    return {each: found for each in workloads if (found := violations_of(each.spec, level))}


def _refused(context: Context, namespace: str, level: str, workload: Workload, violations: list[str]) -> Result:
    make = POD_SECURITY.failure if workload.starts else POD_SECURITY.warning
    # The strictest level that lets these pods in.
    enough = next(each for each in reversed(LEVELS) if not violations_of(workload.spec, each))
    label = f"{context.destination.kubectl} label --overwrite namespace {namespace} {LABEL}enforce={enough}"
    # Of a namespace that is not there yet, the labels come from the source's.
    create = f"{context.destination.kubectl} create namespace {namespace}\n"
    return make(
        said(
            'The pods of {workload} violate PodSecurity "{level}:latest", which namespace {namespace} of the '
            "{destination} enforces: {violations}.",
            workload=workload,
            level=level,
            namespace=namespace,
            destination=context.destination,
            violations=listed(violations, 8),
        ),
        [str(workload)],
        why=said("The API server would refuse the pods: the workload arrives and gets none."),
        remedy=_remedy(violations, level, enough),
        command=label if namespace in context.existing else create + label,
    )


def _told(context: Context, namespace: str, level: str, mode: str, told: Violations) -> Result:
    rules = list(dict.fromkeys(rule for found in told.values() for rule in found))
    values = {
        "namespace": namespace,
        "destination": context.destination,
        "level": level,
        "workloads": listed(told),
        "rules": listed(rules, 8),
    }
    return POD_SECURITY.warning(
        said(
            'Namespace {namespace} of the {destination} warns of what violates PodSecurity "{level}:latest": '
            "{workloads} ({rules}).",
            **values,
        )
        if mode == "warn"
        else said(
            'Namespace {namespace} of the {destination} records what violates PodSecurity "{level}:latest": '
            "{workloads} ({rules}).",
            **values,
        ),
        map(str, told),
        why=said("The pods are let in; the level may be enforced one day."),
        remedy=_remedy(rules, level, "baseline"),
        command=f"{context.destination.kubectl} label --dry-run=server --overwrite namespace {namespace} "
        f"{LABEL}enforce={level}",
    )


def _remedy(violations: list[str], level: str, enough: str) -> Text:
    if level == "restricted" and all(each.startswith(EASY) for each in violations):
        return said(
            "Add the missing fields of securityContext by a rule of the migration, or enforce no more than "
            "{enough} there.",
            enough=enough,
        )
    return said(
        "Enforce no more than {enough} on the namespace there, or change the pods by a rule of the migration.",
        enough=enough,
    )
