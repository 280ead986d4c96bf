"""The pods that the objects bring along: from which workload, how many start, and with which spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from migrations_app.resources.marks import annotations_of, labels_of, type_of
from migrations_app.resources.quantities import to_number
from migrations_app.resources.references import items, section

Object = dict[str, Any]
# Of these as many pods start as `replicas` says, and one where it says nothing.
REPLICATED = {
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "ReplicaSet"),
    ("apps.openshift.io", "DeploymentConfig"),
}


@dataclass(frozen=True, eq=False)
class Workload:
    """An object with a pod template. `pods` is None where each node gets one."""

    obj: Object
    template: Object
    pods: int | None

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def kind(self) -> str:
        return str(self.obj["kind"])

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"].get("namespace") or "")

    @property
    def spec(self) -> Object:
        """The spec of its pods."""
        return section(self.template, "spec")

    @property
    def starts(self) -> bool:
        """Whether pods start when the objects are applied."""
        return self.pods != 0

    @property
    def account(self) -> str:
        return str(self.spec.get("serviceAccountName") or self.spec.get("serviceAccount") or "default")

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.template)

    @property
    def annotations(self) -> dict[str, str]:
        return annotations_of(self.template)

    def containers(self) -> Iterator[Object]:
        """All containers of a pod, those that initialise it first."""
        yield from items(self.spec, "initContainers")
        yield from items(self.spec, "containers")


def workloads(objects: Iterable[Object]) -> list[Workload]:
    """The workloads among the objects, operators' own left out: what those start is not known."""
    return [found for obj in objects if (found := _workload(obj))]


def _workload(obj: Object) -> Workload | None:
    kind = type_of(obj)
    spec = section(obj, "spec")
    if kind in REPLICATED:
        return Workload(obj, section(spec, "template"), _count(spec, "replicas"))
    match kind:
        case ("apps", "DaemonSet"):
            return Workload(obj, section(spec, "template"), None)
        case ("batch", "Job"):
            started = 0 if spec.get("suspend") else _count(spec, "parallelism")
            return Workload(obj, section(spec, "template"), started)
        case ("batch", "CronJob"):
            # Its pods come and go; none starts because it is applied.
            return Workload(obj, section(spec, "jobTemplate", "spec", "template"), 0)
        case ("", "Pod"):
            return Workload(obj, obj, 1)
    return None


def _count(spec: Object, name: str) -> int:
    found = spec.get(name)
    return 1 if found is None else int(found)


def pod_requests(spec: Object, field: str = "requests") -> dict[str, Decimal]:
    """What a pod asks for (or, as `limits`, may use) altogether.

    As the scheduler counts: the containers' sum or the largest initContainer, whichever is more, with side-cars counted
    among the containers, and the overhead (k8s.io/component-helpers/resource, PodRequests).
    """
    total: dict[str, Decimal] = {}
    first: dict[str, Decimal] = {}
    for container in items(spec, "initContainers"):
        asked = amounts(container, field)
        if container.get("restartPolicy") == "Always":
            _add(total, asked)
            _most(first, total)
        else:
            _most(first, {name: total.get(name, Decimal(0)) + value for name, value in asked.items()})
    for container in items(spec, "containers"):
        _add(total, amounts(container, field))
    _most(total, first)
    _add(total, {name: to_number(value) for name, value in section(spec, "overhead").items()})
    return total


def amounts(container: Object, field: str) -> dict[str, Decimal]:
    """A container's requests or limits; a limit without a request is the request as well."""
    resources = section(container, "resources")
    found = dict(section(resources, field))
    if field == "requests":
        found = {**section(resources, "limits"), **found}
    return {name: to_number(value) for name, value in found.items()}


def _add(total: dict[str, Decimal], more: dict[str, Decimal]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, Decimal(0)) + value


def _most(total: dict[str, Decimal], other: dict[str, Decimal]) -> None:
    for name, value in other.items():
        total[name] = max(total.get(name, Decimal(0)), value)
